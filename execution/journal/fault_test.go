package journal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/flux-go/flux/execution/record"
	"pgregory.net/rapid"
)

// A full disk is told to callers of Intent and End, and to nobody else; what ended can be uploaded from memory, and is written
// when there is room again.
func TestFullDiskIsToldToWhoWaitsForIt(t *testing.T) {
	t.Parallel()
	dir, fs := t.TempDir(), new(testDisk)
	j := open(t, dir, &Config{fs: fs})
	x := execution(1, record.StatusRunning)
	must(t, j.Begin(x))
	must(t, j.Intent(x.ID, write(0, record.StateIntent)))
	fs.failWrite.Store(true)
	must(t, j.Outcome(x.ID, write(0, record.StateDone)))
	must(t, j.Append(record.Append(nil, execution(2, record.StatusError))))
	must(t, j.Begin(execution(3, record.StatusRunning)))
	if err := j.Intent(x.ID, write(1, record.StateIntent)); !errors.Is(err, errDisk) {
		t.Fatalf("intent on a full disk: %v", err)
	}
	if err := j.End(execution(3, record.StatusOK)); !errors.Is(err, errDisk) {
		t.Fatalf("end on a full disk: %v", err)
	}
	batch, err := j.Next(t.Context())
	if err != nil || len(batch) != 2 || !bytes.Equal(batch[0], record.Append(nil, execution(2, record.StatusError))) {
		t.Fatalf("from memory: %d, %v", len(batch), err)
	}
	if s := j.Stats(); s.DiskErrors == 0 || s.Unwritten != s.WaitingBytes || s.Waiting != 2 {
		t.Errorf("stats %+v", s)
	}
	fs.failWrite.Store(false)
	must(t, j.Intent(x.ID, write(2, record.StateIntent)))
	if s := j.Stats(); s.Unwritten != 0 || s.Waiting != 2 {
		t.Errorf("stats %+v after there is room again", s)
	}
	again := open(t, crashImage(t, dir), nil)
	got := again.Recovered()
	if len(got) != 1 || got[0].ID != x.ID || got[0].Status != record.StatusCrashed {
		t.Fatalf("recovered %+v", got)
	}
	want := []record.Checkpoint{*write(0, record.StateDone), *write(2, record.StateInDoubt)}
	if len(got[0].Checkpoints) != 2 || got[0].Checkpoints[0].State != want[0].State || got[0].Checkpoints[1].State != want[1].State {
		t.Errorf("checkpoints %+v", got[0].Checkpoints)
	}
	if waiting := drain(t, again); len(waiting) != 3 {
		t.Errorf("%d wait, want 3", len(waiting))
	}
}

func TestMemoryIsBoundedWhileTheDiskFails(t *testing.T) {
	t.Parallel()
	fs := new(testDisk)
	j := open(t, t.TempDir(), &Config{fs: fs, MaxMemoryBytes: 1000})
	must(t, j.Append(make([]byte, 100)))
	j.idleForTest()
	waitFor(func() bool { return j.Stats().Unwritten == 0 })
	fs.failWrite.Store(true)
	for i := range byte(50) {
		must(t, j.Append(bytes.Repeat([]byte{i}, 100)))
		if err := j.End(execution(1, record.StatusOK)); !errors.Is(err, errDisk) {
			t.Fatal(err)
		}
	}
	s := j.Stats()
	if s.Unwritten > 1000 || s.DroppedMemory == 0 || s.Waiting < 2 {
		t.Errorf("stats %+v", s)
	}
	batch, err := j.Next(t.Context())
	if err != nil || len(batch) != s.Waiting || len(batch[0]) != 100 || batch[0][0] != 0 {
		t.Errorf("got %d, %v: what is on disk stays", len(batch), err)
	}
}

// What was written to a file whose sync failed cannot be relied on: executions in it may have ended.
func TestFailedSyncIsNotTrustedAgain(t *testing.T) {
	t.Parallel()
	dir, fs := t.TempDir(), new(testDisk)
	j := open(t, dir, &Config{fs: fs})
	x := execution(1, record.StatusRunning)
	must(t, j.Begin(x))
	fs.failSync.Store(true)
	if err := j.Intent(x.ID, write(0, record.StateIntent)); !errors.Is(err, errDisk) {
		t.Fatalf("intent: %v", err)
	}
	fs.failSync.Store(false)
	must(t, j.Intent(x.ID, write(1, record.StateIntent)))
	if all := segments(t, dir); filepath.Base(all[len(all)-1]) != segmentName(2) {
		t.Errorf("segments %s, want a new one", all)
	}
	got := open(t, crashImage(t, dir), nil).Recovered()
	if len(got) != 1 || got[0].Status != record.StatusInterrupted {
		t.Errorf("recovered %+v, want interrupted", got)
	}
}

func TestDamagedExecutionIsDroppedAndCounted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir, nil)
	for i := range byte(3) {
		must(t, j.Append(bytes.Repeat([]byte{i}, 100)))
	}
	waitFor(func() bool { return j.Stats().Unwritten == 0 })
	name := segments(t, dir)[0]
	data, err := os.ReadFile(name)
	must(t, err)
	data[headerBytes+frameHeadBytes+50]++
	must(t, os.WriteFile(name, data, 0o600))
	for range 2 {
		batch, err := j.Next(t.Context())
		if err != nil || len(batch) != 2 || batch[0][0] != 1 {
			t.Fatalf("got %d, %v", len(batch), err)
		}
	}
	if s := j.Stats(); s.DroppedDamaged != 1 || s.Waiting != 2 {
		t.Errorf("stats %+v", s)
	}
}

func TestOpenTellsWhenItCannotWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fs := new(testDisk)
	fs.failCreate.Store(true)
	if _, err := Open(dir, &Config{fs: fs}); !errors.Is(err, errDisk) {
		t.Errorf("got %v, want %v", err, errDisk)
	}
	if left := folders(t, dir); len(left) != 0 {
		t.Errorf("%s is left", left)
	}
	notFolder := filepath.Join(dir, "file")
	must(t, os.WriteFile(notFolder, nil, 0o600))
	if _, err := Open(notFolder, nil); err == nil {
		t.Error("no error for a file")
	}
}

// model is what a journal must know after random steps, faults and a crash.
type model struct {
	running map[record.ID]map[uint32]record.State // states that are certain
	unsure  map[record.ID]map[uint32]bool         // steps that may be known, too
	ended   map[record.ID]bool                    // certain or not
	sure    map[record.ID]bool                    // ended for certain, not acknowledged

	outcomes map[record.ID][]uint32 // of steps, certain with the next intent or end
}

// sync makes certain what came before an intent or end that is on disk.
func (m *model) sync() {
	for id, numbers := range m.outcomes {
		for _, number := range numbers {
			if m.running[id] != nil {
				m.running[id][number] = record.StateDone
			}
		}
	}
	clear(m.outcomes)
}

// J1, J3 and J4 for random steps on a disk that fails now and then.
func TestJournalKeepsItsPromisesOnABadDisk(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		fs := new(testDisk)
		j, err := Open(dir, &Config{fs: fs, SegmentBytes: 400})
		if err != nil {
			rt.Fatal(err)
		}
		defer j.Close()
		m := &model{
			running: map[record.ID]map[uint32]record.State{}, unsure: map[record.ID]map[uint32]bool{},
			ended: map[record.ID]bool{}, sure: map[record.ID]bool{}, outcomes: map[record.ID][]uint32{},
		}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			m.step(rt, j, fs)
		}
		image := dir + "-after"
		if rapid.Bool().Draw(rt, "the power is cut") {
			fs.powerCut(rt, dir, image)
		} else if err := copyFolder(image, dir); err != nil {
			rt.Fatal(err)
		}
		m.check(rt, image)
	})
}

func (m *model) step(rt *rapid.T, j *Journal, fs *testDisk) {
	id := record.ID{byte(rapid.IntRange(0, 2).Draw(rt, "execution")), byte(len(m.ended))}
	number := uint32(rapid.IntRange(0, 3).Draw(rt, "checkpoint"))
	x := &record.Execution{ID: id, Status: record.StatusOK}
	switch rapid.SampledFrom([]string{"begin", "intent", "intent", "outcome", "end", "append", "acknowledge", "fault"}).Draw(rt, "step") {
	case "begin":
		if m.running[id] == nil && !m.ended[id] {
			m.running[id], m.unsure[id] = map[uint32]record.State{}, map[uint32]bool{}
			_ = j.Begin(x)
		}
	case "intent":
		if err := j.Intent(id, write(number, record.StateIntent)); err == nil {
			m.sync()
			if m.running[id][number] == "" {
				m.running[id][number] = record.StateInDoubt
			}
		} else if m.running[id] != nil {
			m.unsure[id][number] = true
		}
	case "outcome":
		if m.running[id] != nil {
			_ = j.Outcome(id, write(number, record.StateDone))
			m.outcomes[id] = append(m.outcomes[id], number)
			m.unsure[id][number] = true
		}
	case "end":
		if m.running[id] != nil {
			delete(m.running, id)
			m.ended[id] = true
			if err := j.End(x); err == nil {
				m.sync()
				m.sure[id] = true
			}
		}
	case "append":
		x.ID = record.ID{200, byte(len(m.ended))}
		m.ended[x.ID] = true
		_ = j.Append(record.Append(nil, x))
	case "acknowledge":
		if j.Stats().Waiting > 0 {
			batch, _ := j.Next(context.Background())
			for _, data := range batch {
				got, err := record.Decode(data)
				if err != nil || !m.ended[got.ID] {
					rt.Fatalf("%v was given out: %v", got, err)
				}
				delete(m.sure, got.ID)
			}
			_ = j.Acknowledge()
		}
	case "fault":
		for _, fault := range []*atomic.Bool{&fs.failWrite, &fs.failSync, &fs.failTruncate, &fs.failCreate} {
			fault.Store(rapid.IntRange(0, 3).Draw(rt, "fails") == 0)
		}
	}
}

func (m *model) check(rt *rapid.T, image string) {
	j, err := Open(image, &Config{fs: new(testDisk)})
	if err != nil {
		rt.Fatal(err)
	}
	defer j.Close()
	recovered := map[record.ID]*record.Execution{}
	for _, x := range j.Recovered() {
		if x.Status != record.StatusCrashed && x.Status != record.StatusInterrupted {
			rt.Fatalf("%s is %s", x.ID, x.Status)
		}
		recovered[x.ID] = x
	}
	for id, want := range m.running {
		for number, state := range want {
			got := stateOf(recovered[id], number)
			if got != state && (got != record.StateDone || !m.unsure[id][number]) {
				rt.Fatalf("checkpoint %d of %s is %q, want %s", number, id, got, state)
			}
		}
	}
	j.Seal()
	for {
		batch, err := j.Next(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		for _, data := range batch {
			x, err := record.Decode(data)
			if err != nil {
				rt.Fatal(err)
			}
			if x.Status == record.StatusOK && !m.ended[x.ID] {
				rt.Fatalf("%s is shown as ended", x.ID)
			}
			if x.Status == record.StatusOK {
				delete(m.sure, x.ID)
			}
		}
		_ = j.Acknowledge()
	}
	for id := range m.sure {
		rt.Fatalf("%s has ended and is not there", id)
	}
}

func stateOf(x *record.Execution, number uint32) record.State {
	if x == nil {
		return ""
	}
	for _, cp := range x.Checkpoints {
		if cp.Shape == strconv.Itoa(int(number)) {
			return cp.State
		}
	}
	return ""
}

// The intent is in a new segment; the outcome before it, at the end of the one before, must not be lost.
func TestIntentComesAfterWhatIsInOlderSegments(t *testing.T) {
	t.Parallel()
	dir, fs := t.TempDir(), new(testDisk)
	x := execution(1, record.StatusRunning)
	waits := make([]byte, 200) // so that the older segment stays
	size := headerBytes + 2*frameBytes + len(x.ID) + len(record.Append(nil, x)) + len(waits)
	j := open(t, dir, &Config{fs: fs, SegmentBytes: int64(size) + 1})
	must(t, j.Begin(x))
	must(t, j.Append(waits))
	waitFor(func() bool { return j.Stats().Unwritten == 0 })
	must(t, j.Outcome(x.ID, write(0, record.StateDone)))
	waitFor(func() bool {
		j.mu.Lock()
		defer j.mu.Unlock()
		return len(j.mu.running[x.ID].frames) == 2
	})
	must(t, j.Intent(x.ID, write(1, record.StateIntent)))
	if n := len(segments(t, dir)); n != 2 {
		t.Fatalf("%d segments, want 2", n)
	}
	image := filepath.Join(t.TempDir(), "image")
	fs.powerCut(t, dir, image)
	got := open(t, image, nil).Recovered()
	if len(got) != 1 || stateOf(got[0], 0) != record.StateDone || stateOf(got[0], 1) != record.StateInDoubt {
		t.Errorf("recovered %+v", got)
	}
}
