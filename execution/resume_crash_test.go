package execution

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flux-go/flux/execution/record"
)

// A ledger counts what reaches it. It knows keys: the same key has one effect.
type ledger struct {
	mu       sync.Mutex
	effects  map[string]int
	requests map[string]map[string]bool
	keys     map[string]bool
	reads    int
}

func newLedger() *ledger {
	return &ledger{effects: make(map[string]int), requests: make(map[string]map[string]bool), keys: make(map[string]bool)}
}

func (l *ledger) write(ctx context.Context, name, request, key string) error {
	op := Op{Boundary: "ledger", Shape: name, Effect: record.EffectWrite, Request: request, IdempotencyKey: key}
	_, err := Do(ctx, op, func(context.Context) (string, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.requests[name] = with(l.requests[name], request, true)
		if key == "" || !l.keys[key] {
			l.effects[name]++
		}
		l.keys[key] = true
		return "done", nil
	})
	return err
}

// read gives another answer each time.
func (l *ledger) read(ctx context.Context, name string) (string, error) {
	return Do(ctx, Op{Boundary: "ledger", Shape: name, Effect: record.EffectRead}, func(context.Context) (string, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.reads++
		return fmt.Sprint(name, l.reads), nil
	})
}

// probe says whether a write took effect, as one would ask the system.
func (l *ledger) probe(_ context.Context, cp *record.Checkpoint) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.effects[cp.Shape] > 0, nil
}

var orderSteps = []string{"reserve", "charge", "ship", "mail"}

// order does writes whose requests depend on reads, on the clock, on random numbers and on the environment.
func (l *ledger) order(ctx context.Context) error {
	for i, step := range orderSteps {
		seen, err := l.read(ctx, "before "+step)
		if err != nil {
			return err
		}
		request := fmt.Sprint(seen, Now(ctx).UnixNano(), UUID(ctx), Getenv(ctx, "HOME"))
		key := ""
		if i%2 == 1 {
			key = "key of " + step
		}
		if err := l.write(ctx, step, request, key); err != nil {
			return err
		}
	}
	return nil
}

// checkOnce checks that each write was done once, and always with the same request.
func (l *ledger) checkOnce(t *testing.T) {
	t.Helper()
	for _, step := range orderSteps {
		if l.effects[step] != 1 || len(l.requests[step]) != 1 {
			t.Errorf("%s: %d effects, requests %v", step, l.effects[step], l.requests[step])
		}
	}
}

// A crash is a place at which a process dies.
type crash struct {
	point string
	write int64
}

func (c crash) String() string { return fmt.Sprint(c.point, ":", c.write) }

// runProcess is one life of a service on a folder: it runs f, and dies at a crash if that comes. What it leaves is in another folder.
func runProcess(t *testing.T, dir string, c *crash, f func(*Recorder)) (left string, died bool) {
	t.Helper()
	rec, err := Connect(Config{Service: "shop", Dir: dir, RedactKey: []byte("of the service"), Journal: func(record.Trigger) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	left = filepath.Join(t.TempDir(), "left")
	if c != nil {
		rec.faults = &faultPoint{name: c.point, exit: func() {
			died = true
			copyJournal(t, left, dir)
			runtime.Goexit()
		}}
		rec.faults.left.Store(c.write)
	}
	var running sync.WaitGroup
	running.Go(func() { f(rec) })
	running.Wait()
	if err := rec.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if !died {
		left = dir
	}
	return left, died
}

// copyJournal copies a folder as it was at one time: the journal may be removing what it took over from another process.
func copyJournal(t *testing.T, to, from string) {
	t.Helper()
	for {
		before := segmentsIn(t, from)
		err := os.CopyFS(to, os.DirFS(from))
		if err == nil && slices.Equal(before, segmentsIn(t, from)) {
			return
		}
		if err := os.RemoveAll(to); err != nil {
			t.Error(err)
			return
		}
	}
}

func segmentsIn(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		t.Error(err)
	}
	return names
}

func crashes() (all []crash) {
	for _, point := range []string{faultBeforeIntent, faultAfterIntent, faultBeforeOutcome, faultAfterOutcome} {
		for n := range orderSteps {
			all = append(all, crash{point, int64(n + 1)})
		}
	}
	return all
}

// TestEachEffectHappensOnceWhereverAProcessDies lets a process die at each position of its journal, and the process that resumes
// at each of its own (G-198).
func TestEachEffectHappensOnceWhereverAProcessDies(t *testing.T) {
	t.Parallel()
	for _, first := range crashes() {
		t.Run(first.String(), func(t *testing.T) {
			t.Parallel()
			for _, second := range crashes() {
				if testing.Short() && first.point != second.point {
					continue
				}
				l := newLedger()
				dir, died := runProcess(t, t.TempDir(), &first, func(rec *Recorder) {
					ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerJob, Method: "order"}, nil)
					x.End(l.order(ctx))
				})
				if !died {
					t.Fatal("the process did not die")
				}
				resumeUntilDone(t, dir, l, second)
				l.checkOnce(t)
			}
		})
	}
}

// resumeUntilDone resumes what a process left, dying once on the way.
func resumeUntilDone(t *testing.T, dir string, l *ledger, c crash) {
	t.Helper()
	next, died := &c, true
	var latest *record.Execution
	for died {
		dir, died = runProcess(t, dir, next, func(rec *Recorder) {
			latest = newest(rec.Recovered(), latest)
			if latest == nil { // the first process died before it did anything
				ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerJob, Method: "order"}, nil)
				x.End(l.order(ctx))
				return
			}
			ctx, x, err := rec.BeginResume(t.Context(), &record.Bundle{Execution: latest}, &ResumeOptions{Probe: l.probe})
			if err != nil {
				t.Error(err)
				return
			}
			if err := l.order(ctx); err != nil {
				t.Errorf("resumed after %s: %v", c, err)
				x.End(err)
				return
			}
			x.End(nil)
		})
		next = nil
	}
}

// newest returns what is known of the execution when a process recovered some: none when it died before it did anything, and what
// it had recovered itself, too, when it died before it could forget that.
func newest(recovered []*record.Execution, latest *record.Execution) *record.Execution {
	for _, x := range recovered {
		switch {
		case latest == nil:
			latest = x
		case x.Parent == latest.ID:
			latest = Inherit(x, latest)
		}
	}
	return latest
}

// TestUnknownFaultPointIsRefused tries texts that name no point.
func TestUnknownFaultPointIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"somewhere", "after-intent:0", "after-intent:x", ":1"} {
		if _, err := parseFault(text); !errors.Is(err, ErrBadConfig) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if f, err := parseFault("after-intent"); err != nil || f.left.Load() != 1 {
		t.Errorf("%v, %v", f, err)
	}
}

// TestResumeAsksBeforeAWriteThatTheFixChanged is G-199: the fixed program asks for a completed write with another request.
func TestResumeAsksBeforeAWriteThatTheFixChanged(t *testing.T) {
	t.Parallel()
	l := newLedger()
	rec, err := New(Config{Service: "shop", Keep: Keep{All: true}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rec.Close(context.Background()) })
	ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerJob}, nil)
	if err := l.write(ctx, "charge", "5", ""); err != nil {
		t.Fatal(err)
	}
	x.End(errors.New("the rest fails"))
	of := &record.Bundle{Execution: x.Record()}

	ctx, fixed, err := rec.BeginResume(t.Context(), of, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"charge", "mail"} { // it stays refused
		if err := l.write(ctx, step, "6", ""); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", step, err)
		}
	}
	fixed.End(nil)
	if report := fixed.Report(); report.ExitCode() != 6 || *report.Refused.Recorded != 0 || len(report.Live) > 0 {
		t.Errorf("report %v, %+v", report, report.Refused)
	}
	if l.effects["charge"] != 1 || len(l.requests["charge"]) != 1 || l.effects["mail"] != 0 {
		t.Errorf("effects %v, requests %v", l.effects, l.requests)
	}
}

// TestFromRefusesToRepeatACompletedWrite cuts a record before and after its write (F-82).
func TestFromRefusesToRepeatACompletedWrite(t *testing.T) {
	t.Parallel()
	x := &record.Execution{Checkpoints: []record.Checkpoint{
		{Number: 0, Effect: record.EffectRead, State: record.StateDone},
		{Number: 1, Effect: record.EffectWrite, State: record.StateDone, Shape: "charge"},
		{Number: 2, Effect: record.EffectRead, State: record.StateDone},
	}}
	for from, want := range map[uint32]error{0: ErrRefused, 1: ErrRefused, 2: nil, 3: nil, 4: ErrRefused} {
		steps, err := Plan(x, &ResumeOptions{From: &from})
		if !errors.Is(err, want) {
			t.Errorf("from %d: %v, want %v", from, err, want)
		}
		if from == 2 && (steps[0].Decision != DecisionReuse || steps[1].Decision != DecisionReuse || steps[2].Decision != DecisionRedo) {
			t.Errorf("from 2: %+v", steps)
		}
	}
}

// TestFromNeverCutsACommittedTransaction cuts a record at each place of three transactions, the second of which was rolled back (F-82).
func TestFromNeverCutsACommittedTransaction(t *testing.T) {
	t.Parallel()
	x := &record.Execution{}
	add := func(shape, unit string, effect record.Effect, state record.State) {
		x.Checkpoints = append(x.Checkpoints, record.Checkpoint{
			Number: uint32(len(x.Checkpoints)), Shape: shape, Transaction: unit, Effect: effect, State: state, Start: time.Duration(len(x.Checkpoints)),
		})
	}
	for _, unit := range []string{"tx1", "tx2"} {
		add(record.ShapeBegin, unit, record.EffectNone, record.StateDone)
		add("SELECT", unit, record.EffectRead, record.StateDone)
		if unit == "tx1" {
			add(ShapeCommit, unit, record.EffectNone, record.StateDone) // it only read: no write is in the way
		}
	}
	add("INSERT", "tx2", record.EffectWrite, record.StateFailed)
	add(record.ShapeRollback, "tx2", record.EffectNone, record.StateDone)
	add("mail", "", record.EffectWrite, record.StateFailed)
	add("prices", "", record.EffectRead, record.StateDone)
	for from, want := range map[uint32]string{
		0: "reuse reuse reuse redo redo redo redo live redo",
		1: "", 2: "", // within tx1
		3: "reuse reuse reuse redo redo redo redo live redo",
		5: "reuse reuse reuse redo redo redo redo live redo", // a unit is done again from its beginning
		7: "reuse reuse reuse reuse reuse reuse reuse live redo",
		8: "reuse reuse reuse reuse reuse reuse reuse reuse redo",
	} {
		steps, err := Plan(x, &ResumeOptions{From: &from})
		var got []string
		for _, step := range steps {
			got = append(got, string(step.Decision))
		}
		if refused := errors.Is(err, ErrRefused); refused != (want == "") || strings.Join(got, " ") != want {
			t.Errorf("from %d: %s, %v\nwant %s", from, strings.Join(got, " "), err, want)
		}
	}
}

// TestAResumeInheritsWhatItDidNotComeTo puts a transaction that a resume did again, and a probed write, over those of its parent.
func TestAResumeInheritsWhatItDidNotComeTo(t *testing.T) {
	t.Parallel()
	write := func(shape, unit string, state record.State, from record.Provenance) record.Checkpoint {
		return record.Checkpoint{Shape: shape, Transaction: unit, State: state, Effect: record.EffectWrite, Provenance: from}
	}
	done, doubt := record.StateDone, record.StateInDoubt
	parent := &record.Execution{Checkpoints: []record.Checkpoint{
		write("a", "", done, ""), write("insert", "tx1", done, ""), write(ShapeCommit, "tx1", doubt, ""), write("mail", "", doubt, ""), write("z", "", done, ""),
	}}
	again := &record.Execution{ID: record.ID{1}, Checkpoints: []record.Checkpoint{
		write("a", "", done, record.ProvenanceRecorded), write("insert", "tx1", done, record.ProvenanceLive), write("mail", "", done, record.ProvenanceProbed),
		write("new", "", doubt, record.ProvenanceLive),
	}}
	got := Inherit(again, parent)
	var text string
	for i, cp := range got.Checkpoints {
		text += fmt.Sprint(i == int(cp.Number), " ", cp.Shape, cp.Transaction, " ", cp.State, "; ")
	}
	const want = "true a done; true inserttx1 done; true mail done; true z done; true new in-doubt; "
	if text != want || got.ID != again.ID {
		t.Errorf("inherited %s\nwant %s", text, want)
	}
}
