package execution

import (
	"bytes"
	"encoding/json"
	"iter"
	"slices"

	"github.com/flux-go/flux/execution/record"
)

// script returns the recorded turns of this connection, in order, when some read on it while others wrote.
func (d *dialogue) script() (all []*record.Checkpoint) {
	duplex := false
	for cp := range d.recorded() {
		if cp.Lane != d.lane() || askedOf(cp).Connection != d.number {
			continue
		}
		all = append(all, cp)
		duplex = duplex || bytes.Contains(cp.Response.Data, []byte(`"duplex":true`))
	}
	if !duplex {
		return nil
	}
	return all
}

// lane returns the name of the lane that the turns are in.
func (d *dialogue) lane() string {
	if l := laneOf(d.ctx); l != nil {
		return l.name
	}
	return "root"
}

// recorded yields the turns that the record has with the peer.
func (d *dialogue) recorded() iter.Seq[*record.Checkpoint] {
	return func(yield func(*record.Checkpoint) bool) {
		of := d.x.Of()
		if of == nil {
			return
		}
		for i := range of.Checkpoints {
			cp := &of.Checkpoints[i]
			if cp.Boundary == boundaryNet && cp.Target == d.target && cp.Shape != shapeConnect && !yield(cp) {
				return
			}
		}
	}
}

func askedOf(cp *record.Checkpoint) (a asked) {
	_ = json.Unmarshal(cp.Request.Data, &a)
	return a
}

// isUsed says that a checkpoint has answered an operation.
func (m *matcher) isUsed(cp *record.Checkpoint) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.slots[cp.Number].used
}

// next returns the first turn of the script that is not begun, nil when there is none.
func (c *recordedConn) next() *record.Checkpoint {
	for _, cp := range c.script {
		if !c.x.matcher.isUsed(cp) {
			return cp
		}
	}
	return nil
}

// isDue says that an answer is next to be read: on a duplex connection that is when all before it are begun, for what comes in two
// turns may be one message of the peer.
func (c *recordedConn) isDue(a *recordedAnswer) bool {
	next := c.next()
	return next == nil || a.once != nil || a.number < next.Number
}

// cut returns how much of what is held is a turn: that for which the record has one, or else what begins as one of the record does. It
// returns 0 when more may come for one, unless all is to be settled. On a duplex connection, where the program does not say where a
// turn ends, the order of the record does.
func (c *recordedConn) cut(held []byte, all bool) int {
	hash := c.hash(held)
	if !c.duplex.Load() && c.x.matcher.open(hash) != nil {
		return len(held)
	}
	for cp := range c.open() {
		written := askedOf(cp).Written
		switch {
		case cp.Hash == hash:
			return len(held)
		case written == nil || written.Truncated || len(written.Data) == 0:
		case bytes.HasPrefix(held, written.Data):
			return len(written.Data)
		case !all && bytes.HasPrefix(written.Data, held):
			return 0
		}
	}
	return len(held)
}

// open yields the recorded turns that may answer this connection and have not answered yet.
func (c *recordedConn) open() iter.Seq[*record.Checkpoint] {
	all := c.recorded()
	if c.script != nil {
		all = slices.Values(c.script)
	}
	return func(yield func(*record.Checkpoint) bool) {
		for cp := range all {
			if !c.x.matcher.isUsed(cp) && !yield(cp) {
				return
			}
		}
	}
}

// hash returns the hash of a turn in which that was written.
func (c *recordedConn) hash(written []byte) record.Hash {
	body := record.NewBody(written, c.x.rec.config.Limits.BodyBytes)
	identity := asked{Written: &body}
	if c.duplex.Load() {
		identity.Connection = c.number
	}
	op := Op{Boundary: boundaryNet, Target: c.target, Shape: shapeExchange, Identity: identity}
	return (&Call{x: c.x, op: op}).hash()
}

// open returns the first checkpoint with that hash that has not answered an operation, nil when there is none.
func (m *matcher) open(hash record.Hash) *record.Checkpoint {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.byHash[hash] {
		if !s.used {
			return s.cp
		}
	}
	return nil
}

// fails says that a Write of that failed when it was recorded.
func (c *recordedConn) fails(written []byte) bool {
	cp := c.x.matcher.open(c.hash(written))
	return cp != nil && bytes.Contains(cp.Response.Data, []byte(`"unsent":true`))
}

// unsent returns the error of the last turn, if that failed in writing.
func (c *recordedConn) unsent() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.answers); n > 0 && c.answers[n-1].told.Unsent {
		return c.answers[n-1].end
	}
	return nil
}
