package main

import (
	"context"

	"github.com/flux-go/flux"
)

var requestRows = []row{
	{"P5", "durable request and durable result, 64 callers", "≥ 30 k/s, p50 ≤ 2 ms", benchRequests},
}

// delayOf asks for the delay of a flight, which comes with the question.
type delayOf struct {
	flux.Command[int]
	Departure departure `json:"departure"`
}

func benchRequests(ctx context.Context, e *env) ([]result, error) {
	s, err := startFlux(ctx, e)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	var calls latencies
	var rate float64
	err = s.with(ctx, "answerer", func(answerer *flux.App) error {
		flux.HandleCommand(answerer.Consumer("delays", flux.Consumer{From: flux.Beginning, Trackers: 8}),
			func(_ context.Context, q delayOf) (int, error) { return q.Departure.DelayMinutes, nil })
		return alongside(ctx, answerer, func(ctx context.Context) error {
			return s.with(ctx, "asker", func(asker *flux.App) (err error) {
				calls, rate, err = closedLoop(callers, e.period(), func(caller, n int) error {
					_, err := flux.Ask(ctx, asker, delayOf{Departure: departure{DelayMinutes: n, Origin: "DTW", Destination: "LAS"}})
					return err
				})
				return err
			})
		})
	})
	r := result{
		What:  "durable request and durable result, 64 callers",
		Value: rate, Unit: "calls/s", Settings: "one connection to ask, one to answer with 8 trackers",
	}
	return []result{r.timed(calls)}, err
}
