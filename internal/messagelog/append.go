// Package messagelog keeps messages in ordered logs: its operations append, truncate and set the retention; its reads
// return stored blocks as they were appended.
//
// A log is a head and a sequence of entries. An entry holds one or more blocks, back to back, under the index of its last
// message; the messages of an entry have consecutive indexes. The head carries the last index given out, so that no index
// is ever given out twice, even when every message is gone.
//
// Invariants:
//
//	L1  Indexes of a log strictly increase in the order of commits, over restarts and clock jumps too.
//	L2  An index is at least its group's time, and the time of the log otherwise: max(now << 16, last + 1).
//	L3  Messages at or below the truncation index are never returned, whether or not their entry is still there.
package messagelog

import (
	"fmt"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// Append is the operation that appends blocks to a log. Create it with NewAppend.
type Append struct {
	// IfLast makes the append conditional: it is refused with engine.ErrConflict unless it is the last index of the log,
	// which is message.Beginning when nothing was ever appended. Nil means no condition.
	IfLast *message.Index
	// First is the index of the first message. Set by Apply. Messages have consecutive indexes.
	First message.Index

	log     message.Log
	blocks  []byte
	summary message.BlockSummary
}

// NewAppend checks blocks, which may be several back to back, and returns the operation that appends them to a log. The
// operation keeps blocks: they must not change afterwards. Errors are message.ErrBadLog and those of message.SummarizeBlocks.
func NewAppend(log message.Log, blocks []byte) (*Append, error) {
	log = log.Stored()
	if err := log.Validate(); err != nil {
		return nil, err
	}
	summary, err := message.SummarizeBlocks(blocks)
	if err != nil {
		return nil, err
	}
	return &Append{log: log, blocks: blocks, summary: summary}, nil
}

// SizeBytes implements engine.Operation.
func (a *Append) SizeBytes() int { return len(a.blocks) }

// Count is the number of messages that are appended.
func (a *Append) Count() int { return a.summary.Span }

// Last is the index of the last message. Valid after Apply, like First.
func (a *Append) Last() message.Index { return a.First + message.Index(a.summary.Span) - 1 }

// Apply implements engine.Operation.
func (a *Append) Apply(tx *engine.Tx) error {
	key := headKey(tx.Namespace(), a.log)
	head, err := loadHead(tx, key)
	if err != nil {
		return err
	}
	if a.IfLast != nil && *a.IfLast != head.Last {
		return engine.Conflict("last index of log %s is %d, not %d", a.log, head.Last, *a.IfLast)
	}
	a.First = max(message.IndexAtMilli(tx.Milli()), head.Last+1)
	if a.summary.Span == 0 {
		return nil
	}
	head.Last = a.Last()
	head.Messages += uint64(a.summary.Span)
	head.Bytes += uint64(len(a.blocks))
	tx.Set(key, head.encode())
	tx.Extend(messagePrefix(tx.Namespace(), a.log), uint64(head.Last), a.blocks)
	tx.Notify(Appended{
		Namespace: tx.Namespace(),
		Log:       a.log,
		Entry:     Entry{First: a.First, Last: head.Last, Segments: a.summary.Segments, Blocks: a.blocks},
	})
	return nil
}

// Appended is the event of messages that became readable.
type Appended struct {
	Namespace message.Namespace
	Log       message.Log
	Entry     Entry
}

// Truncated is the event of messages that were deleted.
type Truncated struct {
	Namespace message.Namespace
	Log       message.Log
	Through   message.Index
}

// Truncate is the operation that deletes all messages of a log up to and including an index. One below the first message
// changes nothing; one beyond the last deletes everything, and does not affect the indexes of messages to come.
type Truncate struct {
	Log     message.Log
	Through message.Index
}

// SizeBytes implements engine.Operation.
func (t *Truncate) SizeBytes() int { return 64 }

// Apply implements engine.Operation.
func (t *Truncate) Apply(tx *engine.Tx) error {
	log := t.Log.Stored()
	key := headKey(tx.Namespace(), log)
	head, err := loadHead(tx, key)
	if err != nil {
		return err
	}
	through := min(t.Through, head.Last)
	if through <= head.Truncated {
		return nil
	}
	head.Truncated = through
	tx.Set(key, head.encode())
	prefix := messagePrefix(tx.Namespace(), log)
	tx.DeleteRange(prefix, engine.AppendUint64(prefix, uint64(through)+1))
	tx.Notify(Truncated{tx.Namespace(), log, through})
	return nil
}

// Forever is the retention of logs that are never truncated by age.
const Forever Retention = -1

// Retention is how long messages are kept, in milliseconds. Zero means the default of the log's type.
type Retention int64

// SetRetention is the operation that sets how long messages of a log are kept. A log without messages may have one too.
type SetRetention struct {
	Log       message.Log
	Retention Retention
}

// SizeBytes implements engine.Operation.
func (s *SetRetention) SizeBytes() int { return 64 }

// Apply implements engine.Operation.
func (s *SetRetention) Apply(tx *engine.Tx) error {
	log := s.Log.Stored()
	if err := log.Validate(); err != nil {
		return err
	}
	if s.Retention < Forever {
		return fmt.Errorf("retention of %d ms: use a positive time, 0 for the default or -1 for ever", s.Retention)
	}
	key := headKey(tx.Namespace(), log)
	head, err := loadHead(tx, key)
	if err != nil {
		return err
	}
	head.Retention = s.Retention
	tx.Set(key, head.encode())
	return nil
}
