package native

import (
	"context"
	"errors"
	"io"
	"sync"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/internal/tracking"
)

// trackStream is a stream of Track.
type trackStream = connect.BidiStream[fluxv1.TrackRequest, fluxv1.TrackResponse]

// Track serves the procedure of this name. Its own goroutine reads what the client has handled; one sends batches, another
// what was stored. The first of them to end ends all, and with them the session.
func (s trackingService) Track(ctx context.Context, stream *trackStream) error {
	open, err := receiveOpen(stream)
	if err != nil {
		return s.endOf(err)
	}
	tracker, err := readTracker(ctx, open.GetTracker())
	if err != nil {
		return err
	}
	session, err := s.tracking.Open(ctx, tracker, int(open.GetWindow()))
	if err != nil {
		return err
	}
	defer session.Close()
	t := &trackings{stream: stream, writer: streamWriterOf(ctx), session: session}
	return s.endOf(t.run(ctx))
}

// endOf returns why a stream ended; reading fails for no other reason once the service closes.
func (s *Service) endOf(err error) error {
	if s.closing.Err() != nil {
		return errClosing
	}
	return err
}

func receiveOpen(stream *trackStream) (*fluxv1.TrackOpen, error) {
	first, err := stream.Receive()
	if errors.Is(err, io.EOF) || err == nil && first.GetOpen() == nil {
		return nil, invalid("the first request of the stream is not open")
	}
	return first.GetOpen(), err
}

// trackings is a Track under way.
type trackings struct {
	stream  *trackStream
	writer  *streamWriter
	session *tracking.Session
	sending sync.Mutex
}

// run returns when the client ends the stream, or with the first error.
func (t *trackings) run(ctx context.Context) error {
	// Headers tell the client that its tracker has joined.
	if err := t.send(nil); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	for _, send := range []func(context.Context) error{t.sendBatches, t.sendStored} {
		wg.Go(func() {
			if err := send(ctx); ctx.Err() == nil {
				cancel(err)
				t.writer.endReading()
			}
		})
	}
	err := t.receive()
	cancel(err)
	wg.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// receive reads what the client has handled until it ends the stream.
func (t *trackings) receive() error {
	for {
		request, err := t.stream.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		handled := request.GetHandled()
		if handled == nil {
			return invalid("a request of the stream that is not handled")
		}
		if err := t.session.Handled(handled.GetBatch(), handled.GetPositionKept()); err != nil {
			return err
		}
	}
}

func (t *trackings) sendBatches(ctx context.Context) error {
	for {
		batch, err := t.session.Next(ctx)
		if err != nil {
			return err
		}
		out := &fluxv1.Batch{
			Id: batch.ID, Segments: writeSegments(batch.Segments), Chunks: writeChunks(batch.Chunks), LastIndex: writeIndex(batch.Last),
			Position: writePosition(batch.Position.In(batch.Segments)), CaughtUp: batch.CaughtUp,
		}
		if err := t.send(&fluxv1.TrackResponse{Response: &fluxv1.TrackResponse_Batch{Batch: out}}); err != nil {
			return err
		}
	}
}

func (t *trackings) sendStored(ctx context.Context) error {
	for {
		select {
		case id := <-t.session.Stored():
			if err := t.send(&fluxv1.TrackResponse{Response: &fluxv1.TrackResponse_Stored{Stored: id}}); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *trackings) send(response *fluxv1.TrackResponse) error {
	t.sending.Lock()
	defer t.sending.Unlock()
	return t.stream.Send(response)
}
