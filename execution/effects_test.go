package execution_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// TestValidationDoesReadsAndLeavesWritesAlone is F-68 and G-081.
func TestValidationDoesReadsAndLeavesWritesAlone(t *testing.T) {
	t.Parallel()
	stock, done := 7, 0
	program := func(ctx context.Context, _ *world) error {
		_, err := execution.Do(ctx, execution.Op{Boundary: "shop", Shape: "stock", Effect: record.EffectRead}, func(context.Context) (int, error) { return stock, nil })
		if err != nil {
			return err
		}
		_, err = execution.Do(ctx, execution.Op{Boundary: "shop", Shape: "charge", Effect: record.EffectWrite}, func(context.Context) (int, error) {
			done++
			return done, nil
		})
		return err
	}
	of := run(t, nil, program)
	for _, test := range []struct {
		stock   int
		opts    execution.ReplayOptions
		outcome execution.Outcome
		writes  int
		live    int
	}{
		{7, execution.ReplayOptions{Validate: true}, execution.OutcomeSame, 1, 1},
		{8, execution.ReplayOptions{Validate: true}, execution.OutcomeDiverged, 1, 1},
		{7, execution.ReplayOptions{Validate: true, AllowEffects: true}, execution.OutcomeDiverged, 2, 2}, // another number
		{8, execution.ReplayOptions{}, execution.OutcomeSame, 2, 0},
	} {
		stock = test.stock
		report := replay(t, nil, of, &test.opts, program)
		if report.Outcome != test.outcome || done != test.writes || len(report.Live) != test.live {
			t.Errorf("%+v: %v, %d writes, live %v", test, report, done, report.Live)
		}
	}
}

// TestAChangedWriteIsNotSentAgain is G-199 and F-88: what the patch asks is like what was done, and not the same.
func TestAChangedWriteIsNotSentAgain(t *testing.T) {
	t.Parallel()
	insertAndPay := func(ctx context.Context, w *world, order, pay string) error {
		if _, err := w.call(ctx, record.EffectWrite, "insert", order); err != nil {
			return err
		}
		_, err := w.call(ctx, record.EffectRead, pay, "upstream")
		return err
	}
	w := newWorld()
	of := run(t, w, func(ctx context.Context, w *world) error { return insertAndPay(ctx, w, "a", "fail") })
	rec, _ := recorder(t)
	ctx, x, err := rec.BeginResume(t.Context(), &record.Bundle{Execution: of}, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = insertAndPay(ctx, w, "b", "pay")
	x.End(err)
	if report := x.Report(); err == nil || report.Outcome != execution.OutcomeRefused || report.ExitCode() != 6 {
		t.Errorf("%v: %v", err, report)
	}
	if w.calls["insert a"] != 1 || w.calls["insert b"] != 0 || w.calls["pay upstream"] != 0 {
		t.Errorf("calls: %v", w.calls)
	}
}

// TestWorkSideBySideTakesAsLongAsOne is F-29: eight calls of 100 ms.
func TestWorkSideBySideTakesAsLongAsOne(t *testing.T) {
	t.Parallel()
	program := func(ctx context.Context, _ *world) error {
		var all sync.WaitGroup
		for i := range 8 {
			all.Add(1)
			execution.Go(ctx, "part", func(ctx context.Context) {
				defer all.Done()
				_, _ = execution.Do(ctx, execution.Op{Boundary: "slow", Shape: "get", Effect: record.EffectRead, Request: i}, func(context.Context) (string, error) {
					<-time.After(100 * time.Millisecond)
					return fmt.Sprint(i), nil
				})
			})
		}
		all.Wait()
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		of := run(t, nil, program)
		if took := time.Since(began); took != 100*time.Millisecond || len(of.Checkpoints) != 8 {
			t.Errorf("took %v, %d checkpoints", took, len(of.Checkpoints))
		}
		if report := replay(t, nil, of, nil, program); report.Outcome != execution.OutcomeSame || report.Served != 8 {
			t.Error(report)
		}
	})
}
