package tracking

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/message"
)

var (
	// ErrBadTracker is returned for a tracker or a request that breaks a rule, such as a type filter that does not compile.
	ErrBadTracker = errors.New("bad tracker")
	// ErrLeft is returned by an open request or session whose tracker was removed without a final batch.
	ErrLeft = errors.New("tracker has left its consumer")
	// ErrReplaced is returned by a session when a newer request or session of the same tracker took its place.
	ErrReplaced = errors.New("tracker was replaced by a newer one with its id")
	// ErrPurged is returned by a session that held a batch for longer than its purge timeout.
	ErrPurged = errors.New("tracker took longer than its purge timeout")
)

const (
	defaultMaxSize  = 1024
	defaultMaxBytes = 1 << 20
	maxMaxBytes     = 64 << 20
	maxIDLen        = 512
	// startBack is how far before its first request a consumer starts that says nothing about it.
	startBack = time.Second
)

// Tracker is what a tracker asks for with a request. Its identity is namespace, log, consumer and id.
type Tracker struct {
	Namespace message.Namespace
	// Log may be the notifications, which read the log of events: then IgnoreSegment and ClientControlled are implied.
	Log      message.Log
	Consumer message.ConsumerName
	// ID is unique among the trackers of the consumer. 1 to 512 bytes.
	ID string
	// ClientID names the client that messages may be targeted at.
	ClientID string
	// Protocol says for people how the tracker talks: "native" or "capacitor".
	Protocol string
	// Weight is how many handlers work behind the tracker: its share of the segments grows with it. Defaults to 1.
	Weight int
	// TypeFilter is a regular expression that must match the whole type. Messages without a type pass. Empty means all.
	TypeFilter string
	// FilterTarget leaves out messages that are meant for another client or tracker.
	FilterTarget bool
	// IgnoreSegment asks for the messages of all segments, as long as the tracker has any.
	IgnoreSegment bool
	// Single asks for all segments or none.
	Single bool
	// ClientControlled starts from Last rather than from the stored position.
	ClientControlled bool
	// Last is the last index that was dealt with: where a new consumer starts. Nil means one second ago.
	Last *message.Index
	// MaxSize is the most messages in a batch. Defaults to 1,024.
	MaxSize int
	// MaxBytes is about the most bytes of blocks in a batch; at least one message is returned. Defaults to 1 MiB, at most 64.
	MaxBytes int
	// PurgeTimeout is how long handling a batch may take before the tracker loses its segments. Zero means for ever.
	PurgeTimeout time.Duration
}

// Chunk is a part of a batch: blocks, back to back, whose messages have indexes from First on. Of blocks that were filtered
// only some messages are left, with their indexes. Blocks are shared: they must not be changed.
type Chunk struct {
	First  message.Index
	Blocks []byte
}

// Batch is what a tracker is given at a time.
type Batch struct {
	// ID counts the batches of a session from 1. It is 0 otherwise.
	ID uint64
	// Segments is the range of the tracker, empty while others have all segments.
	Segments message.SegmentRange
	// Chunks are in the order of their indexes.
	Chunks []Chunk
	// Last is the index up to which the log was examined for Segments: their position once the batch was handled. Nil
	// means that nothing was examined. It may be set without messages.
	Last *message.Index
	// Position is the position of the consumer before the batch. In Segments it is what a transaction that stores the
	// position after the batch has to expect.
	Position message.Position
	// CaughtUp reports whether the end of the log was reached.
	CaughtUp bool
}

// Claim is the answer to a request for segments without messages.
type Claim struct {
	Segments message.SegmentRange
	Position message.Position
}

func badRequest(err error) error { return fmt.Errorf("%w: %w", ErrBadTracker, err) }

func (t Tracker) consumer() position.Consumer { return position.Consumer{Log: t.Log, Name: t.Consumer} }

func (t Tracker) share() Share { return Share{Weight: t.Weight, Single: t.Single} }

// withDefaults returns the tracker as it is meant, or ErrBadTracker.
func (t Tracker) withDefaults() (Tracker, error) {
	if err := t.consumer().Validate(); err != nil {
		return t, badRequest(err)
	}
	switch {
	case t.ID == "" || len(t.ID) > maxIDLen || strings.ContainsRune(t.ID, 0):
		return t, fmt.Errorf("%w: id %.40q: use 1 to %d bytes without NUL", ErrBadTracker, t.ID, maxIDLen)
	case t.Weight < 0 || t.Weight > maxWeight:
		return t, fmt.Errorf("%w: weight %d: use 1 to %d", ErrBadTracker, t.Weight, maxWeight)
	case t.MaxSize < 0:
		return t, fmt.Errorf("%w: maximum of %d messages", ErrBadTracker, t.MaxSize)
	case t.MaxBytes < 0:
		return t, fmt.Errorf("%w: maximum of %d bytes", ErrBadTracker, t.MaxBytes)
	case t.PurgeTimeout < 0:
		return t, fmt.Errorf("%w: purge timeout of %s", ErrBadTracker, t.PurgeTimeout)
	}
	if t.Log.Type == message.Notification {
		t.IgnoreSegment, t.ClientControlled = true, true
	}
	t.Weight = max(t.Weight, 1)
	if t.MaxSize == 0 {
		t.MaxSize = defaultMaxSize
	}
	if t.MaxBytes == 0 {
		t.MaxBytes = defaultMaxBytes
	}
	t.MaxBytes = min(t.MaxBytes, maxMaxBytes)
	return t, nil
}
