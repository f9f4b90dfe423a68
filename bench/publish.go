package main

import (
	"context"
	"fmt"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/message"
)

var publishRows = []row{
	{"P1", "durable publish, blocks, 2 publishers", "≥ 2.0 M/s, ≥ 8×", benchBlocks},
	{"P2", "durable publish, one message per call, 64 callers", "≥ 100 k/s, ≥ 15×", benchCalls},
	{"P2a", "durable publish, one caller", "p50 ≤ 2 × raw sync", benchOneCall},
}

func benchBlocks(ctx context.Context, e *env) ([]result, error) {
	s, err := startFlux(ctx, e)
	if err != nil {
		return nil, err
	}
	rate, err := s.publishBlocks(ctx, e, 2, e.period())
	s.stop()
	if err != nil {
		return nil, err
	}
	peer, err := peerAsync(ctx, e)
	if err != nil {
		return nil, err
	}
	r := result{What: "durable publish, blocks, 2 publishers", Value: rate, Unit: "msg/s", Settings: "blocks of 1,024, Snappy, every block synced"}
	return []result{r.against("JetStream async, not synced", peer)}, nil
}

func peerAsync(ctx context.Context, e *env) (float64, error) {
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
	return p.publishAsync(ctx, e.payloads, 2, e.period())
}

const callers = 64

func benchCalls(ctx context.Context, e *env) ([]result, error) {
	calls, rate, err := fluxCalls(ctx, e, callers)
	if err != nil {
		return nil, err
	}
	dir, remove, err := e.tempDir()
	if err != nil {
		return nil, err
	}
	defer remove()
	p, err := startJetStream(ctx, dir, true)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	_, peer, err := p.publishSync(ctx, e.payloads, callers, e.period())
	r := result{
		What:  "durable publish, one message per call, 64 callers, one connection",
		Value: rate, Unit: "msg/s", Settings: "Append, guarantee stored",
	}
	return []result{r.timed(calls).against("JetStream, synced always", peer)}, err
}

// fluxCalls has callers on one connection publish one message at a time, each waiting until it is on disk.
func fluxCalls(ctx context.Context, e *env, callers int) (calls latencies, rate float64, err error) {
	s, err := startFlux(ctx, e)
	if err != nil {
		return nil, 0, err
	}
	defer s.stop()
	err = s.with(ctx, "callers", func(app *flux.App) (err error) {
		calls, rate, err = closedLoop(callers, e.period(), func(caller, n int) error {
			m := message.Message{Type: departureType, Payload: e.payloads[(caller+n)%len(e.payloads)]}
			_, err := app.Append(ctx, eventLog, &m)
			return err
		})
		return err
	})
	return calls, rate, err
}

func benchOneCall(ctx context.Context, e *env) ([]result, error) {
	calls, _, err := fluxCalls(ctx, e, 1)
	if err != nil {
		return nil, err
	}
	dir, remove, err := e.tempDir()
	if err != nil {
		return nil, err
	}
	defer remove()
	raw, err := rawSync(dir, 2000)
	if err != nil {
		return nil, fmt.Errorf("raw sync: %w", err)
	}
	r := result{
		What:  "durable publish, one caller, p50",
		Value: float64(calls.percentile(0.5).Microseconds()), Unit: "µs", Settings: "Append, guarantee stored",
	}
	return []result{r.timed(calls).against("append 4 KiB, fdatasync, p50", float64(raw.percentile(0.5).Microseconds()))}, nil
}
