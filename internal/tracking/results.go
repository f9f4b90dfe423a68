package tracking

import (
	"context"
	"fmt"
	"sync"

	"github.com/flux-go/flux/message"
)

// Results streams the messages of a log that are meant for one client. Next is for one goroutine.
//
// It reads the log itself until it has caught up with the hub of the log, and is given what the hub finds from then on. When
// the client is too slow for that, it reads by itself again.
type Results struct {
	hub    *hub
	client string
	search *search
	feed   feed
	// after is the index up to which everything was returned by Next.
	after message.Index
	// signal has a token when something changed since the last look.
	signal chan struct{}

	mu struct {
		sync.Mutex
		// live says that the hub adds to chunks; they are complete up to through.
		live    bool
		chunks  []Chunk
		bytes   int
		through message.Index
		closed  bool
	}
}

// maxQueuedBytes is how much the hub keeps for a client that does not take it.
const maxQueuedBytes = 1 << 20

// Results returns the messages of a log with an index greater than after whose target is the client. Nil means from one
// second ago. It must be closed. Errors are ErrBadTracker and those of the engine.
func (s *Service) Results(_ context.Context, ns message.Namespace, log message.Log, clientID string, after *message.Index) (*Results, error) {
	if err := log.Validate(); err != nil {
		return nil, badRequest(err)
	}
	if clientID == "" || len(clientID) > maxIDLen {
		return nil, fmt.Errorf("%w: client id %.40q: use 1 to %d bytes", ErrBadTracker, clientID, maxIDLen)
	}
	id := logID{ns, log.Stored()}
	r := &Results{client: clientID, signal: make(chan struct{}, 1), after: message.IndexAt(s.now().Add(-startBack))}
	if after != nil {
		r.after = *after
	}
	r.feed = feed{logs: s.logs, id: id}
	tracker := Tracker{ClientID: clientID, FilterTarget: true, IgnoreSegment: true, MaxSize: defaultMaxSize, MaxBytes: defaultMaxBytes}
	r.search = newSearch(&tracker, nil, message.AllSegments, message.NewPosition(message.AllSegments, r.after))
	r.search.targeted = true
	var err error
	r.hub, err = s.hub(id)
	return r, err
}

// Next waits for messages and returns them, with the index up to which the client has been given everything. Its errors are
// ErrLeft after Close, and those of ctx and of the engine.
func (r *Results) Next(ctx context.Context) (chunks []Chunk, last message.Index, err error) {
	for {
		chunks, live, err := r.take()
		if len(chunks) == 0 && err == nil && !live {
			chunks, live, err = r.catchUp()
		}
		switch {
		case err != nil:
			return nil, 0, err
		case len(chunks) > 0:
			return chunks, r.after, nil
		case !live && ctx.Err() == nil:
			continue
		}
		select {
		case <-r.signal:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// take returns what the hub has left, and whether there is more to come from it.
func (r *Results) take() (chunks []Chunk, live bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.closed {
		return nil, false, ErrLeft
	}
	chunks, r.mu.chunks, r.mu.bytes = r.mu.chunks, nil, 0
	r.after = max(r.after, r.mu.through)
	return chunks, r.mu.live, nil
}

// catchUp makes the stream live, or examines the log from where the client is.
func (r *Results) catchUp() (chunks []Chunk, live bool, err error) {
	through, live, err := r.hub.join(r)
	if live || err != nil {
		return nil, live, err
	}
	r.search.moveTo(r.after)
	found, err := r.search.run(&r.feed)
	if found.examined > 0 {
		r.after = found.last
	}
	if found.end {
		r.after = max(r.after, through) // what is missing was truncated
	}
	return found.chunks, false, err
}

// add is called by the hub with what a block has for the client, or with nothing. It returns false when the stream has
// to read it, and what follows, by itself.
func (r *Results) add(first, last message.Index, block []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case last <= r.mu.through: // read before it joined
		return true
	case first <= r.mu.through: // of which only a part is wanted
		r.mu.live = false
		return false
	}
	if len(block) > 0 {
		if r.mu.bytes >= maxQueuedBytes {
			r.mu.live = false
			return false
		}
		r.mu.chunks = append(r.mu.chunks, Chunk{first, block})
		r.mu.bytes += len(block)
		r.wake()
	}
	r.mu.through = last
	return true
}

func (r *Results) wake() {
	select {
	case r.signal <- struct{}{}:
	default:
	}
}

// Close ends the stream. Further calls do nothing.
func (r *Results) Close() {
	r.mu.Lock()
	closed := r.mu.closed
	r.mu.closed, r.mu.chunks = true, nil
	r.mu.Unlock()
	if !closed {
		r.hub.leave(r)
	}
	r.wake()
}
