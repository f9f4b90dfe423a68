package flux

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

// tracker runs one consumer for one log in this instance. However many goroutines handle its messages, it is one tracker to
// the server, with their number as its weight, and so has a single stream. Each stream is a [session].
type tracker struct {
	app   *App
	name  message.ConsumerName
	table *handlerTable
	path  string // the log of table
	id    string
	Consumer

	// last is the index up to which this tracker has handled its log; nil before it has handled anything. It matters to
	// consumers whose position is not that of the server.
	last *message.Index
	// unstored are the positions that handled batches of a lost stream may have left unstored.
	unstored []advance
}

// advance is a step of a consumer: the index up to which some segments were handled.
type advance struct {
	batch    uint64
	segments message.SegmentRange
	last     message.Index
}

func newTracker(a *App, h *Handlers, table *handlerTable) *tracker {
	t := &tracker{app: a, name: h.name, table: table, path: table.log.String(), id: a.config.ClientID + "_" + randomID(), Consumer: h.settings}
	if t.TypeFilter == "" {
		t.TypeFilter = table.typeFilter()
	}
	return t
}

// errEnd ends a tracker that has come to the index before which its consumer ends.
var errEnd = errors.New("consumer has come to its end")

// run handles messages until ctx ends, the consumer comes to its end, or it must not go on.
func (t *tracker) run(ctx context.Context) error {
	for wait := (backoff{}); ; {
		err := t.serve(ctx, &wait)
		var ofHandler *handlerError
		switch {
		case errors.As(err, &ofHandler):
			return t.explain(err)
		case errors.Is(err, errEnd):
			return nil
		case ctx.Err() != nil && (err == nil || Retryable(err)):
			return t.leave(ctx)
		case err != nil && !Retryable(err) && !errors.Is(err, ErrConflict):
			return t.explain(err)
		case err != nil:
			t.app.log.Warn("tracking: connection lost", "consumer", t.name, "log", t.table.log.String(), "error", err)
		}
		if !wait.sleep(ctx) {
			return t.leave(ctx)
		}
	}
}

// leave stores what a lost stream has left unstored. If that is not possible either, the batches are handled again.
func (t *tracker) leave(ctx context.Context) error {
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	if err := t.storeUnstored(leaving); err != nil {
		t.app.log.Warn("tracking: position not stored, batches will be handled again", "error", t.explain(err))
	}
	return nil
}

const leaveTimeout = 5 * time.Second

func (t *tracker) explain(err error) error {
	return fmt.Errorf("consumer %s of %s: %w", t.name, t.table.log, err)
}

type trackStream = *connect.BidiStreamForClient[fluxv1.TrackRequest, fluxv1.TrackResponse]

// serve opens a stream and handles what comes until it breaks or ctx ends. Then the batches in hand are finished.
func (t *tracker) serve(ctx context.Context, wait *backoff) error {
	if err := t.storeUnstored(ctx); err != nil {
		return err
	}
	request, err := t.open(ctx)
	if err != nil {
		return err
	}
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx)) // so that the batch in hand can be finished
	stream := t.app.conn.tracking.Track(lasting)
	defer func() { hangUp(stream, cancel) }()
	s := newSession(t, stream, lasting)
	defer context.AfterFunc(ctx, s.stop)()
	if err := stream.Send(request); err != nil {
		_, received := stream.Receive()
		return ofServer(cmp.Or(received, err))
	}
	err = s.run(wait)
	t.unstored = s.unstored()
	return err
}

// storeUnstored makes up for a stream that was lost between the end of batches and the news that their position is stored.
// Otherwise they would be handled again.
func (t *tracker) storeUnstored(ctx context.Context) error {
	for len(t.unstored) > 0 {
		if err := t.store(ctx, t.unstored[0]); err != nil {
			return err
		}
		t.unstored = t.unstored[1:]
	}
	return nil
}

func (t *tracker) store(ctx context.Context, a advance) error {
	_, err := t.app.conn.tracking.StorePosition(ctx, connect.NewRequest(&fluxv1.StorePositionRequest{
		Log: t.table.log.String(), Consumer: string(t.name), LastIndex: int64(a.last),
		Segments: &fluxv1.SegmentRange{Start: int32(a.segments.Start), End: int32(a.segments.End)},
	}))
	if err == nil {
		return nil
	}
	return ofServer(err)
}

// keepsOwnPosition reports whether where to start is decided here rather than by the position that the server has.
func (t *tracker) keepsOwnPosition() bool {
	return t.LoadIndex != nil || t.table.log.Type == message.Notification
}

func (t *tracker) open(ctx context.Context) (*fluxv1.TrackRequest, error) {
	tracker := &fluxv1.Tracker{
		Log: t.table.log.String(), Consumer: string(t.name), TrackerId: t.id, ClientId: t.app.config.ClientID,
		Weight: int32(t.Trackers), TypeFilter: t.TypeFilter, MaxSize: int32(t.MaxBatch),
		FilterTarget: t.FilterTarget, IgnoreSegment: t.IgnoreSegment, SingleTracker: t.Single,
		ClientControlledIndex: t.LoadIndex != nil, PurgeTimeoutMs: t.PurgeTimeout.Milliseconds(),
	}
	last, err := t.start(ctx)
	if err != nil {
		return nil, err
	}
	if last != nil {
		tracker.LastIndex = (*int64)(last)
	}
	open := &fluxv1.TrackOpen{Tracker: tracker, Window: trackWindow}
	return &fluxv1.TrackRequest{Request: &fluxv1.TrackRequest_Open{Open: open}}, nil
}

// trackWindow is how many batches are fetched ahead: one is handled, one waits, and one is on its way.
const trackWindow = 4

// start returns the index after which to start; nil is up to the server.
func (t *tracker) start(ctx context.Context) (*message.Index, error) {
	switch {
	case t.LoadIndex != nil:
		last, err := t.LoadIndex(ctx)
		if err != nil {
			return nil, fmt.Errorf("loading the index: %w", err)
		}
		return &last, nil
	case t.last != nil:
		return t.last, nil
	case t.From.set:
		last := t.From.last
		return &last, nil
	}
	return nil, nil
}
