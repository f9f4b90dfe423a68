package server_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/server"
)

func TestShutdownIsIdempotentWhoeverCallsIt(t *testing.T) {
	t.Parallel()
	for range 30 {
		ctx, cancel := context.WithCancel(context.Background())
		s, err := server.Start(ctx, server.Config{Listen: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				if i == 0 {
					cancel()
				}
				if i == 1 {
					<-s.Done()
				}
				if err := s.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
				if err := s.Wait(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if _, err := http.Get(s.URL() + "/health"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("still there: %v", err)
		}
		cancel()
	}
}

func TestSecondServerOnAPortOrADirectoryIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, server.Config{Dir: dir})
	if _, err := server.Start(t.Context(), server.Config{Listen: s.Addr().String()}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("same port: %v", err)
	}
	if _, err := server.Start(t.Context(), server.Config{Dir: dir, Listen: "127.0.0.1:0"}); !errors.Is(err, engine.ErrInUse) {
		t.Errorf("same directory: %v", err)
	}
	mustPost(t, s, fluxv1connect.LogServiceAppendProcedure, `{"log":"event","messages":[{"type":"a"}]}`)
}

// publisher sends numbered transactions of one message, whose type is the number, and sends again on the next stream what was not answered.
type publisher struct {
	producer []byte
	mu       struct {
		sync.Mutex
		next     uint64              // number of the next transaction that was never sent
		open     map[uint64]struct{} // sent and not answered
		answered uint64
	}
}

func newPublisher() *publisher {
	p := &publisher{producer: []byte("0123456789abcdef")}
	p.mu.next, p.mu.open = 1, make(map[uint64]struct{})
	return p
}

// run publishes over one stream until it ends, and returns why.
func (p *publisher) run(ctx context.Context, client fluxv1connect.LogServiceClient) error {
	ctx, cancel := context.WithCancel(ctx)
	stream := client.Publish(ctx)
	window := make(chan struct{}, 64)
	var sending sync.WaitGroup
	sending.Go(func() { p.send(ctx, stream, window) })
	defer sending.Wait()
	defer cancel()
	for {
		answer, err := stream.Receive()
		if err != nil {
			return err
		}
		if answer.GetError() != nil {
			return errors.New(answer.GetError().GetMessage())
		}
		p.mu.Lock()
		delete(p.mu.open, answer.GetSequence())
		p.mu.answered++
		p.mu.Unlock()
		<-window
	}
}

type publishStream = connect.BidiStreamForClient[fluxv1.PublishRequest, fluxv1.PublishResponse]

// send sends what is open, then more and more.
func (p *publisher) send(ctx context.Context, stream *publishStream, window chan struct{}) {
	for sequence := p.lowest(); ; sequence++ {
		if !p.take(sequence) {
			continue
		}
		select {
		case window <- struct{}{}:
		case <-ctx.Done():
			return
		}
		messages := []*fluxv1.Message{{Type: strconv.FormatUint(sequence, 10)}}
		err := stream.Send(&fluxv1.PublishRequest{
			Producer: p.producer, Sequence: sequence, AnsweredThrough: p.lowest() - 1,
			Transaction: &fluxv1.Transaction{Appends: []*fluxv1.LogAppend{{Log: "event", Messages: messages}}},
		})
		if err != nil {
			return
		}
	}
}

// lowest is the lowest number that was not answered.
func (p *publisher) lowest() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	lowest := p.mu.next
	for sequence := range p.mu.open {
		lowest = min(lowest, sequence)
	}
	return lowest
}

// take opens a number, and returns false when it was answered before.
func (p *publisher) take(sequence uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, open := p.mu.open[sequence]; !open && sequence < p.mu.next {
		return false
	}
	p.mu.open[sequence] = struct{}{}
	p.mu.next = max(p.mu.next, sequence+1)
	return true
}

// counts returns how many transactions were sent, at least once, and how many were answered.
func (p *publisher) counts() (sent, answered uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.next - 1, p.mu.answered
}

// The server is shut down in the middle of publishing, several times; the publisher sends again what was not answered.
func TestNothingIsLostOrRepeatedOverShutdownsUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := newPublisher()
	for range 5 {
		s, err := server.Start(context.Background(), server.Config{Dir: dir, Listen: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		_, before := p.counts()
		ended := make(chan error, 1)
		go func() { ended <- p.run(t.Context(), logClient(t, s)) }()
		eventually(t, "many were answered", func() bool {
			_, answered := p.counts()
			return answered > before+200
		})
		if err := s.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantCode(t, next(t, "end of the stream", ended), connect.CodeUnavailable, "closing")
	}
	s := start(t, server.Config{Dir: dir})
	ctx, cancel := context.WithCancel(t.Context())
	sentBefore, _ := p.counts()
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx, logClient(t, s)) }()
	eventually(t, "all was sent again, and answered", func() bool { return p.lowest() > sentBefore })
	cancel()
	next(t, "end of the stream", ended)
	sent, answered := p.counts()
	types := readTypes(t, s)
	for i, got := range types {
		if want := strconv.Itoa(i + 1); got != want {
			t.Fatalf("message %s is stored where %s should be", got, want)
		}
	}
	if stored := uint64(len(types)); stored < answered || stored > sent {
		t.Errorf("%d messages are stored, %d were answered of %d", stored, answered, sent)
	}
}

// readTypes returns the types of all events.
func readTypes(t *testing.T, s *server.Server) []string {
	t.Helper()
	client := logClient(t, s)
	request := &fluxv1.ReadRequest{Log: "event", MaxSize: 10_000}
	var types []string
	for {
		answer, err := client.Read(t.Context(), connect.NewRequest(request))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range answer.Msg.GetMessages() {
			types = append(types, m.GetType())
		}
		if answer.Msg.GetCaughtUp() {
			return types
		}
		request.Start = &fluxv1.ReadRequest_MinIndex{MinIndex: answer.Msg.GetNextIndex()}
	}
}

func TestShutdownEndsWaitingCallsAndStreams(t *testing.T) {
	t.Parallel()
	s, err := server.Start(context.Background(), server.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	polled := make(chan error, 1)
	tracking := fluxv1connect.NewTrackingServiceClient(h2(t), s.URL())
	go func() {
		_, err := tracking.Poll(t.Context(), connect.NewRequest(&fluxv1.PollRequest{
			Tracker: &fluxv1.Tracker{Log: "event", Consumer: "c", TrackerId: "t"}, MaxWaitMs: 60_000,
		}))
		polled <- err
	}()
	tracked := track(t, s, &fluxv1.Tracker{Log: "event", Consumer: "d", TrackerId: "t"})
	results, err := logClient(t, s).Results(t.Context(), connect.NewRequest(&fluxv1.ResultsRequest{ClientId: "c"}))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "both trackers are there", func() bool {
		return mustPost(t, s, fluxv1connect.AdminServiceInfoProcedure, `{}`)["trackers"] == float64(2)
	})
	began := time.Now()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("shutdown took %s", took)
	}
	wantCode(t, next(t, "end of the poll", polled), connect.CodeUnavailable, "closing")
	wantCode(t, next(t, "end of the stream", tracked.ended), connect.CodeUnavailable, "closing")
	for results.Receive() {
	}
	wantCode(t, results.Err(), connect.CodeUnavailable, "closing")
}

func TestShutdownCutsOffWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	s, err := server.Start(context.Background(), server.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	// A body that does not end keeps its call under way.
	body, more := io.Pipe()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+fluxv1connect.LogServiceAppendProcedure, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	failed := make(chan error, 1)
	go func() {
		_, err := http.DefaultClient.Do(request)
		failed <- err
	}()
	if _, err := more.Write([]byte(`{"log":`)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	_ = more.CloseWithError(errors.New("given up"))
	if next(t, "end of the call", failed) == nil {
		t.Error("the call was answered")
	}
}
