package fluxredis

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// recordedConn is a connection to nobody: it answers the handshake as any server does, and commands of subscriptions with what came
// when they were recorded. Who reads on waits until the next command, or the end of the connection.
type recordedConn struct {
	h   *hook
	ctx context.Context

	mu       sync.Mutex
	moved    *sync.Cond
	written  []byte // the beginning of a command
	ready    []byte // to be read now
	coming   []arrival
	refused  error // what was written is not in the record
	closed   bool
	deadline time.Time // of Reads
	expiry   *time.Timer
	lost     sync.Once
}

// An arrival is something that a Read gets: bytes, or an error.
type arrival struct {
	data    []byte
	timeout bool  // it ran out of time
	end     error // nothing comes any more
}

func newRecordedConn(h *hook, ctx context.Context) *recordedConn {
	c := &recordedConn{h: h, ctx: ctx}
	c.moved = sync.NewCond(&c.mu)
	return c
}

// Write implements net.Conn. It does not fail: who reads is told.
func (c *recordedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written = append(c.written, p...)
	for {
		words, rest, ok := nextCommand(c.written)
		if !ok {
			return len(p), nil
		}
		c.written = rest
		c.refused = cmp.Or(c.refused, c.answer(words))
		c.moved.Broadcast()
	}
}

// answer makes what answers a command ready to be read.
func (c *recordedConn) answer(words command) error {
	switch name := words.name(); {
	case commandsOfSubscriptions[name]:
		return c.subscribe(words)
	case name == "HELLO" && len(words) > 1 && string(words[1].Data) == "3":
		c.ready = append(c.ready, "%1\r\n$5\r\nproto\r\n:3\r\n"...)
	case name == "HELLO":
		c.ready = append(c.ready, "*2\r\n$5\r\nproto\r\n:2\r\n"...)
	case name == "PING":
		c.ready = append(c.ready, "+PONG\r\n"...)
	default:
		c.ready = append(c.ready, "+OK\r\n"...)
	}
	return nil
}

// subscribe adds what the record has for a command.
func (c *recordedConn) subscribe(words command) error {
	if c.h.strict {
		if err := refusalOf(words.name(), false); err != nil {
			return err
		}
	}
	call := c.h.rec.Start(c.ctx, c.h.subscriptionOp(words))
	switch cp := call.Recorded(); {
	case call.Err() != nil:
		return call.Err()
	case cp == nil:
		return fmt.Errorf("%w: a subscription of a replay is not done for real", execution.ErrStopped)
	default:
		return c.expect(cp)
	}
}

func (c *recordedConn) expect(cp *record.Checkpoint) error {
	s, err := streamOf(cp)
	if err != nil {
		return err
	}
	timeouts := s.Timeouts
	for i := 0; i <= len(s.Replies); i++ {
		for ; len(timeouts) > 0 && timeouts[0] == i; timeouts = timeouts[1:] {
			c.coming = append(c.coming, arrival{timeout: true})
		}
		if i < len(s.Replies) {
			c.coming = append(c.coming, arrival{data: s.Replies[i].appendTo(nil)})
		}
	}
	switch {
	case s.Truncated:
		c.coming = append(c.coming, arrival{end: fmt.Errorf("%w: more came on op %d than its record has", execution.ErrDiverged, cp.Number)})
	case cp.Error != nil:
		c.coming = append(c.coming, arrival{end: fault.Rebuild(cp.Error, kinds...)})
	}
	return nil
}

// Read implements net.Conn.
func (c *recordedConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if len(c.ready) > 0 {
			n := copy(p, c.ready)
			c.ready = c.ready[n:]
			return n, nil
		}
		if err := c.next(); err != nil {
			return 0, err
		}
	}
}

// next makes the next arrival ready, waits for one, or returns an error.
func (c *recordedConn) next() error {
	switch {
	case c.closed:
		return c.opError(net.ErrClosed)
	case c.refused != nil:
		return c.refused
	case len(c.coming) == 0:
		if !c.deadline.IsZero() && !time.Now().Before(c.deadline) {
			return c.opError(os.ErrDeadlineExceeded)
		}
		c.moved.Wait()
		return nil
	}
	a := c.coming[0]
	if a.end != nil {
		c.lost.Do(func() { c.h.lost(c.ctx) })
		return a.end
	}
	c.coming = c.coming[1:]
	if a.timeout && !c.deadline.IsZero() {
		return c.opError(os.ErrDeadlineExceeded)
	}
	c.ready = a.data
	return nil
}

func (c *recordedConn) opError(err error) error {
	return &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// Close implements net.Conn.
func (c *recordedConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.moved.Broadcast()
	return nil
}

// LocalAddr implements net.Conn.
func (c *recordedConn) LocalAddr() net.Addr { return &net.TCPAddr{} }

// RemoteAddr implements net.Conn.
func (c *recordedConn) RemoteAddr() net.Addr { return &net.TCPAddr{} }

// SetDeadline implements net.Conn.
func (c *recordedConn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetReadDeadline implements net.Conn. It counts only when there is nothing to read.
func (c *recordedConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deadline = t; c.expiry != nil {
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
func (c *recordedConn) SetWriteDeadline(time.Time) error { return nil }
