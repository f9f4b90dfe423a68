package execution_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// A racer asks for its steps one after the other, each of which takes its time.
type racer struct {
	name  string
	steps []time.Duration
}

// race is a program of which the result depends on who is answered first.
func race(finish *string, racers ...racer) func(context.Context, *world) error {
	return func(ctx context.Context, _ *world) error {
		var mu sync.Mutex
		var all sync.WaitGroup
		var order []string
		for _, r := range racers {
			all.Add(1)
			execution.Go(ctx, r.name, func(ctx context.Context) {
				defer all.Done()
				for i, took := range r.steps {
					step := fmt.Sprint(r.name, i)
					if _, err := answerAfter(ctx, step, took); err != nil {
						return
					}
					mu.Lock()
					order = append(order, step)
					mu.Unlock()
				}
			})
		}
		all.Wait()
		*finish = strings.Join(order, " ")
		return nil
	}
}

func answerAfter(ctx context.Context, what string, took time.Duration) (string, error) {
	return execution.Do(ctx, execution.Op{Boundary: "shop", Shape: what, Effect: record.EffectRead}, func(ctx context.Context) (string, error) {
		select {
		case <-time.After(took):
			return what, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	})
}

var raced = []racer{
	{"a", []time.Duration{50 * time.Millisecond, 10 * time.Millisecond, 10 * time.Millisecond}},
	{"b", []time.Duration{20 * time.Millisecond, 33 * time.Millisecond, 60 * time.Millisecond}},
	{"c", []time.Duration{65 * time.Millisecond}},
}

const asRaced = "b0 a0 b1 a1 c0 a2 b2"

// TestAStrictReplayAnswersInTheRecordedOrder is F-72.
func TestAStrictReplayAnswersInTheRecordedOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var finish string
		of := run(t, nil, race(&finish, raced...))
		if finish != asRaced {
			t.Fatalf("recorded %s", finish)
		}
		for range 50 {
			began := time.Now()
			report := replay(t, nil, of, &execution.ReplayOptions{Order: execution.OrderStrict}, race(&finish, raced...))
			if report.Outcome != execution.OutcomeSame || finish != asRaced || time.Since(began) > 100*time.Millisecond {
				t.Fatalf("%s after %v: %s", finish, time.Since(began), report.Text(nil))
			}
		}
	})
}

// TestARandomOrderShowsWhatDependsOnIt finds, among a few seeds, each of three orders in which two answers can come.
func TestARandomOrderShowsWhatDependsOnIt(t *testing.T) {
	t.Parallel()
	racers := []racer{{"a", []time.Duration{1, 1}}, {"b", []time.Duration{10}}}
	synctest.Test(t, func(t *testing.T) {
		var finish string
		of := run(t, nil, race(&finish, racers...))
		found := make(map[string]bool)
		for seed := range uint64(40) {
			opts := &execution.ReplayOptions{Order: execution.OrderRandom, Seed: seed}
			if report := replay(t, nil, of, opts, race(&finish, racers...)); report.Outcome != execution.OutcomeSame {
				t.Fatal(report.Text(nil))
			}
			found[finish] = true
		}
		if !found["a0 a1 b0"] || !found["a0 b0 a1"] || !found["b0 a0 a1"] || len(found) != 3 {
			t.Errorf("orders %v", found)
		}
	})
}

// TestAStrictReplayDoesNotWaitForeverForWhatNobodyAsks leaves out a whole lane: patience ends, once, and the report says so.
func TestAStrictReplayDoesNotWaitForeverForWhatNobodyAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var finish string
		of := run(t, nil, race(&finish, raced...))
		began := time.Now()
		report := replay(t, nil, of, &execution.ReplayOptions{Order: execution.OrderStrict}, race(&finish, raced[0], raced[2]))
		stuck := 0
		for _, d := range report.Divergences {
			if d.Kind == execution.DivergenceReordered && strings.Contains(d.Detail, "of lane root/b, which was not asked for") {
				stuck++
			}
		}
		if stuck != 1 || len(strings.Fields(finish)) != 4 || time.Since(began) < time.Second {
			t.Errorf("%s after %v: %s", finish, time.Since(began), report.Text(nil))
		}
	})
}

// TestAStrictReplayGoesPastASkippedStep drops a step of a lane that asks for later ones: those say that it will not come.
func TestAStrictReplayGoesPastASkippedStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var done sync.WaitGroup
		program := func(steps ...string) func(context.Context, *world) error {
			return func(ctx context.Context, _ *world) error {
				done.Add(1)
				execution.Go(ctx, "other", func(ctx context.Context) {
					defer done.Done()
					_, _ = answerAfter(ctx, "slow", 70*time.Millisecond)
				})
				for _, step := range steps {
					if _, err := answerAfter(ctx, step, 30*time.Millisecond); err != nil {
						return err
					}
				}
				done.Wait()
				return nil
			}
		}
		of := run(t, nil, program("first", "second", "third"))
		began := time.Now()
		report := replay(t, nil, of, &execution.ReplayOptions{Order: execution.OrderStrict}, program("third"))
		if took := time.Since(began); took > 50*time.Millisecond || report.Served != 2 {
			t.Errorf("after %v: %s", took, report.Text(nil))
		}
	})
}

// TestNobodyWaitsInAReplayThatStopped has one lane stop while another waits for its turn, and one whose context ends.
func TestNobodyWaitsInAReplayThatStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var finish string
		of := run(t, nil, race(&finish, raced...))
		program := func(ctx context.Context, _ *world) error {
			var waits sync.WaitGroup
			waits.Add(2)
			execution.Go(ctx, "a", func(ctx context.Context) {
				defer waits.Done()
				_, _ = answerAfter(ctx, "a0", 0)
			})
			gone, cancel := context.WithCancel(ctx)
			execution.Go(gone, "c", func(ctx context.Context) {
				defer waits.Done()
				_, _ = answerAfter(ctx, "c0", 0)
			})
			synctest.Wait()
			cancel()
			_, err := answerAfter(ctx, "something else", 0)
			waits.Wait()
			return err
		}
		began := time.Now()
		report := replay(t, nil, of, &execution.ReplayOptions{Order: execution.OrderStrict}, program)
		if report.Outcome != execution.OutcomeStopped || time.Since(began) > 10*time.Millisecond {
			t.Errorf("after %v: %s", time.Since(began), report.Text(nil))
		}
	})
}
