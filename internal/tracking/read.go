package tracking

import (
	"context"
	"errors"
	"time"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/message"
)

// request is one step of a long poll.
type request struct {
	service  *Service
	member   *member
	tracker  Tracker
	types    *typeFilter
	maxWait  time.Duration
	deadline time.Time
	feed     feed
	// gone is closed when the request may not go on; endErr says why, nil standing for an empty answer. Guarded by the
	// cluster's mutex.
	gone   chan struct{}
	endErr error
}

// Read waits up to maxWait for messages for the tracker and returns them: one step of a long poll. From then on the tracker
// is active, and keeps its segments until its next request, its disconnect or purge, or until its connection closes. The
// time may also end with a batch that has no messages, and a Last all the same.
//
// Connection is anything comparable that stands for the connection of the request; see [Service.ConnectionClosed]. Nil
// means none. When ctx ends first, the tracker leaves. A newer request of the tracker answers an older one that is open with
// an empty batch. Errors are ErrBadTracker, ErrLeft, ErrPurged, those of ctx and of the engine.
//
// Source: READ of the Flux Capacitor protocol; docs/protocol/tracking.md.
func (s *Service) Read(ctx context.Context, t Tracker, maxWait time.Duration, connection any) (Batch, error) {
	r, err := s.request(ctx, t, maxWait, connection)
	if err != nil {
		return Batch{}, err
	}
	return r.run(ctx, r.look)
}

// Claim waits up to maxWait for segments, like Read, and keeps them like Read, without reading messages.
func (s *Service) Claim(ctx context.Context, t Tracker, maxWait time.Duration, connection any) (Claim, error) {
	r, err := s.request(ctx, t, maxWait, connection)
	if err != nil {
		return Claim{}, err
	}
	b, err := r.run(ctx, func(_ context.Context, g grant) (Batch, bool, error) {
		return Batch{Segments: g.segments, Position: g.position}, true, nil
	})
	return Claim{b.Segments, b.Position}, err
}

// request makes the tracker a member with an open request, in the place of an older one.
func (s *Service) request(ctx context.Context, t Tracker, maxWait time.Duration, connection any) (*request, error) {
	t, types, err := s.prepare(t)
	if err != nil {
		return nil, err
	}
	r := &request{
		service: s, tracker: t, types: types, maxWait: maxWait, deadline: s.now().Add(maxWait), gone: make(chan struct{}),
	}
	m := s.join(t, types, connection, false)
	r.member, r.feed = m, feed{logs: s.logs, id: m.cluster.logID()}
	if m.request != nil {
		m.request.endLocked(nil)
	}
	m.request = r
	m.cluster.mu.Unlock()
	if err := m.cluster.start(ctx, &t); err != nil {
		s.leave(m, r, err)
		return nil, err
	}
	return r, nil
}

// prepare checks a tracker and fills in what it does not say.
func (s *Service) prepare(t Tracker) (Tracker, *typeFilter, error) {
	t, err := t.withDefaults()
	if err != nil {
		return t, nil, err
	}
	types, err := newTypeFilter(t.TypeFilter)
	return t, types, err
}

// endLocked makes the request return err, or an empty answer.
func (r *request) endLocked(err error) {
	r.endErr = err
	close(r.gone)
	r.member.request = nil
}

// grant is what the tracker may look at.
type grant struct {
	segments message.SegmentRange
	// position is the one before the batch, from the one where to look on: the same, or further because of filters.
	position, from message.Position
	epoch          int
}

// run takes steps until one has an answer, waiting in between. Without segments there is no step to take.
func (r *request) run(ctx context.Context, step func(context.Context, grant) (Batch, bool, error)) (Batch, error) {
	timer := time.NewTimer(r.maxWait)
	defer timer.Stop()
	for {
		g, ok := r.activate()
		if !ok {
			return Batch{CaughtUp: true}, r.endErr
		}
		batch := Batch{CaughtUp: true}
		if !g.segments.Empty() {
			var done bool
			var err error
			if batch, done, err = step(ctx, g); err != nil {
				r.service.leave(r.member, r, err)
				return Batch{}, err
			}
			if done {
				return r.answer(batch)
			}
		}
		if !r.service.now().Before(r.deadline) {
			return r.answer(batch)
		}
		if !r.rest(g.segments) {
			continue
		}
		select {
		case <-r.member.signal:
		case <-r.gone:
		case <-timer.C:
			return r.answer(batch)
		case <-ctx.Done():
			r.service.leave(r.member, r, ErrLeft)
			return Batch{}, ctx.Err()
		}
	}
}

// activate makes the tracker active and returns what it has. It is not ok when the request may not go on.
func (r *request) activate() (g grant, ok bool) {
	m, c := r.member, r.member.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.request != r {
		return g, false
	}
	id, share := r.tracker.ID, r.tracker.share()
	switch {
	case !c.mu.division.Known(id):
		c.wakeLocked(c.mu.division.MarkWaiting(id, share))
		c.rebalanceLocked()
	case c.mu.division.Range(id) != c.mu.division.Even(id):
		c.retryLocked()
	}
	c.wakeLocked(c.mu.division.MarkActive(id, share))
	g.segments, g.epoch = c.mu.division.Range(id), c.mu.epoch
	m.watchLocked(g.segments)
	if !g.segments.Empty() {
		g.position = m.positionLocked(g.segments)
		g.from = g.position
		if !m.examined.Empty() {
			g.from = g.from.Merge(m.examined.In(g.segments))
		}
	}
	return g, true
}

// rest makes the tracker wait. It returns false when that changed its segments, so that it has to look again.
func (r *request) rest(had message.SegmentRange) bool {
	m, c := r.member, r.member.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.request != r {
		return true // gone is closed
	}
	c.wakeLocked(c.mu.division.MarkWaiting(r.tracker.ID, r.tracker.share()))
	m.since = r.service.now()
	return c.mu.division.Range(r.tracker.ID) == had
}

// answer ends the request with a batch. The tracker is active from now on.
func (r *request) answer(b Batch) (Batch, error) {
	m, c := r.member, r.member.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.request != r {
		return Batch{CaughtUp: true}, r.endErr
	}
	if !c.mu.division.Active(r.tracker.ID) {
		if c.mu.division.Range(r.tracker.ID) != b.Segments {
			b = Batch{Segments: c.mu.division.Range(r.tracker.ID), Position: c.mu.position, CaughtUp: true}
		}
		c.wakeLocked(c.mu.division.MarkActive(r.tracker.ID, r.tracker.share()))
	}
	m.since = r.service.now()
	m.request = nil
	return b, nil
}

// examineFor is how long a request looks at messages that its filters reject before it answers or waits.
const examineFor = 50 * time.Millisecond

// look examines the log from where the tracker is. What it examined without finding anything is remembered.
func (r *request) look(ctx context.Context, g grant) (Batch, bool, error) {
	q := newSearch(&r.tracker, r.types, g.segments, g.from)
	q.exact = true
	batch := Batch{Segments: g.segments, Position: g.position}
	for until := r.service.now().Add(examineFor); ; {
		found, err := q.run(&r.feed)
		if err != nil {
			return batch, false, err
		}
		if found.examined > 0 {
			batch.Last = &found.last
			q.moveTo(found.last)
		}
		batch.Chunks, batch.CaughtUp = found.chunks, found.end
		if now := r.service.now(); found.messages > 0 || found.end || ctx.Err() != nil || now.After(until) {
			break
		}
	}
	return r.conclude(ctx, g, batch)
}

// conclude decides whether what was found is the answer.
func (r *request) conclude(ctx context.Context, g grant, b Batch) (Batch, bool, error) {
	if len(b.Chunks) > 0 {
		return b, true, nil
	}
	if b.Last != nil && *b.Last < message.IndexAt(r.service.now().Add(-r.maxWait)) {
		b.CaughtUp = false
		return b, true, nil
	}
	if err := r.remember(ctx, g, b.Last); err != nil {
		return b, false, err
	}
	b.Last = r.examinedIn(g.segments)
	if !b.CaughtUp {
		r.member.wake() // there is more to examine
	}
	return b, false, nil
}

// storeInterval is how often the position is stored at most of a tracker whose filters reject everything.
const storeInterval = time.Second

// remember keeps in mind that everything up to last was left out by filters, and stores that now and then.
func (r *request) remember(ctx context.Context, g grant, last *message.Index) error {
	if last == nil {
		return nil
	}
	m, c := r.member, r.member.cluster
	c.mu.Lock()
	now := r.service.now()
	if m.request != r || c.mu.epoch != g.epoch {
		c.mu.Unlock()
		return nil
	}
	m.examined = m.examined.With(g.segments, *last)
	due := now.Sub(m.storedAt) >= storeInterval
	if due {
		m.storedAt = now
	}
	expected := m.expectedLocked()
	c.mu.Unlock()
	if !due {
		return nil
	}
	op := &position.Store{Consumer: c.id.consumer, Segments: g.segments, Last: *last, If: expected}
	err := r.service.propose(ctx, c.id.ns, c.id.consumer, op)
	if errors.Is(err, engine.ErrConflict) { // it was stored or reset by others; there is another time
		return nil
	}
	return err
}

// expectedLocked returns the position that a store of the tracker's has to find, so that a reset wins over it.
func (m *member) expectedLocked() *message.Position {
	if m.tracker.ClientControlled {
		return nil // it does not follow resets, nor does the cluster know its position
	}
	expected := m.cluster.mu.position
	return &expected
}

// examinedIn returns up to where all of the segments were left out by filters, or nil.
func (r *request) examinedIn(segments message.SegmentRange) *message.Index {
	c := r.member.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	examined := r.member.examined.In(segments)
	lowest, ok := examined.Lowest(segments)
	if !ok || !examined.Equal(examined.Merge(message.NewPosition(segments, lowest))) {
		return nil // some were not examined
	}
	return &lowest
}
