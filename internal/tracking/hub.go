package tracking

import (
	"sync"

	"github.com/flux-go/flux/message"
)

// hub walks over the new blocks of a log once for all clients that wait for messages meant for them.
type hub struct {
	service *Service
	id      logID
	watcher watcher
	feed    feed // of the hub's goroutine
	users   int  // guarded by the service's mutex
	mu      struct {
		sync.Mutex
		// live are the streams that are given what is found, by client.
		live map[string][]*Results
		// through is the index up to which they were given everything.
		through message.Index
		closed  bool
		// err is why the log could not be read.
		err error
	}
}

// hub returns the hub of a log for one more user.
func (s *Service) hub(id logID) (*hub, error) {
	head, err := s.logs.Head(id.ns, id.log)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.mu.hubs[id]
	if !ok {
		h = &hub{service: s, id: id, watcher: watcher{signal: make(chan struct{}, 1)}}
		h.feed = feed{logs: s.logs, id: id, after: head.Last}
		h.mu.live = make(map[string][]*Results)
		h.mu.through = head.Last
		h.watcher.segments.set(message.AllSegments)
		s.watches.add(id, &h.watcher)
		s.mu.hubs[id] = h
		s.background.begin(h.run)
		h.watcher.wake() // for what was appended since head was read
	}
	h.users++
	return h, nil
}

// join makes the stream live, if it is as far as the hub, and returns how far that is.
func (h *hub) join(r *Results) (through message.Index, ok bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.after < h.mu.through || h.mu.err != nil {
		return h.mu.through, false, h.mu.err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.closed {
		return 0, false, ErrLeft
	}
	r.mu.live, r.mu.through = true, r.after
	h.mu.live[r.client] = append(h.mu.live[r.client], r)
	return h.mu.through, true, nil
}

// leave forgets the stream, and the hub with its last user.
func (h *hub) leave(r *Results) {
	h.mu.Lock()
	h.dropLocked(r)
	h.mu.Unlock()
	s := h.service
	s.mu.Lock()
	defer s.mu.Unlock()
	h.users--
	if h.users > 0 {
		return
	}
	delete(s.mu.hubs, h.id)
	s.watches.remove(h.id, &h.watcher)
	h.mu.Lock()
	h.mu.closed = true
	h.mu.Unlock()
	h.watcher.wake()
}

func (h *hub) dropLocked(r *Results) {
	kept := h.mu.live[r.client][:0:0]
	for _, other := range h.mu.live[r.client] {
		if other != r {
			kept = append(kept, other)
		}
	}
	h.mu.live[r.client] = kept
	if len(kept) == 0 {
		delete(h.mu.live, r.client)
	}
}

// run is the hub's goroutine.
func (h *hub) run() {
	for {
		select {
		case <-h.watcher.signal:
		case <-h.service.background.done:
			return
		}
		if !h.dispatch() {
			return
		}
	}
}

// dispatch gives out all that is new. It returns false when the hub is to end.
func (h *hub) dispatch() bool {
	for {
		b, ok, err := h.feed.peek()
		if err == nil && !ok {
			return true
		}
		if err == nil {
			h.feed.after = b.last()
			ok, err = h.give(b)
		}
		if err != nil {
			h.fail(err)
			return false
		}
		if !ok {
			return false
		}
	}
}

// fail ends all streams.
func (h *hub) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.err = err
	h.service.options.Logger.Error("results: log cannot be read", "namespace", h.id.ns, "log", h.id.log.String(), "cause", err)
	for _, streams := range h.mu.live {
		for _, r := range streams {
			r.mu.Lock()
			r.mu.live = false
			r.mu.Unlock()
			r.wake()
		}
	}
	clear(h.mu.live)
}

// give gives every live stream its messages of a block. It is not ok when the hub has no user any more.
func (h *hub) give(b located) (ok bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.through = b.last()
	if len(h.mu.live) == 0 || h.mu.closed {
		return !h.mu.closed, nil
	}
	clients := make([]string, 0, 8)
	numbers := make(map[string]int, 8)
	parts, err := b.Split(func(m message.MessageInfo) int {
		if m.Target == "" {
			return -1
		}
		n, known := numbers[m.Target]
		if !known {
			n = -1
			if len(h.mu.live[m.Target]) > 0 {
				n = len(clients)
				clients = append(clients, m.Target)
			}
			numbers[m.Target] = n
		}
		return n
	}, b.Compression())
	for i, block := range parts {
		h.addLocked(clients[i], b, block)
	}
	return true, err
}

// addLocked gives a block to the streams of a client. Those that are too slow for it go on by themselves.
func (h *hub) addLocked(client string, b located, block []byte) {
	for _, r := range h.mu.live[client] {
		if !r.add(b.first, b.last(), block) {
			h.dropLocked(r)
			r.wake()
		}
	}
}
