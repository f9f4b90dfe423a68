package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/internal/testservices/backing"
	"github.com/flux-go/flux/message"
)

var stateRows = []row{
	{"P6", "append one event with expected sequence, 64 callers", "≥ 60 k/s, ≥ 5×", benchEvents},
	{"P6a", "load an aggregate of 100 events", "p50 ≤ 0.3 ms, ±20 %", benchLoad},
	{"P7", "key-value put durable, get, 64 callers", "≥ 100 k/s, ≥ 200 k/s, ≥ 3×", benchValues},
	{"P7a", "schedule and fire", "≥ 50 k/s each, p99 ≤ 20 ms late", benchSchedules},
}

func benchEvents(ctx context.Context, e *env) ([]result, error) {
	s, err := startFlux(ctx, e)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	var calls latencies
	var rate float64
	err = s.with(ctx, "events", func(app *flux.App) (err error) {
		calls, rate, err = closedLoop(callers, e.period(), func(caller, n int) error {
			last := int64(n) - 1
			m := &message.Message{Type: departureType, Payload: e.payloads[n%len(e.payloads)]}
			_, err := app.AppendEvents(ctx, fmt.Sprint("aggregate-", caller), &flux.AppendOptions{IfLast: &last}, m)
			return err
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	r := result{What: "append one event with expected sequence, 64 callers", Value: rate, Unit: "events/s"}.timed(calls)
	peer, err := peerEvents(ctx, e)
	if errors.Is(err, backing.ErrNotInstalled) {
		r.Settings = "no peer: " + err.Error()
		return []result{r}, nil
	}
	return []result{r.against("PostgreSQL, unique (aggregate, version)", peer)}, err
}

func peerEvents(ctx context.Context, e *env) (rate float64, err error) {
	dir, remove, err := e.tempDir()
	if err != nil {
		return 0, err
	}
	defer remove()
	p, err := startPostgres(ctx, dir, callers)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	const table = `CREATE TABLE events (aggregate text, version bigint, type text, payload bytea, PRIMARY KEY (aggregate, version))`
	if _, err := p.Exec(ctx, table); err != nil {
		return 0, err
	}
	_, rate, err = closedLoop(callers, e.period(), func(caller, n int) error {
		_, err := p.Exec(ctx, `INSERT INTO events VALUES ($1, $2, $3, $4)`,
			fmt.Sprint("aggregate-", caller), n, departureType, e.payloads[n%len(e.payloads)])
		return err
	})
	return rate, err
}

const eventsPerAggregate = 100

// benchLoad loads aggregates out of few, and out of a hundred times as many, in the same store.
func benchLoad(ctx context.Context, e *env) ([]result, error) {
	s, err := startFlux(ctx, e)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	few, many := e.count(10_000), e.count(1_000_000)
	var before, after latencies
	err = s.with(ctx, "loader", func(app *flux.App) (err error) {
		if err := storeAggregates(ctx, e, app, 0, few); err != nil {
			return err
		}
		if before, err = loadAggregates(ctx, e, app, few); err != nil {
			return err
		}
		if err := storeAggregates(ctx, e, app, few, many); err != nil {
			return err
		}
		after, err = loadAggregates(ctx, e, app, many)
		return err
	})
	return []result{
		result{What: fmt.Sprintf("load 100 events, out of %d k aggregates, p50, with the client", many/1000), Value: micros(after), Unit: "µs"}.
			timed(after).against(fmt.Sprintf("out of %d k", few/1000), micros(before)),
	}, err
}

// storeAggregates stores the events of the aggregates with the numbers from and below to.
func storeAggregates(ctx context.Context, e *env, app *flux.App, from, to int) error {
	next := atomic.Int64{}
	next.Store(int64(from))
	return inParallel(callers, func(int) error {
		for {
			n := int(next.Add(1)) - 1
			if n >= to {
				return nil
			}
			events := make([]*message.Message, eventsPerAggregate)
			for i := range events {
				events[i] = &message.Message{Type: departureType, Payload: e.payloads[(n+i)%len(e.payloads)]}
			}
			if _, err := app.AppendEvents(ctx, fmt.Sprint("aggregate-", n), &flux.AppendOptions{StoreOnly: true}, events...); err != nil {
				return err
			}
		}
	})
}

func loadAggregates(ctx context.Context, e *env, app *flux.App, total int) (latencies, error) {
	calls, _, err := closedLoop(1, e.period()/2, func(int, int) error {
		n := 0
		for _, err := range app.Events(ctx, fmt.Sprint("aggregate-", rand.IntN(total)), flux.NoEvents) {
			if err != nil {
				return err
			}
			n++
		}
		if n != eventsPerAggregate {
			return fmt.Errorf("%d events", n)
		}
		return nil
	})
	return calls, err
}

func benchValues(ctx context.Context, e *env) ([]result, error) {
	s, err := startFlux(ctx, e)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	value := departure{DepartedAt: "2001/01/01 00:47", DelayMinutes: 66, DistanceMiles: 1750, Origin: "DTW", Destination: "LAS"}
	var puts, gets latencies
	var putRate, getRate float64
	err = s.with(ctx, "values", func(app *flux.App) (err error) {
		puts, putRate, err = closedLoop(callers, e.period(), func(caller, n int) error {
			return flux.PutValue(ctx, app, valueKey(caller, n), value)
		})
		if err != nil {
			return err
		}
		gets, getRate, err = closedLoop(callers, e.period(), func(caller, n int) error {
			_, _, err := flux.GetValue[departure](ctx, app, valueKey(caller, n))
			return err
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	peerPuts, peerGets, err := peerValues(ctx, e)
	return []result{
		result{What: "put a value, 64 callers", Value: putRate, Unit: "puts/s"}.timed(puts).against("JetStream KV, synced always", peerPuts),
		result{What: "get a value, 64 callers", Value: getRate, Unit: "gets/s"}.timed(gets).against("JetStream KV", peerGets),
	}, err
}

// valueKey is one of a thousand keys of a caller.
func valueKey(caller, n int) string { return fmt.Sprintf("flight.%d.%d", caller, n%1000) }

func peerValues(ctx context.Context, e *env) (puts, gets float64, err error) {
	dir, remove, err := e.tempDir()
	if err != nil {
		return 0, 0, err
	}
	defer remove()
	p, err := startJetStream(ctx, dir, true)
	if err != nil {
		return 0, 0, err
	}
	defer p.stop()
	err = p.with(func(js jetstream.JetStream) error {
		kv, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "flights", Storage: jetstream.FileStorage})
		if err != nil {
			return err
		}
		_, puts, err = closedLoop(callers, e.period(), func(caller, n int) error {
			_, err := kv.Put(ctx, valueKey(caller, n), e.payloads[n%len(e.payloads)])
			return err
		})
		if err != nil {
			return err
		}
		_, gets, err = closedLoop(callers, e.period(), func(caller, n int) error {
			_, err := kv.Get(ctx, valueKey(caller, n))
			if errors.Is(err, jetstream.ErrKeyNotFound) {
				return nil // the peer came to fewer keys
			}
			return err
		})
		return err
	})
	return puts, gets, err
}

// reminder is what benchSchedules schedules.
type reminder struct {
	Due int64 `json:"due"` // milliseconds since the Unix epoch
}

const (
	// fireRate is how many schedules are due per second.
	fireRate = 60_000
	// leastScheduleRate is how many are scheduled per second at least, so that none is due before all are scheduled.
	leastScheduleRate = 10_000
)

// benchSchedules schedules messages that are due, at fireRate, from some time on, and handles them.
func benchSchedules(ctx context.Context, e *env) ([]result, error) {
	s, err := startFlux(ctx, e)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	var late latencies
	var scheduled, fired float64
	err = s.with(ctx, "schedules", func(app *flux.App) error {
		total := e.count(200_000)
		start := time.Now()
		due := start.Add(max(e.period(), time.Duration(total)*time.Second/leastScheduleRate))
		next := atomic.Int64{}
		err := inParallel(callers, func(int) error {
			for n := next.Add(1); n <= int64(total); n = next.Add(1) {
				at := due.Add(time.Duration(n) * time.Second / fireRate)
				if _, err := flux.ScheduleAt(ctx, app, fmt.Sprint("reminder-", n), at, reminder{at.UnixMilli()}, nil); err != nil {
					return err
				}
			}
			return nil
		})
		scheduled = float64(total) / time.Since(start).Seconds()
		if err != nil {
			return err
		}
		late, fired, err = handleReminders(ctx, app, total)
		return err
	})
	return []result{
		{What: "schedule a message, 64 callers", Value: scheduled, Unit: "calls/s"},
		result{What: "fire and handle; the latencies are how late", Value: fired, Unit: "msg/s"}.timed(late),
	}, err
}

func handleReminders(ctx context.Context, app *flux.App, total int) (late latencies, rate float64, err error) {
	done := make(chan struct{})
	var first time.Time
	flux.HandleSchedule(app.Consumer("reminders", flux.Consumer{From: flux.Beginning}), func(_ context.Context, r reminder) error {
		if len(late) == 0 {
			first = time.Now()
		}
		late = append(late, time.Since(time.UnixMilli(r.Due)))
		if len(late) == total {
			rate = float64(total) / time.Since(first).Seconds()
			close(done)
		}
		return nil
	})
	err = alongside(ctx, app, func(ctx context.Context) error {
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Minute):
			return errors.New("not all schedules fired")
		}
	})
	return late, rate, err
}
