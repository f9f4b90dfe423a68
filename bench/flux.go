package main

import (
	"context"
	"time"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/message"
	"github.com/flux-go/flux/server"
)

// fluxServer is a Flux server on a directory of its own, in this process, reached over loopback as a client would.
type fluxServer struct {
	*server.Server
	remove func()
}

func startFlux(ctx context.Context, e *env) (*fluxServer, error) {
	dir, remove, err := e.tempDir()
	if err != nil {
		return nil, err
	}
	s, err := server.Start(ctx, server.Config{Dir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		remove()
		return nil, err
	}
	return &fluxServer{s, remove}, nil
}

func (s *fluxServer) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_ = s.Shutdown(ctx) // the directory goes away
	s.remove()
}

// with calls f with a connection of its own.
func (s *fluxServer) with(ctx context.Context, name string, f func(*flux.App) error) error {
	app, err := flux.Connect(ctx, flux.Config{Name: name, URL: s.URL()})
	if err != nil {
		return err
	}
	if err := f(app); err != nil {
		return err
	}
	return app.Close(ctx)
}

var eventLog = message.Log{Type: message.Event}

// publishBlocks has each publisher, on a connection of its own, publish for the given time, and returns how many messages
// reached the disk per second.
func (s *fluxServer) publishBlocks(ctx context.Context, e *env, publishers int, d time.Duration) (float64, error) {
	total := make([]int, publishers)
	start := time.Now()
	err := inParallel(publishers, func(i int) error {
		return s.with(ctx, "publisher", func(app *flux.App) error {
			pub := app.Publisher(eventLog, nil)
			n, err := send(ctx, pub, e.payloads, func(n int) bool { return time.Since(start) < d })
			total[i] = n
			return err
		})
	})
	sum := 0
	for _, n := range total {
		sum += n
	}
	return float64(sum) / time.Since(start).Seconds(), err
}

// send publishes flights until more, which is asked now and then, says no, and returns how many once all are on disk.
func send(ctx context.Context, pub *flux.Publisher, payloads [][]byte, more func(n int) bool) (n int, err error) {
	m := message.Message{Type: departureType}
	for ; n%1024 != 0 || more(n); n++ {
		m.Payload = payloads[n%len(payloads)]
		if err := pub.Send(ctx, &m); err != nil {
			return n, err
		}
	}
	return n, pub.Flush(ctx)
}

// fill publishes n messages, rounded up to whole blocks.
func (s *fluxServer) fill(ctx context.Context, e *env, n int) error {
	return s.with(ctx, "filler", func(app *flux.App) error {
		_, err := send(ctx, app.Publisher(eventLog, nil), e.payloads, func(sent int) bool { return sent < n })
		return err
	})
}
