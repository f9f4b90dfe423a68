package recording

import (
	"errors"
	"sync"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// bells tell who waits that executions have come.
type bells struct {
	mu   sync.Mutex
	open map[message.Namespace]chan struct{} // those that somebody waits for
}

// observe is the engine's subscriber.
func (b *bells) observe(events []any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, event := range events {
		if a, ok := event.(arrived); ok && b.open[a.ns] != nil {
			close(b.open[a.ns])
			delete(b.open, a.ns)
		}
	}
}

// Changed returns a channel that is closed when the next execution has been recorded in a namespace. Who takes it before
// reading arrivals misses none.
func (x *Executions) Changed(ns message.Namespace) <-chan struct{} {
	x.bells.mu.Lock()
	defer x.bells.mu.Unlock()
	bell := x.bells.open[ns]
	if bell == nil {
		bell = make(chan struct{})
		x.bells.open[ns] = bell
	}
	return bell
}

// maxArrivals is how many executions one call of Arrivals looks at.
const maxArrivals = 1000

// Arrivals is a part of the executions in the order in which they came.
type Arrivals struct {
	Items []Item
	// Last is the arrival up to which executions were looked at.
	Last uint64
	// More says that there are executions after Last.
	More bool
}

// Arrivals returns executions that came after an arrival and pass a filter, in their order. An execution that was running when
// it came first, and came again, is at its last arrival only.
func (x *Executions) Arrivals(ns message.Namespace, f *Filter, after uint64) (a Arrivals, err error) {
	view := x.engine.View()
	defer view.Close()
	return reader{view, ns}.arrivals(f, after)
}

func (r reader) arrivals(f *Filter, after uint64) (Arrivals, error) {
	a := Arrivals{Last: after}
	end := engine.PrefixEnd(engine.AppendKey(nil, r.ns, engine.FamilyArrival))
	it, err := r.view.Scan(append(arrivalKey(r.ns, after), 0), end)
	if err != nil {
		return a, err
	}
	for n := 0; err == nil && it.Next(); n++ {
		if a.More = n == maxArrivals; a.More {
			break
		}
		err = r.arrival(it, f, &a)
	}
	return a, errors.Join(err, it.Close())
}

// arrival looks at the execution under the iterator.
func (r reader) arrival(it *engine.Iterator, f *Filter, a *Arrivals) error {
	item, at, err := r.arrivalItem(it)
	if err != nil {
		return err
	}
	ok, err := r.passes(f, item, at)
	if ok {
		a.Items = append(a.Items, *item)
	}
	a.Last = item.Arrival
	return err
}

// arrivalItem returns the execution whose arrival is under the iterator, and its place.
func (r reader) arrivalItem(it *engine.Iterator) (*Item, place, error) {
	raw, err := it.Value()
	if err != nil {
		return nil, 0, err
	}
	at, err := decodePlace(raw)
	if err != nil {
		return nil, 0, err
	}
	item, err := r.item(at)
	return item, at, err
}

// Backlog returns the arrival after which the last n executions that pass a filter came, or fewer of them when it would have
// to look at more than 100,000 for that.
func (x *Executions) Backlog(ns message.Namespace, f *Filter, n int) (after uint64, err error) {
	const maxLook = 100_000
	view := x.engine.View()
	defer view.Close()
	r := reader{view, ns}
	t, err := r.totals()
	if err != nil || n == 0 {
		return t.arrival, err
	}
	before := t.arrival // what came after it was looked at
	for look := uint64(n); n > 0 && before > 0 && t.arrival-before < maxLook; look = min(2*look, maxLook) {
		from := before - min(look, before)
		found, err := r.between(f, from, before)
		if err != nil {
			return 0, err
		}
		if len(found) >= n {
			return found[len(found)-n] - 1, nil
		}
		n -= len(found)
		before = from
	}
	return before, nil
}

// between returns the arrivals of executions that pass a filter, after one and up to another.
func (r reader) between(f *Filter, after, last uint64) (found []uint64, err error) {
	for after < last {
		a, err := r.arrivals(f, after)
		if err != nil {
			return nil, err
		}
		for _, item := range a.Items {
			if item.Arrival <= last {
				found = append(found, item.Arrival)
			}
		}
		if after = a.Last; !a.More {
			break
		}
	}
	return found, nil
}
