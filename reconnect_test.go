package flux_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/message"
	"github.com/flux-go/flux/server"
)

// proxy forwards TCP connections to a server, and cuts each after so many bytes as lifetime says.
type proxy struct {
	listener net.Listener
	target   string
	lifetime func() int64 // bytes; 0 is for ever
	cuts     atomic.Int64
	group    sync.WaitGroup
}

func startProxy(t testing.TB, url string, lifetime func() int64) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, target: strings.TrimPrefix(url, "http://"), lifetime: lifetime}
	p.group.Go(p.serve)
	t.Cleanup(func() { listener.Close(); p.group.Wait() })
	return p
}

func (p *proxy) url() string { return "http://" + p.listener.Addr().String() }

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		left := new(atomic.Int64)
		left.Store(p.lifetime())
		p.forward(client, server, left)
		p.forward(server, client, left)
	}
}

// forward copies until the lifetime of the connection is over, then closes both sides.
func (p *proxy) forward(to, from net.Conn, left *atomic.Int64) {
	limited := left.Load() > 0
	p.group.Go(func() {
		defer to.Close()
		defer from.Close()
		buffer := make([]byte, 512)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			if limited && left.Add(int64(-n)) < 0 {
				p.cuts.Add(1)
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
	})
}

// lifetimes returns random lifetimes of connections, after the first n of which they live for ever.
func lifetimes(n int, lowest, highest int64) func() int64 {
	random := rand.New(rand.NewPCG(7, 11))
	return func() int64 {
		if n--; n < 0 {
			return 0
		}
		return lowest + random.Int64N(highest-lowest)
	}
}

// checkNumbers fails the test unless the payloads are the numbers from 0 up in their order.
func checkNumbers(t testing.TB, payloads []string) {
	t.Helper()
	for i, payload := range payloads {
		if payload != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, payload)
		}
	}
}

func number(i int) *message.Message { return &message.Message{Type: "n", Payload: fmt.Append(nil, i)} }

func TestLostConnectionsLoseNoMessageAndRepeatNone(t *testing.T) {
	t.Parallel()
	const n = 5000
	url := startServer(t, "").URL()
	cutting := startProxy(t, url, lifetimes(20, 1500, 6000))
	// A small window, so that each connection lives long enough to get some answers.
	pub := connect(t, cutting.url(), flux.Config{WindowBytes: 1000}).Publisher(events, &flux.PublisherOptions{BlockMessages: 11})
	for i := range n {
		if err := pub.Send(within(t), number(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := pub.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	if cutting.cuts.Load() < 10 {
		t.Errorf("only %d cuts", cutting.cuts.Load())
	}
	app := connect(t, url, flux.Config{})
	if _, err := app.Append(within(t), events, number(n)); err != nil {
		t.Fatal(err)
	}
	checkNumbers(t, readAll(t, url, events, n+1))
}

// TestLostConnectionsLoseNoChangeAndRepeatNone has many callers whose changes go in frames together, some of which are refused.
// A change that took effect twice would make its caller's next one fail, for each names the event that it expects.
func TestLostConnectionsLoseNoChangeAndRepeatNone(t *testing.T) {
	t.Parallel()
	const callers, n = 40, 25
	url := startServer(t, "").URL()
	cutting := startProxy(t, url, lifetimes(20, 9000, 30_000)) // a frame is up to about 8000
	app, ctx := connect(t, cutting.url(), flux.Config{}), within(t)
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			aggregate := fmt.Sprint("aggregate-", caller)
			for i := range n {
				last, wrong := int64(i)-1, int64(i)
				if _, err := app.AppendEvents(ctx, aggregate, &flux.AppendOptions{IfLast: &wrong}, number(-1)); !errors.Is(err, flux.ErrConflict) {
					t.Errorf("%s: event %d on a wrong condition: %v", aggregate, i, err)
				}
				if first, err := app.AppendEvents(ctx, aggregate, &flux.AppendOptions{IfLast: &last}, number(i)); err != nil || first != last+1 {
					t.Errorf("%s: event %d is %d, %v", aggregate, i, first, err)
				}
				if put, err := flux.PutValueIfAbsent(ctx, app, fmt.Sprint(aggregate, ".", i), i); err != nil || !put {
					t.Errorf("%s: value %d was put: %v, %v", aggregate, i, put, err)
				}
			}
		})
	}
	group.Wait()
	if cutting.cuts.Load() < 10 {
		t.Errorf("only %d cuts", cutting.cuts.Load())
	}
	reader := connect(t, url, flux.Config{})
	for caller := range callers {
		var payloads []string
		for m, err := range reader.Events(ctx, fmt.Sprint("aggregate-", caller), flux.NoEvents) {
			if err != nil {
				t.Fatal(err)
			}
			payloads = append(payloads, string(m.Payload))
		}
		if checkNumbers(t, payloads); len(payloads) != n {
			t.Errorf("aggregate %d has %d events, want %d", caller, len(payloads), n)
		}
	}
	if got := readAll(t, url, events, callers*n); len(got) != callers*n {
		t.Errorf("%d events were published, want %d", len(got), callers*n)
	}
}

func TestLostConnectionsHandleEachMessageInOrder(t *testing.T) {
	t.Parallel()
	const n = 2000
	url := startServer(t, "").URL()
	pub := connect(t, url, flux.Config{}).Publisher(events, &flux.PublisherOptions{BlockMessages: 5})
	for i := range n {
		if err := pub.Send(within(t), number(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := pub.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	cutting := startProxy(t, url, lifetimes(30, 500, 4000))
	app := connect(t, cutting.url(), flux.Config{})
	handled := collect[string](n)
	consumer := flux.Consumer{From: flux.Beginning, MaxBatch: 20}
	flux.HandleRaw(app.Consumer("c", consumer), events, func(_ context.Context, m *message.Message) error {
		handled.add(string(m.Payload))
		return nil
	})
	run(t, app)
	checkNumbers(t, handled.wait(t))
	if cutting.cuts.Load() < 5 {
		t.Errorf("only %d cuts", cutting.cuts.Load())
	}
}

func TestLostConnectionsLoseNoAnswer(t *testing.T) {
	t.Parallel()
	url := startServer(t, "").URL()
	cutting := startProxy(t, url, lifetimes(20, 1000, 5000))
	service := connect(t, cutting.url(), flux.Config{Name: "service"})
	flux.HandleCommand(service, add)
	run(t, service)
	app := connect(t, cutting.url(), flux.Config{Name: "caller"})
	for i := range 100 {
		if sum, err := flux.Ask(within(t), app, addNumbers{A: i, B: 1}); err != nil || sum != i+1 {
			t.Fatalf("%d+1 is %d, %v", i, sum, err)
		}
	}
	if cutting.cuts.Load() < 5 {
		t.Errorf("only %d cuts", cutting.cuts.Load())
	}
}

func TestRestartsOfTheServerLoseNoMessageAndRepeatNone(t *testing.T) {
	t.Parallel()
	const n, restarts = 3000, 4
	dir := t.TempDir()
	s, err := server.Start(t.Context(), server.Config{Dir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(s.URL(), "http://")
	app := connect(t, s.URL(), flux.Config{})
	pub := app.Publisher(events, &flux.PublisherOptions{BlockMessages: 3})
	handled := collect[string](n)
	reader := connect(t, s.URL(), flux.Config{})
	flux.HandleRaw(reader.Consumer("c", flux.Consumer{From: flux.Beginning}), events, func(_ context.Context, m *message.Message) error {
		handled.add(string(m.Payload))
		return nil
	})
	run(t, reader)
	for i := range n {
		if i%(n/restarts) == n/restarts/2 {
			s = restart(t, s, server.Config{Dir: dir, Listen: address})
		}
		if err := pub.Send(within(t), number(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := pub.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	checkNumbers(t, handled.wait(t))
	t.Cleanup(func() { shutdown(t, s) })
}

// restart ends a server, without waiting for anything that is under way, and starts another one in its place.
func restart(t *testing.T, s *server.Server, c server.Config) *server.Server {
	t.Helper()
	shutdown(t, s)
	s, err := server.Start(context.WithoutCancel(t.Context()), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func shutdown(t *testing.T, s *server.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
}
