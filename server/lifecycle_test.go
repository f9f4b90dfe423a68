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
	"github.com/flux-go/flux/message"
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

// publisher sends numbered transactions of one message, and sends again on the next stream what was not answered.
type publisher struct {
	producer []byte
	next     uint64              // number of the next transaction that was never sent
	open     map[uint64]struct{} // sent and not answered
	answered int
}

// run publishes over one stream until it ends, and returns why.
func (p *publisher) run(ctx context.Context, client fluxv1connect.LogServiceClient, block []byte) error {
	stream := client.Publish(ctx)
	window, ended := make(chan struct{}, 64), make(chan struct{})
	var mu sync.Mutex
	go func() {
		defer stream.CloseRequest() //nolint:errcheck // the stream has ended
		for sequence := p.lowest(&mu); ; sequence++ {
			select {
			case window <- struct{}{}:
			case <-ended:
				return
			}
			mu.Lock()
			_, sent := p.open[sequence]
			again := sent || sequence >= p.next
			if again {
				p.open[sequence], p.next = struct{}{}, max(p.next, sequence+1)
			}
			mu.Unlock()
			if !again {
				<-window
				continue
			}
			tx := &fluxv1.Transaction{Appends: []*fluxv1.LogAppend{{Log: "event", Blocks: block}}}
			request := &fluxv1.PublishRequest{
				Producer: p.producer, Sequence: sequence, AnsweredThrough: p.lowest(&mu) - 1, Transaction: tx,
			}
			if stream.Send(request) != nil {
				return
			}
		}
	}()
	defer close(ended)
	for {
		answer, err := stream.Receive()
		if err != nil {
			return err
		}
		if answer.GetError() != nil {
			return errors.New(answer.GetError().GetMessage())
		}
		mu.Lock()
		delete(p.open, answer.GetSequence())
		p.answered++
		mu.Unlock()
		<-window
	}
}

func (p *publisher) lowest(mu *sync.Mutex) uint64 {
	mu.Lock()
	defer mu.Unlock()
	lowest := p.next
	for sequence := range p.open {
		lowest = min(lowest, sequence)
	}
	return lowest
}

// The server is shut down in the middle of publishing, several times; the publisher sends again what was not answered.
func TestNothingIsLostOrRepeatedOverShutdownsUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one := block(t, 1, "m", message.LZ4)
	p := &publisher{producer: []byte("0123456789abcdef"), next: 1, open: map[uint64]struct{}{}}
	for range 5 {
		s, err := server.Start(context.Background(), server.Config{Dir: dir, Listen: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		client := logClient(t, s)
		ended := make(chan error, 1)
		target := p.answered + 200
		go func() { ended <- p.run(t.Context(), client, one) }()
		watch := logClient(t, s)
		eventually(t, "published under load", func() bool {
			answer, err := watch.ListLogs(t.Context(), connect.NewRequest(&fluxv1.ListLogsRequest{}))
			return err == nil && len(answer.Msg.GetLogs()) == 1 && int(answer.Msg.GetLogs()[0].GetAppendedMessages()) > target
		})
		if err := s.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantCode(t, next(t, "end of the stream", ended), connect.CodeUnavailable, "closing")
	}
	s := start(t, server.Config{Dir: dir})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sent := p.next - 1
	resent := make(chan error, 1)
	client := logClient(t, s)
	go func() { resent <- p.run(ctx, client, one) }()
	// The stream goes on with new messages; they come after those that are sent again.
	eventually(t, "all were stored", func() bool {
		logs := mustPost(t, s, fluxv1connect.LogServiceListLogsProcedure, `{}`)["logs"].([]any)
		n, err := strconv.ParseUint(logs[0].(map[string]any)["appendedMessages"].(string), 10, 64)
		return err == nil && n > sent+100
	})
	cancel()
	<-resent
	if uint64(p.answered+len(p.open)) != p.next-1 {
		t.Fatalf("%d answered and %d open of %d", p.answered, len(p.open), p.next-1)
	}
	if n := countLog(t, s); n < p.answered || n > int(p.next-1) {
		t.Errorf("%d messages are stored, %d were answered of %d", n, p.answered, p.next-1)
	}
}

// countLog returns the number of messages in the log of events.
func countLog(t *testing.T, s *server.Server) int {
	t.Helper()
	client, n := logClient(t, s), 0
	request := &fluxv1.ReadRequest{Log: "event", MaxSize: 10_000}
	for {
		answer, err := client.Read(t.Context(), connect.NewRequest(request))
		if err != nil {
			t.Fatal(err)
		}
		if n += len(answer.Msg.GetMessages()); answer.Msg.GetCaughtUp() {
			return n
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
