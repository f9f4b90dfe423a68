package engine

import (
	"bytes"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flux-go/flux/message"
)

// View is the state after some group of transactions, all of it on disk. It does not change. Safe for concurrent use until
// Close; a View that is kept open keeps old state on disk, and keeps the engine from closing.
type View struct {
	snapshot *pebble.Snapshot // nil when the engine was closed: reads return ErrClosed
	open     *sync.WaitGroup  // told when snapshot is given back
	refs     atomic.Int64
}

func newView(db *pebble.DB, open *sync.WaitGroup) *View {
	open.Add(1)
	v := &View{snapshot: db.NewSnapshot(), open: open}
	v.refs.Store(1)
	return v
}

// closedView is what a closed engine shows. Its first reference is never given back.
func closedView() *View {
	v := &View{}
	v.refs.Store(1)
	return v
}

// acquire takes a reference, unless the last one is gone.
func (v *View) acquire() bool {
	for {
		n := v.refs.Load()
		if n == 0 {
			return false
		}
		if v.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Close gives the view back. It must be called once for each view that Engine.View returned.
func (v *View) Close() {
	if v.refs.Add(-1) == 0 {
		// The error of Close only says that the snapshot was closed before, which refs rules out.
		_ = v.snapshot.Close()
		v.open.Done()
	}
}

// Get returns a copy of the value of a key, or nil if there is none.
func (v *View) Get(key []byte) ([]byte, error) {
	if v.snapshot == nil {
		return nil, ErrClosed
	}
	return getCopy(v.snapshot, key)
}

// Scan returns an iterator over the keys in [start, end), in order, placed before the first. A nil bound is no bound.
func (v *View) Scan(start, end []byte) (*Iterator, error) {
	if v.snapshot == nil {
		return nil, ErrClosed
	}
	it, err := v.snapshot.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return nil, err
	}
	return &Iterator{it: it}, nil
}

// ScanPrefix is Scan over all keys with a prefix.
func (v *View) ScanPrefix(prefix []byte) (*Iterator, error) { return v.Scan(prefix, PrefixEnd(prefix)) }

// Namespaces returns the namespaces that have keys, in the order of their bytes. It costs one seek for each.
func (v *View) Namespaces() ([]message.Namespace, error) {
	it, err := v.Scan(nil, nil)
	if err != nil {
		return nil, err
	}
	var all []message.Namespace
	for ok := it.Next(); ok; {
		ns, _, _ := bytes.Cut(it.Key(), []byte{0})
		all = append(all, message.Namespace(ns))
		ok = it.Seek(append(bytes.Clone(ns), 1)) // after the NUL that ends the namespace in its keys
	}
	return all, it.Close()
}

// Iterator walks over keys in order. It must be closed, before its view, and is for one goroutine.
type Iterator struct {
	it      *pebble.Iterator
	started bool
}

// Next goes to the next key and reports whether there is one. False also means an error, which Close returns.
func (i *Iterator) Next() bool {
	if !i.started {
		i.started = true
		return i.it.First()
	}
	return i.it.Next()
}

// Seek goes to the first key that is not less than key.
func (i *Iterator) Seek(key []byte) bool {
	i.started = true
	return i.it.SeekGE(key)
}

// Key is the current key. It is valid until the next move.
func (i *Iterator) Key() []byte { return i.it.Key() }

// Value is the current value. It is valid until the next move.
func (i *Iterator) Value() ([]byte, error) { return i.it.ValueAndErr() }

// Close ends the walk and returns the first error it met.
func (i *Iterator) Close() error { return i.it.Close() }
