package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/message"
)

var consumeRows = []row{
	{"P3", "publish → durable → handler, 10 k/s", "p50 ≤ 1 ms, p99 ≤ 5 ms", benchLatency},
	{"P4", "consume through a handler, 8 trackers", "≥ 5 M/s, ≥ 8×; ≥ 800 k/s decoding", benchConsume},
}

// latencyRate is how many messages per second benchLatency publishes.
const latencyRate = 10_000

// benchLatency publishes at a steady rate and measures from before the call to the handler.
func benchLatency(ctx context.Context, e *env) ([]result, error) {
	s, err := startFlux(ctx, e)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	log := message.Log{Type: message.Custom, Topic: "latency"}
	n := int(e.period().Seconds() * latencyRate)
	sent := make([]time.Time, n)
	took := make(latencies, n)
	var handled atomic.Int64
	done := make(chan struct{})
	err = s.with(ctx, "latency", func(app *flux.App) error {
		flux.HandleRaw(app.Consumer("latency", flux.Consumer{From: flux.Beginning}), log, func(_ context.Context, m *message.Message) error {
			i := m.Revision // the number of the message
			took[i] = time.Since(sent[i])
			if handled.Add(1) == int64(n) {
				close(done)
			}
			return nil
		})
		return alongside(ctx, app, func(ctx context.Context) error {
			return publishSteadily(ctx, app, log, e.payloads, sent, done)
		})
	})
	if err != nil {
		return nil, err
	}
	r := result{
		What:  "publish → durable → handler, 10 k/s, p50",
		Value: float64(took.percentile(0.5).Microseconds()), Unit: "µs", Settings: fmt.Sprintf("%d messages, each in a call of its own", n),
	}
	return []result{r.timed(took)}, nil
}

// publishSteadily publishes one message for each place of sent, evenly at latencyRate, notes when, and waits for done.
func publishSteadily(ctx context.Context, app *flux.App, log message.Log, payloads [][]byte, sent []time.Time, done <-chan struct{}) error {
	var calls sync.WaitGroup
	var failed atomic.Pointer[error]
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	start := time.Now()
	for n := 0; n < len(sent); {
		<-tick.C
		for due := int(time.Since(start).Seconds() * latencyRate); n < min(due, len(sent)); n++ {
			m := &message.Message{Type: departureType, Revision: int32(n), Payload: payloads[n%len(payloads)]}
			sent[n] = time.Now()
			calls.Go(func() {
				if _, err := app.Append(ctx, log, m); err != nil {
					failed.Store(&err)
				}
			})
		}
	}
	calls.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	select {
	case <-done:
		return nil
	case <-time.After(10 * time.Second):
		return fmt.Errorf("not all messages were handled")
	}
}

// alongside runs the handlers of an app while f runs, and returns the errors of both.
func alongside(ctx context.Context, app *flux.App, f func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return inParallel(2, func(i int) error {
		defer cancel()
		if i == 0 {
			return app.Run(ctx)
		}
		return f(ctx)
	})
}

func benchConsume(ctx context.Context, e *env) ([]result, error) {
	s, err := startFlux(ctx, e)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	n := e.count(20_000_000)
	if err := s.fill(ctx, e, n); err != nil {
		return nil, err
	}
	raw, err := s.consume(ctx, n, "raw", func(h *flux.Handlers, seen func()) {
		flux.HandleRaw(h, eventLog, func(context.Context, *message.Message) error { seen(); return nil })
	})
	if err != nil {
		return nil, err
	}
	decoded, err := s.consume(ctx, n/4, "decoding", func(h *flux.Handlers, seen func()) {
		flux.HandleEvent(h, func(context.Context, departure) error { seen(); return nil })
	})
	if err != nil {
		return nil, err
	}
	peer, err := peerConsume(ctx, e)
	settings := fmt.Sprintf("%d messages from the beginning of the log, consumer with 8 trackers", n)
	return []result{
		result{What: "consume through a handler, 8 trackers", Value: raw, Unit: "msg/s", Settings: settings}.
			against("JetStream ordered consumer", peer),
		{What: "the same, decoding JSON into a struct", Value: decoded, Unit: "msg/s", Settings: settings},
	}, err
}

// consume reads n messages from the beginning of the event log with a new consumer, and returns messages per second.
func (s *fluxServer) consume(ctx context.Context, n int, name message.ConsumerName, handle func(h *flux.Handlers, seen func())) (rate float64, err error) {
	err = s.with(ctx, string(name), func(app *flux.App) error {
		var count counter
		done := make(chan struct{})
		settings := flux.Consumer{From: flux.Beginning, Trackers: 8}
		handle(app.Consumer(name, settings), func() {
			if count.next() == int64(n) {
				close(done)
			}
		})
		start := time.Now()
		return alongside(ctx, app, func(ctx context.Context) error {
			select {
			case <-done:
				rate = float64(n) / time.Since(start).Seconds()
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	return rate, err
}

// counter counts what several goroutines see.
type counter struct{ n atomic.Int64 }

func (c *counter) next() int64 { return c.n.Add(1) }

func peerConsume(ctx context.Context, e *env) (float64, error) {
	dir, remove, err := e.tempDir()
	if err != nil {
		return 0, err
	}
	defer remove()
	p, err := startJetStream(ctx, dir, false)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	rate, err := p.publishAsync(ctx, e.payloads, 2, e.period())
	if err != nil {
		return 0, err
	}
	return p.consumeOrdered(ctx, int(rate*e.period().Seconds()*0.9))
}
