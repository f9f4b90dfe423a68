package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flux-go/flux/message"
)

func TestRefusedTransactionLeavesNoTraceAndSparesItsNeighbours(t *testing.T) {
	t.Parallel()
	e := open(t, Options{})
	var events []any
	e.Subscribe(func(all []any) { events = append(events, all...) })
	errs := commitGroup(
		e,
		transaction(set(1, "a"), set(2, "a"), notify("first")),
		transaction(set(1, "b"), set(3, "b"), notify("second"), refuse(Conflict("no %s", "luck"))),
		transaction(
			do(func(tx *Tx) error {
				if value, err := tx.Get(key(1)); string(value) != "a" {
					t.Errorf("third transaction sees %q (%v), want what the first wrote", value, err)
				}
				return nil
			}),
			set(4, "c"),
			notify("third"),
		),
	)
	if errs[0] != nil || errs[2] != nil {
		t.Errorf("neighbours of a refused transaction: %v, %v", errs[0], errs[2])
	}
	if !errors.Is(errs[1], ErrConflict) || !strings.Contains(errs[1].Error(), "no luck") {
		t.Errorf("refused transaction: %v, want ErrConflict with its reason", errs[1])
	}
	if got, want := dumpNow(t, e), `"public\x00u\x01" = "a"
"public\x00u\x02" = "a"
"public\x00u\x04" = "c"
`; got != want {
		t.Errorf("store has\n%swant\n%s", got, want)
	}
	if want := []any{"first", "third"}; !slices.Equal(events, want) {
		t.Errorf("events %v, want %v", events, want)
	}
}

func TestSubscribersAreToldInOrderAfterVisibilityAndBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	e := open(t, Options{})
	const n = 200
	var seen, answered []int // both are written on the engine's goroutine only
	e.Subscribe(func(events []any) {
		for _, event := range events {
			i := event.(int)
			if len(answered) > i {
				t.Errorf("transaction %d was answered before its event", i)
			}
			if got := getNow(t, e, byte(i)); got != "x" {
				t.Errorf("event %d came before its transaction was visible", i)
			}
			seen = append(seen, i)
		}
	})
	var all sync.WaitGroup
	all.Add(n)
	for i := range n {
		tx := transaction(set(byte(i), "x"), notify(i))
		err := e.Submit(t.Context(), tx, func(err error) {
			if err != nil {
				t.Error(err)
			}
			answered = append(answered, i)
			all.Done()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
	if !slices.IsSorted(seen) || !slices.IsSorted(answered) || len(seen) != n {
		t.Errorf("events %v, answers %v, want both from 0 to %d in order", seen, answered, n-1)
	}
}

func TestSameTransactionsInSameGroupsMakeIdenticalStores(t *testing.T) {
	t.Parallel()
	run := func() string {
		var clock fakeClock
		e := open(t, Options{Clock: clock.now})
		for round := range 20 {
			clock.milli.Store(int64(1000 + round*round%7)) // it goes back now and then
			var group []*Transaction
			for i := range 30 {
				id := byte(i * round)
				group = append(group, transaction(do(func(tx *Tx) error {
					before, err := tx.Get(key(id))
					tx.Set(key(id), fmt.Appendf(nil, "%s %d", before, tx.Milli()))
					tx.Extend(key(0xff, id%3), uint64(round*100+i+1), []byte{id})
					if id%5 == 0 {
						tx.DeleteRange(key(id), key(id+10))
					}
					if id%7 == 0 {
						return ErrConflict
					}
					return err
				})))
			}
			commitGroup(e, group...)
		}
		return dumpNow(t, e)
	}
	first := run()
	if first == "" {
		t.Fatal("the store is empty")
	}
	for range 5 {
		if again := run(); again != first {
			t.Fatalf("a second run differs:\n%s\nwant:\n%s", again, first)
		}
	}
}

func TestTimeNeverGoesBackWhileOpen(t *testing.T) {
	t.Parallel()
	var clock fakeClock
	e := open(t, Options{Clock: clock.now})
	last := int64(0)
	for _, milli := range []int64{50, 70, 10, 69, 71, -5} {
		clock.milli.Store(milli)
		propose(t, e, do(func(tx *Tx) error {
			if tx.Milli() < last || tx.Milli() < milli {
				t.Errorf("at %d the time is %d, after %d", milli, tx.Milli(), last)
			}
			last = tx.Milli()
			return nil
		}))
	}
}

func TestBadTransactionsAreRefused(t *testing.T) {
	t.Parallel()
	e := open(t, Options{MaxTransactionBytes: 100})
	big := make([]Operation, 4) // 32 bytes each
	for i := range big {
		big[i] = set(1, "x")
	}
	for _, test := range []struct {
		name string
		tx   *Transaction
		want error
	}{
		{"too large", transaction(big...), ErrTooLarge},
		{"no namespace", &Transaction{Operations: big[:1]}, ErrBadNamespace},
		{"NUL in namespace", &Transaction{Namespace: "a\x00b", Operations: big[:1]}, ErrBadNamespace},
		{"long namespace", &Transaction{Namespace: message.Namespace(strings.Repeat("n", 513)), Operations: big[:1]}, ErrBadNamespace},
	} {
		if err := e.Propose(t.Context(), test.tx); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	if got := dumpNow(t, e); got != "" {
		t.Errorf("refused transactions left %s", got)
	}
	propose(t, e, big[:3]...)
}

func TestSubmitWaitsForAPlaceInTheQueueUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	e := open(t, Options{})
	hold, holding := make(chan struct{}), make(chan struct{})
	submit := func(ctx context.Context, op Operation) error {
		return e.Submit(ctx, transaction(op), func(error) {})
	}
	err := submit(t.Context(), do(func(*Tx) error { close(holding); <-hold; return nil }))
	<-holding // the sequencer takes nothing from the queue now
	for i := 0; i < queueLen && err == nil; i++ {
		err = submit(t.Context(), set(1, "x"))
	}
	if err != nil {
		t.Fatal(err)
	}
	if queued := e.Metrics().Queued; queued != queueLen {
		t.Errorf("%d transactions are queued, want %d", queued, queueLen)
	}
	if err := submit(ended(), set(1, "x")); !errors.Is(err, context.Canceled) {
		t.Errorf("Submit to a full queue: %v, want that its context ended", err)
	}
	close(hold)
	propose(t, e, set(2, "y"))
}

func TestClosedEngineRefusesEverythingOrderly(t *testing.T) {
	t.Parallel()
	e, err := Open("store", Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	propose(t, e, set(1, "x"))
	if err := errors.Join(e.Close(), e.Close()); err != nil {
		t.Fatal(err)
	}
	if err := e.Propose(t.Context(), transaction(set(1, "y"))); !errors.Is(err, ErrClosed) {
		t.Errorf("Propose: %v, want ErrClosed", err)
	}
	if err := e.Checkpoint("copy"); !errors.Is(err, ErrClosed) {
		t.Errorf("Checkpoint: %v, want ErrClosed", err)
	}
	if m := e.Metrics(); m != (Metrics{}) {
		t.Errorf("Metrics: %v, want none", m)
	}
	for range 3 {
		v := e.View()
		if _, err := v.Get(key(1)); !errors.Is(err, ErrClosed) {
			t.Errorf("Get: %v, want ErrClosed", err)
		}
		if _, err := v.Scan(nil, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("Scan: %v, want ErrClosed", err)
		}
		v.Close()
	}
}

func TestCloseAnswersAllThatIsQueued(t *testing.T) {
	t.Parallel()
	for range 20 {
		fs := vfs.NewMem()
		e, err := Open("store", Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		acknowledged := make(map[byte]bool)
		var clients sync.WaitGroup
		for id := range byte(8) {
			clients.Go(func() {
				err := e.Propose(t.Context(), transaction(set(id, "x")))
				if err != nil && !errors.Is(err, ErrClosed) {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				acknowledged[id] = err == nil
			})
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		clients.Wait()
		again := open(t, Options{FS: fs})
		for id, ok := range acknowledged {
			if got := getNow(t, again, id); (got == "x") != ok {
				t.Errorf("transaction %d was acknowledged: %v, but the store has %q", id, ok, got)
			}
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
