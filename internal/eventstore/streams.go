package eventstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// Streams reads the event store of an engine. Safe for concurrent use.
type Streams struct{ engine *engine.Engine }

// New returns the reader of the engine's event store.
func New(e *engine.Engine) *Streams { return &Streams{e} }

// Head returns the head of a stream, which is zero when there are no events.
func (s *Streams) Head(ns message.Namespace, aggregate string) (Head, error) {
	view := s.engine.View()
	defer view.Close()
	return loadHead(view, streamKey(ns, aggregate))
}

// Entry is events that were appended together.
type Entry struct {
	// First is the sequence number of the first event that is to be shown, and Count how many are.
	First Sequence
	Count int
	// Index is the index of the first event in Blocks, whether shown or not; message.Beginning when the events were stored
	// only.
	Index message.Index
	// Skip is the number of events at the start of Blocks that are not to be shown. There may be others at the end.
	Skip   int
	Blocks []byte
}

// Limit bounds a read.
type Limit struct {
	// Events is the most events of a page. Zero or less means that there is nothing to return.
	Events int
	// Bytes is the size after which no further entry is added. Zero means any size.
	Bytes int
}

// Page is a part of a stream.
type Page struct {
	Entries []Entry
	// Last is the sequence number of the last event of the page, or what was read after when there is none.
	Last Sequence
	// More says that there are events after those of the page.
	More bool
}

// Read returns the events of an aggregate after a sequence number, in order, until a bound of the limit is reached; at least
// one, if there is any and the limit allows it. An aggregate without events has an empty page.
func (s *Streams) Read(ns message.Namespace, aggregate string, after Sequence, limit Limit) (Page, error) {
	view := s.engine.View()
	defer view.Close()
	after = max(after, Before)
	prefix := eventPrefix(ns, aggregate)
	start := engine.AppendUint64(bytes.Clone(prefix), uint64(after+1))
	it, err := view.Scan(start, engine.PrefixEnd(prefix))
	if err != nil {
		return Page{}, err
	}
	r := reading{page: Page{Last: after}, limit: limit}
	err = r.run(it)
	return r.page, errors.Join(err, it.Close())
}

// reading collects entries until a limit is reached.
type reading struct {
	page   Page
	limit  Limit
	events int
	bytes  int
	memory []byte // for the entries, in large pieces
}

func (r *reading) run(it *engine.Iterator) error {
	for it.Next() {
		if r.full() {
			r.page.More = true
			return nil
		}
		if err := r.add(it); err != nil {
			return err
		}
	}
	return nil
}

func (r *reading) full() bool {
	return r.events >= r.limit.Events || r.limit.Bytes > 0 && r.bytes >= r.limit.Bytes
}

// add adds the entry under the iterator, or the part of it that is asked for.
func (r *reading) add(it *engine.Iterator) error {
	value, err := it.Value()
	if err != nil {
		return err
	}
	last := Sequence(binary.BigEndian.Uint64(it.Key()[len(it.Key())-8:]))
	e, err := parseEntry(last, r.keep(value))
	if err != nil {
		return fmt.Errorf("event %d: %w", last, err)
	}
	e.Skip = max(0, int(r.page.Last+1-e.First))
	e.First += Sequence(e.Skip)
	e.Count -= e.Skip
	if room := r.limit.Events - r.events; e.Count > room {
		e.Count, r.page.More = room, true
	}
	r.page.Entries = append(r.page.Entries, e)
	r.page.Last = e.First + Sequence(e.Count) - 1
	r.events += e.Count
	r.bytes += len(value)
	return nil
}

// memoryBytes is how much is allocated for entries at a time: most streams are many small ones.
const memoryBytes = 8 << 10

func (r *reading) keep(value []byte) []byte {
	if len(value) > memoryBytes/4 {
		return bytes.Clone(value)
	}
	if cap(r.memory)-len(r.memory) < len(value) {
		r.memory = make([]byte, 0, memoryBytes)
	}
	start := len(r.memory)
	r.memory = append(r.memory, value...)
	return r.memory[start:len(r.memory):len(r.memory)]
}

// parseEntry returns the entry whose last event has a sequence number. It aliases value.
func parseEntry(last Sequence, value []byte) (Entry, error) {
	if len(value) < indexBytes {
		return Entry{}, fmt.Errorf("%w: entry of %d bytes", engine.ErrCorrupt, len(value))
	}
	blocks := value[indexBytes:]
	summary, err := message.SummarizeBlocks(blocks)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %w", engine.ErrCorrupt, err)
	}
	first := last - Sequence(summary.Span) + 1
	if summary.Span == 0 || summary.Span != summary.Count || first < 0 {
		return Entry{}, fmt.Errorf("%w: entry with %d events of %d up to %d", engine.ErrCorrupt, summary.Count, summary.Span, last)
	}
	index := message.Index(binary.LittleEndian.Uint64(value))
	return Entry{First: first, Count: summary.Span, Index: index, Blocks: blocks}, nil
}

// AppendMessages appends the events of the page to dst. Those that were stored only have the index message.Beginning. Their
// payloads stay valid as long as r is not reset.
func (p Page) AppendMessages(dst []message.Message, r *message.BlockReader) ([]message.Message, error) {
	for _, e := range p.Entries {
		var err error
		if dst, err = e.appendMessages(dst, r); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

func (e Entry) appendMessages(dst []message.Message, r *message.BlockReader) ([]message.Message, error) {
	start, index := len(dst), e.Index
	for block, err := range message.Blocks(e.Blocks) {
		if err == nil {
			dst, err = r.AppendMessages(dst, block, index)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: event %d and on: %w", engine.ErrCorrupt, e.First, err)
		}
		index += message.Index(block.Span())
	}
	shown := append(dst[:start], dst[start+e.Skip:start+e.Skip+e.Count]...)
	if e.Index == message.Beginning {
		for i := range shown[start:] {
			shown[start+i].Index = message.Beginning
		}
	}
	return shown, nil
}

// Info is an aggregate with the head of its stream.
type Info struct {
	Aggregate string
	Head
}

// List returns up to limit aggregates that have events, whose ids have a prefix and come after an id, in the order of the
// bytes of their ids, and whether there are more. Empty means all prefixes, and the first id.
func (s *Streams) List(ns message.Namespace, prefix, after string, limit int) (all []Info, more bool, err error) {
	start, end := streamKey(ns, prefix), engine.PrefixEnd(streamKey(ns, prefix))
	if next := append(streamKey(ns, after), 0); after != "" && bytes.Compare(next, start) > 0 {
		start = next
	}
	if bytes.Compare(start, end) >= 0 {
		return nil, false, nil
	}
	view := s.engine.View()
	defer view.Close()
	it, err := view.Scan(start, end)
	if err != nil {
		return nil, false, err
	}
	for err == nil && len(all) < limit && it.Next() {
		var info Info
		info, err = infoAt(it)
		all = append(all, info)
	}
	more = err == nil && it.Next()
	return all, more, errors.Join(err, it.Close())
}

func infoAt(it *engine.Iterator) (Info, error) {
	key, err := engine.ParseKey(it.Key())
	if err != nil {
		return Info{}, err
	}
	raw, err := it.Value()
	if err != nil {
		return Info{}, err
	}
	head, err := decodeHead(raw)
	return Info{key.Rest, head}, err
}
