package messagelog

import (
	"errors"
	"fmt"
	"time"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// Entry is a run of blocks with consecutive indexes. Blocks are shared and must not be changed.
type Entry struct {
	First, Last message.Index
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

// Logs reads the logs of an engine. The newest entries are kept in memory, so that readers at the end of a log touch no
// store. Safe for concurrent use.
type Logs struct {
	engine *engine.Engine
	tails  *tails
}

// New returns the reader of the engine's logs. Create it before the first transaction.
func New(e *engine.Engine) *Logs {
	l := &Logs{engine: e, tails: newTails(maxTailBytes)}
	e.Subscribe(l.tails.observe)
	return l
}

// Head returns the head of a log. The head of a log that never was has Last message.Beginning.
func (l *Logs) Head(ns message.Namespace, log message.Log) (Head, error) {
	view := l.engine.View()
	defer view.Close()
	return loadHead(view, headKey(ns, log.Stored()))
}

// Read returns the entries of a log that hold messages with an index greater than after, in index order, until a bound of
// the limit is reached; at least one entry if there is any. The first entry may begin at or before after: its messages up to
// after, and up to the truncation index that is returned, must be skipped. No entry means that the end was reached.
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
	var entries []Entry
	for messages, size := 0, 0; (messages < limit.Messages && size < limit.Bytes || len(entries) == 0) && it.Next(); {
		e, err := entryAt(it)
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		e = e.skip(after)
		entries = append(entries, e)
		messages += int(e.Last-e.First) + 1
		size += len(e.Blocks)
	}
	return entries, it.Close()
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
	blocks := append([]byte(nil), value...)
	summary, err := message.SummarizeBlocks(blocks)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: entry %s: %w", engine.ErrCorrupt, key, err)
	}
	last := message.Index(key.Number)
	return Entry{last - message.Index(summary.Span) + 1, last, summary.Segments, blocks}, nil
}

// skip cuts off the blocks at the start of the entry that end at or before after.
func (e Entry) skip(after message.Index) Entry {
	for e.First <= after {
		block, rest, err := message.ParseBlock(e.Blocks)
		if err != nil || e.First+message.Index(block.Span())-1 > after || len(rest) == 0 {
			return e
		}
		e.First += message.Index(block.Span())
		e.Blocks = rest
	}
	return e
}

// Info is a log with its head.
type Info struct {
	Log message.Log
	Head
}

// List returns all logs of a namespace, in the order of their types and topics.
func (l *Logs) List(ns message.Namespace) ([]Info, error) {
	view := l.engine.View()
	defer view.Close()
	it, err := view.ScanPrefix(engine.AppendKey(nil, ns, engine.FamilyHead))
	if err != nil {
		return nil, err
	}
	var all []Info
	for it.Next() {
		info, err := infoAt(it)
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		all = append(all, info)
	}
	return all, it.Close()
}

func infoAt(it *engine.Iterator) (Info, error) {
	key, err := engine.ParseKey(it.Key())
	if err != nil {
		return Info{}, err
	}
	value, err := it.Value()
	if err != nil {
		return Info{}, err
	}
	head, err := decodeHead(value)
	return Info{key.Log, head}, err
}

// Expired returns the transactions that delete what is older than its log's retention, in all the namespaces given.
func (l *Logs) Expired(namespaces []message.Namespace, now time.Time) ([]*engine.Transaction, error) {
	var all []*engine.Transaction
	for _, ns := range namespaces {
		infos, err := l.List(ns)
		if err != nil {
			return nil, err
		}
		tx := &engine.Transaction{Namespace: ns}
		for _, info := range infos {
			kept, limited := info.KeptFor(info.Log)
			// All of the oldest kept millisecond goes too: an index is old when its millisecond is.
			through := message.IndexAt(now.Add(time.Millisecond-kept)) - 1
			if limited && info.Truncated < min(through, info.Last) {
				tx.Operations = append(tx.Operations, &Truncate{Log: info.Log, Through: through})
			}
		}
		if len(tx.Operations) > 0 {
			all = append(all, tx)
		}
	}
	return all, nil
}
