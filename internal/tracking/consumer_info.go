package tracking

import (
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
	// Since is when Active last changed.
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
	// Behind is how much older the oldest waiting message may be than the newest of the log. 0 when nothing is waiting.
	Behind time.Duration
	// TrackerID is the tracker that has the segments, empty if none has.
	TrackerID string
}
