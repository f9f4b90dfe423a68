package server

import (
	"net"
	"net/http"
	"sync"
)

// connections knows which connections of clients have calls under way, to find out when the clients have read all answers:
// a client that has been told that the server ends closes its connection after the last answer. One that had nothing to
// wait for may leave its connection open, and is not waited for.
type connections struct {
	mu struct {
		sync.Mutex
		active map[net.Conn]struct{}
		// busy are those that were active at some time since draining began.
		busy     map[net.Conn]struct{}
		draining bool
	}
	none chan struct{} // closed once none is busy while draining
	once sync.Once
}

func newConnections() *connections {
	c := &connections{none: make(chan struct{})}
	c.mu.active, c.mu.busy = make(map[net.Conn]struct{}), make(map[net.Conn]struct{})
	return c
}

// note is the http.Server's ConnState.
func (c *connections) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateActive:
		c.mu.active[conn] = struct{}{}
		if c.mu.draining {
			c.mu.busy[conn] = struct{}{}
		}
	case http.StateIdle:
		delete(c.mu.active, conn)
	case http.StateClosed, http.StateHijacked:
		delete(c.mu.active, conn)
		delete(c.mu.busy, conn)
		c.checkLocked()
	}
}

// drained returns a channel that is closed when no client has an answer to read any more.
func (c *connections) drained() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.draining = true
	for conn := range c.mu.active {
		c.mu.busy[conn] = struct{}{}
	}
	c.checkLocked()
	return c.none
}

func (c *connections) checkLocked() {
	if c.mu.draining && len(c.mu.busy) == 0 {
		c.once.Do(func() { close(c.none) })
	}
}
