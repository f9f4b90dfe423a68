package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fluxredis"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/testservices/backing"
)

// cost is what one call takes.
type cost struct {
	work   time.Duration // of processors
	allocs float64
}

// costOf calls f over and over, in five rounds, and returns what a call takes in the cheapest. prepare makes what f needs for a
// round.
func costOf(d time.Duration, calls int, prepare func() (f func() error, err error)) (least cost, err error) {
	const rounds = 5
	for start := time.Now(); time.Since(start) < d || least.work == 0; {
		for range rounds {
			f, err := prepare()
			if err != nil {
				return cost{}, err
			}
			c, err := costOfRound(calls, f)
			if err != nil {
				return cost{}, err
			}
			if least.work == 0 || c.work < least.work {
				least = c
			}
		}
	}
	return least, nil
}

func costOfRound(calls int, f func() error) (cost, error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work := processTime()
	for range calls {
		if err := f(); err != nil {
			return cost{}, err
		}
	}
	work = processTime() - work
	runtime.ReadMemStats(&after)
	return cost{max(work/time.Duration(calls), 1), float64(after.Mallocs-before.Mallocs) / float64(calls)}, nil
}

// again is a prepare that has nothing to do.
func again(f func() error) func() (func() error, error) {
	return func() (func() error, error) { return f, nil }
}

// benchSources draws from the sources of an execution that is recorded.
func benchSources(ctx context.Context, e *env) ([]result, error) {
	rec, err := execution.New(execution.Config{Service: "bench", Keep: execution.Keep{First: -1, Slower: -1}})
	if err != nil {
		return nil, err
	}
	defer rec.Close(ctx)
	var results []result
	for _, source := range []struct {
		name string
		draw func(ctx context.Context)
	}{
		{"Now", func(ctx context.Context) { execution.Now(ctx) }},
		{"Rand(ctx).Uint64()", func(ctx context.Context) { execution.Rand(ctx).Uint64() }},
		{"UUID", func(ctx context.Context) { execution.UUID(ctx) }},
		{"UUIDv7", func(ctx context.Context) { execution.UUIDv7(ctx) }},
	} {
		draws := func(draw func(ctx context.Context)) (cost, error) {
			return costOf(e.period()/4, 10_000, func() (func() error, error) {
				ctx, _ := rec.Begin(ctx, record.Trigger{Kind: record.TriggerTest}, nil)
				for range 5 { // handlers pass contexts on
					ctx = context.WithValue(ctx, new(int), 0)
				}
				return func() error { draw(ctx); return nil }, nil
			})
		}
		c, err := draws(source.draw)
		if err != nil {
			return nil, err
		}
		results = append(results, result{
			What: source.name, Value: float64(c.work), Unit: "ns", Settings: fmt.Sprintf("%.2f allocations, context of five levels", c.allocs),
		})
	}
	clock, err := costOf(e.period()/4, 10_000, again(readClock))
	results[0] = results[0].against("time.Now", float64(clock.work))
	return results, err
}

// operationsOfReplay is how many operations the record has that is replayed.
const operationsOfReplay = 1000

// benchReplay replays records with many operations of one kind.
func benchReplay(ctx context.Context, e *env) ([]result, error) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"stock": 7, "of": "`, r.URL.Query().Get("n"), `"}`)
	}))
	defer upstream.Close()
	var results []result
	for _, test := range []struct {
		name string
		ask  func(ctx context.Context, client *http.Client, n int) error
	}{
		{"operations of Do", func(ctx context.Context, _ *http.Client, n int) error {
			_, err := execution.Do(ctx, execution.Op{
				Boundary: "stock", Shape: "get", Effect: record.EffectRead, Request: map[string]int{"n": n},
			}, func(context.Context) (map[string]int, error) { return map[string]int{"stock": n}, nil })
			return err
		}},
		{"requests of HTTP, bodies read", func(ctx context.Context, client *http.Client, n int) error {
			return get(ctx, client, fmt.Sprint(upstream.URL, "/stock?n=", n))
		}},
	} {
		program := func(ctx context.Context, client *http.Client) error {
			for n := range operationsOfReplay {
				if err := test.ask(ctx, client, n); err != nil {
					return err
				}
			}
			return nil
		}
		c, err := replayCost(ctx, e, program)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", test.name, err)
		}
		rate := float64(time.Second) / (float64(c.work) / operationsOfReplay)
		results = append(results, result{
			What: "replay " + test.name, Value: rate, Unit: "ops/s",
			Settings: fmt.Sprintf("%.0f allocations each; by processor time, reports included", c.allocs/operationsOfReplay),
		})
	}
	return results, nil
}

func get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// replayCost records a program and returns what one replay of it takes.
func replayCost(ctx context.Context, e *env, program func(context.Context, *http.Client) error) (cost, error) {
	kept := make(chan *record.Execution, 1)
	rec, err := execution.New(execution.Config{Service: "bench", Keep: execution.Keep{All: true}, OnKept: func(x *record.Execution) { kept <- x }})
	if err != nil {
		return cost{}, err
	}
	defer rec.Close(ctx)
	client := &http.Client{Transport: rec.Transport(manyConnections())}
	recording, x := rec.Begin(ctx, record.Trigger{Kind: record.TriggerTest}, nil)
	err = program(recording, client)
	x.End(err)
	if err != nil {
		return cost{}, err
	}
	of := <-kept
	return costOf(e.period(), 1, again(func() error {
		replay, x, err := rec.BeginReplay(ctx, &record.Bundle{Execution: of}, nil)
		if err != nil {
			return err
		}
		err = program(replay, client)
		x.End(err)
		if report := x.Report(); report.Outcome != execution.OutcomeSame || report.Served != operationsOfReplay {
			return fmt.Errorf("the replay is %s: %v", report.Outcome, report.Divergences)
		}
		return err
	}))
}

// benchIdleRecorder compares the service with a recorder that records nothing, and each adapter, with what they are without one.
func benchIdleRecorder(ctx context.Context, e *env) ([]result, error) {
	p, err := startPair(ctx, e, execution.Config{
		Service: "orders", Record: func(record.Trigger) bool { return false }, OnKept: func(*record.Execution) {},
	})
	if err != nil {
		return nil, err
	}
	defer p.stop()
	var work [2][]float64
	err = p.turns(2*e.turns(), func(i int, s *shop) error {
		before := processTime()
		calls, _, err := closedLoop(callers, e.period()/2, func(caller, n int) error { return s.order(n*callers + caller) })
		work[i] = append(work[i], microseconds(processTime()-before)/float64(len(calls)))
		return err
	})
	if err != nil {
		return nil, err
	}
	results := []result{leastResult("processor time of a request, with its client", "µs", work, "64 callers; of turns the median")}
	adapters, err := idleAdapters(ctx, e, p)
	return append(results, adapters...), err
}

// idleAdapters returns the allocations that each adapter adds to an operation.
func idleAdapters(ctx context.Context, e *env, p *pair) ([]result, error) {
	dir, remove, err := e.tempDir()
	if err != nil {
		return nil, err
	}
	defer remove()
	server, err := backing.StartRedis(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer server.Stop()
	options, err := redis.ParseURL(server.URL)
	if err != nil {
		return nil, err
	}
	plain, recorded := redis.NewClient(options), redis.NewClient(options)
	defer plain.Close()
	defer recorded.Close()
	fluxredis.Instrument(p.rec, recorded, nil)
	stub := answering{}
	ctx, _ = p.rec.Begin(ctx, orderTrigger, nil) // which the recorder leaves out
	var results []result
	for _, test := range []struct {
		name          string
		without, with func() error
	}{
		{"Start and Finish", nothing, func() error {
			execution.Start(ctx, execution.Op{Boundary: "b", Shape: "s"}).Finish(nil, nil)
			return nil
		}},
		{"Now", readClock, func() error { execution.Now(ctx); return nil }},
		{"Transport", roundTrip(ctx, stub), roundTrip(ctx, p.rec.Transport(stub))},
		{"OpenDB", selectOne(ctx, p.shops[0].db), selectOne(ctx, p.shops[1].db)},
		{"fluxredis", ping(ctx, plain), ping(ctx, recorded)},
	} {
		var c [2]cost
		for i, f := range []func() error{test.without, test.with} {
			if c[i], err = costOf(e.period()/10, 1000, again(f)); err != nil {
				return nil, err
			}
		}
		results = append(results, result{
			What: test.name + ", allocations more", Value: c[1].allocs - c[0].allocs, Unit: "",
			Settings: fmt.Sprintf("%v of processor time, %v without a recorder", c[1].work, c[0].work),
		})
	}
	return results, nil
}

func nothing() error { return nil }

func readClock() error {
	if time.Now().IsZero() {
		return errors.New("the clock stands at zero")
	}
	return nil
}

// answering is a transport that answers by itself.
type answering struct{}

// RoundTrip implements http.RoundTripper.
func (answering) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody, Request: req}, nil
}

func roundTrip(ctx context.Context, t http.RoundTripper) func() error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1/", strings.NewReader(""))
	return func() error {
		if err == nil {
			_, err = t.RoundTrip(req)
		}
		return err
	}
}

func selectOne(ctx context.Context, db *sql.DB) func() error {
	return func() error {
		var n int
		return db.QueryRowContext(ctx, "SELECT balance FROM accounts WHERE id = $1", 1).Scan(&n)
	}
}

func ping(ctx context.Context, client *redis.Client) func() error {
	return func() error { return client.Ping(ctx).Err() }
}

// benchSize records a request and looks at its record.
func benchSize(ctx context.Context, e *env) ([]result, error) {
	kept := make(chan *record.Execution, 100)
	p, err := startPair(ctx, e, execution.Config{Service: "orders", Keep: execution.Keep{All: true}, OnKept: func(x *record.Execution) { kept <- x }})
	if err != nil {
		return nil, err
	}
	defer p.stop()
	var sizes []float64
	for n := range 100 {
		if err := p.shops[1].order(n + 200); err != nil {
			return nil, err
		}
		x := <-kept
		if len(x.Checkpoints) < 3 || len(x.Logs) != 5 {
			return nil, fmt.Errorf("the record has %d operations and %d lines", len(x.Checkpoints), len(x.Logs))
		}
		sizes = append(sizes, float64(len(record.Append(nil, x))))
	}
	return []result{{
		What: "record of a request", Value: median(slices.Clone(sizes)), Unit: "B",
		Settings: "with its bodies, which have 200 bytes together; median of 100",
	}}, nil
}
