package recording

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flux-go/flux/internal/engine"
)

// TestOfTwoResumesOneRuns has many ask at once for the lease of one execution (G-200).
func TestOfTwoResumesOneRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := request(1, "/")
	w.record(x)
	var got, refused atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			switch err := try(t, w.e, &Acquire{Execution: x.ID, Holder: string(rune('a' + i)), TTL: time.Minute}); {
			case err == nil:
				got.Add(1)
			case errors.Is(err, engine.ErrConflict):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got.Load() != 1 || refused.Load() != 7 {
		t.Errorf("%d got the lease and %d were refused, want 1 and 7", got.Load(), refused.Load())
	}
}

func TestLeaseFencesHolders(t *testing.T) {
	t.Parallel()
	now := start
	e := open(t, engine.Options{Clock: func() time.Time { return now }})
	defer e.Close()
	x := request(1, "/")
	propose(t, e, newRecord(t, x))
	acquire := func(holder string) (*Lease, error) {
		op := &Acquire{Execution: x.ID, Holder: holder, TTL: time.Minute}
		err := try(t, e, op)
		return op.Lease, err
	}
	a, err := acquire("a")
	if err != nil || a.Token != 1 {
		t.Fatalf("lease is %v (%v)", a, err)
	}
	if again, err := acquire("a"); err != nil || again.Token != a.Token {
		t.Errorf("the holder itself gets %v (%v)", again, err)
	}
	if _, err := acquire("b"); !errors.Is(err, engine.ErrConflict) {
		t.Errorf("another holder gets %v, want ErrConflict", err)
	}
	now = now.Add(2 * time.Minute)
	fence := Fence{x.ID, a.Token}
	propose(t, e, &fence, &Renew{Fence: fence, TTL: time.Minute}) // nobody has wanted it meanwhile
	now = now.Add(2 * time.Minute)
	b, err := acquire("b")
	if err != nil || b.Token <= a.Token {
		t.Fatalf("lease is %v (%v)", b, err)
	}
	for _, op := range []engine.Operation{&fence, &Renew{Fence: fence, TTL: time.Minute}} {
		if err := try(t, e, op, newRecord(t, request(2, "/"))); !errors.Is(err, engine.ErrConflict) {
			t.Errorf("%T of the lease before: %v, want ErrConflict", op, err)
		}
	}
	late := &Release{Fence: fence}
	propose(t, e, late)
	release := &Release{Fence: Fence{x.ID, b.Token}}
	propose(t, e, release)
	if late.Released || !release.Released {
		t.Errorf("released %v and %v, want only the newest", late.Released, release.Released)
	}
	if err := try(t, e, &release.Fence); !errors.Is(err, engine.ErrConflict) {
		t.Errorf("a released lease: %v, want ErrConflict", err)
	}
	if c, err := acquire("c"); err != nil || c.Token <= b.Token {
		t.Errorf("lease is %v (%v)", c, err)
	}
}

func TestLeaseRefusesNonsense(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := request(1, "/")
	w.record(x)
	for _, op := range []*Acquire{
		{Execution: x.ID, TTL: time.Minute},
		{Execution: x.ID, Holder: string(make([]byte, maxHolderLen+1)), TTL: time.Minute},
		{Execution: x.ID, Holder: "h"},
		{Execution: x.ID, Holder: "h", TTL: 2 * MaxLease},
	} {
		if err := try(t, w.e, op); !errors.Is(err, ErrBadLease) {
			t.Errorf("%+v: %v, want ErrBadLease", op, err)
		}
	}
	unknown := &Acquire{Execution: request(2, "/").ID, Holder: "h", TTL: time.Minute}
	if propose(t, w.e, unknown); unknown.Lease != nil {
		t.Error("there is a lease of what is not there")
	}
}
