package tracking

import (
	"errors"

	"github.com/flux-go/flux/message"
)

// search is what a tracker looks for in a log.
type search struct {
	types *typeFilter
	// target says that messages for others than client and tracker are left out.
	// targeted that those for nobody in particular are too.
	target, targeted bool
	client, tracker  string
	anySegment       bool
	segments         message.SegmentRange
	position         message.Position
	// maxSize and maxBytes bound what is found. A block is not divided to keep to maxSize unless exact says so.
	maxSize, maxBytes int
	exact             bool

	// splits has blocks divided by ranges, of which segments is one. Nil means to filter each block.
	splits *splits
	ranges []message.SegmentRange

	lowest, highest message.Index // of the position in segments

	// Of the block at hand:
	first message.Index
	room  int // messages that may be accepted
	cut   int // ordinal of the first message that was accepted but for room, or -1
}

// newSearch returns the search of a tracker that has segments, beyond a position that has them all.
func newSearch(t *Tracker, types *typeFilter, segments message.SegmentRange, position message.Position) *search {
	q := &search{
		types:      types,
		target:     t.FilterTarget,
		client:     t.ClientID,
		tracker:    t.ID,
		anySegment: t.IgnoreSegment,
		segments:   segments,
		position:   position,
		maxSize:    t.MaxSize,
		maxBytes:   t.MaxBytes,
	}
	q.lowest, q.highest = bounds(position, segments)
	return q
}

func bounds(p message.Position, segments message.SegmentRange) (lowest, highest message.Index) {
	lowest, _ = p.Lowest(segments)
	highest = lowest
	for r, index := range p.Ranges() {
		if r.Intersects(segments) {
			highest = max(highest, index)
		}
	}
	return lowest, highest
}

// moveTo makes the search go on after an index up to which everything was examined.
func (q *search) moveTo(last message.Index) {
	q.position = q.position.With(q.segments, last)
	q.lowest, q.highest = bounds(q.position, q.segments)
}

// acceptsAll reports whether every message of the block is accepted, without looking at them.
func (q *search) acceptsAll(b located) bool {
	switch {
	case q.types != nil || q.target:
		return false
	case q.anySegment:
		return b.first > q.lowest
	default:
		return b.first > q.highest && b.Segments().Within(q.segments)
	}
}

// rejectsAll reports whether no message of the block is accepted, without looking at them.
func (q *search) rejectsAll(b located) bool {
	return !q.anySegment && !q.target && !b.Segments().Intersects(q.segments)
}

// accepts reports whether the message is one that the tracker looks for, when its type is.
//
// A message that is meant for this very tracker is delivered whatever its segment. The position of segments that others
// have does not count for it: they may have passed the message, leaving it to this tracker.
func (q *search) accepts(m message.MessageInfo) bool {
	index := q.first + message.Index(m.Ordinal)
	mine := q.segments.Contains(m.Segment)
	switch {
	case m.Target == "" && q.targeted, m.Target != "" && q.target && m.Target != q.tracker && m.Target != q.client:
		return false
	}
	if q.anySegment || !mine {
		forMe := q.target && m.Target != "" && m.Target == q.tracker
		return (q.anySegment || forMe) && index > q.lowest
	}
	return q.position.IsNewIndex(m.Segment, index)
}

// takes is accepts within the room that is left.
func (q *search) takes(m message.MessageInfo) bool {
	if q.cut >= 0 || !q.accepts(m) {
		return false
	}
	if q.room == 0 {
		q.cut = m.Ordinal
		return false
	}
	q.room--
	return true
}

// catch is what a search has found.
type catch struct {
	chunks          []Chunk
	messages, bytes int
	// last is the index up to which the log was examined, if examined is greater than 0.
	last     message.Index
	examined int
	// end reports whether the end of the log was reached.
	end bool

	filtered []byte // blocks with a part of their messages
	own      bool   // whether the last chunk lies at the end of filtered
	next     message.Index
}

// maxExamined is how many messages are examined at a time without finding any.
const maxExamined = 64 << 10

// run examines the log from the feed's place on, until enough was found or much examined.
func (q *search) run(f *feed) (catch, error) {
	var c catch
	f.seek(q.lowest)
	for c.messages < q.maxSize && c.bytes < q.maxBytes && (c.messages > 0 || c.examined < maxExamined) {
		b, ok, err := f.peek()
		if err != nil {
			return c, err
		}
		if !ok {
			c.end = true
			break
		}
		if c.messages > 0 && c.overflows(q, b) {
			break
		}
		if err := q.examine(&c, b); err != nil {
			return c, err
		}
		f.after = c.last
	}
	return c, nil
}

// overflows reports whether a block that would be handed on as it is has no room with what was found before.
func (c *catch) overflows(q *search, b located) bool {
	if !q.acceptsAll(b) {
		return false
	}
	return c.bytes+len(b.Bytes()) > q.maxBytes || !q.exact && c.messages+b.Count() > q.maxSize
}

// examine adds what is accepted of a block.
func (q *search) examine(c *catch, b located) error {
	c.last = b.last()
	c.examined += b.Span()
	room := b.Count()
	if q.exact {
		room = q.maxSize - c.messages
	}
	switch {
	case q.rejectsAll(b):
		return nil
	case q.acceptsAll(b) && b.Count() <= room:
		c.addWhole(b)
		return nil
	}
	if q.onlySegments(b) {
		part, ok, err := q.splits.part(b, q.segments, q.ranges)
		if ok || err != nil {
			return errors.Join(err, c.addPart(b, part))
		}
	}
	return q.filter(c, b, room)
}

// onlySegments reports whether the messages of the block are accepted that lie in segments, and the block may be divided for
// others too.
func (q *search) onlySegments(b located) bool {
	return q.splits != nil && q.types == nil && !q.target && !q.anySegment && b.first > q.highest
}

// filter adds what is accepted of a block, and not more than there is room for.
func (q *search) filter(c *catch, b located, room int) error {
	q.first, q.room, q.cut = b.first, room, -1
	filter := message.BlockFilter{Message: q.takes}
	if q.types != nil {
		filter.Type = q.types.accepts
	}
	start := len(c.filtered)
	out, kept, err := b.Filter(c.filtered, filter, b.Compression())
	if err != nil {
		return err
	}
	if q.cut >= 0 {
		c.last = b.first + message.Index(q.cut) - 1
	}
	if kept > 0 {
		c.filtered = out
		c.addFiltered(b, start, kept)
	}
	return nil
}

// addWhole adds the block as it is stored; blocks that lie back to back in one entry make one chunk.
func (c *catch) addWhole(b located) {
	size := len(b.Bytes())
	c.messages += b.Count()
	c.bytes += size
	if n := len(c.chunks); n > 0 && !c.own && c.next == b.first {
		if joined, ok := joinAdjacent(c.chunks[n-1].Blocks, b.entry[:size]); ok {
			c.chunks[n-1].Blocks = joined
			c.next = b.last() + 1
			return
		}
	}
	c.chunks = append(c.chunks, Chunk{b.first, b.entry[:size]})
	c.own, c.next = false, b.last()+1
}

// addPart adds a block that was divided; nil means that nothing is left of it.
func (c *catch) addPart(b located, part []byte) error {
	if part == nil {
		return nil
	}
	block, _, err := message.ParseBlock(part)
	if err != nil {
		return err
	}
	c.messages += block.Count()
	c.bytes += len(part)
	c.chunks = append(c.chunks, Chunk{b.first, part})
	c.own, c.next = false, b.last()+1
	return nil
}

// joinAdjacent returns the two slices as one if the second one follows the first in memory of the same array.
func joinAdjacent(a, b []byte) ([]byte, bool) {
	if cap(a) < len(a)+len(b) {
		return nil, false
	}
	joined := a[:len(a)+len(b)]
	return joined, &joined[len(a)] == &b[0]
}

// addFiltered adds what is left of the block, which lies at the end of c.filtered.
func (c *catch) addFiltered(b located, start, kept int) {
	c.messages += kept
	c.bytes += len(c.filtered) - start
	if n := len(c.chunks); n > 0 && c.own && c.next == b.first {
		start -= len(c.chunks[n-1].Blocks)
		c.chunks[n-1].Blocks = c.filtered[start:]
	} else {
		c.chunks = append(c.chunks, Chunk{b.first, c.filtered[start:]})
	}
	c.own, c.next = true, b.last()+1
}
