package execution

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// Read implements net.Conn.
func (c *recordedConn) Read(p []byte) (int, error) {
	for {
		c.mu.Lock()
		n, err, ok := c.take(p)
		live := c.live
		c.mu.Unlock()
		switch {
		case ok:
			return n, err
		case live != nil:
			return live.Read(p)
		}
		if asked, err := c.ask(); err != nil {
			return 0, err
		} else if !asked {
			c.wait()
		}
	}
}

// take reads what is ready to be read.
func (c *recordedConn) take(p []byte) (n int, err error, ok bool) {
	if c.closed {
		return 0, c.opError("read", net.ErrClosed), true
	}
	for len(c.answers) > 0 {
		a := c.answers[0]
		if !c.isDue(a) {
			return 0, nil, false
		}
		if n, err, ok := a.take(p); ok {
			return n, err, true
		}
		if a.end != nil && len(c.answers) == 1 && len(c.held) == 0 {
			return 0, a.end, true
		}
		c.answers = c.answers[1:]
	}
	return 0, nil, false
}

// ask begins the turn that is next for who wants to read. It returns false when there is none before something else happens.
func (c *recordedConn) ask() (bool, error) {
	c.asking.Lock()
	defer c.asking.Unlock()
	switch {
	case c.real() != nil:
		return true, nil
	case c.duplex.Load():
		if next := c.next(); next == nil || next.Shape != shapeReceive {
			return false, nil
		}
	case len(c.held) > 0:
		return true, c.settle(true)
	}
	return true, c.turn(nil)
}

// wait returns when there is something for a Read to do.
func (c *recordedConn) wait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.isReady() {
		c.moved.Wait()
	}
}

func (c *recordedConn) isReady() bool {
	next := c.next()
	switch {
	case c.closed, c.live != nil, len(c.answers) > 0 && c.isDue(c.answers[0]), next != nil && next.Shape == shapeReceive:
		return true
	case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
		c.answers = append(c.answers, &recordedAnswer{once: c.opError("read", os.ErrDeadlineExceeded)})
		return true
	}
	return false
}

// SetDeadline implements net.Conn.
func (c *recordedConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn. The deadline counts only where there is nothing to read: others were recorded.
func (c *recordedConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	if c.live != nil {
		return c.live.SetReadDeadline(t)
	}
	if c.expiry != nil {
		c.expiry.Stop()
	}
	if !t.IsZero() {
		c.expiry = time.AfterFunc(time.Until(t), func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.moved.Broadcast()
		})
	}
	return nil
}

// SetWriteDeadline implements net.Conn.
func (c *recordedConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes = t
	if c.live != nil {
		return c.live.SetWriteDeadline(t)
	}
	return nil
}

// recordedAnswer is what was read in a turn, as far as it was not read again.
type recordedAnswer struct {
	number uint32
	told   told
	at     int
	piece  int
	once   error // after it, when there may be more in another turn
	end    error // after it, for good
}

// newRecordedAnswer returns what a checkpoint has, or ErrDiverged.
func newRecordedAnswer(cp *record.Checkpoint) (*recordedAnswer, error) {
	a := &recordedAnswer{number: cp.Number}
	if len(cp.Response.Data) > 0 {
		if err := json.Unmarshal(cp.Response.Data, &a.told); err != nil {
			return nil, fmt.Errorf("%w: the record of op %d is not that of a dialogue: %w", ErrDiverged, cp.Number, err)
		}
	}
	switch body := a.told.Read; {
	case body.Truncated:
		a.end = fmt.Errorf("%w: the record of op %d has %d of %d bytes", ErrDiverged, cp.Number, len(body.Data), body.Bytes)
	case a.told.EOF:
		a.end = io.EOF
	case cp.Error != nil:
		if a.end = fault.Rebuild(cp.Error); isTimeout(a.end) && !a.told.Unsent {
			a.once, a.end = a.end, nil
		}
	}
	return a, nil
}

// take reads on. It returns false at the end, which is up to the caller.
func (a *recordedAnswer) take(p []byte) (n int, err error, ok bool) {
	rest := a.told.Read.Data[a.at:]
	if len(rest) == 0 {
		err, a.once = a.once, nil
		return 0, err, err != nil
	}
	if a.piece < len(a.told.Chunks) {
		rest = rest[:min(max(int(a.told.Chunks[a.piece][0])-a.at, 1), len(rest))]
	}
	n = copy(p, rest)
	if a.at += n; n == len(rest) {
		a.piece++
	}
	return n, nil, true
}
