package sqlsuite

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

var errDown = errors.New("the provider is down")

// A shop is a program with a database and a provider that can be down.
type shop struct {
	plain    *sql.DB // not recorded
	file     file
	options  execution.SQLOptions
	down     bool
	payments int
}

func newShop(t *testing.T) *shop {
	t.Helper()
	f := file{filepath.Join(t.TempDir(), "db")}
	s := &shop{plain: sql.OpenDB(f), file: f, options: execution.SQLOptions{Marker: true}, down: true}
	t.Cleanup(func() { _ = s.plain.Close() })
	for _, statement := range []string{"CREATE TABLE orders (id INTEGER PRIMARY KEY, name TEXT)", execution.MarkerTable} {
		if _, err := s.plain.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *shop) orders(t *testing.T) (n int) {
	t.Helper()
	if err := s.plain.QueryRow("SELECT count(*) FROM orders").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// pay calls the provider.
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

func insert(ctx context.Context, db *sql.DB, between func() error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var before int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM orders").Scan(&before); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO orders (name) VALUES (?)", "cup"); err != nil {
		return err
	}
	if err := between(); err != nil {
		return err
	}
	return tx.Commit()
}

type step func(ctx context.Context, s *shop, db *sql.DB) error

// ordersThenPays commits and then fails.
func ordersThenPays(ctx context.Context, s *shop, db *sql.DB) error {
	if err := insert(ctx, db, func() error { return nil }); err != nil {
		return err
	}
	return s.pay(ctx)
}

// paysWithin fails in the transaction.
func paysWithin(ctx context.Context, s *shop, db *sql.DB) error {
	return insert(ctx, db, func() error { return s.pay(ctx) })
}

// ordersAtTheSecondTry rolls a transaction back, commits the next one, and then fails.
func ordersAtTheSecondTry(ctx context.Context, s *shop, db *sql.DB) error {
	_ = insert(ctx, db, func() error { return s.pay(ctx) })
	return ordersThenPays(ctx, s, db)
}

func (s *shop) record(t *testing.T, program step) *record.Execution {
	t.Helper()
	rec, kept := recorder(t)
	ctx, x := rec.Begin(t.Context(), testTrigger, nil)
	db := sql.OpenDB(rec.ConnectorWith(s.file, &s.options))
	defer db.Close()
	err := program(ctx, s, db)
	x.End(err)
	if !errors.Is(err, errDown) {
		t.Fatalf("live: %v", err)
	}
	s.down = false
	return <-kept
}

func (s *shop) resume(t *testing.T, program step, of *record.Execution, opts *execution.ResumeOptions) (*execution.Report, error) {
	t.Helper()
	rec, _ := recorder(t)
	ctx, x, err := rec.BeginResume(t.Context(), &record.Bundle{Execution: of}, opts)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(rec.ConnectorWith(s.file, &s.options))
	defer db.Close()
	err = program(ctx, s, db)
	x.End(err)
	return x.Report(), err
}

func TestResumeTakesTransactionsAsUnits(t *testing.T) {
	t.Parallel()
	for name, program := range map[string]step{
		"committed":                      ordersThenPays,
		"rolled back":                    paysWithin,
		"rolled back and then committed": ordersAtTheSecondTry,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			of := s.record(t, program)
			report, err := s.resume(t, program, of, nil)
			if err != nil {
				t.Fatalf("%v: %v", report, err)
			}
			if s.orders(t) != 1 || s.payments != 1 {
				t.Errorf("%d orders, %d payments; %v", s.orders(t), s.payments, report)
				for _, cp := range of.Checkpoints {
					t.Logf("op %d %s %s %s %s", cp.Number, cp.Shape, cp.Transaction, cp.State, cp.Request.Data)
				}
			}
		})
	}
}

// inDoubt makes the outcome of the commit in a record unknown.
func inDoubt(of *record.Execution) *record.Execution {
	for i := range of.Checkpoints {
		if cp := &of.Checkpoints[i]; cp.Shape == record.ShapeCommit {
			cp.State, cp.Finished = record.StateInDoubt, 0
		}
	}
	return of
}

func TestMarkerDecidesAboutACommitInDoubt(t *testing.T) {
	t.Parallel()
	for name, committed := range map[string]bool{"committed": true, "not committed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			of := inDoubt(s.record(t, ordersThenPays))
			if !committed {
				if _, err := s.plain.Exec("DELETE FROM orders; DELETE FROM flux_effects"); err != nil {
					t.Fatal(err)
				}
			}
			_, err := s.resume(t, ordersThenPays, of, &execution.ResumeOptions{Probe: execution.ProbeMarker(s.plain, of.ID)})
			if err != nil || s.orders(t) != 1 || s.payments != 1 {
				t.Errorf("%d orders, %d payments, %v", s.orders(t), s.payments, err)
			}
		})
	}
}

func TestResumeAsksAboutACommitInDoubtBeforeAnythingIsDone(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	of := inDoubt(s.record(t, ordersThenPays))
	report, err := s.resume(t, ordersThenPays, of, nil)
	if !errors.Is(err, execution.ErrRefused) || report.Outcome != execution.OutcomeRefused {
		t.Errorf("%v: %v", report, err)
	}
	if s.orders(t) != 1 || s.payments != 0 {
		t.Errorf("%d orders, %d payments", s.orders(t), s.payments)
	}
	commit := *report.Refused.Recorded
	for _, done := range []bool{true, false} {
		if _, err := s.resume(t, ordersThenPays, of, &execution.ResumeOptions{Assume: map[uint32]bool{commit: done}}); err != nil {
			t.Error(err)
		}
		if want := map[bool]int{true: 1, false: 2}[done]; s.orders(t) != want {
			t.Errorf("assumed done %t: %d orders", done, s.orders(t))
		}
	}
}
