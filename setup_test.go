package flux_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/message"
	"github.com/flux-go/flux/server"
)

// startServer returns a server in memory that ends with the test, or with a directory in dir.
func startServer(t testing.TB, dir string) *server.Server {
	t.Helper()
	s, err := server.Start(context.WithoutCancel(t.Context()), server.Config{Dir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return s
}

// connect returns an app that is closed with the test.
func connect(t testing.TB, url string, c flux.Config) *flux.App {
	t.Helper()
	c.URL = url
	if c.Name == "" {
		c.Name = "test"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelError + 1}))
	}
	app, err := flux.Connect(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := app.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return app
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}

// run runs the app until the returned function is called, or the test ends.
func run(t testing.TB, app *flux.App) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx) }()
	var stopped bool
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if err := stop(); err != nil && !errors.Is(err, flux.ErrClosed) {
			t.Errorf("run: %v", err)
		}
	})
	return stop
}

// within returns a context for waits that a test would otherwise hang in.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// receive returns the next value, or fails the test.
func receive[T any](t testing.TB, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-within(t).Done():
		t.Fatal("nothing came")
	}
	return v
}

var events = message.Log{Type: message.Event}

// exchange publishes a request as it is and returns the message that answers it.
func exchange(t testing.TB, url string, log message.Log, request *message.Message, answers message.Log) *message.Message {
	t.Helper()
	gateway := connect(t, url, flux.Config{})
	answered := make(chan *message.Message, 1)
	consumer := flux.Consumer{FilterTarget: true, IgnoreSegment: true}
	flux.HandleRaw(gateway.Consumer(message.ConsumerName(gateway.ClientID()), consumer), answers, func(_ context.Context, m *message.Message) error {
		answered <- m.Clone()
		return nil
	})
	run(t, gateway)
	request.Source, request.Request = gateway.ClientID(), message.NewRequestID(7)
	if _, err := gateway.Append(within(t), log, request); err != nil {
		t.Fatal(err)
	}
	return receive(t, answered)
}
