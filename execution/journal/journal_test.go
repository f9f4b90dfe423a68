package journal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/flux-go/flux/execution/record"
)

func TestSpoolGivesExecutionsInTheirOrderUntilAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir, nil)
	for i := range byte(5) {
		if err := j.Append(record.Append(nil, execution(i, record.StatusOK))); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		batch, err := j.Next(t.Context())
		if err != nil || len(batch) != 5 {
			t.Fatalf("got %d, %v", len(batch), err)
		}
		for i, x := range decode(t, batch) {
			if !reflect.DeepEqual(x, execution(byte(i), record.StatusOK)) {
				t.Errorf("execution %d: %+v", i, x)
			}
		}
	}
	if err := j.Acknowledge(); err != nil {
		t.Fatal(err)
	}
	if s := j.Stats(); s != (Stats{}) {
		t.Errorf("stats %+v", s)
	}
	j.Seal()
	if _, err := j.Next(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want EOF", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if left := folders(t, dir); len(left) != 0 {
		t.Errorf("%s is left", left)
	}
}

func TestNextWaitsForAnExecution(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		j := open(t, dir, nil)
		got := make(chan [][]byte)
		go func() {
			batch, _ := j.Next(t.Context())
			got <- batch
		}()
		synctest.Wait()
		if err := j.Append([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if batch := <-got; len(batch) != 1 || string(batch[0]) != "x" {
			t.Errorf("got %q", batch)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := j.Next(ctx); err != nil {
			t.Errorf("%v although something is there", err)
		}
		_ = j.Acknowledge()
		if _, err := j.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestNextBoundsItsBatches(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), nil)
	sizes := []int{maxBatchBytes / 2, maxBatchBytes / 2, 1, 2 * maxBatchBytes, 1}
	for i, size := range sizes {
		if err := j.Append(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range [][]int{{0, 1}, {2}, {3}, {4}} {
		batch, err := j.Next(t.Context())
		if err != nil || len(batch) != len(want) {
			t.Fatalf("got %d, %v, want %d", len(batch), err, len(want))
		}
		for i, data := range batch {
			if len(data) != sizes[want[i]] || data[0] != byte(want[i]) {
				t.Errorf("%d bytes of %d, want %d of %d", len(data), data[0], sizes[want[i]], want[i])
			}
		}
		_ = j.Acknowledge()
	}
}

func TestWhatWaitsSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir, nil)
	for i := range byte(4) {
		_ = j.Append(record.Append(nil, execution(i, record.StatusOK)))
		if i == 1 {
			if batch, err := j.Next(t.Context()); err != nil || len(batch) != 2 {
				t.Fatalf("got %d, %v", len(batch), err)
			}
			_ = j.Acknowledge()
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, nil)
	got := drain(t, again)
	if len(got) != 2 || got[record.ID{2, 1}] == nil || got[record.ID{3, 1}] == nil {
		t.Errorf("got %v, want those not acknowledged", got)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if left := folders(t, dir); len(left) != 0 {
		t.Errorf("%s is left", left)
	}
}

func TestFullSpoolDropsTheOldest(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir, &Config{MaxBytes: 1000, SegmentBytes: 300})
	for i := range byte(30) {
		_ = j.Append(bytes.Repeat([]byte{i}, 100))
		j.idleForTest()
	}
	if s := j.Stats(); s.Waiting != 10 || s.WaitingBytes != 1000 || s.DroppedFull != 20 {
		t.Errorf("stats %+v, want 10 waiting and 20 dropped", s)
	}
	batch, err := j.Next(t.Context())
	if err != nil || len(batch) != 10 || batch[0][0] != 20 || batch[9][0] != 29 {
		t.Errorf("got %d, %v", len(batch), err)
	}
	_ = j.Append(make([]byte, 500))
	if s := j.Stats(); s.Waiting != 10 || s.DroppedFull != 21 {
		t.Errorf("stats %+v: what is on its way to the server stays, so the new one goes", s)
	}
}

func TestAcknowledgedSegmentsAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir, &Config{SegmentBytes: 300})
	for i := range byte(30) {
		_ = j.Append(bytes.Repeat([]byte{i}, 100))
		j.idleForTest()
	}
	before := len(segments(t, dir))
	for {
		if _, err := j.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		_ = j.Acknowledge()
		if j.Stats().Waiting == 0 {
			break
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if before < 8 || len(segments(t, dir)) != 0 {
		t.Errorf("%d segments before, %d after", before, len(segments(t, dir)))
	}
}

func TestCrashedExecutionIsReportedWithItsWritesInDoubt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir, nil)
	x := execution(1, record.StatusRunning)
	x.Checkpoints = []record.Checkpoint{{Number: 0, Effect: record.EffectRead, State: record.StateDone}}
	must(t, j.Begin(x))
	must(t, j.Intent(x.ID, write(1, record.StateIntent)))
	must(t, j.Outcome(x.ID, write(1, record.StateDone)))
	must(t, j.Intent(x.ID, write(3, record.StateIntent)))
	must(t, j.Begin(execution(2, record.StatusRunning)))
	must(t, j.End(execution(2, record.StatusOK)))

	image := crashImage(t, dir)
	again := open(t, image, nil)
	if len(again.Recovered()) != 1 {
		t.Fatalf("recovered %d", len(again.Recovered()))
	}
	got := again.Recovered()[0]
	want := execution(1, record.StatusCrashed)
	want.Kept, want.Duration, want.Dropped.Checkpoints = "failed", 12, 1
	want.Replayable = record.Replayable{Level: record.ReplayPartial, Reasons: []string{reasonUnfinished}}
	want.Checkpoints = []record.Checkpoint{
		x.Checkpoints[0], *write(1, record.StateDone), *write(3, record.StateInDoubt),
	}
	want.Checkpoints[2].Number = 2 // op 2 had no outcome, and changed nothing
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	waiting := drain(t, again)
	if len(waiting) != 2 || !reflect.DeepEqual(waiting[x.ID], want) || waiting[record.ID{2, 1}].Status != record.StatusOK {
		t.Errorf("waiting %+v", waiting)
	}
	must(t, again.Close())
	if left := folders(t, image); len(left) != 0 {
		t.Errorf("%s is left", left)
	}
}

func TestExecutionOfAClosedJournalIsInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir, nil)
	must(t, j.Begin(execution(1, record.StatusRunning)))
	must(t, j.Close())
	again := open(t, dir, nil)
	if all := again.Recovered(); len(all) != 1 || all[0].Status != record.StatusInterrupted {
		t.Errorf("recovered %+v", all)
	}
}

func TestStepsOutsideAnExecutionAreRefused(t *testing.T) {
	t.Parallel()
	j := open(t, t.TempDir(), nil)
	x := execution(1, record.StatusRunning)
	if err := j.Intent(x.ID, write(0, record.StateIntent)); !errors.Is(err, ErrNotBegun) {
		t.Errorf("before the begin: %v", err)
	}
	must(t, j.Begin(x))
	must(t, j.End(x))
	if err := j.Outcome(x.ID, write(0, record.StateDone)); !errors.Is(err, ErrNotBegun) {
		t.Errorf("after the end: %v", err)
	}
	must(t, j.Close())
	must(t, j.Close())
	closed := map[string]error{
		"Append": j.Append(nil), "Begin": j.Begin(x), "End": j.End(x), "Outcome": j.Outcome(x.ID, write(0, record.StateDone)),
		"Intent": j.Intent(x.ID, write(0, record.StateIntent)),
	}
	for name, err := range closed {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
}

func TestLivingJournalIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one := open(t, dir, nil)
	must(t, one.Begin(execution(1, record.StatusRunning)))
	must(t, one.Intent(record.ID{1, 1}, write(0, record.StateIntent)))
	must(t, one.Append([]byte("waits")))
	two := open(t, dir, nil)
	if len(two.Recovered()) != 0 || two.Stats().Waiting != 0 {
		t.Errorf("recovered %d, %d waiting", len(two.Recovered()), two.Stats().Waiting)
	}
	must(t, two.Close())
	must(t, one.Outcome(record.ID{1, 1}, write(0, record.StateDone)))
	must(t, one.End(execution(1, record.StatusOK)))
}

func TestFolderOfALaterVersionIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir, nil)
	must(t, j.Append([]byte("waits")))
	must(t, j.Close())
	name := segments(t, dir)[0]
	data, err := os.ReadFile(name)
	must(t, err)
	data[len(segmentMagic)]++
	must(t, os.WriteFile(name, data, 0o600))

	again := open(t, dir, nil)
	if s := again.Stats(); s.Unreadable != 1 || s.Waiting != 0 {
		t.Errorf("stats %+v", s)
	}
	must(t, again.Close())
	if after, err := os.ReadFile(name); err != nil || !bytes.Equal(after, data) {
		t.Errorf("the file was changed: %v", err)
	}
}

// One sync serves all who came while the one before ran.
func TestConcurrentIntentsShareASync(t *testing.T) {
	t.Parallel()
	fs := &testDisk{gate: make(chan struct{})}
	j := open(t, t.TempDir(), &Config{fs: fs})
	defer close(fs.gate)
	x := execution(1, record.StatusRunning)
	must(t, j.Begin(x))
	j.idleForTest()
	var callers sync.WaitGroup
	intent := func(i uint32) {
		callers.Go(func() {
			if err := j.Intent(x.ID, write(i, record.StateIntent)); err != nil {
				t.Error(err)
			}
		})
	}
	intent(0)
	waitFor(func() bool { return fs.syncs.Load() == 1 })
	const many = 100
	for i := range uint32(many) {
		intent(1 + i)
	}
	waitFor(func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		return len(j.mu.pending) == many
	})
	fs.gate <- struct{}{}
	fs.gate <- struct{}{}
	callers.Wait()
	if n := fs.syncs.Load(); n != 2 {
		t.Errorf("%d syncs, want 2", n)
	}
}

// A long execution must not keep all that came after its begin.
func TestLongExecutionIsCarriedAlong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir, &Config{SegmentBytes: 1000})
	x := execution(1, record.StatusRunning)
	must(t, j.Begin(x))
	for i := range uint32(100) {
		if i%20 == 0 {
			must(t, j.Intent(x.ID, write(i, record.StateIntent)))
		}
		if i%20 == 1 {
			must(t, j.Outcome(x.ID, write(i-1, record.StateDone)))
		}
		must(t, j.Append(make([]byte, 500)))
		if _, err := j.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		must(t, j.Acknowledge())
		j.idleForTest()
	}
	must(t, j.Intent(x.ID, write(101, record.StateIntent)))
	waitFor(func() bool { return len(segments(t, dir)) <= 3 })
	again := open(t, crashImage(t, dir), nil)
	if len(again.Recovered()) != 1 || len(again.Recovered()[0].Checkpoints) != 6 {
		t.Fatalf("recovered %+v", again.Recovered())
	}
	for i, cp := range again.Recovered()[0].Checkpoints {
		want := record.StateDone
		if i == 5 {
			want = record.StateInDoubt
		}
		if cp.State != want {
			t.Errorf("checkpoint %d is %s, want %s", cp.Number, cp.State, want)
		}
	}
	must(t, j.End(execution(1, record.StatusOK)))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func waitFor(condition func() bool) {
	for !condition() {
		runtime.Gosched()
	}
}
