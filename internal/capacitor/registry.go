package capacitor

import (
	"slices"
	"sync"
	"time"

	"github.com/flux-go/flux/message"
)

// registry knows all sockets and the clients that they belong to.
type registry struct {
	// running counts the sockets that are served.
	running sync.WaitGroup
	mu      struct {
		sync.Mutex
		closing bool
		sockets map[*socket]struct{}
		clients map[clientKey]*client
	}
}

type clientKey struct {
	namespace message.Namespace
	id        string
}

// client is a process that has sockets, or had some a while ago.
type client struct {
	// Guarded by the registry:
	sockets int
	peers   map[endpoint]*peers
	idleAt  time.Time // when the last socket closed
}

// idleTime is how long a client without sockets is remembered. Source: the reference server of Fluxzero.
const idleTime = 10 * time.Minute

func (r *registry) init() {
	r.mu.sockets = make(map[*socket]struct{})
	r.mu.clients = make(map[clientKey]*client)
}

// add registers a socket and tells it its client and peers. It reports false when the server is about to end.
func (r *registry) add(s *socket) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.closing {
		return false
	}
	key := clientKey{s.namespace, s.clientID}
	c, ok := r.mu.clients[key]
	if !ok {
		c = &client{peers: make(map[endpoint]*peers)}
		r.mu.clients[key] = c
	}
	if c.peers[s.endpoint] == nil {
		c.peers[s.endpoint] = &peers{since: s.handler.Clock()}
	}
	s.client, s.peers = c, c.peers[s.endpoint]
	c.sockets++
	r.mu.sockets[s] = struct{}{}
	s.peers.add(s)
	r.running.Add(1)
	return true
}

// remove forgets a socket.
func (r *registry) remove(s *socket, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.mu.sockets, s)
	s.client.sockets--
	s.client.idleAt = now
}

// forget forgets clients that have had no socket for long.
func (r *registry) forget(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, c := range r.mu.clients {
		if c.sockets == 0 && now.Sub(c.idleAt) > idleTime {
			delete(r.mu.clients, key)
		}
	}
}

// close makes add fail and returns the sockets that there are.
func (r *registry) close() []*socket {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.closing = true
	all := make([]*socket, 0, len(r.mu.sockets))
	for s := range r.mu.sockets {
		all = append(all, s)
	}
	return all
}

// closing reports whether requests are to be ignored.
func (r *registry) closing() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.closing
}

// peers are the open sockets of one client at one endpoint. Each may carry the results of the others, and a command that was
// sent over one may be sent again over another.
type peers struct {
	history history
	// since is when the first of them opened.
	since time.Time
	mu    struct {
		sync.Mutex
		open []*socket
	}
}

func (p *peers) add(s *socket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.open = append(p.mu.open, s)
}

// remove forgets a socket and hands on what it had to write.
func (p *peers) remove(s *socket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.mu.open[:0:0]
	for _, other := range p.mu.open {
		if other != s {
			kept = append(kept, other)
		}
	}
	p.mu.open = kept
	if left := s.outbox.close(); len(left) > 0 {
		p.deliverLocked(s, left)
	}
}

// deliver gives results to the socket, or to another one when it is closed. Without any they are dropped.
func (p *peers) deliver(s *socket, results ...[]byte) {
	if s.outbox.put(results...) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deliverLocked(s, results)
}

// deliverLocked prefers the newest socket, which is the least likely to be dead already. It has to be of the format in which
// the results are written, as those of one process are.
func (p *peers) deliverLocked(from *socket, results [][]byte) {
	for _, other := range slices.Backward(p.mu.open) {
		if other.format == from.format && other.outbox.put(results...) {
			return
		}
	}
}
