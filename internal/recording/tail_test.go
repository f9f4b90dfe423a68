package recording

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
)

// TestTailMissesNothing follows while many record, with a new reader for each step, as a client that connects again and again.
func TestTailMissesNothing(t *testing.T) {
	t.Parallel()
	const writers, each = 4, 50
	w := newWorld(t)
	var wg sync.WaitGroup
	defer wg.Wait()
	for range writers {
		wg.Go(func() {
			for range each {
				x := request(1, "/")
				x.ID = record.NewID()
				if err := try(t, w.e, newRecord(t, x)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := map[record.ID]bool{}
	for after := uint64(0); len(seen) < writers*each; {
		changed := w.x.Changed(ns)
		a, err := w.x.Arrivals(ns, &Filter{Service: "shop"}, after)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range a.Items {
			if item.Arrival <= after || seen[item.ID] {
				t.Fatalf("arrival %d after %d", item.Arrival, after)
			}
			after, seen[item.ID] = item.Arrival, true
		}
		if len(a.Items) == 0 {
			<-changed
		}
	}
}

func TestTailComesInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all []engine.Operation
	for i := range maxArrivals + 10 {
		x := request(0, "/")
		x.ID = record.NewID()
		if i < 3 {
			x.Service = "rare"
		}
		all = append(all, newRecord(t, x))
	}
	propose(t, w.e, all...)
	a, err := w.x.Arrivals(ns, &Filter{Service: "rare"}, 0)
	if err != nil || len(a.Items) != 3 || a.Last != maxArrivals || !a.More {
		t.Fatalf("%d of a rare service, looked at %d, more %v (%v)", len(a.Items), a.Last, a.More, err)
	}
	if a, err = w.x.Arrivals(ns, &Filter{Service: "rare"}, a.Last); err != nil || len(a.Items) != 0 || a.More {
		t.Errorf("then %d, more %v (%v)", len(a.Items), a.More, err)
	}
	for n, want := range map[int]uint64{0: maxArrivals + 10, 1: 2, 2: 1, 3: 0, 4: 0} {
		if after, err := w.x.Backlog(ns, &Filter{Service: "rare"}, n); err != nil || after != want {
			t.Errorf("the last %d come after %d (%v), want %d", n, after, err, want)
		}
	}
}

func TestExpireGoesOnOverWhatIsPinned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all []engine.Operation
	var pinned []record.ID
	for i := range 3*expireBatch + 7 {
		x := request(0, "/")
		x.ID = record.NewID()
		all = append(all, newRecord(t, x))
		if i%100 == 0 {
			all, pinned = append(all, &Pin{ID: x.ID}), append(pinned, x.ID)
		}
	}
	propose(t, w.e, append(all, &SetRetention{Retention{Executions: 2}})...)
	removed, err := w.x.Expire(t.Context(), ns, start)
	if err != nil || removed != 3*expireBatch+7-len(pinned)-2 {
		t.Errorf("%d removed (%v)", removed, err)
	}
	totals, err := w.x.Totals(ns)
	if err != nil || totals.Executions != 2 || totals.Pinned != uint64(len(pinned)) || totals.Retention.Seconds != defaultRetention.Seconds {
		t.Errorf("totals are %+v (%v)", totals, err)
	}
	page, err := w.x.List(ns, &Filter{Pinned: true}, "", 100)
	if err != nil || len(page.Items) != len(pinned) || slices.ContainsFunc(page.Items, func(i Item) bool { return !slices.Contains(pinned, i.ID) }) {
		t.Errorf("pinned are %d (%v), want %d", len(page.Items), err, len(pinned))
	}
}

func TestIssuesAreForgottenAfterAYear(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all []engine.Operation
	for i := range expireBatch + 10 {
		x := failing(request(0, "/"), "out of stock")
		x.Error.Frames[0].Function = strings.Repeat("x", i+1)
		x.ID, x.Start = record.NewID(), start.Add(time.Duration(i)*time.Millisecond)
		all = append(all, newRecord(t, x))
	}
	propose(t, w.e, all...)
	for _, test := range []struct {
		now  time.Time
		left int
	}{{start.Add(issueAge), len(all)}, {start.Add(issueAge + 5*time.Millisecond), len(all) - 5}, {start.Add(2 * issueAge), 0}} {
		if _, err := w.x.Expire(t.Context(), ns, test.now); err != nil {
			t.Fatal(err)
		}
		page, err := w.x.Issues(ns, func(*Issue) bool { return true }, "", 1000)
		if err != nil || len(page.Issues) != test.left {
			t.Errorf("at %s %d issues are left (%v), want %d", test.now, len(page.Issues), err, test.left)
		}
	}
}
