package fluxpgx_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fluxpgx"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/testservices"
)

const tenRows = "SELECT i, 'name ' || i, i * 1.5::float8, now(), i % 2 = 0 FROM generate_series(1, 10) AS i WHERE i > $1"

// BenchmarkQuery reads 10 rows of 5 columns: without a recorder, with one that does not record, and recorded.
func BenchmarkQuery(b *testing.B) {
	config := parse(b, testservices.Postgres(b))
	rec, err := execution.New(execution.Config{Service: "bench", Keep: execution.Keep{First: -1, Slower: -1}})
	if err != nil {
		b.Fatal(err)
	}
	defer rec.Close(context.Background())
	recorded := open(b, fluxpgx.PoolConfig(rec, config))
	_, x := rec.Begin(b.Context(), record.Trigger{Kind: record.TriggerTest}, nil) // the start of the process is over
	x.End(nil)
	b.Run("plain", func(b *testing.B) { queries(b, b.Context(), open(b, config)) })
	b.Run("off", func(b *testing.B) { queries(b, b.Context(), recorded) })
	b.Run("recorded", func(b *testing.B) {
		before := processorTime()
		for left := b.N; left > 0; left -= 100 {
			ctx, x := rec.Begin(b.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
			query(b, ctx, recorded, min(left, 100))
			x.End(nil)
		}
		report(b, before)
	})
}

func queries(b *testing.B, ctx context.Context, db *pgxpool.Pool) {
	query(b, ctx, db, 1)
	b.ResetTimer()
	before := processorTime()
	query(b, ctx, db, b.N)
	report(b, before)
}

// processorTime returns what this process has used: the time that passes depends on the server, and on what else runs.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func report(b *testing.B, before time.Duration) {
	b.ReportMetric(float64(processorTime()-before)/float64(b.N), "cpu-ns/op")
}

func query(b *testing.B, ctx context.Context, db *pgxpool.Pool, times int) {
	b.ReportAllocs()
	for range times {
		rows, err := db.Query(ctx, tenRows, 0)
		if err != nil {
			b.Fatal(err)
		}
		for rows.Next() {
			if _, err := rows.Values(); err != nil {
				b.Fatal(err)
			}
		}
		if rows.Err() != nil {
			b.Fatal(rows.Err())
		}
	}
}
