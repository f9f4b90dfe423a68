package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// jetStream is an embedded NATS server with a file store and one stream, reached over loopback as a client would.
type jetStream struct {
	server *natsserver.Server
}

const (
	peerStream  = "FLIGHTS"
	peerSubject = "flights"
	// peerPending is how many asynchronous publications of a connection may be unanswered.
	peerPending = 8192
)

func startJetStream(ctx context.Context, dir string, syncAlways bool) (*jetStream, error) {
	s, err := natsserver.NewServer(&natsserver.Options{
		Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: dir, SyncAlways: syncAlways, MaxPending: 256 << 20,
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return nil, errors.New("the embedded NATS server did not start")
	}
	p := &jetStream{s}
	err = p.with(func(js jetstream.JetStream) error {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{
			Name: peerStream, Subjects: []string{peerSubject}, Storage: jetstream.FileStorage,
		})
		return err
	})
	if err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *jetStream) stop() {
	p.server.Shutdown()
	p.server.WaitForShutdown()
}

// with calls f with a connection of its own.
func (p *jetStream) with(f func(jetstream.JetStream) error) error {
	nc, err := nats.Connect(p.server.ClientURL())
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(peerPending))
	if err != nil {
		return err
	}
	return f(js)
}

// publishAsync has each publisher, on a connection of its own, publish for the given time without waiting for each answer,
// and returns how many messages were acknowledged per second.
func (p *jetStream) publishAsync(ctx context.Context, payloads [][]byte, publishers int, d time.Duration) (float64, error) {
	var total atomic.Int64
	start := time.Now()
	err := inParallel(publishers, func(int) error {
		return p.with(func(js jetstream.JetStream) error {
			n := 0
			for ; n%64 != 0 || time.Since(start) < d; n++ {
				if _, err := js.PublishAsync(peerSubject, payloads[n%len(payloads)], jetstream.WithStallWait(10*time.Second)); err != nil {
					return err
				}
			}
			select {
			case <-js.PublishAsyncComplete():
			case <-ctx.Done():
				return ctx.Err()
			}
			total.Add(int64(n))
			return nil
		})
	})
	return float64(total.Load()) / time.Since(start).Seconds(), err
}

// publishSync has callers on one connection publish one message at a time, each waiting for its answer.
func (p *jetStream) publishSync(ctx context.Context, payloads [][]byte, callers int, d time.Duration) (latencies, float64, error) {
	var all latencies
	var rate float64
	err := p.with(func(js jetstream.JetStream) (err error) {
		all, rate, err = closedLoop(callers, d, func(caller, n int) error {
			_, err := js.Publish(ctx, peerSubject, payloads[(caller+n)%len(payloads)])
			return err
		})
		return err
	})
	return all, rate, err
}

// consumeOrdered reads n messages from the start of the stream with an ordered consumer and returns messages per second.
func (p *jetStream) consumeOrdered(ctx context.Context, n int) (float64, error) {
	var rate float64
	err := p.with(func(js jetstream.JetStream) error {
		consumer, err := js.OrderedConsumer(ctx, peerStream, jetstream.OrderedConsumerConfig{})
		if err != nil {
			return err
		}
		start, seen, done := time.Now(), 0, make(chan struct{})
		consuming, err := consumer.Consume(func(jetstream.Msg) {
			if seen++; seen == n {
				close(done)
			}
		}, jetstream.PullMaxMessages(peerPending))
		if err != nil {
			return err
		}
		defer consuming.Stop()
		select {
		case <-done:
			rate = float64(n) / time.Since(start).Seconds()
			return nil
		case <-ctx.Done():
			return fmt.Errorf("ordered consumer: %w", ctx.Err())
		}
	})
	return rate, err
}

// inParallel calls f for 0 to n-1 at the same time and returns the errors of all.
func inParallel(n int, f func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
