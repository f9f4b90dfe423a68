package fluxpgx_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fluxpgx"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/testservices"
)

var errDown = errors.New("the provider is down")

// A shop is a program with a database and a provider that can be down.
type shop struct {
	config   *pgxpool.Config
	plain    *pgxpool.Pool // not recorded
	down     bool
	payments int
}

func newShop(t *testing.T) *shop {
	t.Helper()
	config := parse(t, testservices.Postgres(t))
	s := &shop{config: config, plain: open(t, config), down: true}
	if _, err := s.plain.Exec(t.Context(), "CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY, name text)"); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *shop) orders(t *testing.T) (n int) {
	t.Helper()
	if err := s.plain.QueryRow(t.Context(), "SELECT count(*) FROM orders").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (s *shop) pay(ctx context.Context) error {
	_, err := execution.Do(ctx, execution.Op{Boundary: "provider", Shape: "pay", Effect: record.EffectWrite}, func(context.Context) (int, error) {
		if s.down {
			return 0, errDown
		}
		s.payments++
		return s.payments, nil
	})
	return err
}

func insert(ctx context.Context, db *pgxpool.Pool, between func() error) error {
	return pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		var before, id int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM orders").Scan(&before); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, "INSERT INTO orders (name) VALUES ($1) RETURNING id", "cup").Scan(&id); err != nil {
			return err
		}
		return between()
	})
}

func nothing() error { return nil }

func TestResumeTakesTransactionsAsUnits(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(ctx context.Context, s *shop, db *pgxpool.Pool) error{
		"committed": func(ctx context.Context, s *shop, db *pgxpool.Pool) error {
			return errors.Join(insert(ctx, db, nothing), s.pay(ctx))
		},
		"rolled back": func(ctx context.Context, s *shop, db *pgxpool.Pool) error {
			return insert(ctx, db, func() error { return s.pay(ctx) })
		},
		"rolled back and then committed": func(ctx context.Context, s *shop, db *pgxpool.Pool) error {
			_ = insert(ctx, db, func() error { return s.pay(ctx) })
			return errors.Join(insert(ctx, db, nothing), s.pay(ctx))
		},
		"a batch": func(ctx context.Context, s *shop, db *pgxpool.Pool) error {
			b := &pgx.Batch{}
			b.Queue("INSERT INTO orders (name) VALUES ($1)", "cup")
			b.Queue("UPDATE orders SET name = $1", "glass")
			return errors.Join(db.SendBatch(ctx, b).Close(), s.pay(ctx))
		},
		"no transaction": func(ctx context.Context, s *shop, db *pgxpool.Pool) error {
			_, err := db.Exec(ctx, "INSERT INTO orders (name) VALUES ($1)", "cup")
			return errors.Join(err, s.pay(ctx))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			rec, kept := recorder(t)
			ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
			err := run(ctx, s, open(t, fluxpgx.PoolConfig(rec, s.config)))
			x.End(err)
			if !errors.Is(err, errDown) {
				t.Fatalf("live: %v", err)
			}
			of := <-kept
			s.down = false
			ctx, x, err = rec.BeginResume(t.Context(), &record.Bundle{Execution: of}, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = run(ctx, s, open(t, fluxpgx.PoolConfig(rec, s.config)))
			x.End(err)
			if err != nil || s.orders(t) != 1 || s.payments != 1 {
				t.Errorf("%d orders, %d payments, %v; %v", s.orders(t), s.payments, err, x.Report())
				for _, cp := range of.Checkpoints {
					t.Logf("op %d %s %s %s %s", cp.Number, cp.Shape, cp.Transaction, cp.State, cp.Request.Data)
				}
			}
		})
	}
}
