package execution_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// ask is an operation of a world in which each answer is another.
func ask(ctx context.Context, answers *atomic.Int64, effect record.Effect, request string) (int64, error) {
	return execution.Do(ctx, execution.Op{Boundary: "world", Shape: "ask", Effect: effect, Request: request}, func(context.Context) (int64, error) {
		runtime.Gosched()
		return answers.Add(1), nil
	})
}

// TestConcurrentExecutionsReplayWithoutMismatch is G-192: 8 goroutines ask at the same time, some of them the same.
func TestConcurrentExecutionsReplayWithoutMismatch(t *testing.T) {
	t.Parallel()
	executions := 1000
	if testing.Short() {
		executions = 100
	}
	rec, err := execution.New(execution.Config{Service: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rec.Close(context.Background()) })
	var answers atomic.Int64
	work := make(chan int)
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for n := range work {
				replayConcurrent(t, rec, &answers, n)
			}
		})
	}
	for n := range executions {
		work <- n
	}
	close(work)
	workers.Wait()
}

func replayConcurrent(t *testing.T, rec *execution.Recorder, answers *atomic.Int64, n int) {
	ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
	recorded := askFromGoroutines(ctx, answers, n)
	x.SetOutput(recorded)
	x.End(nil)
	ctx, again, err := rec.BeginReplay(t.Context(), &record.Bundle{Execution: x.Record()}, nil)
	if err != nil {
		t.Error(err)
		return
	}
	replayed := askFromGoroutines(ctx, nil, n)
	again.SetOutput(replayed)
	again.End(nil)
	if report := again.Report(); report.Outcome != execution.OutcomeSame || recorded != replayed || report.Served != 8*4 {
		t.Errorf("execution %d: %s", n, report.Text(nil))
	}
}

// askFromGoroutines asks from 8 goroutines and returns all answers. Without answers, the record must have them.
func askFromGoroutines(ctx context.Context, answers *atomic.Int64, n int) (all [8]string) {
	var wait sync.WaitGroup
	for i := range all {
		wait.Add(1)
		execution.Go(ctx, "worker", func(ctx context.Context) {
			defer wait.Done()
			for j, request := range []string{"config", fmt.Sprint("own ", n, i), "config", fmt.Sprint("other ", i%2)} {
				effect := record.EffectRead
				if j == 1 {
					effect = record.EffectWrite
				}
				answer, err := ask(ctx, answers, effect, request)
				all[i] += fmt.Sprint(answer, err, " ")
			}
		})
	}
	wait.Wait()
	return all
}

// TestSubsequencesGetTheRecordedAnswers is the property of matching: a program that does, lane by lane, some of what was
// recorded in that order gets for each request the answers that were recorded for it in the lane, in order.
func TestSubsequencesGetTheRecordedAnswers(t *testing.T) {
	t.Parallel()
	rec, err := execution.New(execution.Config{Service: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rec.Close(context.Background()) })
	rapid.Check(t, func(t *rapid.T) {
		lanes := rapid.SliceOfN(rapid.SliceOfN(rapid.StringOfN(rapid.RuneFrom([]rune("abcd")), 1, 1, -1), 0, 8), 1, 4).Draw(t, "lanes")
		kept := make([][]bool, len(lanes))
		for i, lane := range lanes {
			kept[i] = rapid.SliceOfN(rapid.Bool(), len(lane), len(lane)).Draw(t, "kept")
		}
		var answers atomic.Int64
		ctx, x := rec.Begin(context.Background(), record.Trigger{Kind: record.TriggerTest}, nil)
		want := make([]map[string][]int64, len(lanes))
		for i, lane := range lanes {
			want[i] = make(map[string][]int64)
			ctx := execution.WithLane(ctx, "lane")
			for _, request := range lane {
				answer, _ := ask(ctx, &answers, effectOf(request), request)
				want[i][request] = append(want[i][request], answer)
			}
		}
		x.End(nil)
		ctx, _, err := rec.BeginReplay(context.Background(), &record.Bundle{Execution: x.Record()}, nil)
		if err != nil {
			t.Fatal(err)
		}
		inLane := make([]context.Context, len(lanes))
		for i := range lanes {
			inLane[i] = execution.WithLane(ctx, "lane")
		}
		for _, i := range rapid.Permutation(laneNumbers(len(lanes))).Draw(t, "order of lanes") {
			for j, request := range lanes[i] {
				if !kept[i][j] {
					continue
				}
				got, err := ask(inLane[i], nil, effectOf(request), request)
				if err != nil || got != want[i][request][0] {
					t.Fatalf("lane %d, op %d %q: got %d %v, recorded %v", i, j, request, got, err, want[i][request])
				}
				want[i][request] = want[i][request][1:]
			}
		}
	})
}

func laneNumbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func effectOf(request string) record.Effect {
	if request < "c" {
		return record.EffectRead
	}
	return record.EffectWrite
}

// errDeclined is what a bank says.
var errDeclined = fmt.Errorf("declined: %w", io.ErrUnexpectedEOF)

// transfer is a program whose output tells all that it was told.
func transfer(ctx context.Context) (out []string, err error) {
	for i, step := range []string{"balance", "reserve", "rate", "pay", "notify"} {
		effect := record.EffectRead
		if i%2 == 1 {
			effect = record.EffectWrite
		}
		answer, err := execution.Do(ctx, execution.Op{
			Boundary: "bank", Target: "main", Shape: step, Effect: effect, Request: map[string]any{"step": step, "amount": i},
		}, func(context.Context) (string, error) {
			if step == "notify" {
				return "", errDeclined
			}
			return "answer to " + step, nil
		})
		if err != nil {
			return out, err
		}
		out = append(out, answer)
	}
	return out, nil
}

// A mutation changes what a recording says that was done, or what came of it.
type mutation struct {
	name  string
	apply func(r *rand.Rand, cps []record.Checkpoint) []record.Checkpoint
}

func one(change func(r *rand.Rand, cp *record.Checkpoint)) func(*rand.Rand, []record.Checkpoint) []record.Checkpoint {
	return func(r *rand.Rand, cps []record.Checkpoint) []record.Checkpoint {
		change(r, &cps[r.IntN(len(cps))])
		return cps
	}
}

var mutations = []mutation{
	{"request", one(func(r *rand.Rand, cp *record.Checkpoint) { cp.Hash[r.IntN(len(cp.Hash))] ^= 1 << r.IntN(8) })},
	{"boundary", one(func(_ *rand.Rand, cp *record.Checkpoint) { cp.Boundary += "s" })},
	{"target", one(func(_ *rand.Rand, cp *record.Checkpoint) { cp.Target = "other" })},
	{"shape", one(func(_ *rand.Rand, cp *record.Checkpoint) { cp.Shape = strings.ToUpper(cp.Shape) })},
	{"effect", one(func(r *rand.Rand, cp *record.Checkpoint) {
		others := slices.DeleteFunc([]record.Effect{record.EffectRead, record.EffectWrite, record.EffectUnknown, record.EffectNone}, func(e record.Effect) bool { return e == cp.Effect })
		cp.Effect = others[r.IntN(len(others))]
	})},
	{"lane", one(func(_ *rand.Rand, cp *record.Checkpoint) { cp.Lane = "root/other" })},
	{"response", func(r *rand.Rand, cps []record.Checkpoint) []record.Checkpoint {
		cp := &cps[r.IntN(4)]
		data := slices.Clone(cp.Response.Data)
		data[1+r.IntN(len(data)-2)]++ // within the quotes
		cp.Response.Data = data
		return cps
	}},
	{"error instead of a response", func(r *rand.Rand, cps []record.Checkpoint) []record.Checkpoint {
		cps[r.IntN(4)].Error = cps[4].Error
		return cps
	}},
	{"response instead of an error", func(_ *rand.Rand, cps []record.Checkpoint) []record.Checkpoint {
		cps[4].Error, cps[4].State, cps[4].Response.Data = nil, record.StateDone, []byte(`"fine"`)
		return cps
	}},
	{"other error", func(_ *rand.Rand, cps []record.Checkpoint) []record.Checkpoint {
		e := *cps[4].Error
		e.Message += "!"
		cps[4].Error = &e
		return cps
	}},
	{"dropped", func(r *rand.Rand, cps []record.Checkpoint) []record.Checkpoint {
		i := r.IntN(len(cps))
		return slices.Delete(cps, i, i+1)
	}},
	{"repeated", func(r *rand.Rand, cps []record.Checkpoint) []record.Checkpoint {
		i := r.IntN(len(cps))
		return slices.Insert(cps, i, cps[i])
	}},
	{"order", func(r *rand.Rand, cps []record.Checkpoint) []record.Checkpoint {
		i, j := r.IntN(len(cps)), r.IntN(len(cps)-1)
		if j >= i {
			j++
		}
		cps[i], cps[j] = cps[j], cps[i]
		cps[i].Start, cps[j].Start = cps[j].Start, cps[i].Start
		cps[i].Duration, cps[j].Duration = cps[j].Duration, cps[i].Duration
		return cps
	}},
}

// TestNoMutatedRecordingIsReportedAsClean replays an unchanged program from recordings in which something was changed.
func TestNoMutatedRecordingIsReportedAsClean(t *testing.T) {
	t.Parallel()
	mutants := 100_000
	if testing.Short() || raceDetector {
		mutants = 5000
	}
	rec, err := execution.New(execution.Config{Service: "bank"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rec.Close(context.Background()) })
	ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
	out, err := transfer(ctx)
	x.SetOutput(out)
	x.End(err)
	of := x.Record()
	if report := replayTransfer(t, rec, of); report.Outcome != execution.OutcomeSame {
		t.Fatalf("without a change: %s", report.Text(nil))
	}
	var workers sync.WaitGroup
	for worker := range 2 {
		workers.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(worker)))
			for range mutants / 2 {
				m := mutations[r.IntN(len(mutations))]
				mutant := *of
				mutant.Checkpoints = m.apply(r, slices.Clone(of.Checkpoints))
				for i := range mutant.Checkpoints {
					mutant.Checkpoints[i].Number = uint32(i)
				}
				if report := replayTransfer(t, rec, &mutant); report.Outcome == execution.OutcomeSame {
					t.Errorf("%s: %s", m.name, report.Text(nil))
					return
				}
			}
		})
	}
	workers.Wait()
}

func replayTransfer(t *testing.T, rec *execution.Recorder, of *record.Execution) *execution.Report {
	ctx, x, err := rec.BeginReplay(t.Context(), &record.Bundle{Execution: of}, nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := transfer(ctx)
	x.SetOutput(out)
	x.End(err)
	return x.Report()
}

// TestChangesBesideOperationsDoNotMoveAnswers is G-187: clock reads, random numbers and log lines come and go.
func TestChangesBesideOperationsDoNotMoveAnswers(t *testing.T) {
	t.Parallel()
	program := func(noise string) func(context.Context, *world) error {
		return func(ctx context.Context, w *world) error {
			for i, what := range noise {
				switch what {
				case 'c':
					execution.Now(ctx)
				case 'r':
					execution.Rand(ctx).Int()
				case 'n':
					execution.Note(ctx, "n", i)
				case '.':
					if _, err := w.call(ctx, record.EffectWrite, "put", fmt.Sprint(strings.Count(noise[:i], "."))); err != nil {
						return err
					}
				}
			}
			return nil
		}
	}
	of := run(t, newWorld(), program("c.rn.c.r"))
	for _, noise := range []string{"...", "cccc.rrrr.nnn.c", ".c.c.", "n...rrr"} {
		report := replay(t, newWorld(), of, nil, program(noise))
		for _, d := range report.Divergences {
			if d.Kind != execution.DivergenceSource {
				t.Errorf("%q: %+v", noise, d)
			}
		}
		if report.Stop != nil || report.Served != 3 {
			t.Errorf("%q: %s", noise, report.Text(nil))
		}
	}
}

// TestNothingAnswersAnotherRequest is G-186 and G-188.
func TestNothingAnswersAnotherRequest(t *testing.T) {
	t.Parallel()
	of := run(t, newWorld(), func(ctx context.Context, w *world) error {
		_, err := w.call(ctx, record.EffectRead, "get", "a")
		return err
	})
	for name, op := range map[string]execution.Op{
		"boundary": {Boundary: "moon", Shape: "get", Effect: record.EffectRead, Request: map[string]string{"arg": "a"}},
		"shape":    {Boundary: "world", Shape: "put", Effect: record.EffectRead, Request: map[string]string{"arg": "a"}},
		"effect":   {Boundary: "world", Shape: "get", Effect: record.EffectWrite, Request: map[string]string{"arg": "a"}},
		"request":  {Boundary: "world", Shape: "get", Effect: record.EffectRead, Request: map[string]string{"arg": "b"}},
	} {
		for _, loose := range []bool{false, true} {
			var got string
			report := replay(t, newWorld(), of, &execution.ReplayOptions{Loose: loose}, func(ctx context.Context, _ *world) (err error) {
				got, err = execution.Do(ctx, op, func(context.Context) (string, error) { return "", errors.New("done for real") })
				return err
			})
			if served := loose && name == "request"; served != (got != "") {
				t.Errorf("%s, loose %t: got %q", name, loose, got)
			} else if served && !slices.ContainsFunc(report.Divergences, func(d execution.Divergence) bool { return d.Kind == execution.DivergenceRequestChanged }) {
				t.Errorf("%s: a weaker level is not reported: %s", name, report.Text(nil))
			}
		}
	}
}

// TestReportIsJSON reads a report back, as flux replay does.
func TestReportIsJSON(t *testing.T) {
	t.Parallel()
	of := run(t, newWorld(), order)
	report := replay(t, newWorld(), of, nil, func(ctx context.Context, w *world) error {
		_, err := w.call(ctx, record.EffectWrite, "insert", "something else")
		return err
	})
	data, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	back := new(execution.Report)
	if err := json.Unmarshal(data, back); err != nil {
		t.Fatal(err)
	}
	if before, after := report.Text(nil), back.Text(nil); before != after {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}
