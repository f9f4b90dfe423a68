package execution

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// recordedConn is a connection to nobody. What is written is held until it is known for a turn of the record: at the next Read, or,
// where some read while others write, as soon as it is a whole turn. In a resume it becomes a real connection when its first turn is to
// be done.
//
// Lock order: asking, mu.
type recordedConn struct {
	*dialogue
	local, remote net.Addr
	tls           *httpTLS

	script []*record.Checkpoint // the turns of this connection, in order, when it is duplex

	asking sync.Mutex // one at a time begins turns

	mu       sync.Mutex
	moved    *sync.Cond
	held     []byte // written, and not of a turn yet; changed only with both locks
	answers  []*recordedAnswer
	answered bool      // a turn was answered from the record
	live     *liveConn // once it is a real connection
	closed   bool
	deadline time.Time // of Reads
	writes   time.Time // deadline of Writes
	expiry   *time.Timer
}

// answered returns the connection that a checkpoint has, or the error it has instead.
func (d *dialogue) answered(cp *record.Checkpoint) (net.Conn, error) {
	if cp.Error != nil {
		return nil, fault.Rebuild(cp.Error)
	}
	var at connected
	if len(cp.Response.Data) > 0 {
		if err := json.Unmarshal(cp.Response.Data, &at); err != nil {
			return nil, fmt.Errorf("%w: the record of op %d is not that of a connection: %w", ErrDiverged, cp.Number, err)
		}
	}
	c := &recordedConn{
		dialogue: d, local: d.addr(at.Local), remote: d.addr(cmp.Or(at.Remote, d.address)), tls: at.TLS, script: d.script(),
	}
	c.duplex.Store(len(c.script) > 0)
	c.moved = sync.NewCond(&c.mu)
	return c, nil
}

// addr is a recorded address.
func (d *dialogue) addr(text string) net.Addr {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return net.TCPAddrFromAddrPort(at)
	}
	return &net.UnixAddr{Name: text, Net: d.network}
}

// Write implements net.Conn.
func (c *recordedConn) Write(p []byte) (int, error) {
	if live := c.real(); live != nil {
		return live.Write(p)
	}
	c.asking.Lock()
	defer c.asking.Unlock()
	if err := c.hold(p); err != nil {
		return 0, err
	}
	if !c.duplex.Load() && !c.fails(p) {
		return len(p), nil
	}
	if err := cmp.Or(c.settle(false), c.unsent()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// real returns the real connection that this one has become, nil when it has not.
func (c *recordedConn) real() *liveConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.live
}

func (c *recordedConn) hold(p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("write", net.ErrClosed)
	}
	c.held = append(c.held, p...)
	return nil
}

// settle begins the turns that what is held makes up. Unless all of it is to be, the beginning of a turn stays held.
func (c *recordedConn) settle(all bool) error {
	for {
		held := c.held
		if len(held) == 0 {
			return nil
		}
		if live := c.real(); live != nil {
			c.consume(len(held))
			_, err := live.Write(held)
			return err
		}
		n := c.cut(held, all)
		if n == 0 {
			return nil
		}
		c.consume(n)
		if err := c.turn(held[:n]); err != nil {
			return err
		}
	}
}

func (c *recordedConn) consume(n int) {
	c.mu.Lock()
	c.held = c.held[n:]
	c.mu.Unlock()
}

// turn begins a turn with what was written in it.
func (c *recordedConn) turn(written []byte) error {
	e := c.newExchange(written)
	e.start(c.effect(written))
	switch call := e.call; {
	case call == nil:
		return errEnded
	case call.Err() != nil:
		return call.Err()
	case call.Recorded() != nil:
		return c.answer(call.Recorded())
	case c.answered:
		return e.torn()
	}
	return c.goLive(e, written)
}

// answer makes what a checkpoint has ready to be read.
func (c *recordedConn) answer(cp *record.Checkpoint) error {
	a, err := newRecordedAnswer(cp)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answered = true
	c.answers = append(c.answers, a)
	if c.duplex.Load() {
		slices.SortFunc(c.answers, func(a, b *recordedAnswer) int { return cmp.Compare(a.number, b.number) })
	}
	c.moved.Broadcast()
	return nil
}

// goLive makes this a real connection, with its first turn.
func (c *recordedConn) goLive(e *exchange, written []byte) error {
	conn, err := c.dial(context.WithoutCancel(c.ctx))
	if err != nil {
		e.unsent.Store(true)
		e.finish(err)
		return err
	}
	live := &liveConn{Conn: conn, dialogue: c.dialogue, current: e}
	live.writing.Lock() // nothing goes before what is written here
	defer live.writing.Unlock()
	c.mu.Lock()
	c.live = live
	err = errors.Join(conn.SetReadDeadline(c.deadline), conn.SetWriteDeadline(c.writes))
	c.moved.Broadcast()
	c.mu.Unlock()
	if err == nil && len(written) > 0 {
		_, err = conn.Write(written)
	}
	if err != nil {
		live.failed(e, err)
	}
	return err
}

// opError is the error of what the program did to the connection itself.
func (c *recordedConn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: c.network, Source: c.local, Addr: c.remote, Err: err}
}

// Close implements net.Conn.
func (c *recordedConn) Close() error {
	if live := c.real(); live != nil { // a Write that does not end must not keep it open
		return live.Close()
	}
	c.asking.Lock()
	defer c.asking.Unlock()
	err := c.settle(true)
	if live := c.real(); live != nil {
		return cmp.Or(err, live.Close())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("close", net.ErrClosed)
	}
	c.closed = true
	c.moved.Broadcast()
	return err
}

// CloseWrite is that of a liveConn. The record has no need of it.
func (c *recordedConn) CloseWrite() error {
	if live := c.real(); live != nil {
		return live.CloseWrite()
	}
	return nil
}

// ConnectionState is that of a liveConn.
func (c *recordedConn) ConnectionState() tls.ConnectionState {
	if state := c.tls.state(); state != nil {
		return *state
	}
	return tls.ConnectionState{}
}

// LocalAddr implements net.Conn.
func (c *recordedConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *recordedConn) RemoteAddr() net.Addr { return c.remote }
