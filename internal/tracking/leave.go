package tracking

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/message"
)

// Disconnect removes a tracker, whatever it is doing. With finalEmptyBatch its open read returns an empty batch, and ErrLeft
// otherwise: then the read is not to be answered.
func (s *Service) Disconnect(ns message.Namespace, consumer position.Consumer, trackerID string, finalEmptyBatch bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.mu.clusters[clusterID{ns, consumer}]
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m, ok := c.mu.members[trackerID]
	if !ok {
		return
	}
	if m.request != nil && finalEmptyBatch {
		m.request.endLocked(nil)
	}
	s.expelLocked(m, ErrLeft)
}

// ConnectionClosed removes every tracker whose latest request came over the connection, and returns them in the order of
// their consumers and ids. Open requests return ErrLeft.
func (s *Service) ConnectionClosed(connection any) []Tracker {
	s.mu.Lock()
	defer s.mu.Unlock()
	var removed []Tracker
	for m := range s.mu.connections[connection] {
		m.cluster.mu.Lock()
		removed = append(removed, m.tracker)
		s.expelLocked(m, ErrLeft)
		m.cluster.mu.Unlock()
	}
	slices.SortFunc(removed, func(a, b Tracker) int {
		return cmp.Or(cmp.Compare(a.Consumer, b.Consumer), cmp.Compare(a.ID, b.ID))
	})
	return removed
}

// leave removes a member that gives up by itself, unless it was removed or a newer request than r took over.
func (s *Service) leave(m *member, r *request, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := m.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.members[m.tracker.ID] == m && m.request == r {
		s.expelLocked(m, err)
	}
}

// expelLocked removes a member of a locked cluster of the locked service, and the cluster with its last member.
func (s *Service) expelLocked(m *member, err error) {
	c := m.cluster
	c.expelLocked(m, err)
	if len(c.mu.members) == 0 {
		delete(s.mu.clusters, c.id)
	}
}

// expelLocked removes a member and gives its segments to others. The service must be locked too. A request that is open
// returns err, unless that is ErrReplaced: then it is answered with an empty batch.
func (c *cluster) expelLocked(m *member, err error) {
	id := m.tracker.ID
	delete(c.mu.members, id)
	c.service.watches.remove(c.logID(), &m.watcher)
	c.service.connectLocked(m, nil)
	switch {
	case m.session != nil:
		m.session.endLocked(err)
	case m.request != nil && errors.Is(err, ErrReplaced):
		m.request.endLocked(nil)
	case m.request != nil:
		m.request.endLocked(err)
	}
	if !c.mu.division.Range(id).Empty() {
		c.releaseIdleLocked() // so that they may get some of the segments
	}
	c.wakeLocked(c.mu.division.Remove(id))
	c.rebalanceLocked()
}

// purge removes trackers that have had messages for longer than they said they would.
func (s *Service) purge(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.mu.clusters {
		c.mu.Lock()
		for _, m := range c.mu.members {
			if m.overdueLocked(now) {
				s.expelLocked(m, ErrPurged)
			}
		}
		c.mu.Unlock()
	}
}

func (m *member) overdueLocked(now time.Time) bool {
	timeout := m.tracker.PurgeTimeout
	switch {
	case timeout == 0:
		return false
	case m.session != nil:
		return len(m.session.open) > 0 && now.Sub(m.session.open[0].at) > timeout
	default:
		return m.request == nil && m.cluster.mu.division.Active(m.tracker.ID) && now.Sub(m.since) > timeout
	}
}
