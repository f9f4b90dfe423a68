package recording

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
)

// benchSize is how many executions BenchmarkList lists: FLUX_BENCH_EXECUTIONS, or few enough for every day.
func benchSize(b *testing.B) int {
	text := os.Getenv("FLUX_BENCH_EXECUTIONS")
	if text == "" {
		return 20_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("FLUX_BENCH_EXECUTIONS=%s: want a number from 1", text)
	}
	return n
}

// benchExecution returns the i-th of many executions of five services, of which every hundredth failed, as a busy shop has them.
func benchExecution(i int, r *rand.Rand) *record.Execution {
	x := &record.Execution{
		Service: "service-" + strconv.Itoa(r.IntN(5)), Instance: fmt.Sprintf("host-%d/1/1764000000", r.IntN(20)), Environment: "production",
		RequestID: fmt.Sprintf("%016x", r.Uint64()), Attempt: 1,
		Code:  record.Code{Module: "example.com/shop", Version: "v1.14.2", Commit: "9f3c2e1d4b5a69788796a5b4c3d2e1f001122334"},
		Start: start.Add(time.Duration(i) * 100 * time.Millisecond), Duration: time.Duration(r.ExpFloat64() * float64(40*time.Millisecond)),
		Status: record.StatusOK, HTTPStatus: 200, Kept: "sampled",
	}
	binary.BigEndian.PutUint64(x.ID[:], r.Uint64())
	x.ID[15] = 1
	order := r.IntN(1_000_000)
	x.Trigger = record.Trigger{
		Kind: record.TriggerHTTP, Method: "POST", Route: "POST /orders/{order}/charges", Path: fmt.Sprintf("/orders/%d/charges", order),
	}
	x.Input.Data = fmt.Appendf(nil, `{"body":"{\"orderId\":%d,\"customer\":\"c-%d\",\"amount\":%d}"}`, order, r.IntN(50_000), r.IntN(10_000))
	for j, shape := range []string{"select balance from accounts where id = ?", "POST /v1/charges", "insert into charges values (?)"} {
		x.Checkpoints = append(x.Checkpoints, record.Checkpoint{
			Number: uint32(j), Finished: uint32(j + 1), Lane: "root", Boundary: "postgres", Target: "db:5432/shop", Shape: shape,
			Start: time.Duration(j) * time.Millisecond, Duration: time.Millisecond, State: record.StateDone, Effect: record.EffectRead,
			Request: record.Payload{Data: fmt.Appendf(nil, `{"args":[%d]}`, order)}, Response: record.Payload{Data: []byte(`{"rows":[[1]]}`)},
		})
	}
	for _, line := range []string{"charge requested", "account loaded", "provider answered", "charge stored", "event published"} {
		x.Logs = append(x.Logs, record.LogLine{Lane: "root", Message: line})
	}
	if i%100 == 0 {
		failing(x, "provider declined the card of order "+strconv.Itoa(order))
	}
	return x
}

// fill records n executions.
func fill(b *testing.B, e *engine.Engine, n int) {
	b.Helper()
	const batch = 500
	var wg sync.WaitGroup
	for worker := range 2 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(worker), 1))
			for first := worker * batch; first < n; first += 2 * batch {
				var all []engine.Operation
				for i := first; i < min(first+batch, n); i++ {
					op, err := NewRecord(record.Append(nil, benchExecution(i, r)))
					if err != nil {
						b.Error(err)
						return
					}
					all = append(all, op)
				}
				if err := e.Propose(context.Background(), &engine.Transaction{Namespace: ns, Operations: all}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkList lists 50 executions with filters that pick many, few, or none (F-38). The one without an index does the work of
// one call, however far that comes.
func BenchmarkList(b *testing.B) {
	e, err := engine.Open(b.TempDir(), engine.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	n := benchSize(b)
	begun := time.Now()
	fill(b, e, n)
	b.Logf("recorded %d in %s, %d bytes each on disk", n, time.Since(begun), int(e.Metrics().DiskBytes)/n)
	x := New(e)
	b.Run("get", func(b *testing.B) { benchGet(b, x) })
	end := start.Add(time.Duration(n) * 100 * time.Millisecond)
	for _, test := range []struct {
		name   string
		filter Filter
	}{
		{"all", Filter{}},
		{"failed", Filter{Failed: true}},
		{"service+failed", Filter{Service: "service-3", Failed: true}},
		{"service+instance+failed", Filter{Service: "service-3", Instance: "host-7/1/1764000000", Failed: true}},
		{"old", Filter{Until: start.Add(end.Sub(start) / 2)}},
		{"path", Filter{Path: "/orders/4711"}},
		{"paths", Filter{Path: "/orders", Status: record.StatusError}},
		{"text", Filter{Text: "provider declined card"}},
		{"text+service+ok", Filter{Text: "declined", Service: "service-1", Status: record.StatusOK}}, // nothing
		{"two-dense-without-both", Filter{Status: record.StatusOK, Text: "card provider"}},           // nothing
		{"slow", Filter{MinDuration: 250 * time.Millisecond}},
		{"request", Filter{RequestID: "0000000000000000"}},  // nothing
		{"part-of-a-path", Filter{Path: "9/charges/never"}}, // nothing
		{"where+failed", Filter{Where: conditionsOf("req.body.amount<500"), Failed: true}},
		{"where-equals", Filter{Where: conditionsOf("req.body.customer=c-4711")}},
		{"where", Filter{Where: conditionsOf("req.body.orderId<0")}}, // nothing
	} {
		b.Run(test.name, func(b *testing.B) {
			took := make([]time.Duration, 0, b.N)
			found := 0
			for b.Loop() {
				begun := time.Now()
				page, err := x.List(ns, &test.filter, "", 50)
				if err != nil {
					b.Fatal(err)
				}
				took, found = append(took, time.Since(begun)), len(page.Items)
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
			b.ReportMetric(float64(found), "found")
		})
	}
}

// benchGet gets executions by the beginning of their ids, as flux why and flux trace do.
func benchGet(b *testing.B, x *Executions) {
	var ids []string
	for milli := start.UnixMilli(); len(ids) < 100; milli += 77_000 {
		page, err := x.List(ns, &Filter{Until: time.UnixMilli(milli + 1_000)}, "", 1)
		if err != nil || len(page.Items) != 1 {
			b.Fatal(err)
		}
		ids = append(ids, page.Items[0].ID.String()[:13])
	}
	took := make([]time.Duration, 0, b.N)
	for i := 0; b.Loop(); i++ {
		begun := time.Now()
		if _, err := x.Get(ns, ids[i%len(ids)], true); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
}

func conditionsOf(text string) []Condition {
	c, err := ParseCondition(text)
	if err != nil {
		panic(err)
	}
	return []Condition{c}
}
