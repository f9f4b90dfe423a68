package execution_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// recorder returns a recorder and the channel of what it keeps.
func recorder(t *testing.T) (*execution.Recorder, <-chan *record.Execution) {
	t.Helper()
	kept := make(chan *record.Execution, 16)
	rec, err := execution.New(execution.Config{
		Service: "shop", Keep: execution.Keep{All: true}, OnKept: func(x *record.Execution) { kept <- x },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rec.Close(context.Background()) })
	return rec, kept
}

// A world is what programs under test call. It counts what reaches it.
type world struct{ calls map[string]int }

func (w *world) call(ctx context.Context, effect record.Effect, name, arg string) (string, error) {
	return execution.Do(ctx, execution.Op{
		Boundary: "world", Shape: name, Effect: effect, Request: map[string]string{"arg": arg},
	}, func(context.Context) (string, error) {
		w.calls[name+" "+arg]++
		if name == "fail" {
			return "", fmt.Errorf("%s: %w", arg, io.ErrUnexpectedEOF)
		}
		return "<" + arg + ">", nil
	})
}

// run records what a program does.
func run(t *testing.T, w *world, program func(ctx context.Context, w *world) error) *record.Execution {
	t.Helper()
	rec, kept := recorder(t)
	ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest, Method: "run"}, nil)
	x.End(program(ctx, w))
	return <-kept
}

// replay replays a program from a record.
func replay(t *testing.T, w *world, of *record.Execution, opts *execution.ReplayOptions, program func(ctx context.Context, w *world) error) *execution.Report {
	t.Helper()
	rec, _ := recorder(t)
	ctx, x, err := rec.BeginReplay(t.Context(), &record.Bundle{Execution: of}, opts)
	if err != nil {
		t.Fatal(err)
	}
	x.End(program(ctx, w))
	return x.Report()
}

func newWorld() *world { return &world{calls: make(map[string]int)} }

func order(ctx context.Context, w *world) error {
	if _, err := w.call(ctx, record.EffectRead, "get", "stock"); err != nil {
		return err
	}
	if _, err := w.call(ctx, record.EffectWrite, "insert", execution.UUID(ctx).String()); err != nil {
		return err
	}
	execution.Now(ctx)
	_, err := w.call(ctx, record.EffectWrite, "fail", "upstream")
	return err
}

func TestReplayReproducesAFailureAndTouchesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld()
	of := run(t, w, order)
	if of.Status != record.StatusError || len(of.Checkpoints) != 3 || of.Kept != "failed" {
		t.Fatalf("recorded %s, %d checkpoints, kept for %q", of.Status, len(of.Checkpoints), of.Kept)
	}
	again := newWorld()
	report := replay(t, again, of, nil, func(ctx context.Context, w *world) error {
		err := order(ctx, w)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("replayed error %v is not the recorded one", err)
		}
		return err
	})
	if report.Outcome != execution.OutcomeSame {
		t.Errorf("report: %v\n%+v", report, report.Divergences)
	}
	if len(again.calls) != 0 {
		t.Errorf("the replay called %v", again.calls)
	}
}

func TestReplayStopsAtWhatTheRecordDoesNotHaveAndStaysStopped(t *testing.T) {
	t.Parallel()
	of := run(t, newWorld(), order)
	again := newWorld()
	report := replay(t, again, of, nil, func(ctx context.Context, w *world) error {
		if _, err := w.call(ctx, record.EffectWrite, "insert", "something else"); !errors.Is(err, execution.ErrStopped) {
			t.Errorf("a new write in a replay: %v", err)
		}
		if _, err := w.call(ctx, record.EffectRead, "get", "stock"); !errors.Is(err, execution.ErrStopped) {
			t.Errorf("after a stop: %v", err)
		}
		return nil
	})
	if report.Outcome != execution.OutcomeStopped || report.ExitCode() != 3 || report.Replayed.Status != record.StatusStopped {
		t.Errorf("report: %v", report)
	}
	if report.Stop.Near == nil || *report.Stop.Near != 1 || len(report.Stop.Diff) != 1 || report.Stop.Diff[0].Path != "$.arg" {
		t.Errorf("stop: %+v", report.Stop)
	}
	if len(again.calls) != 0 {
		t.Errorf("the replay called %v", again.calls)
	}
}

func TestResumeDoesWhatIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld()
	of := run(t, w, order)
	rec, kept := recorder(t)
	ctx, x, err := rec.BeginResume(t.Context(), &record.Bundle{Execution: of}, &execution.ResumeOptions{Assume: map[uint32]bool{2: false}})
	if err != nil {
		t.Fatal(err)
	}
	x.End(order(ctx, w))
	resumed := <-kept
	if w.calls["fail upstream"] != 2 || w.calls["get stock"] != 1 || len(w.calls) != 3 {
		t.Errorf("calls: %v", w.calls)
	}
	if resumed.Parent != of.ID || resumed.Relation != record.RelationResume || len(resumed.Checkpoints) != 3 {
		t.Errorf("resumed: %+v", resumed)
	}
}

func TestResumeRefusesAWriteInDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld()
	of := run(t, w, order) // an unexpected end of input does not tell whether the write took effect
	rec, _ := recorder(t)
	ctx, x, err := rec.BeginResume(t.Context(), &record.Bundle{Execution: of}, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = order(ctx, w)
	x.End(err)
	var refused *execution.Refused
	if !errors.As(err, &refused) || *refused.Recorded != 2 {
		t.Errorf("resume of a write in doubt: %v", err)
	}
	if w.calls["fail upstream"] != 1 {
		t.Errorf("calls: %v", w.calls)
	}
	if code := x.Report().ExitCode(); code != 6 {
		t.Errorf("exit code %d", code)
	}
}

// throughFile returns a record as it is when it went through a file.
func throughFile(t *testing.T, of *record.Execution) *record.Bundle {
	t.Helper()
	var file bytes.Buffer
	if err := record.WriteBundle(&file, &record.Bundle{Execution: of}); err != nil {
		t.Fatal(err)
	}
	bundle, err := record.ReadBundle(&file)
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}
