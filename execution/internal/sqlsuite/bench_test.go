package sqlsuite

import (
	"context"
	"database/sql"
	"testing"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// BenchmarkQuery reads 10 rows of 5 columns: without a recorder, with one that does not record, and recorded.
func BenchmarkQuery(b *testing.B) {
	rec, err := execution.New(execution.Config{Service: "bench", Keep: execution.Keep{First: -1, Slower: -1}})
	if err != nil {
		b.Fatal(err)
	}
	defer rec.Close(context.Background())
	plain, recorded := sql.OpenDB(file{":memory:"}), rec.OpenDB(file{":memory:"})
	defer plain.Close()
	defer recorded.Close()
	_, x := rec.Begin(b.Context(), testTrigger, nil) // the start of the process is over
	x.End(nil)
	b.Run("plain", func(b *testing.B) { query(b, b.Context(), plain, b.N) })
	b.Run("off", func(b *testing.B) { query(b, b.Context(), recorded, b.N) })
	b.Run("recorded", func(b *testing.B) {
		for left := b.N; left > 0; left -= 100 {
			ctx, x := rec.Begin(b.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
			query(b, ctx, recorded, min(left, 100))
			x.End(nil)
		}
	})
}

const tenRows = `WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM t WHERE i < 10)
	SELECT i, 'name', i * 1.5, 'value', NULL FROM t WHERE i > ?`

func query(b *testing.B, ctx context.Context, db *sql.DB, times int) {
	b.ReportAllocs()
	for range times {
		rows, err := db.QueryContext(ctx, tenRows, 0)
		if err != nil {
			b.Fatal(err)
		}
		var i, name, f, value, null any
		for rows.Next() {
			if err := rows.Scan(&i, &name, &f, &value, &null); err != nil {
				b.Fatal(err)
			}
		}
		if rows.Err() != nil {
			b.Fatal(rows.Err())
		}
	}
}
