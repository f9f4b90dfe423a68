package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/testservices/backing"
)

// executionRows measure recorded executions. See docs/benchmarks.md for the service that is recorded.
var executionRows = []row{
	{"P10", "service recorded against the same not recorded", "throughput ≥ 0.97, p99 at 1,000/s ≤ 1.02", benchRecording},
	{"P10a", "recorder there, nothing recorded", "CPU ≤ 1.01, 0 allocations more", benchIdleRecorder},
	{"P10b", "one value of a clock or a random source", "≤ 300 ns", benchSources},
	{"P10c", "operations replayed per second of one processor", "≥ 200 k/s", benchReplay},
	{"P10d", "why and trace over 1 M stored executions", "p95 ≤ 200 ms", benchStoredExecutions},
	{"P10e", "stored size of a request of that service", "≤ 1.5 kB without bodies", benchSize},
}

var processStart = time.Now()

// recordedRate is how many requests a second reach the service in an open loop.
const recordedRate = 1000

// benchRecording has two of the service, one recorded and one not, take turns, so that what happens to the machine happens to both.
func benchRecording(ctx context.Context, e *env) ([]result, error) {
	keep := execution.Keep{First: -1, Slower: -1, Sample: 0.01}
	p, err := startPair(ctx, e, execution.Config{Service: "orders", Keep: keep})
	if err != nil {
		return nil, err
	}
	defer p.stop()
	settings := "kept: 1 % and failures, brought to a Flux server in this process; of turns the median"
	var rates, p50s, p99s, work [2][]float64
	err = p.turns(e.turns(), func(i int, s *shop) error {
		before := processTime()
		calls, err := openLoop(recordedRate, e.period(), s.order)
		if err != nil {
			return err
		}
		p50s[i] = append(p50s[i], milliseconds(calls.percentile(0.50)))
		p99s[i] = append(p99s[i], milliseconds(calls.percentile(0.99)))
		work[i] = append(work[i], microseconds(processTime()-before)/float64(len(calls)))
		_, rate, err := closedLoop(callers, e.period(), func(caller, n int) error { return s.order(n*callers + caller) })
		rates[i] = append(rates[i], rate)
		return err
	})
	if err != nil {
		return nil, err
	}
	stats := p.rec.Stats()
	fmt.Fprintf(e.log, "      %d executions, %d kept, %d dropped\n", stats.Executions, stats.Kept, stats.Dropped)
	return []result{
		pairResult("throughput, 64 callers", "req/s", rates, settings),
		pairResult("p50 at 1,000/s, open loop", "ms", p50s, settings),
		pairResult("p99 at 1,000/s, open loop", "ms", p99s, settings),
		leastResult("processor time of a request at 1,000/s, with its client", "µs", work, settings),
	}, nil
}

// turns is how often each of a pair is measured.
func (e *env) turns() int {
	if e.quick {
		return 2
	}
	return 5
}

// pairResult is the median of what was measured with recording, against that without.
func pairResult(what, unit string, values [2][]float64, settings string) result {
	r := result{What: what, Value: median(values[1]), Unit: unit, Settings: settings}
	return r.against("not recorded", median(values[0]))
}

// leastResult is pairResult with the least of the turns, for work, to which others on the machine can only add.
func leastResult(what, unit string, values [2][]float64, settings string) result {
	for i := range values {
		values[i] = []float64{slices.Min(values[i])}
	}
	return pairResult(what, unit, values, strings.ReplaceAll(settings, "the median", "the least"))
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// openLoop calls f at a rate for about d, whether earlier calls are over or not. It returns how long each took from the time at
// which it was due.
func openLoop(rate int, d time.Duration, f func(n int) error) (latencies, error) {
	n := int(d.Seconds() * float64(rate))
	calls, errs := make(latencies, n), make([]error, n)
	var all sync.WaitGroup
	start := time.Now()
	for i := range n {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		all.Go(func() {
			errs[i] = f(i)
			calls[i] = time.Since(due)
		})
	}
	all.Wait()
	return calls, errors.Join(errs...)
}

// A pair is the service twice, on one database and one provider: shops[0] without a recorder, shops[1] with one.
type pair struct {
	shops [2]*shop
	rec   *execution.Recorder
	undo  []func()
}

func (p *pair) stop() {
	for _, undo := range slices.Backward(p.undo) {
		undo()
	}
}

// turns calls f with each service in turn, n times: A B B A A B …, so that neither always comes first.
func (p *pair) turns(n int, f func(i int, s *shop) error) error {
	for turn := range n {
		for _, i := range []int{turn % 2, (turn + 1) % 2} {
			if err := f(i, p.shops[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// startPair starts what the service needs, and the service twice. Its recorder brings records to a Flux server unless OnKept takes
// them.
func startPair(ctx context.Context, e *env, config execution.Config) (p *pair, err error) {
	p = &pair{}
	defer func() {
		if err != nil {
			p.stop()
		}
	}()
	dir, err := e.shortDir()
	if err != nil {
		return nil, err
	}
	p.undo = append(p.undo, func() { os.RemoveAll(dir) })
	db, err := backing.StartPostgres(ctx, dir, "synchronous_commit=off")
	if err != nil {
		return nil, err
	}
	p.undo = append(p.undo, db.Stop)
	if p.rec, err = p.recorder(ctx, e, config); err != nil {
		return nil, err
	}
	pay := httptest.NewServer(http.HandlerFunc(provider))
	p.undo = append(p.undo, pay.Close)
	for i, rec := range []*execution.Recorder{nil, p.rec} {
		s, err := startShop(ctx, rec, db.Socket, pay.URL)
		if err != nil {
			return nil, err
		}
		p.shops[i] = s
		p.undo = append(p.undo, s.stop)
	}
	return p, nil
}

// recorder returns one that brings records to a Flux server, or only to OnKept.
func (p *pair) recorder(ctx context.Context, e *env, config execution.Config) (*execution.Recorder, error) {
	var rec *execution.Recorder
	if config.OnKept == nil {
		s, err := startFlux(ctx, e)
		if err != nil {
			return nil, err
		}
		p.undo = append(p.undo, s.stop)
		dir, remove, err := e.tempDir()
		if err != nil {
			return nil, err
		}
		p.undo = append(p.undo, remove)
		config.URL, config.Dir = s.URL(), dir
		if rec, err = execution.Connect(config); err != nil {
			return nil, err
		}
	} else {
		var err error
		if rec, err = execution.New(config); err != nil {
			return nil, err
		}
	}
	p.undo = append(p.undo, func() { _ = rec.Close(ctx) })
	return rec, nil
}

// shortDir makes a directory whose path is short enough for sockets in it.
func (e *env) shortDir() (string, error) {
	dir, err := os.MkdirTemp(e.dir, "")
	if err != nil || len(dir) < 60 {
		return dir, err
	}
	os.RemoveAll(dir)
	return os.MkdirTemp("", "")
}

// provider takes payments in five milliseconds, and declines one of 200.
func provider(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	time.Sleep(5 * time.Millisecond)
	w.Header().Set("Content-Type", "application/json")
	var n int
	if _, err := fmt.Sscanf(string(body), `{"order": "o-%d"`, &n); err != nil || n%200 == 199 {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"error": "no capacity"}`)
		return
	}
	fmt.Fprint(w, `{"payment": "p-4711", "state": "taken"}`)
}

// lines is where the log of the service goes.
func lines() slog.Handler { return slog.NewJSONHandler(io.Discard, nil) }

// orderTrigger is that of the service.
var orderTrigger = record.Trigger{Kind: record.TriggerHTTP, Method: http.MethodPost, Route: "POST /orders/{order}", Path: "/orders/o-1"}
