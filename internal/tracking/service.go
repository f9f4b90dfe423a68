package tracking

import (
	"context"
	"log/slog"
	"time"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/message"
)

// Options configure a service. The zero value is usable.
type Options struct {
	// Clock gives the time. Defaults to time.Now.
	Clock func() time.Time
	// Logger gets what goes wrong in the background. Defaults to silence.
	Logger *slog.Logger
}

// Service lets consumers follow logs. Safe for concurrent use.
type Service struct{}

// New returns a service. Create it after logs and positions, and before the first transaction.
func New(e *engine.Engine, logs *messagelog.Logs, positions *position.Positions, o Options) *Service {
	panic("unfinished")
}

// Run purges trackers that take too long, until ctx ends. Then it waits for what the service has under way.
func (s *Service) Run(ctx context.Context) error { panic("unfinished") }

// Read waits up to maxWait for messages for the tracker and returns them: one step of a long poll. From then on the tracker
// is active, and keeps its segments until its next request, its disconnect or purge, or until its connection closes. The
// time may also end with a batch that has no messages, and a Last all the same.
//
// Connection is anything comparable that stands for the connection of the request; see [Service.ConnectionClosed]. Nil
// means none. When ctx ends first, the tracker leaves. A newer request of the tracker answers an older one that is open with
// an empty batch. Errors are ErrBadTracker, ErrLeft, those of ctx and of the engine.
func (s *Service) Read(ctx context.Context, t Tracker, maxWait time.Duration, connection any) (Batch, error) {
	panic("unfinished")
}

// Claim waits up to maxWait for segments, like Read, and keeps them like Read, without reading messages.
func (s *Service) Claim(ctx context.Context, t Tracker, maxWait time.Duration, connection any) (Claim, error) {
	panic("unfinished")
}

// Disconnect removes a tracker, whatever it is doing. With finalEmptyBatch its open read returns an empty batch, and ErrLeft
// otherwise: then the read is not to be answered.
func (s *Service) Disconnect(ns message.Namespace, c position.Consumer, trackerID string, finalEmptyBatch bool) {
	panic("unfinished")
}

// ConnectionClosed removes every tracker whose latest request came over the connection. Open requests return ErrLeft.
func (s *Service) ConnectionClosed(connection any) { panic("unfinished") }

// StorePosition raises the position of a consumer in some segments and returns when that is on disk.
func (s *Service) StorePosition(ctx context.Context, ns message.Namespace, c position.Consumer, segments message.SegmentRange, last message.Index) error {
	panic("unfinished")
}

// ResetPosition moves a whole consumer to an index, in either direction, and returns when that is on disk. Its trackers go
// on from there.
func (s *Service) ResetPosition(ctx context.Context, ns message.Namespace, c position.Consumer, last message.Index) error {
	panic("unfinished")
}

// Consumer returns a consumer with its trackers and lag; a consumer that is not known has an empty position.
func (s *Service) Consumer(ctx context.Context, ns message.Namespace, c position.Consumer) (ConsumerInfo, error) {
	panic("unfinished")
}

// Consumers returns the consumers of a log, or of all logs when log is nil, that have a position or trackers, without
// their lag, in the order of logs and names.
func (s *Service) Consumers(ctx context.Context, ns message.Namespace, log *message.Log) ([]ConsumerInfo, error) {
	panic("unfinished")
}

// Session is a tracker that is given batches before the earlier ones were handled. Next is for one goroutine; everything
// else is safe for concurrent use.
type Session struct{}

// Open adds a tracker to its consumer. At most window batches are given out that were not handled; it defaults to 4.
// The session must be closed. A tracker of the same id is replaced.
func (s *Service) Open(ctx context.Context, t Tracker, window int) (*Session, error) { panic("unfinished") }

// Next returns the next batch that has messages, waiting until there is one and the window has room. After an error other
// than that of ctx there is nothing more to come: ErrLeft after Close or Disconnect, ErrReplaced, ErrPurged.
func (s *Session) Next(ctx context.Context) (Batch, error) { panic("unfinished") }

// Handled says that all batches up to and including id were handled. Their position is stored in the background, unless
// the client has kept it itself. It returns ErrBadTracker for an id that was not given out.
func (s *Session) Handled(id uint64, positionKept bool) error { panic("unfinished") }

// Stored has the id up to which positions are on disk; of several that were not received only the latest.
func (s *Session) Stored() <-chan uint64 { panic("unfinished") }

// Close removes the tracker at once: its segments go to others. Further calls do nothing.
func (s *Session) Close() { panic("unfinished") }

// Results streams the messages of a log that are meant for one client. Next is for one goroutine.
type Results struct{}

// Results returns the messages of a log with an index greater than after whose target is the client. Nil means from one
// second ago. It must be closed.
func (s *Service) Results(ctx context.Context, ns message.Namespace, log message.Log, clientID string, after *message.Index) (*Results, error) {
	panic("unfinished")
}

// Next waits for messages and returns them, with the index up to which the client has been given everything.
func (r *Results) Next(ctx context.Context) (chunks []Chunk, last message.Index, err error) {
	panic("unfinished")
}

// Close ends the stream. Further calls do nothing.
func (r *Results) Close() { panic("unfinished") }
