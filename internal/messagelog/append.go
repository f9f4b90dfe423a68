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
//	L2  The first index of an append is max(now << 16, last + 1): the time of its group, or the next free one. An append
//	    may name an earlier time in place of now.
//	L3  Messages at or below the truncation index are never returned, whether or not their entry is still there.
package messagelog

import (
	"errors"
	"fmt"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// ErrSparse is returned for blocks that went through a filter: the messages they lack would be gaps in the log.
var ErrSparse = errors.New("a filtered block has gaps and cannot be appended")

// Append is the operation that appends blocks to a log. Create it with NewAppend.
type Append struct {
	// IfLast makes the append conditional: it is refused with engine.ErrConflict unless it is the last index of the log,
	// which is message.Beginning when nothing was ever appended. Nil means no condition.
	IfLast *message.Index
	// Milli is the time, in milliseconds since the Unix epoch, that the indexes of the messages are to tell: it takes the
	// place of the time of the group in L2, beyond which it cannot lie. Zero means the time of the group.
	Milli int64
	// First is the index of the first message. Set by Apply. Messages have consecutive indexes. When there are no messages
	// it is the index that one would have had.
	First message.Index

	log     message.Log
	blocks  []byte
	summary message.BlockSummary
}

// NewAppend returns the operation that appends blocks, which may be several back to back or none, to a log. The operation
// keeps blocks: they must not change afterwards. It looks at their headers only: blocks from outside are to be checked
// with message.Block.Validate. Errors are message.ErrBadLog, ErrSparse and those of message.SummarizeBlocks.
func NewAppend(log message.Log, blocks []byte) (*Append, error) {
	log = log.Stored()
	if err := log.Validate(); err != nil {
		return nil, err
	}
	summary, err := message.SummarizeBlocks(blocks)
	if err != nil {
		return nil, err
	}
	if summary.Count != summary.Span {
		return nil, fmt.Errorf("%w: %d of %d messages", ErrSparse, summary.Count, summary.Span)
	}
	return &Append{log: log, blocks: blocks, summary: summary}, nil
}

// SizeBytes implements engine.Operation.
func (a *Append) SizeBytes() int { return len(a.blocks) }

// Count is the number of messages that are appended.
func (a *Append) Count() int { return a.summary.Span }

// Last is the index of the last message. Valid after Apply, like First. It is First - 1 when there are no messages.
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
	previous := head.Last
	a.First = max(message.IndexAtMilli(a.milli(tx)), previous+1)
	if a.summary.Span == 0 {
		return nil
	}
	head.Last = a.Last()
	head.Messages += uint64(a.summary.Span)
	head.Bytes += uint64(len(a.blocks))
	tx.Set(key, head.encode())
	add := tx.Extend
	if a.First > previous+1 {
		add = tx.StartEntry // the messages of an entry have consecutive indexes
	}
	add(messagePrefix(tx.Namespace(), a.log), uint64(head.Last), a.blocks)
	tx.Notify(Appended{
		Namespace: tx.Namespace(),
		Log:       a.log,
		Previous:  previous,
		Entry:     Entry{First: a.First, Last: head.Last, Segments: a.summary.Segments, Blocks: a.blocks},
	})
	return nil
}

func (a *Append) milli(tx *engine.Tx) int64 {
	if a.Milli == 0 {
		return tx.Milli()
	}
	return min(a.Milli, tx.Milli())
}

// Appended is the event of messages that became readable.
type Appended struct {
	Namespace message.Namespace
	Log       message.Log
	// Previous is the last index of the log before: no message lies between it and the entry.
	Previous message.Index
	Entry    Entry
}
