package execution_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// drawn is what a program gets from sources that give something else each time.
type drawn struct {
	IDs      []string
	Times    []time.Time
	Passed   []time.Duration
	Numbers  []float64
	Bytes    []byte
	Variable string
	Set      bool
	Digest   string
	Lanes    []string
}

// draw takes from all sources, in the order that the statements about them ask for, with other sources in between.
func draw(ctx context.Context, variable string) (d drawn) {
	started := execution.Now(ctx)
	for range 3 {
		d.IDs = append(d.IDs, execution.UUID(ctx).String(), execution.UUIDv7(ctx).String())
		d.Times = append(d.Times, execution.Now(ctx).UTC())
		d.Passed = append(d.Passed, execution.Since(ctx, started))
	}
	for range 5 {
		d.Numbers = append(d.Numbers, execution.Rand(ctx).Float64())
	}
	d.Bytes = make([]byte, 16)
	_, _ = execution.RandReader(ctx).Read(d.Bytes)
	d.Variable, d.Set = execution.LookupEnv(ctx, variable)
	sum := sha256.Sum256([]byte("a fixed text"))
	d.Digest = hex.EncodeToString(sum[:])
	for i := range 3 {
		got := make(chan string)
		execution.Go(ctx, "drawer", func(ctx context.Context) { got <- fmt.Sprint(i, execution.UUID(ctx), execution.Now(ctx).UTC()) })
		d.Lanes = append(d.Lanes, <-got)
	}
	return d
}

// TestSourcesGiveTheSameInAReplay is F-17 to F-20, F-24, G-001 to G-004, G-018 to G-021, G-070, G-147, and G-178 to G-181: the
// replay takes place where the variable is not set.
func TestSourcesGiveTheSameInAReplay(t *testing.T) {
	t.Parallel()
	const variable = "FLUX_TEST_OF_SOURCES" // of this test alone
	if err := os.Setenv(variable, "recorded"); err != nil {
		t.Fatal(err)
	}
	var live, again drawn
	of := run(t, nil, func(ctx context.Context, _ *world) error { live = draw(ctx, variable); return nil })
	if err := os.Unsetenv(variable); err != nil {
		t.Fatal(err)
	}
	report := replay(t, nil, of, nil, func(ctx context.Context, _ *world) error { again = draw(ctx, variable); return nil })
	want, _ := json.Marshal(live)
	if got, _ := json.Marshal(again); string(got) != string(want) || report.Outcome != execution.OutcomeSame {
		t.Errorf("%v: drew\n%s, want\n%s", report, got, want)
	}
	if live.IDs[0] == live.IDs[2] || live.IDs[0][14] != '4' || live.IDs[1][14] != '7' || live.Times[0].IsZero() || len(live.Digest) != 64 {
		t.Errorf("recorded %+v", live)
	}
	for _, n := range live.Numbers {
		if n < 0 || n >= 1 {
			t.Errorf("%v is not in [0, 1)", n)
		}
	}
	if !live.Set || len(of.Checkpoints) != 0 {
		t.Errorf("variable set: %v; %d checkpoints", live.Set, len(of.Checkpoints))
	}
}

// TestMoreThanWasRecordedIsReported is G-186 for sources: what a replay makes up, it says.
func TestMoreThanWasRecordedIsReported(t *testing.T) {
	t.Parallel()
	of := run(t, nil, func(ctx context.Context, _ *world) error { execution.Now(ctx); return nil })
	report := replay(t, nil, of, nil, func(ctx context.Context, _ *world) error {
		if first := execution.Now(ctx); !execution.Now(ctx).After(first) {
			t.Error("the clock stands still")
		}
		execution.UUID(ctx)
		return nil
	})
	if len(report.Divergences) != 2 {
		t.Errorf("%v: %+v, want the clock and the random source", report, report.Divergences)
	}
}

// TestSleepsAreNotWaitedForInAReplay is F-22 and G-145.
func TestSleepsAreNotWaitedForInAReplay(t *testing.T) {
	t.Parallel()
	backOff := func(ctx context.Context, _ *world) error {
		if err := execution.Sleep(ctx, 30*time.Second); err != nil {
			return err
		}
		<-execution.After(ctx, time.Minute)
		late, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return execution.Sleep(late, time.Minute)
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		of := run(t, nil, backOff)
		if took := time.Since(began); took != 91*time.Second || len(of.Checkpoints) != 3 || of.Status != record.StatusError && of.Status != record.StatusTimeout {
			t.Errorf("took %v, %d checkpoints, %s", took, len(of.Checkpoints), of.Status)
		}
		began = time.Now()
		report := replay(t, nil, of, nil, func(ctx context.Context, w *world) error {
			err := backOff(ctx, w)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("replayed as %v", err)
			}
			return err
		})
		if took := time.Since(began); took != 0 || report.Outcome != execution.OutcomeSame {
			t.Errorf("the replay took %v: %v", took, report)
		}
	})
}

// TestOperationsAreNumberedInTheirOrder is G-028, G-029, G-077 and G-183: reads that differ keep their answers, however often and
// in whatever order a replay asks.
func TestOperationsAreNumberedInTheirOrder(t *testing.T) {
	t.Parallel()
	ask := func(order ...string) func(ctx context.Context, w *world) error {
		return func(ctx context.Context, w *world) error {
			for _, arg := range order {
				if got, err := w.call(ctx, record.EffectRead, "get", arg); err != nil || got != "<"+arg+">" {
					t.Errorf("%s is %q, %v", arg, got, err)
				}
			}
			return nil
		}
	}
	of := run(t, newWorld(), ask("1", "2", "3"))
	for i, cp := range of.Checkpoints {
		if int(cp.Number) != i || cp.State != record.StateDone {
			t.Errorf("checkpoint %d is %+v", i, cp)
		}
	}
	if report := replay(t, newWorld(), of, nil, ask("1", "2", "3")); report.Outcome != execution.OutcomeSame {
		t.Error(report)
	}
	if report := replay(t, newWorld(), of, nil, ask("3", "1", "2")); report.Outcome == execution.OutcomeStopped {
		t.Error(report)
	}
}

// TestWhatFailsIsNeverShownAsGood is G-012, G-013, G-035, G-036, G-038 and G-039, each also as a replay.
func TestWhatFailsIsNeverShownAsGood(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for name, test := range map[string]struct {
		operations int
		end        error
	}{"before any operation": {0, boom}, "after a write": {1, boom}, "between operations": {2, boom}, "not at all": {3, nil}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := func(ctx context.Context, w *world) error {
				for i := range test.operations {
					if _, err := w.call(ctx, record.EffectWrite, "insert", fmt.Sprint(i)); err != nil {
						return err
					}
				}
				return test.end
			}
			of := run(t, newWorld(), program)
			if good := of.Status == record.StatusOK; good != (test.end == nil) || len(of.Checkpoints) != test.operations {
				t.Errorf("%s with %d checkpoints", of.Status, len(of.Checkpoints))
			}
			again := newWorld()
			if report := replay(t, again, of, nil, program); report.Outcome != execution.OutcomeSame || len(again.calls) != 0 {
				t.Errorf("%v; it did %v", report, again.calls)
			}
		})
	}
}

// TestExecutionsDoNotSeeEachOther is G-007, G-026 and G-027: executions at the same time have sources and records of their own.
func TestExecutionsDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	rec, kept := recorder(t)
	for i := range 8 {
		go func() {
			ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest, Method: fmt.Sprint(i)}, nil)
			_, err := execution.Do(ctx, execution.Op{Boundary: "world", Shape: "insert", Effect: record.EffectWrite, Request: i}, func(context.Context) (string, error) {
				return execution.UUID(ctx).String(), nil
			})
			x.End(err)
		}()
	}
	ids := make(map[string]bool)
	for range 8 {
		of := <-kept
		if len(of.Checkpoints) != 1 || string(of.Checkpoints[0].Request.Data) != of.Trigger.Method {
			t.Errorf("execution %s has %d checkpoints: %+v", of.Trigger.Method, len(of.Checkpoints), of.Checkpoints)
			continue
		}
		ids[string(of.Checkpoints[0].Response.Data)] = true
	}
	if len(ids) != 8 {
		t.Errorf("%d ids of 8 executions differ", len(ids))
	}
}

// TestFailuresAreKeptWhateverTheShare is F-33.
func TestFailuresAreKeptWhateverTheShare(t *testing.T) {
	t.Parallel()
	const good, bad = 5000, 20
	kept := make(chan *record.Execution, good+bad)
	rec, err := execution.New(execution.Config{
		Service: "shop", Keep: execution.Keep{First: -1, Slower: -1, Sample: 0.01}, Limits: execution.Limits{Queue: good + bad},
		OnKept: func(x *record.Execution) { kept <- x },
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range good + bad {
		_, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
		if i < bad {
			x.End(errors.New("no"))
		} else {
			x.End(nil)
		}
	}
	if err := rec.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(kept)
	reasons := make(map[string]int)
	for x := range kept {
		reasons[x.Kept]++
	}
	// Of 5,000, one of a hundred: 50, and less than 10 or more than 120 less often than once in a billion runs.
	if reasons["failed"] != bad || reasons["sampled"] < 10 || reasons["sampled"] > 120 {
		t.Errorf("kept %v", reasons)
	}
}

// TestWhatIsNotRecordedIsNobodysOperation: executions that the configuration leaves out do not make those beside them partial, and
// end the start of the process.
func TestWhatIsNotRecordedIsNobodysOperation(t *testing.T) {
	t.Parallel()
	kept := make(chan *record.Execution, 1)
	rec, err := execution.New(execution.Config{
		Service: "shop", Keep: execution.Keep{All: true}, OnKept: func(x *record.Execution) { kept <- x },
		Record: func(trigger record.Trigger) bool { return trigger.Method == "recorded" },
	})
	if err != nil {
		t.Fatal(err)
	}
	left, none := rec.Begin(t.Context(), record.Trigger{Method: "left out"}, nil)
	if none != nil || rec.Booting() {
		t.Errorf("began %v, the process starts: %v", none.ID(), rec.Booting())
	}
	_, x := rec.Begin(t.Context(), record.Trigger{Method: "recorded"}, nil)
	if call := rec.Start(left, execution.Op{Boundary: "world", Shape: "get", Effect: record.EffectRead}); call != nil {
		t.Error("an operation of an execution that is left out is recorded")
	}
	x.End(nil)
	if of := <-kept; len(of.Checkpoints) != 0 || of.Replayable.Level == record.ReplayPartial || rec.Stats().Strays != 0 {
		t.Errorf("%d checkpoints, replayable %+v, %+v", len(of.Checkpoints), of.Replayable, rec.Stats())
	}
}
