package execution_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// BenchmarkReplay replays records of 1,000 operations of one kind, reports included. A turn is one operation.
func BenchmarkReplay(b *testing.B) {
	const operations = 1000
	for name, ask := range map[string]func(ctx context.Context, p *purchase, n int) error{
		"do": func(ctx context.Context, _ *purchase, n int) error {
			_, err := execution.Do(ctx, execution.Op{Boundary: "stock", Shape: "get", Effect: record.EffectRead, Request: map[string]int{"n": n}},
				func(context.Context) (map[string]int, error) { return map[string]int{"stock": n}, nil })
			return err
		},
		"http": func(ctx context.Context, p *purchase, n int) error { return p.pay(ctx, n, `{"amount": 4200}`) },
		"sql":  func(ctx context.Context, p *purchase, n int) error { return p.take(ctx, n) },
	} {
		b.Run(name, func(b *testing.B) {
			kept := make(chan *record.Execution, 1)
			rec := benchRecorder(b, &execution.Config{Keep: execution.Keep{All: true}, OnKept: func(x *record.Execution) { kept <- x }})
			defer rec.Close(b.Context())
			p := newPurchase(rec)
			program := func(ctx context.Context, x *execution.Execution) {
				for n := range operations {
					if err := ask(ctx, p, n); err != nil {
						b.Fatal(err)
					}
				}
				x.End(nil)
			}
			program(rec.Begin(b.Context(), record.Trigger{Kind: record.TriggerTest, Method: http.MethodPost}, nil))
			of := <-kept
			b.ReportAllocs()
			b.ResetTimer()
			before := processorTime()
			for left := b.N; left > 0; left -= operations {
				ctx, x, err := rec.BeginReplay(b.Context(), &record.Bundle{Execution: of}, nil)
				if err != nil {
					b.Fatal(err)
				}
				if program(ctx, x); x.Report().Outcome != execution.OutcomeSame {
					b.Fatal(x.Report().Divergences)
				}
			}
			b.ReportMetric(float64(processorTime()-before)/float64((b.N+operations-1)/operations*operations), "cpu-ns/op")
		})
	}
}
