package tracking

import (
	"context"
	"sync"
	"time"

	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/message"
)

type clusterID struct {
	ns       message.Namespace
	consumer position.Consumer
}

// cluster is a consumer while it has trackers.
type cluster struct {
	service *Service
	id      clusterID
	splits  splits
	mu      struct {
		sync.Mutex
		division Division
		members  map[string]*member
		// holders are the sessions that are active in the division, held their segments when there are several.
		holders []*Session
		held    []message.SegmentRange
		// position is the stored one, known once it has all segments; then it follows the engine's events.
		position message.Position
		known    bool
		// epoch counts the resets of the position.
		epoch int
		balance
	}
}

// member is a tracker of a cluster. What may change is guarded by the cluster's mutex.
type member struct {
	watcher
	cluster *cluster
	// tracker and types are of the newest request.
	tracker    Tracker
	types      *typeFilter
	connection any
	// request is the one that is open, session the stream; one of them at most.
	request *request
	session *Session
	// since is when the tracker became active or began to wait.
	since time.Time
	// start is where a tracker reads on from that controls its index.
	start message.Index
	// examined is up to where everything was left out by filters, and storedAt when that was last stored.
	examined message.Position
	storedAt time.Time
}

// lookup returns the cluster, or nil if the consumer has no trackers.
func (s *Service) lookup(id clusterID) *cluster {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.clusters[id]
}

// lockCluster returns the cluster locked, and creates it if need be. The service must be locked.
func (s *Service) lockCluster(id clusterID) *cluster {
	c, ok := s.mu.clusters[id]
	if !ok {
		c = &cluster{service: s, id: id}
		c.mu.members = make(map[string]*member)
		s.mu.clusters[id] = c
	}
	c.mu.Lock()
	return c
}

// join makes the tracker a member of its cluster, and returns with the cluster locked. When it is one already, it stays the
// same member with the newest request's wishes, unless it is to be a fresh one or was a session.
func (s *Service) join(t Tracker, types *typeFilter, connection any, fresh bool) *member {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.lockCluster(clusterID{t.Namespace, t.consumer()})
	m, known := c.mu.members[t.ID]
	if known && (fresh || m.session != nil) {
		c.expelLocked(m, ErrReplaced)
		known = false
	}
	if !known {
		m = &member{watcher: watcher{signal: make(chan struct{}, 1)}, cluster: c, start: message.IndexAt(s.now().Add(-startBack))}
		c.mu.members[t.ID] = m
		s.watches.add(c.logID(), &m.watcher)
	}
	s.connectLocked(m, connection)
	m.updateLocked(t, types)
	return m
}

// updateLocked makes the tracker what its newest request says.
func (m *member) updateLocked(t Tracker, types *typeFilter) {
	if t.ClientControlled && t.Last != nil {
		m.start = *t.Last
	}
	sameFilter := t.TypeFilter == m.tracker.TypeFilter && t.FilterTarget == m.tracker.FilterTarget &&
		t.ClientID == m.tracker.ClientID && t.IgnoreSegment == m.tracker.IgnoreSegment
	if !sameFilter || t.ClientControlled && t.Last != nil {
		m.examined = message.Position{}
	}
	m.tracker, m.types = t, types
}

// connectLocked notes over which connection the latest request of m came.
func (s *Service) connectLocked(m *member, connection any) {
	if m.connection == connection {
		return
	}
	if m.connection != nil {
		delete(s.mu.connections[m.connection], m)
		if len(s.mu.connections[m.connection]) == 0 {
			delete(s.mu.connections, m.connection)
		}
	}
	m.connection = connection
	if connection == nil {
		return
	}
	if s.mu.connections[connection] == nil {
		s.mu.connections[connection] = make(map[*member]struct{})
	}
	s.mu.connections[connection][m] = struct{}{}
}

func (c *cluster) logID() logID { return logID{c.id.ns, c.id.consumer.Log.Stored()} }

// start sees to it that the consumer has a position in all segments, on disk: else messages of segments that have none
// would be passed over once other segments have one. A tracker that controls its index needs none.
func (c *cluster) start(ctx context.Context, t *Tracker) error {
	c.mu.Lock()
	known := c.mu.known
	c.mu.Unlock()
	if known || t.ClientControlled {
		return nil
	}
	stored, err := c.service.positions.Get(c.id.ns, c.id.consumer)
	if err != nil {
		return err
	}
	if !complete(stored) {
		op := &position.Start{Consumer: c.id.consumer, Last: message.IndexAt(c.service.now().Add(-startBack))}
		if t.Last != nil {
			op.Last = *t.Last
		}
		if err := c.service.propose(ctx, c.id.ns, c.id.consumer, op); err != nil {
			return err
		}
		stored = op.Position
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.mu.known { // an event that came meanwhile is newer
		c.mu.position, c.mu.known = stored, true
	}
	return nil
}

// complete reports whether the position has all segments.
func complete(p message.Position) bool { return p.Equal(p.Fill(message.Beginning - 1)) }

// moved follows the stored position.
func (c *cluster) moved(event position.Changed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.position, c.mu.known = event.Position, complete(event.Position)
	if !event.Reset {
		return
	}
	c.mu.epoch++
	for _, m := range c.mu.members {
		m.examined = message.Position{}
		m.wake()
	}
	for _, s := range c.mu.holders {
		s.restartLocked()
	}
	c.releaseLocked()
}

// positionLocked is where the tracker starts to read in segments, and what its batch is said to come after.
// Source: START of the Flux Capacitor protocol.
func (m *member) positionLocked(segments message.SegmentRange) message.Position {
	t, stored := &m.tracker, m.cluster.mu.position
	switch {
	case t.ClientControlled:
		return message.NewPosition(segments, m.start)
	case t.Single && t.Last != nil:
		return stored.Merge(message.NewPosition(segments, *t.Last))
	default:
		return stored
	}
}

// watchLocked sets what the tracker is woken for. A tracker that looks for messages outside of its segments is woken for all.
func (m *member) watchLocked(segments message.SegmentRange) {
	if !segments.Empty() && (m.tracker.IgnoreSegment || m.tracker.FilterTarget) {
		segments = message.AllSegments
	}
	m.segments.set(segments)
}

// wakeLocked wakes trackers whose range changed.
func (c *cluster) wakeLocked(ids []string) {
	drain := false
	for _, id := range ids {
		m, ok := c.mu.members[id]
		if !ok {
			continue // it is about to be removed
		}
		m.wake()
		if m.session != nil {
			m.session.changedLocked()
			drain = true
		}
	}
	if drain {
		c.releaseLocked()
	}
}
