package sqlsuite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/fluxpgx"
	"github.com/flux-go/flux/internal/testservices"
)

func TestPostgresReplaysWithTheServerStopped(t *testing.T) {
	t.Parallel()
	server := testservices.OwnPostgres(t)
	d := &database{
		connector: func(t *testing.T) driver.Connector {
			config, err := pgx.ParseConfig(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			return stdlib.GetConnector(*config)
		},
		options: execution.SQLOptions{Errors: []fault.Kind{fluxpgx.ErrorKind()}},
		stop:    server.Stop,
		dollars: true,
	}
	runSuite(t, d, append(append([]program{}, common...), postgresOnly...))
}

// sameError says what a program sees of an error of the server.
func sameError(err error) (any, error) {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return "no *pgconn.PgError", err
	}
	return *e, err
}

var postgresOnly = []program{
	{"unique violation (G-132)", func(ctx context.Context, db app) (any, error) {
		if err := db.table(ctx, "t_23505"); err != nil {
			return nil, err
		}
		_, err := db.exec(ctx, "INSERT INTO t_23505 (id, name) VALUES (1, 'a')")
		return sameError(err)
	}},
	{"null violation (23502)", func(ctx context.Context, db app) (any, error) {
		if err := db.table(ctx, "t_23502"); err != nil {
			return nil, err
		}
		_, err := db.exec(ctx, "INSERT INTO t_23502 (id) VALUES (4)")
		return sameError(err)
	}},
	{"failed transaction", func(ctx context.Context, db app) (any, error) {
		tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable, ReadOnly: true})
		if err != nil {
			return nil, err
		}
		_, first := tx.ExecContext(ctx, "SELECT 1/0")
		_, second := tx.ExecContext(ctx, "SELECT 1")
		return []string{first.Error(), second.Error()}, tx.Commit()
	}},
	{"types", func(ctx context.Context, db app) (any, error) {
		rows, err := db.QueryContext(ctx, `SELECT 1::int2, 2::int4, 3::int8, 1.5::float4, 2.5::float8, 'NaN'::float8, 12.340::numeric, true, 'x'::text,
			'\x00ff'::bytea, '2026-11-22'::date, '10:20:30.123456'::time, '2026-11-22 10:20:30.123456'::timestamp,
			'2026-11-22 10:20:30+02'::timestamptz, '1 day 02:00'::interval, gen_random_uuid(), '{"a": [1, 2.0]}'::jsonb,
			ARRAY[1,2,NULL]::int[], ARRAY['a','b c']::text[], NULL::int, '10.0.0.1/8'::inet, '[1,5)'::int4range, 'infinity'::float8`)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			return nil, err
		}
		values := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		rows.Next()
		err = rows.Scan(into...)
		for i := range values { // NaN is not itself
			if f, ok := values[i].(float64); ok && f != f {
				values[i] = "NaN"
			}
		}
		return values, err
	}},
	{"deadline in a statement", func(ctx context.Context, db app) (any, error) {
		ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		_, err := db.exec(ctx, "SELECT pg_sleep(60)")
		return errors.Is(err, context.DeadlineExceeded), err
	}},
	{"arguments only pgx knows", func(ctx context.Context, db app) (any, error) {
		var n int
		err := db.row(ctx, "SELECT count(*) FROM unnest(?::int[]) AS x WHERE x > 1", []int32{1, 2, 3}).Scan(&n)
		return n, err
	}},
	{"server going away", func(ctx context.Context, db app) (any, error) {
		_, err := db.exec(ctx, "SELECT pg_terminate_backend(pg_backend_pid())")
		return nil, err
	}},
}

func TestPostgresThatIsAwayIsPartOfTheRecord(t *testing.T) {
	t.Parallel()
	d := &database{
		connector: func(t *testing.T) driver.Connector {
			config, err := pgx.ParseConfig("postgres://flux@127.0.0.1:1/flux?sslmode=disable")
			if err != nil {
				t.Fatal(err)
			}
			return stdlib.GetConnector(*config)
		},
	}
	p := program{"select", func(ctx context.Context, db app) (any, error) {
		_, err := db.exec(ctx, "SELECT 1")
		return nil, err
	}}
	live := d.record(t, p)
	if live.err == nil || live.x.Checkpoints[0].Error.Class != "refused" {
		t.Fatalf("live: %v, %+v", live.err, live.x.Checkpoints)
	}
	d.replay(t, p, live)
}

func TestTargetsHaveNoCredentials(t *testing.T) {
	t.Parallel()
	rec, kept := recorder(t)
	config, err := pgx.ParseConfig("postgres://flux:secret@127.0.0.1:1/shop?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	ctx, x := rec.Begin(t.Context(), testTrigger, nil)
	db := rec.OpenDB(stdlib.GetConnector(*config))
	defer db.Close()
	_, _ = db.ExecContext(ctx, "SELECT 1")
	x.End(nil)
	if got, want := (<-kept).Checkpoints[0].Target, "127.0.0.1:1/shop"; got != want {
		t.Errorf("target %q, want %q", got, want)
	}
	if !reflect.DeepEqual(db.Driver(), stdlib.GetDefaultDriver()) {
		t.Errorf("driver %T", db.Driver())
	}
}
