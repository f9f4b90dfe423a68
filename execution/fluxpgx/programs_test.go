package fluxpgx_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/flux-go/flux/execution"
)

func table(ctx context.Context, db *pgxpool.Pool, name string) error {
	_, err := db.Exec(ctx, "CREATE TABLE "+name+" (id int PRIMARY KEY, name text NOT NULL, n int)")
	if err == nil {
		_, err = db.Exec(ctx, "INSERT INTO "+name+" VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', NULL)")
	}
	return err
}

// allTypes are expressions of 42 types.
var allTypes = []string{
	"true", "1::int2", "2::int4", "3::int8", "1.5::float4", "2.5::float8", "'NaN'::float8::text", "12.340::numeric", "'1e100'::numeric",
	"'x'::text", "'y'::varchar", "'z'::bpchar", "'n'::name", "'c'::\"char\"", `'\x00ff'::bytea`, "'2026-11-22'::date", "'infinity'::date",
	"'10:20:30.123456'::time", "'2026-11-22 10:20:30.123456'::timestamp", "'2026-11-22 10:20:30+02'::timestamptz",
	"'infinity'::timestamptz", "'1 year 2 mons 3 days 04:05:06.7'::interval", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
	`'{"a": [1, 2.0], "b": "<&>"}'::json`, `'{"a": [1, 2.0]}'::jsonb`, "ARRAY[1,2,NULL]::int[]", "ARRAY['a','b c',NULL]::text[]",
	"ARRAY[[1,2],[3,4]]::int8[]", "ARRAY[1.10,2.2]::numeric[]", "ARRAY['2026-11-22 10:20:30+02']::timestamptz[]",
	"ARRAY['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']::uuid[]", "ARRAY[true,false]", "'{}'::int[]", "NULL::int", "NULL::text", "'10.0.0.1/8'::inet",
	"'10.0.0.0/8'::cidr", "'08:00:2b:01:02:03'::macaddr", "'[1,5)'::int4range", "'empty'::int8range", "'[2026-01-01,2026-02-01)'::daterange",
	"'{[1,3),[5,7)}'::int4multirange", "'(1,2)'::point", "'((1,2),(3,4))'::box", "'<(1,2),3>'::circle", "'[(1,2),(3,4)]'::lseg",
	"'((1,2),(3,4))'::path", "'((1,2),(3,4),(5,6))'::polygon", "'{1,2,3}'::line", "B'101'::bit(3)", "B'1011'::varbit", "5::oid",
	"'(1,2)'::tid", "'a & b'::tsquery", "'a b'::tsvector", "'$.a'::jsonpath", "1234.56::money", "'<a/>'::xml", "'16/B374D848'::pg_lsn",
	"ROW(1,'x')", "'int4'::regtype", "12::xid8",
}

func queryAll(ctx context.Context, db *pgxpool.Pool, mode pgx.QueryExecMode) (any, error) {
	rows, err := db.Query(ctx, "SELECT "+strings.Join(allTypes, ", "), mode)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		for _, raw := range rows.RawValues() {
			out = append(out, fmt.Sprintf("%q", raw))
		}
		values, err := rows.Values()
		if err != nil {
			return nil, err
		}
		for i, v := range values {
			out = append(out, fmt.Sprintf("%s %#v", rows.FieldDescriptions()[i].Name, v))
		}
	}
	return out, rows.Err()
}

func pgError(err error) (any, error) {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return "no *pgconn.PgError", err
	}
	return *e, err
}

var programs = []program{
	{"select (G-123, G-125)", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		if err := table(ctx, db, "t_select"); err != nil {
			return nil, err
		}
		rows, err := db.Query(ctx, "SELECT id, name, n FROM t_select WHERE id <= $1 ORDER BY id", 3)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowToMap)
	}},
	{"types, prepared", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		return queryAll(ctx, db, pgx.QueryExecModeCacheStatement)
	}},
	{"types, described", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		return queryAll(ctx, db, pgx.QueryExecModeCacheDescribe)
	}},
	{"types, executed", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		return queryAll(ctx, db, pgx.QueryExecModeExec)
	}},
	{"types, simple protocol", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		return queryAll(ctx, db, pgx.QueryExecModeSimpleProtocol)
	}},
	{"parameters of all modes (G-126, G-127)", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		var out []any
		for _, mode := range []pgx.QueryExecMode{
			pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec,
			pgx.QueryExecModeSimpleProtocol,
		} {
			var i int
			var s *string
			var at time.Time
			var list []int32
			err := db.QueryRow(ctx, "SELECT $1::int4 + 1, $2::text, $3::timestamptz, $4::int4[]", mode,
				41, nil, time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), []int32{1, 2}).Scan(&i, &s, &at, &list)
			if err != nil {
				return nil, err
			}
			out = append(out, i, s, at.UTC(), list)
		}
		return out, nil
	}},
	{"insert returning (G-022)", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		if err := table(ctx, db, "t_returning"); err != nil {
			return nil, err
		}
		var id int
		return &id, db.QueryRow(ctx, "INSERT INTO t_returning (id, name) VALUES ($1, $2) RETURNING id", 7, "seven").Scan(&id)
	}},
	{"tag of an update (F-07)", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		if err := table(ctx, db, "t_update"); err != nil {
			return nil, err
		}
		tag, err := db.Exec(ctx, "UPDATE t_update SET n = $1", 1)
		return []any{tag.String(), tag.RowsAffected()}, err
	}},
	{"unique violation in a transaction (F-08, G-132)", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		if err := table(ctx, db, "t_23505"); err != nil {
			return nil, err
		}
		return pgError(pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO t_23505 (id, name) VALUES ($1, 'a')", 1)
			return err
		}))
	}},
	{"null violation and syntax error (G-064)", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		if err := table(ctx, db, "t_23502"); err != nil {
			return nil, err
		}
		_, first := db.Exec(ctx, "INSERT INTO t_23502 (id) VALUES (4)")
		null, _ := pgError(first)
		_, second := db.Exec(ctx, "SELEC $1", 1)
		syntax, err := pgError(second)
		return []any{null, syntax}, err
	}},
	{"commit, rollback, savepoint (G-063)", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		if err := table(ctx, db, "t_tx"); err != nil {
			return nil, err
		}
		rollback := errors.New("no")
		err := pgx.BeginTxFunc(ctx, db, pgx.TxOptions{IsoLevel: pgx.Serializable}, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "INSERT INTO t_tx VALUES (10, 'x')"); err != nil {
				return err
			}
			err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, "INSERT INTO t_tx VALUES (11, 'y')"); err != nil {
					return err
				}
				return rollback
			})
			if !errors.Is(err, rollback) {
				return err
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		tx, err := db.Begin(ctx)
		if err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM t_tx"); err != nil {
			return nil, err
		}
		if err := tx.Rollback(ctx); err != nil {
			return nil, err
		}
		var ids []int
		return &ids, db.QueryRow(ctx, "SELECT array_agg(id ORDER BY id) FROM t_tx").Scan(&ids)
	}},
	{"commit of a failed transaction", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		tx, err := db.Begin(ctx)
		if err != nil {
			return nil, err
		}
		_, failed := tx.Exec(ctx, "SELECT 1/0")
		_, aborted := tx.Exec(ctx, "SELECT 1")
		err = tx.Commit(ctx)
		return []any{fmt.Sprint(failed), fmt.Sprint(aborted), errors.Is(err, pgx.ErrTxCommitRollback)}, err
	}},
	{"prepared by name", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		var n int
		err := db.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
			sd, err := c.Conn().Prepare(ctx, "plus", "SELECT $1::int + 1")
			if err != nil {
				return err
			}
			if len(sd.ParamOIDs) != 1 || len(sd.Fields) != 1 {
				return fmt.Errorf("description %+v", sd)
			}
			return c.QueryRow(ctx, "plus", 1).Scan(&n)
		})
		return n, err
	}},
	{"preparing nonsense", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		return nil, db.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
			_, err := c.Conn().Prepare(ctx, "bad", "SELEC 1")
			return err
		})
	}},
	{"batch (F-10)", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		if err := table(ctx, db, "t_batch"); err != nil {
			return nil, err
		}
		b := &pgx.Batch{}
		var n int
		b.Queue("UPDATE t_batch SET n = $1 WHERE id = $2", 5, 1)
		b.Queue("INSERT INTO t_batch VALUES ($1, $2)", 9, "i")
		b.Queue("SELECT sum(n) FROM t_batch").QueryRow(func(row pgx.Row) error { return row.Scan(&n) })
		return &n, db.SendBatch(ctx, b).Close()
	}},
	{"batch that fails in the middle", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		if err := table(ctx, db, "t_batch2"); err != nil {
			return nil, err
		}
		b := &pgx.Batch{}
		b.Queue("UPDATE t_batch2 SET n = $1", 5)
		b.Queue("INSERT INTO t_batch2 VALUES ($1, $2)", 1, "i")
		b.Queue("UPDATE t_batch2 SET n = $1", 6)
		err := db.SendBatch(ctx, b).Close()
		var n int
		if err := db.QueryRow(ctx, "SELECT sum(n) FROM t_batch2").Scan(&n); err != nil {
			return nil, err
		}
		return []any{n, fmt.Sprint(err)}, nil
	}},
	{"copy in and out (F-10)", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		if err := table(ctx, db, "t_copy"); err != nil {
			return nil, err
		}
		n, err := db.CopyFrom(ctx, pgx.Identifier{"t_copy"}, []string{"id", "name"}, pgx.CopyFromRows([][]any{{4, "d"}, {5, "e"}}))
		if err != nil {
			return nil, err
		}
		var out bytes.Buffer
		err = db.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
			_, err := c.Conn().PgConn().CopyTo(ctx, &out, "COPY (SELECT id, name FROM t_copy ORDER BY id) TO STDOUT")
			return err
		})
		return []any{n, out.String()}, err
	}},
	{"copy into nothing", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		var tag pgconn.CommandTag
		err := db.AcquireFunc(ctx, func(c *pgxpool.Conn) (err error) {
			tag, err = c.Conn().PgConn().CopyFrom(ctx, strings.NewReader("1\n"), "COPY t_missing FROM STDIN")
			return err
		})
		return tag.String(), err
	}},
	{"notifications (F-10)", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		var got []string
		err := db.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
			if _, err := c.Exec(ctx, "LISTEN news"); err != nil {
				return err
			}
			for _, text := range []string{"one", "two"} {
				if _, err := db.Exec(ctx, "SELECT pg_notify('news', $1)", text); err != nil {
					return err
				}
			}
			for range 2 {
				n, err := c.Conn().WaitForNotification(ctx)
				if err != nil {
					return err
				}
				got = append(got, n.Channel+" "+n.Payload)
			}
			return nil
		})
		return got, err
	}},
	{"notices", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		_, err := db.Exec(ctx, "DO $$ BEGIN RAISE NOTICE 'hello'; END $$")
		return nil, err
	}},
	{"five at a time (G-030, G-065)", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		out := make([]int, 5)
		var g errgroup.Group
		for i := range out {
			ctx := execution.WithLane(ctx, "part")
			g.Go(func() error { return db.QueryRow(ctx, "SELECT $1::int * 10", i).Scan(&out[i]) })
		}
		return out, g.Wait()
	}},
	{"one connection for many (pool reuse)", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		var out []int
		for i := range 5 {
			var n int
			if err := db.QueryRow(ctx, "SELECT $1::int", i).Scan(&n); err != nil {
				return nil, err
			}
			out = append(out, n)
		}
		return out, nil
	}},
	{"several statements at once", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		var tags []string
		err := db.AcquireFunc(ctx, func(c *pgxpool.Conn) error {
			results, err := c.Conn().PgConn().Exec(ctx, "SELECT 1 AS a; SELECT 2 AS b, 3 AS c; CREATE TEMP TABLE x ()").ReadAll()
			for _, r := range results {
				tags = append(tags, r.CommandTag.String(), fmt.Sprintf("%q", r.Rows))
			}
			return err
		})
		return tags, err
	}},
	{"deadline in a statement", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		defer cancel()
		_, err := db.Exec(ctx, "SELECT pg_sleep(60)")
		return []bool{errors.Is(err, context.DeadlineExceeded), pgconn.Timeout(err)}, err
	}},
	{"server going away in a statement", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		_, err := db.Exec(ctx, "SELECT pg_terminate_backend(pg_backend_pid())")
		return pgError(err)
	}},
	{"many rows", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		rows, err := db.Query(ctx, "SELECT i, repeat('x', 20) FROM generate_series(1, 5000) AS i")
		if err != nil {
			return nil, err
		}
		n := 0
		for rows.Next() {
			n++
		}
		return n, rows.Err()
	}},
	{"ping", func(ctx context.Context, db *pgxpool.Pool) (any, error) {
		var n int
		return &n, errors.Join(db.Ping(ctx), db.QueryRow(ctx, "SELECT 1").Scan(&n))
	}},
}
