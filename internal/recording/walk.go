package recording

import (
	"errors"

	"github.com/flux-go/flux/internal/engine"
)

// list is places in their order. A list that was closed tells what error it met.
type list interface {
	// seek returns the first place that is not before one, and whether there is any. It is called with rising places.
	seek(at place) (place, bool, error)
	close() error
}

// union is all places that are in any of its lists.
type union []*walk

func (u union) seek(at place) (first place, found bool, err error) {
	for _, w := range u {
		p, ok, err := w.seek(at)
		if err != nil {
			return 0, false, err
		}
		if ok && (!found || p < first) {
			first, found = p, true
		}
	}
	return first, found, nil
}

func (u union) close() (err error) {
	for _, w := range u {
		err = errors.Join(err, w.close())
	}
	return err
}

// walk goes over keys that end with a place, in the order of places.
type walk struct {
	prefix  []byte
	it      *engine.Iterator
	current place
	valid   bool // current is that of the key under the iterator
	ended   bool
}

func (w *walk) key(at place) []byte { return engine.AppendUint64(w.prefix, uint64(at)) } // prefix has no room, so it stays

func (w *walk) close() error { return w.it.Close() }

func (w *walk) seek(at place) (place, bool, error) {
	switch {
	case w.ended:
		return 0, false, nil
	case w.valid && w.current >= at:
		return w.current, true, nil
	}
	found := false
	if w.valid && w.current+1 == at {
		found = w.it.Next()
	} else {
		found = w.it.Seek(w.key(at))
	}
	if w.ended = !found; w.ended {
		return 0, false, nil // an error shows when it is closed
	}
	var err error
	w.current, err = decodePlace(w.it.Key()[len(w.prefix):])
	w.valid = err == nil
	return w.current, w.valid, err
}
