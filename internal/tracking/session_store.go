package tracking

import (
	"context"
	"errors"
	"fmt"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/message"
)

// Handled says that all batches up to and including id were handled. Their position is stored in the background, unless
// the client has kept it itself. Positions of batches that were given out before a reset are not stored. It returns
// ErrBadTracker for an id that was not given out, and why the session has ended when it has.
func (s *Session) Handled(id uint64, positionKept bool) error {
	c := s.member.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case s.err != nil:
		return s.err
	case id > s.lastID:
		return fmt.Errorf("%w: batch %d was handled, but only %d were given out", ErrBadTracker, id, s.lastID)
	}
	n := 0
	for n < len(s.open) && s.open[n].id <= id {
		n++
	}
	if n == 0 {
		return nil // said before
	}
	latest := s.open[n-1]
	s.open = append(s.open[:0], s.open[n:]...)
	if !positionKept && latest.epoch == c.mu.epoch {
		s.unstored = latest
		s.beginStoreLocked()
	}
	c.releaseLocked()
	s.member.wake()
	return nil
}

// Stored has the id up to which positions are on disk; of several that were not received only the latest.
func (s *Session) Stored() <-chan uint64 { return s.stored }

func (s *Session) beginStoreLocked() {
	if !s.storing {
		s.storing = s.service.background.begin(s.store)
	}
}

// store stores the position of what was handled, and of what is handled meanwhile.
func (s *Session) store() {
	c := s.member.cluster
	c.mu.Lock()
	var err error
	for s.unstored.id > 0 && err == nil {
		err = s.storeLatestLocked()
	}
	s.storing = false
	c.releaseLocked()
	s.member.wake()
	c.mu.Unlock()
	if err != nil {
		s.end(err)
	}
}

// storeLatestLocked unlocks the cluster meanwhile. While a session has something to store its segments do not change.
func (s *Session) storeLatestLocked() error {
	m, c := s.member, s.member.cluster
	latest, epoch := s.unstored, c.mu.epoch
	s.unstored = handout{}
	op := s.storeOpLocked(latest.last)
	c.mu.Unlock()
	err := s.service.propose(context.Background(), c.id.ns, c.id.consumer, op)
	c.mu.Lock()
	switch {
	case err == nil:
		s.announce(latest.id)
		return nil
	case !errors.Is(err, engine.ErrConflict):
		return err
	case epoch == c.mu.epoch && s.unstored.id == 0 && m.session.err == nil:
		s.unstored = latest // somebody else has raised the position: expect that
	}
	return nil
}

func (s *Session) storeOpLocked(last message.Index) *position.Store {
	return &position.Store{
		Consumer: s.member.cluster.id.consumer, Segments: s.segments, Last: last, If: s.member.expectedLocked(),
	}
}

func (s *Session) announce(id uint64) {
	select {
	case <-s.stored: // not received in time
	default:
	}
	s.stored <- id
}

// storeExamined stores now and then how far everything was left out by filters. That must not happen while the client has
// batches, which it may store the position of itself: it expects to find the one that came with them.
func (s *Session) storeExamined(ctx context.Context) error {
	m, c := s.member, s.member.cluster
	c.mu.Lock()
	now := s.service.now()
	if s.err != nil || !s.holding || s.draining || !s.ahead || !s.idleLocked() || now.Sub(m.storedAt) < storeInterval {
		c.mu.Unlock()
		return nil
	}
	last, _ := s.examined.Lowest(s.segments)
	op, epoch := s.storeOpLocked(last), c.mu.epoch
	s.fetching, m.storedAt = true, now
	c.mu.Unlock()
	err := s.service.propose(ctx, c.id.ns, c.id.consumer, op)
	c.mu.Lock()
	s.fetching = false
	if err == nil && epoch == c.mu.epoch {
		s.settled, s.ahead = s.settled.With(s.segments, last), false
	}
	c.releaseLocked()
	c.mu.Unlock()
	if err == nil || errors.Is(err, engine.ErrConflict) {
		return nil
	}
	if ctx.Err() == nil {
		s.end(err)
	}
	return err
}
