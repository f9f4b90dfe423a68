package idempotent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flux-go/flux"
)

// A FluxStore keeps entries as values of Flux. Flux puts a value if there is none, and does not compare; so each state of an entry has
// a key of its own, which says what it came after:
//
//	PREFIX/NAME/            → the first state, of revision A
//	PREFIX/NAME/A           → the state after A, of revision B
//	PREFIX/NAME/B           → …
//
// Of two attempts that saw the same state one puts the next. The entry is the end of the chain.
type FluxStore struct {
	app    *flux.App
	prefix string
}

// NewFluxStore returns the store in the values of an app whose keys begin with a prefix, as "idempotency", and "/".
func NewFluxStore(app *flux.App, prefix string) *FluxStore { return &FluxStore{app, prefix + "/"} }

// purged is the state at the end of a chain that is being removed. Nothing comes after it.
const purged State = "purged"

// Get implements Store.
func (s *FluxStore) Get(ctx context.Context, name string) (Entry, error) {
	states, err := s.states(ctx, name)
	if err != nil {
		return Entry{}, fmt.Errorf("idempotency entry %s: %w", name, err)
	}
	e := states.last()
	if e.State == purged {
		return Entry{}, fmt.Errorf("idempotency entry %s: it expired and is being removed", name)
	}
	return e, nil
}

// A chain has the states of an entry, each under the revision before it.
type chain map[string]Entry

func (s *FluxStore) states(ctx context.Context, name string) (chain, error) {
	c, prefix := make(chain), s.prefix+name+"/"
	for item, err := range flux.ListValues[Entry](ctx, s.app, prefix) {
		if err != nil {
			return nil, err
		}
		c[strings.TrimPrefix(item.Key, prefix)] = item.Value
	}
	return c, nil
}

// last returns the state at the end, the zero Entry when there is none. What does not come after the first state does not count.
func (c chain) last() (e Entry) {
	for next, ok := c[""]; ok; next, ok = c[next.Revision] {
		e = next
	}
	return e
}

// Put implements Store.
func (s *FluxStore) Put(ctx context.Context, name, over string, e Entry) error {
	err := s.extend(ctx, name, over, e)
	if err != nil && !errors.Is(err, ErrConflict) {
		err = fmt.Errorf("idempotency entry %s: %w", name, err)
	}
	return err
}

// extend puts a state after another, unless there is one, or the chain of the other was removed.
func (s *FluxStore) extend(ctx context.Context, name, over string, e Entry) error {
	key := s.prefix + name + "/" + over
	put, err := flux.PutValueIfAbsent(ctx, s.app, key, e)
	switch {
	case err != nil:
		return err
	case !put:
		return ErrConflict
	case over == "":
		return nil
	}
	states, err := s.states(ctx, name)
	if err != nil || states.has(e.Revision) {
		return err
	}
	if _, err := flux.DeleteValue(ctx, s.app, key); err != nil {
		return err
	}
	return ErrConflict
}

func (c chain) has(revision string) bool {
	for next, ok := c[""]; ok; next, ok = c[next.Revision] {
		if next.Revision == revision {
			return true
		}
	}
	return false
}

// Purge removes the entries that expired, and returns how many. Call it now and then, from one process at a time: what it is removing
// when it dies is removed by the next.
func (s *FluxStore) Purge(ctx context.Context) (n int64, err error) {
	names := make(map[string]bool)
	for item, err := range flux.ListValues[Entry](ctx, s.app, s.prefix) {
		if err != nil {
			return 0, err
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(item.Key, s.prefix), "/")
		names[name] = names[name] || item.Value.expired()
	}
	for name, old := range names {
		if !old {
			continue
		}
		removed, err := s.remove(ctx, name)
		if err != nil {
			return n, fmt.Errorf("idempotency entry %s: %w", name, err)
		}
		if removed {
			n++
		}
	}
	return n, nil
}

func (e *Entry) expired() bool { return !time.Now().Before(e.Expires) }

// remove removes an entry if it expired: it puts an end to the chain, so that nothing is added meanwhile, and then takes the first
// state away, with which the others are none. Without the end another attempt could begin in a chain that is going.
func (s *FluxStore) remove(ctx context.Context, name string) (bool, error) {
	states, err := s.states(ctx, name)
	last := states.last()
	if err != nil || !last.expired() {
		return false, err
	}
	if last.State != purged {
		end := Entry{Revision: newRevision(), State: purged}
		switch err := s.extend(ctx, name, last.Revision, end); {
		case errors.Is(err, ErrConflict):
			return false, nil
		case err != nil:
			return false, err
		}
		states[last.Revision] = end
	}
	for _, over := range slices.Sorted(maps.Keys(states)) { // "" comes first
		if _, err := flux.DeleteValue(ctx, s.app, s.prefix+name+"/"+over); err != nil {
			return false, err
		}
	}
	return true, nil
}
