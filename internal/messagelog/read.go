package messagelog

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// Entry is a run of blocks with consecutive indexes. Blocks are shared and must not be changed.
type Entry struct {
	First, Last message.Index
	// Skip is the number of messages at the start that are not to be shown: they were truncated, or lie at or before the
	// index that was asked for. All of them are in the first block.
	Skip int
	// Segments has at least the routing segments of all messages.
	Segments message.SegmentSet
	Blocks   []byte
}

// Limit bounds a read.
type Limit struct {
	// Messages is the number after which no further entry is added.
	Messages int
	// Bytes is the size after which no further entry is added.
	Bytes int
}

// reading collects entries until a limit is reached.
type reading struct {
	limit           Limit
	entries         []Entry
	messages, bytes int
}

// full reports whether no further entry is to be added: never before there is one.
func (r *reading) full() bool {
	return len(r.entries) > 0 && (r.messages >= r.limit.Messages || r.bytes >= r.limit.Bytes)
}

func (r *reading) add(e Entry) {
	r.entries = append(r.entries, e)
	r.messages += int(e.Last-e.First) + 1 - e.Skip
	r.bytes += len(e.Blocks)
}

// Read returns the entries of a log that hold messages with an index greater than after, in index order, until a bound of
// the limit is reached; at least one entry if there is any. Messages that an Entry says to skip are not part of the answer.
// No entry means that the end was reached.
func (l *Logs) Read(ns message.Namespace, log message.Log, after message.Index, limit Limit) ([]Entry, error) {
	log = log.Stored()
	if entries, ok := l.tails.read(logID{ns, log}, after, limit); ok {
		return entries, nil
	}
	view := l.engine.View()
	defer view.Close()
	return read(view, ns, log, after, limit)
}

func read(view *engine.View, ns message.Namespace, log message.Log, after message.Index, limit Limit) ([]Entry, error) {
	head, err := loadHead(view, headKey(ns, log))
	if err != nil || after >= head.Last {
		return nil, err
	}
	after = max(after, head.Truncated)
	prefix := messagePrefix(ns, log)
	it, err := view.Scan(engine.AppendUint64(prefix, uint64(after+1)), engine.PrefixEnd(prefix))
	if err != nil {
		return nil, err
	}
	r := reading{limit: limit}
	for !r.full() && it.Next() {
		e, err := entryAt(it)
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		r.add(e.from(after + 1))
	}
	return r.entries, it.Close()
}

// entryAt returns a copy of the entry under an iterator.
func entryAt(it *engine.Iterator) (Entry, error) {
	key, err := engine.ParseKey(it.Key())
	if err != nil {
		return Entry{}, err
	}
	value, err := it.Value()
	if err != nil {
		return Entry{}, err
	}
	e, err := newEntry(message.Index(key.Number), bytes.Clone(value))
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %s: %w", engine.ErrCorrupt, key, err)
	}
	return e, nil
}

func newEntry(last message.Index, blocks []byte) (Entry, error) {
	summary, err := message.SummarizeBlocks(blocks)
	first := last - message.Index(summary.Span) + 1
	return Entry{First: first, Last: last, Segments: summary.Segments, Blocks: blocks}, err
}

// from returns the entry without the messages before an index, which is not beyond its last: it cuts off whole blocks, and
// says to skip the rest.
func (e Entry) from(index message.Index) Entry {
	for e.First < index {
		block, rest, err := message.ParseBlock(e.Blocks)
		next := e.First + message.Index(block.Span())
		if err != nil || next > index {
			e.Skip = int(index - e.First)
			break
		}
		e.First, e.Blocks = next, rest
	}
	return e
}
