package schedule

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// Schedules reads the pending schedules of an engine. Safe for concurrent use.
type Schedules struct{ engine *engine.Engine }

// New returns the reader of the engine's schedules.
func New(e *engine.Engine) *Schedules { return &Schedules{e} }

// Pending is a message that is not due yet, or about to be fired.
type Pending struct {
	ID  string
	Due time.Time
	// Block has the message. The caller owns it.
	Block []byte
}

// Message returns the message with the index that it will have at the earliest.
func (p Pending) Message() (message.Message, error) {
	block, _, err := message.ParseBlock(p.Block)
	if err != nil {
		return message.Message{}, fmt.Errorf("%w: schedule %s: %w", engine.ErrCorrupt, p.ID, err)
	}
	messages, err := block.AppendMessages(nil, message.IndexAt(p.Due))
	if err != nil || len(messages) != 1 {
		return message.Message{}, fmt.Errorf("%w: schedule %s: %d messages, %w", engine.ErrCorrupt, p.ID, len(messages), err)
	}
	return messages[0], nil
}

// Get returns the pending schedule with an id, and whether there is one.
func (s *Schedules) Get(ns message.Namespace, id string) (Pending, bool, error) {
	view := s.engine.View()
	defer view.Close()
	raw, err := view.Get(idKey(ns, id))
	if err != nil || raw == nil {
		return Pending{}, false, err
	}
	due, err := decodeDue(raw)
	if err != nil {
		return Pending{}, false, err
	}
	block, err := view.Get(dueKey(ns, due, id))
	if err == nil && block == nil {
		err = fmt.Errorf("%w: schedule %s is due at %d, but has no message", engine.ErrCorrupt, id, due)
	}
	return Pending{id, time.UnixMilli(due).UTC(), block}, err == nil, err
}

// Place is where a list goes on: after a schedule. The zero value is the start.
type Place struct {
	Due time.Time
	ID  string
}

// List returns up to limit pending schedules after a place, in the order of their due times and of the bytes of their ids, and
// whether there are more.
func (s *Schedules) List(ns message.Namespace, after Place, limit int) (all []Pending, more bool, err error) {
	prefix := engine.AppendKey(nil, ns, engine.FamilyDue)
	start := prefix
	if after != (Place{}) {
		start = append(dueKey(ns, max(0, after.Due.UnixMilli()), after.ID), 0)
	}
	view := s.engine.View()
	defer view.Close()
	it, err := view.Scan(start, engine.PrefixEnd(prefix))
	if err != nil {
		return nil, false, err
	}
	for err == nil && len(all) < limit && it.Next() {
		var p Pending
		p, err = pendingAt(it)
		all = append(all, p)
	}
	more = err == nil && it.Next()
	return all, more, errors.Join(err, it.Close())
}

func pendingAt(it *engine.Iterator) (Pending, error) {
	key, err := engine.ParseKey(it.Key())
	if err != nil {
		return Pending{}, err
	}
	block, err := it.Value()
	return Pending{key.Rest, time.UnixMilli(int64(key.Number)).UTC(), bytes.Clone(block)}, err
}
