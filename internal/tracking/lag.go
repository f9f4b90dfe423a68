package tracking

import (
	"time"

	"github.com/flux-go/flux/message"
)

// countLimit and countFor bound how much of a log is looked at to count what is waiting.
const (
	countLimit = 1 << 20
	countFor   = 200 * time.Millisecond
)

// count fills in how many messages are behind the position of each row. Rows are ascending and do not overlap. Blocks are
// opened only when their messages belong to more than one row.
func (s *Service) count(id logID, rows []Lag) error {
	if len(rows) == 0 {
		return nil
	}
	head, err := s.logs.Head(id.ns, id.log)
	if err != nil {
		return err
	}
	counter := newCounter(rows)
	f := feed{logs: s.logs, id: id, after: counter.lowest}
	until := s.now().Add(countFor)
	for examined := 0; ; {
		b, ok, err := f.peek()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if examined >= countLimit || s.now().After(until) {
			counter.stop(f.after)
			break
		}
		if err := counter.add(b); err != nil {
			return err
		}
		examined += b.Span()
		f.after = b.last()
	}
	counter.finish(head.Last)
	return nil
}

// counter counts messages per row.
type counter struct {
	rows      []Lag
	bySegment [message.Segments]*Lag
	since     map[*Lag]message.Index // of the first that was counted
	lowest    message.Index
	first     message.Index // of the block at hand
}

func newCounter(rows []Lag) *counter {
	c := &counter{rows: rows, since: make(map[*Lag]message.Index), lowest: rows[0].Last}
	for i := range rows {
		c.lowest = min(c.lowest, rows[i].Last)
		for segment := rows[i].Segments.Start; segment < rows[i].Segments.End; segment++ {
			c.bySegment[segment] = &rows[i]
		}
	}
	return c
}

func (c *counter) add(b located) error {
	c.first = b.first
	for i := range c.rows {
		if row := &c.rows[i]; b.first > row.Last && b.Segments().Within(row.Segments) {
			c.note(row, b.first, b.Count())
			return nil
		}
	}
	_, err := b.Split(c.message, message.NoCompression)
	return err
}

func (c *counter) message(m message.MessageInfo) int {
	index := c.first + message.Index(m.Ordinal)
	if row := c.bySegment[m.Segment]; row != nil && index > row.Last {
		c.note(row, index, 1)
	}
	return -1
}

func (c *counter) note(row *Lag, first message.Index, n int) {
	if row.Messages == 0 {
		c.since[row] = first
	}
	row.Messages += n
}

// stop says that there are messages after an index that were not counted.
func (c *counter) stop(after message.Index) {
	for i := range c.rows {
		row := &c.rows[i]
		row.More = true
		if row.Messages == 0 {
			c.since[row] = max(row.Last, after) + 1 // or later
		}
	}
}

// finish works out the times: how much older than the last message of the log the first one is that waits.
func (c *counter) finish(last message.Index) {
	for row, first := range c.since {
		row.Behind = max(0, last.Time().Sub(first.Time()))
	}
}
