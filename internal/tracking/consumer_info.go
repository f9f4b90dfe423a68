package tracking

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/message"
)

// ConsumerInfo is what is known of a consumer.
type ConsumerInfo struct {
	Consumer position.Consumer
	// Position is empty when nothing was stored yet.
	Position message.Position
	// Trackers are in the order of their ids.
	Trackers []TrackerInfo
	// Lag has a row for each range of segments that have one position and one tracker, ascending. Only [Service.Consumer]
	// counts it.
	Lag []Lag
}

// TrackerInfo is the state of a tracker.
type TrackerInfo struct {
	ID, ClientID, Protocol string
	Segments               message.SegmentRange
	// Active reports whether it has messages in hand.
	Active bool
	// Since is when it began to be active, or to wait.
	Since  time.Time
	Weight int
}

// Lag is how far some segments are behind the end of the log.
type Lag struct {
	Segments message.SegmentRange
	Last     message.Index
	// Messages of the segments beyond Last, counted up to a limit of messages and time. Filters do not count.
	Messages int
	// More reports whether there may be more than were counted.
	More bool
	// Behind is how much older the oldest message that waits is than the newest message of the log. 0 when nothing waits.
	Behind time.Duration
	// TrackerID is the tracker that has the segments, empty if none has.
	TrackerID string
}

// Consumer returns a consumer with its trackers and lag; a consumer that is not known has an empty position. Errors are
// ErrBadTracker and those of the engine.
func (s *Service) Consumer(_ context.Context, ns message.Namespace, c position.Consumer) (ConsumerInfo, error) {
	if err := c.Validate(); err != nil {
		return ConsumerInfo{}, badRequest(err)
	}
	stored, err := s.positions.Get(ns, c)
	if err != nil {
		return ConsumerInfo{}, err
	}
	info := ConsumerInfo{Consumer: c, Position: stored}
	if cluster := s.lookup(clusterID{ns, c}); cluster != nil {
		info.Trackers = cluster.trackers()
	}
	info.Lag = lagRows(info)
	return info, s.count(logID{ns, c.Log.Stored()}, info.Lag)
}

// Consumers returns the consumers of a log, or of all logs when log is nil, that have a position or trackers, without
// their lag, in the order of logs and names. Errors are those of the engine.
func (s *Service) Consumers(_ context.Context, ns message.Namespace, log *message.Log) ([]ConsumerInfo, error) {
	stored, err := s.positions.List(ns, log)
	if err != nil {
		return nil, err
	}
	all := make([]ConsumerInfo, 0, len(stored))
	tracked := s.tracked(ns, log)
	for _, info := range stored {
		all = append(all, ConsumerInfo{Consumer: info.Consumer, Position: info.Position, Trackers: tracked[info.Consumer]})
		delete(tracked, info.Consumer)
	}
	for c, trackers := range tracked {
		all = append(all, ConsumerInfo{Consumer: c, Trackers: trackers})
	}
	slices.SortFunc(all, func(a, b ConsumerInfo) int {
		return cmp.Or(
			cmp.Compare(a.Consumer.Log.Type, b.Consumer.Log.Type),
			strings.Compare(a.Consumer.Log.Topic, b.Consumer.Log.Topic),
			cmp.Compare(a.Consumer.Name, b.Consumer.Name),
		)
	})
	return all, nil
}

// tracked returns the trackers of all consumers that have any.
func (s *Service) tracked(ns message.Namespace, log *message.Log) map[position.Consumer][]TrackerInfo {
	s.mu.Lock()
	var clusters []*cluster
	for id, c := range s.mu.clusters {
		if id.ns == ns && (log == nil || id.consumer.Log == *log) {
			clusters = append(clusters, c)
		}
	}
	s.mu.Unlock()
	all := make(map[position.Consumer][]TrackerInfo, len(clusters))
	for _, c := range clusters {
		all[c.id.consumer] = c.trackers()
	}
	return all
}

func (c *cluster) trackers() []TrackerInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]TrackerInfo, 0, len(c.mu.members))
	for id := range c.mu.division.IDs() {
		m := c.mu.members[id]
		all = append(all, TrackerInfo{
			ID:       id,
			ClientID: m.tracker.ClientID,
			Protocol: m.tracker.Protocol,
			Segments: c.mu.division.Range(id),
			Active:   m.busyLocked(),
			Since:    m.since,
			Weight:   m.tracker.Weight,
		})
	}
	return all
}

// busyLocked reports whether the tracker has messages in hand.
func (m *member) busyLocked() bool {
	if m.session != nil {
		return len(m.session.open) > 0
	}
	return m.request == nil && m.cluster.mu.division.Active(m.tracker.ID)
}

// lagRows cuts the segments where their position or their tracker changes.
func lagRows(info ConsumerInfo) []Lag {
	var rows []Lag
	for segments, last := range info.Position.Ranges() {
		for segment := segments.Start; segment < segments.End; segment++ {
			id := info.holder(segment)
			if n := len(rows); n > 0 && rows[n-1].Segments.End == segment && segment > segments.Start && rows[n-1].TrackerID == id {
				rows[n-1].Segments.End++
				continue
			}
			one := message.SegmentRange{Start: segment, End: segment + 1}
			rows = append(rows, Lag{Segments: one, Last: last, TrackerID: id})
		}
	}
	return rows
}

func (info *ConsumerInfo) holder(segment int) string {
	for _, t := range info.Trackers {
		if t.Segments.Contains(segment) {
			return t.ID
		}
	}
	return ""
}
