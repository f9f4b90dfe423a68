package tracking

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/flux-go/flux/message"
)

// Session is a tracker that is given batches before the earlier ones were handled. Next is for one goroutine; everything
// else is safe for concurrent use.
//
// While it holds segments it reads on from where it is, not from the stored position. Before its segments change, and after
// a reset, it drains: it gives nothing out until all that it gave out was handled and stored, and then starts over from the
// stored position.
type Session struct {
	service *Service
	member  *member
	window  int
	stored  chan uint64
	feed    feed // of the goroutine that calls Next

	// Guarded by the cluster's mutex:

	// err is why the session has ended.
	err error
	// holding says that the session is active in the division, and segments what it holds.
	holding  bool
	segments message.SegmentRange
	draining bool
	// fetching says that Next is reading, or storing, for segments.
	fetching bool
	// examined is where to read on; settled the position once all that was given out is handled and stored; seen the
	// stored position that both have taken in.
	examined, settled message.Position
	seen              message.Position
	// ahead says that examined is beyond settled since filters left everything out.
	ahead bool
	// open has the batches that were given out and not handled, the oldest first.
	open   []handout
	lastID uint64
	// unstored is the latest that was handled and is to be stored, when its id is not 0; storing says that it is under way.
	unstored handout
	storing  bool
}

// handout is a batch that was given out.
type handout struct {
	id    uint64
	last  message.Index
	at    time.Time
	epoch int
}

const (
	defaultWindow = 4
	maxWindow     = 1024
)

// Open adds a tracker to its consumer. At most window batches are given out that were not handled; it defaults to 4, and is
// 1,024 at most. The session must be closed. A tracker of the same id is replaced. Ctx is for opening only.
func (s *Service) Open(ctx context.Context, t Tracker, window int) (*Session, error) {
	t, types, err := s.prepare(t)
	if err != nil {
		return nil, err
	}
	if window < 0 || window > maxWindow {
		return nil, fmt.Errorf("%w: window of %d batches: use 1 to %d", ErrBadTracker, window, maxWindow)
	}
	if window == 0 {
		window = defaultWindow
	}
	session := &Session{service: s, window: window, stored: make(chan uint64, 1)}
	m := s.join(t, types, nil, true)
	c := m.cluster
	session.member, session.feed = m, feed{logs: s.logs, id: c.logID()}
	m.session, m.since = session, s.now()
	c.mu.Unlock()
	if err := c.start(ctx, &t); err != nil {
		session.end(err)
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if session.err != nil {
		return nil, session.err
	}
	c.wakeLocked(c.mu.division.MarkWaiting(t.ID, t.share()))
	c.rebalanceLocked()
	return session, nil
}

// Next returns the next batch that has messages, waiting until there is one and the window has room. After an error other
// than that of ctx there is nothing more to come: ErrLeft after Close or Disconnect, ErrReplaced, ErrPurged, or an error of
// the engine.
func (s *Session) Next(ctx context.Context) (Batch, error) {
	for {
		q, err := s.begin()
		if err != nil {
			return Batch{}, err
		}
		more := false
		if q != nil {
			var b Batch
			if b, more, err = s.look(q); err != nil || b.ID > 0 {
				return b, err
			}
			if err := s.storeExamined(ctx); err != nil {
				return Batch{}, err
			}
		}
		if !more {
			err = s.wait(ctx)
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return Batch{}, err
		}
	}
}

// begin returns what to look for, or nil when nothing may be given out for now.
func (s *Session) begin() (*search, error) {
	c := s.member.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	if !s.holding && !s.holdLocked() {
		return nil, nil
	}
	if s.draining || len(s.open) >= s.window {
		return nil, nil
	}
	s.catchUpLocked()
	s.fetching = true
	q := newSearch(&s.member.tracker, s.member.types, s.segments, s.examined)
	if len(c.mu.holders) > 1 {
		q.splits, q.ranges = &c.splits, c.mu.held
	}
	return q, nil
}

// holdLocked makes the session active in what the division has for it, if there is anything.
func (s *Session) holdLocked() bool {
	m, c := s.member, s.member.cluster
	segments := c.mu.division.Range(m.tracker.ID)
	if segments.Empty() || c.settlingLocked(m, segments) {
		return false
	}
	c.wakeLocked(c.mu.division.MarkActive(m.tracker.ID, m.tracker.share()))
	c.mu.holders = append(c.mu.holders, s)
	s.holding, s.segments = true, segments
	c.setHeldLocked()
	s.settled, s.seen, s.ahead = m.positionLocked(segments), c.mu.position, false
	s.examined = s.settled
	m.since = s.service.now()
	m.watchLocked(segments)
	return true
}

// catchUpLocked takes in a stored position that others have raised.
func (s *Session) catchUpLocked() {
	stored := s.member.cluster.mu.position
	if s.member.tracker.ClientControlled || stored.Equal(s.seen) {
		return
	}
	s.seen = stored
	s.examined, s.settled = s.examined.Merge(stored), s.settled.Merge(stored)
}

// look runs a search and returns the batch that it makes, or whether there is more to examine.
func (s *Session) look(q *search) (b Batch, more bool, err error) {
	found, err := q.run(&s.feed)
	if err != nil {
		s.end(err)
	}
	c := s.member.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	s.fetching = false
	switch {
	case s.err != nil:
		return Batch{}, false, s.err
	case s.draining:
		c.releaseLocked() // what was found is for whoever gets the segments
		return Batch{}, false, nil
	case found.examined > 0:
		s.examined = s.examined.With(s.segments, found.last)
	}
	if found.messages == 0 {
		// A client that controls its index keeps its position itself.
		s.ahead = s.ahead || found.examined > 0 && !s.member.tracker.ClientControlled
		return Batch{}, !found.end, nil
	}
	return s.giveLocked(&found), false, nil
}

func (s *Session) giveLocked(found *catch) Batch {
	s.lastID++
	b := Batch{
		ID: s.lastID, Segments: s.segments, Chunks: found.chunks, Last: &found.last, Position: s.settled, CaughtUp: found.end,
	}
	s.settled = s.settled.With(s.segments, found.last)
	s.ahead = false
	s.open = append(s.open, handout{b.ID, found.last, s.service.now(), s.member.cluster.mu.epoch})
	return b
}

// wait returns when something happened to the tracker, or when it is time to look again in any case.
func (s *Session) wait(ctx context.Context) error {
	var timeout <-chan time.Time
	if d, ok := s.waitFor(); ok {
		timer := time.NewTimer(d)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-timeout:
		return s.storeExamined(ctx)
	case <-s.member.signal:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// waitFor returns how long to wait at most, if there is a limit.
func (s *Session) waitFor() (time.Duration, bool) {
	c := s.member.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	now := s.service.now()
	switch {
	case !s.holding && now.Before(c.mu.settleAt):
		return c.mu.settleAt.Sub(now), true
	case s.holding && !s.draining && s.ahead && s.idleLocked():
		return max(s.member.storedAt.Add(storeInterval).Sub(now), 0), true
	}
	return 0, false
}

// Close removes the tracker at once: its segments go to others. Further calls do nothing.
func (s *Session) Close() { s.end(ErrLeft) }

func (s *Session) end(err error) { s.service.leave(s.member, nil, err) }

// endLocked is called when the member is removed.
func (s *Session) endLocked(err error) {
	s.err = err
	s.letGoLocked()
	s.member.wake()
}

// idleLocked reports whether nothing is in hand.
func (s *Session) idleLocked() bool {
	return len(s.open) == 0 && !s.fetching && !s.storing && s.unstored.id == 0
}

// unevenLocked reports whether the session should have another range.
func (s *Session) unevenLocked() bool {
	m := s.member
	return !m.tracker.Single && s.segments != m.cluster.mu.division.Even(m.tracker.ID)
}

// changedLocked is called when the division gave the tracker another range.
func (s *Session) changedLocked() { s.draining = s.holding }

// restartLocked makes the session start over from the stored position once it has nothing in hand.
func (s *Session) restartLocked() {
	if !s.member.tracker.ClientControlled {
		s.draining, s.unstored = true, handout{}
	}
}

// releaseLocked makes the session wait for segments. It has nothing in hand.
func (s *Session) releaseLocked() {
	m, c := s.member, s.member.cluster
	if m.tracker.ClientControlled {
		m.start, _ = s.examined.Lowest(s.segments)
	}
	s.letGoLocked()
	m.since = s.service.now()
	m.watchLocked(message.SegmentRange{})
	m.wake()
	c.wakeLocked(c.mu.division.MarkWaiting(m.tracker.ID, m.tracker.share()))
}

func (s *Session) letGoLocked() {
	c := s.member.cluster
	s.holding, s.draining = false, false
	c.mu.holders = slices.DeleteFunc(c.mu.holders, func(other *Session) bool { return other == s })
	c.setHeldLocked()
}

// setHeldLocked notes what segments sessions have. Others may still be using the list of before.
func (c *cluster) setHeldLocked() {
	c.mu.held = make([]message.SegmentRange, len(c.mu.holders))
	for i, s := range c.mu.holders {
		c.mu.held[i] = s.segments
	}
}
