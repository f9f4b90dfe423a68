package eventstore

import (
	"encoding/binary"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/message"
)

// Sequence is the place of an event in its stream, from 0 up.
type Sequence int64

// Before lies before every event: it is the last sequence number of a stream without events, and reading after it reads a
// stream from its start.
const Before Sequence = -1

// Append is the operation that appends events to the stream of an aggregate and, unless they are stored only, to the event
// log. Create it with NewAppend.
type Append struct {
	// IfLast makes the append conditional: it is refused with engine.ErrConflict unless it is the last sequence number of the
	// stream. Nil means no condition.
	IfLast *Sequence
	// First is the sequence number of the first event; the others follow without gap. Without events it is the number that
	// one would have had. Set by Apply.
	First Sequence
	// FirstIndex is the index of the first event in the event log; the others follow without gap. It is message.Beginning for
	// events that are stored only. Set by Apply.
	FirstIndex message.Index

	aggregate string
	publish   *messagelog.Append // nil for events that are stored only
	entry     []byte             // room for the index, then the blocks
	summary   message.BlockSummary
}

// NewAppend returns the operation that appends the events in blocks, which may be several back to back or none. It copies
// them, and looks at their headers only: blocks from outside are to be checked with message.Block.Validate. Errors are
// ErrBadID and those of messagelog.NewAppend.
func NewAppend(aggregate string, blocks []byte, storeOnly bool) (*Append, error) {
	if err := ValidateID("aggregate", aggregate); err != nil {
		return nil, err
	}
	entry := append(make([]byte, indexBytes, indexBytes+len(blocks)), blocks...)
	publish, err := messagelog.NewAppend(message.Log{Type: message.Event}, entry[indexBytes:])
	if err != nil {
		return nil, err
	}
	a := &Append{aggregate: aggregate, publish: publish, entry: entry}
	if a.summary, err = message.SummarizeBlocks(blocks); err != nil {
		return nil, err
	}
	if storeOnly {
		a.publish = nil
	}
	return a, nil
}

// SizeBytes implements engine.Operation.
func (a *Append) SizeBytes() int {
	if a.publish == nil {
		return len(a.entry)
	}
	return 2 * len(a.entry)
}

// Count is the number of events that are appended.
func (a *Append) Count() int { return a.summary.Span }

// Last is the sequence number of the last event, or First - 1 when there are no events. Valid after Apply.
func (a *Append) Last() Sequence { return a.First + Sequence(a.Count()) - 1 }

// Answer returns First and FirstIndex, for producer.Once.
func (a *Append) Answer() []int64 { return []int64{int64(a.First), int64(a.FirstIndex)} }

// Apply implements engine.Operation.
func (a *Append) Apply(tx *engine.Tx) error {
	key := streamKey(tx.Namespace(), a.aggregate)
	head, err := loadHead(tx, key)
	if err != nil {
		return err
	}
	if a.IfLast != nil && *a.IfLast != head.Last() {
		return engine.Conflict("last event of aggregate %s has sequence number %d, not %d", a.aggregate, head.Last(), *a.IfLast)
	}
	a.First, a.FirstIndex = Sequence(head.Events), message.Beginning
	if a.Count() == 0 {
		return nil
	}
	if a.publish != nil {
		if err := a.publish.Apply(tx); err != nil {
			return err
		}
		a.FirstIndex = a.publish.First
	}
	binary.LittleEndian.PutUint64(a.entry, uint64(a.FirstIndex))
	tx.Set(eventKey(tx.Namespace(), a.aggregate, a.Last()), a.entry)
	head.Events += uint64(a.Count())
	head.Bytes += uint64(len(a.entry) - indexBytes)
	head.Milli = tx.Milli()
	tx.Set(key, head.encode())
	return nil
}

// Delete is the operation that removes the stream of an aggregate. Its events stay in the event log, and its relations are
// for Repair to remove.
type Delete struct {
	Aggregate string
	// IfLast makes the deletion conditional, as that of Append. Nil means no condition.
	IfLast *Sequence
	// Deleted is the number of events that were removed. Set by Apply.
	Deleted uint64
}

// SizeBytes implements engine.Operation.
func (d *Delete) SizeBytes() int { return 2 * len(d.Aggregate) }

// Apply implements engine.Operation.
func (d *Delete) Apply(tx *engine.Tx) error {
	if err := ValidateID("aggregate", d.Aggregate); err != nil {
		return err
	}
	key := streamKey(tx.Namespace(), d.Aggregate)
	head, err := loadHead(tx, key)
	if err != nil {
		return err
	}
	if d.IfLast != nil && *d.IfLast != head.Last() {
		return engine.Conflict("last event of aggregate %s has sequence number %d, not %d", d.Aggregate, head.Last(), *d.IfLast)
	}
	if d.Deleted = head.Events; d.Deleted > 0 {
		tx.Delete(key)
		prefix := eventPrefix(tx.Namespace(), d.Aggregate)
		tx.DeleteRange(prefix, engine.PrefixEnd(prefix))
	}
	return nil
}
