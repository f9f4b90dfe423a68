package execution

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"sync"
)

// liveConn is a connection whose dialogue is recorded as it goes on.
type liveConn struct {
	net.Conn
	*dialogue

	writing sync.Mutex // so that the record has the order in which Writes went out

	mu      sync.Mutex
	current *exchange // nil before the first turn, and after one that ended for lack of time
	reading int       // Reads under way
	closed  bool      // by the program
}

// Write implements net.Conn.
func (c *liveConn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	e, err := c.ask(p)
	if err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if err != nil && e != nil {
		c.failed(e, err)
	}
	return n, err
}

// ask begins the turn of a Write. It returns nil when that is not recorded.
func (c *liveConn) ask(p []byte) (*exchange, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reading > 0 {
		c.duplex.Store(true)
	}
	c.current.finish(nil)
	return c.begin(p)
}

// begin begins a turn with what is written in it, nothing for one that only reads.
func (c *liveConn) begin(written []byte) (*exchange, error) {
	c.current = nil
	if c.isOver() {
		return nil, nil
	}
	if isHandshake(written) && c.number > 0 {
		c.x.update(func() { c.x.partial("a dialogue with " + c.target + " is encrypted above its recording") })
	}
	e := c.newExchange(written)
	e.start(c.effect(written))
	switch {
	case e.call == nil:
		return nil, nil
	case e.call.Err() != nil:
		return nil, e.call.Err()
	case e.call.Recorded() != nil && e.tells:
		return nil, e.torn()
	}
	c.current = e
	return e, nil
}

// isHandshake says that a connection is going to be encrypted: it begins as a client of TLS does.
func isHandshake(written []byte) bool { return bytes.HasPrefix(written, []byte{0x16, 0x03}) }

func (c *liveConn) failed(e *exchange, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.unsent.Store(true)
	e.answered = true
	e.finish(err)
}

// Read implements net.Conn.
func (c *liveConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	c.reading++
	c.mu.Unlock()
	n, err := c.Conn.Read(p)
	if refused := c.came(p[:n], err); refused != nil {
		return 0, refused
	}
	return n, err
}

// came records what a Read returned. What ends it because the program closes the connection is not from the peer.
func (c *liveConn) came(data []byte, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading--
	if c.closed {
		c.duplex.Store(true)
		return nil
	}
	if len(data) == 0 && err == nil {
		return nil
	}
	if c.current == nil {
		if _, refused := c.begin(nil); refused != nil || c.current == nil {
			return refused
		}
	}
	e := c.current
	if e.over {
		return nil
	}
	if e.came(data, err); err != nil && !e.over {
		c.current = nil // time ran out; what comes is another turn
	}
	return nil
}

// Close implements net.Conn.
func (c *liveConn) Close() error {
	c.mu.Lock()
	e, waits := c.current, c.reading > 0
	given := waits && e != nil && !e.answered && !c.duplex.Load()
	if waits {
		c.duplex.Store(true)
	}
	if given { // the program did not wait for the answer
		e.finish(net.ErrClosed)
	} else {
		e.finish(nil)
	}
	c.current, c.closed = nil, true
	c.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite tells the peer that nothing more is written. The error is errors.ErrUnsupported where the connection cannot.
func (c *liveConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// ConnectionState returns the state of TLS, the zero value for a connection without.
func (c *liveConn) ConnectionState() tls.ConnectionState {
	if state := stateOfTLS(c.Conn); state != nil {
		return *state
	}
	return tls.ConnectionState{}
}
