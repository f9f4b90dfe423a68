package flux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

// session is the stream of a tracker with the goroutines that handle what comes over it:
//
//	stream ─► receive ─► workers, each for its segments ─► report ─► stream
//
// Every worker goes through the batches in order, for the messages of its own segments, so that the order within a segment is
// kept across batches and nobody waits for the slowest. A batch is settled when all workers are done with it and all that
// its handlers published is on disk; batches are reported in order.
//
// Invariants:
//
//	T1  Messages of a segment are handled one at a time, in the order of their indexes.
//	T2  The position passes a batch only after each of its messages was handled and what was published meanwhile is stored.
//	T3  Once a session stops, the batches that were started are finished and no others are started.
type session struct {
	*tracker
	stream  trackStream
	ctx     context.Context // of handlers
	workers []chan *batch
	batches batchPool
	aborted atomic.Bool   // handlers are not to be called any more
	stopped chan struct{} // closed when no further batch is to be started
	settled chan struct{} // holds a signal for report
	saved   chan struct{} // holds a signal that storedTo has changed

	mu struct {
		sync.Mutex
		stopping  bool
		draining  bool      // the workers are gone
		started   uint64    // the last batch that a worker has started
		open      []*batch  // received and not reported, in order
		reported  uint64    // the last batch that was reported
		storedTo  uint64    // the last batch whose position is on disk
		advances  []advance // reported, but not known to be on disk
		deaf      bool      // nothing more is received, so that it will not be known
		committed message.Position
		err       error // the first that ended the session from within
	}
}

func newSession(t *tracker, stream trackStream, ctx context.Context) *session {
	s := &session{
		tracker: t, stream: stream, ctx: ctx,
		stopped: make(chan struct{}), settled: make(chan struct{}, 1), saved: make(chan struct{}, 1),
		batches: batchPool{workers: t.Trackers},
	}
	for range t.Trackers {
		s.workers = append(s.workers, make(chan *batch, trackWindow))
	}
	return s
}

// run handles what comes until the stream breaks, the session fails or stop is called. Then it finishes what was started,
// within the stop timeout.
func (s *session) run(wait *backoff) error {
	var working sync.WaitGroup
	for i := range s.workers {
		working.Go(func() { s.work(i) })
	}
	reporting := make(chan struct{})
	go func() { s.report(); close(reporting) }()
	broken := make(chan error, 1)
	go func() { broken <- s.receive(wait) }()

	var err error
	select {
	case err = <-broken:
		s.stop()
	case <-s.stopped:
	}
	finishing, cancel := context.WithTimeoutCause(context.WithoutCancel(s.ctx), s.app.config.StopTimeout, errStopTimeout)
	defer cancel()
	if late := s.finish(finishing, &working, reporting, err == nil); late != nil {
		s.aborted.Store(true)
		s.app.log.Error("tracking: stopped in the middle of a batch", "error", s.explain(late))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return firstError(s.mu.err, err)
}

var errStopTimeout = errors.New("handlers were not done within the stop timeout")

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// stop lets no further batch start.
func (s *session) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopLocked()
}

func (s *session) stopLocked() {
	if !s.mu.stopping {
		s.mu.stopping = true
		close(s.stopped)
	}
}

// fail ends the session with an error. No handler is called any more.
func (s *session) fail(err error) {
	s.aborted.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.err == nil {
		s.mu.err = err
	}
	s.stopLocked()
}

// finish waits until the workers are gone, what they have handled is reported and, if the stream is alive, stored.
func (s *session) finish(ctx context.Context, working *sync.WaitGroup, reporting chan struct{}, alive bool) error {
	idle := make(chan struct{})
	go func() { working.Wait(); close(idle) }()
	if err := waitFor(ctx, idle); err != nil {
		return err
	}
	s.drain()
	if err := waitFor(ctx, reporting); err != nil || !alive {
		return err
	}
	for {
		s.mu.Lock()
		stored := len(s.mu.advances) == 0 || s.mu.deaf
		s.mu.Unlock()
		if stored {
			return nil
		}
		if err := waitFor(ctx, s.saved); err != nil {
			return err
		}
	}
}

func waitFor(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// drain drops the batches that were never started, now that the workers are gone.
func (s *session) drain() {
	s.mu.Lock()
	for n := len(s.mu.open); n > 0 && s.mu.open[n-1].id > s.mu.started; n-- {
		s.mu.open = s.mu.open[:n-1]
	}
	s.mu.draining = true
	s.mu.Unlock()
	signal(s.settled)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// receivedLast notes that nothing more is received, for those who wait for positions to be stored.
func (s *session) receivedLast() {
	s.mu.Lock()
	s.mu.deaf = true
	s.mu.Unlock()
	signal(s.saved)
}

// receive takes what the server sends, and returns why there is no more.
func (s *session) receive(wait *backoff) error {
	defer s.receivedLast()
	for {
		response, err := s.stream.Receive()
		switch {
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%w: it ended the stream", ErrUnavailable)
		case err != nil:
			return ofServer(err)
		}
		wait.reset()
		switch r := response.GetResponse().(type) {
		case *fluxv1.TrackResponse_Batch:
			if err := s.dispatch(r.Batch); err != nil {
				return err
			}
		case *fluxv1.TrackResponse_Stored:
			s.markStored(r.Stored)
		}
	}
}

// dispatch hands a batch to the workers that have messages in it, all at once: a batch that one of them has started has
// reached all.
func (s *session) dispatch(received *fluxv1.Batch) error {
	b, err := s.batches.take(received)
	if err != nil {
		return err
	}
	if s.Until > 0 && b.last >= s.Until-1 {
		b.end, b.last = true, s.Until-1
	}
	concerned := b.workers(len(s.workers))
	b.pending.Store(int32(len(concerned)) + 1)
	s.mu.Lock()
	if s.mu.stopping {
		s.mu.Unlock()
		return nil
	}
	if len(concerned) == 0 {
		s.mu.started = b.id // there is nothing to start
	}
	s.mu.open = append(s.mu.open, b)
	for _, i := range concerned {
		s.workers[i] <- b // has room for the whole window
	}
	s.mu.Unlock()
	s.done(b)
	return nil
}

// begin reports whether a worker may start on a batch.
func (s *session) begin(b *batch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.stopping && b.id > s.mu.started {
		return false
	}
	s.mu.started = max(s.mu.started, b.id)
	return true
}

// done counts down what a batch waits for.
func (s *session) done(b *batch) {
	if b.pending.Add(-1) == 0 {
		signal(s.settled)
	}
}

func (s *session) markStored(batch uint64) {
	s.mu.Lock()
	s.mu.storedTo = max(s.mu.storedTo, batch)
	for len(s.mu.advances) > 0 && s.mu.advances[0].batch <= s.mu.storedTo {
		s.mu.advances = s.mu.advances[1:]
	}
	s.mu.Unlock()
	signal(s.saved)
}

// unstored returns the steps that may not be on disk.
func (s *session) unstored() []advance {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keepsOwnPosition() {
		return nil
	}
	return s.mu.advances
}
