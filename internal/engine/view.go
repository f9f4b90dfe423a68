package engine

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// View is the state after some group of transactions, all of it on disk. It does not change. Safe for concurrent use until
// Close; a View that is kept open keeps old state on disk.
type View struct {
	snapshot *pebble.Snapshot
	refs     atomic.Int64
}

func newView(db *pebble.DB) *View {
	v := &View{snapshot: db.NewSnapshot()}
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
	}
}

// Get returns a copy of the value of a key, or nil if there is none.
func (v *View) Get(key []byte) ([]byte, error) { return getCopy(v.snapshot, key) }

// Scan returns an iterator over the keys in [start, end), in order, placed before the first.
func (v *View) Scan(start, end []byte) (*Iterator, error) {
	it, err := v.snapshot.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		return nil, err
	}
	return &Iterator{it: it}, nil
}

// ScanPrefix is Scan over all keys with a prefix.
func (v *View) ScanPrefix(prefix []byte) (*Iterator, error) { return v.Scan(prefix, PrefixEnd(prefix)) }

// Iterator walks over keys in order. It must be closed, and is for one goroutine.
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
