package journal

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/flux-go/flux/execution/record"
)

// expectation is what the steps up to a place in a segment amount to.
type expectation struct {
	ended map[record.ID]record.Status           // by those that wait
	open  map[record.ID]map[uint32]record.State // checkpoints of executions that run
}

func (e expectation) clone() expectation {
	out := expectation{maps.Clone(e.ended), make(map[record.ID]map[uint32]record.State)}
	for id, states := range e.open {
		out.open[id] = maps.Clone(states)
	}
	return out
}

// recordedRun lets a journal take steps of several executions and returns its only segment, and what is true from each place
// in it on.
func recordedRun(t *testing.T) (segment []byte, from map[int64]expectation) {
	t.Helper()
	dir := t.TempDir()
	j := open(t, dir, nil)
	now := expectation{make(map[record.ID]record.Status), make(map[record.ID]map[uint32]record.State)}
	from = map[int64]expectation{0: now.clone()}
	note := func() {
		must(t, j.Intent(record.ID{99}, write(0, record.StateIntent))) // so that all before it is written
		from[j.writer.active.size] = now.clone()
	}
	must(t, j.Begin(&record.Execution{ID: record.ID{99}}))
	for i := range byte(4) {
		x := execution(i, record.StatusRunning)
		must(t, j.Begin(x))
		now.open[x.ID] = map[uint32]record.State{}
		note()
		must(t, j.Intent(x.ID, write(0, record.StateIntent)))
		now.open[x.ID][0] = record.StateInDoubt
		note()
		must(t, j.Append(record.Append(nil, execution(100+i, record.StatusError))))
		now.ended[record.ID{100 + i, 1}] = record.StatusError
		note()
		must(t, j.Outcome(x.ID, write(0, record.StateDone)))
		now.open[x.ID][0] = record.StateDone
		note()
		if i == 2 { // this one does not end
			continue
		}
		must(t, j.End(execution(i, record.StatusOK)))
		delete(now.open, x.ID)
		now.ended[x.ID] = record.StatusOK
		note()
	}
	segment, err := os.ReadFile(segments(t, dir)[0])
	must(t, err)
	return segment, from
}

// G-194: whatever the process was writing when it was killed, the journal opens, knows everything that was on disk, and
// nothing is shown as ended that did not end.
func TestJournalCutAtAnyByteSaysWhatWasWritten(t *testing.T) {
	t.Parallel()
	segment, from := recordedRun(t)
	sure, next := from[0], from[0] // what is on disk for certain, and what may be on disk as far as it was written
	for cut := range int64(len(segment)) + 1 {
		if e, ok := from[cut]; ok {
			sure = e
		}
		next = expectationAfter(from, cut)
		h := newHistory()
		if cut >= headerBytes {
			h.read(1, segment[:cut], true)
		}
		got := summaryOf(h, segment)
		if h.isDamaged {
			t.Fatalf("cut at %d: a torn tail is taken for damage", cut)
		}
		for id, status := range got.ended {
			if next.ended[id] != status {
				t.Fatalf("cut at %d: %s is %s, which it never was", cut, id, status)
			}
		}
		for id, status := range sure.ended {
			if got.ended[id] != status {
				t.Fatalf("cut at %d: %s is %q, was %s on disk", cut, id, got.ended[id], status)
			}
		}
		for id, states := range sure.open {
			if _, ended := got.ended[id]; ended {
				continue
			}
			for number, state := range states {
				if s := got.open[id][number]; s != state && s != next.open[id][number] {
					t.Fatalf("cut at %d: checkpoint %d of %s is %q, want %s", cut, number, id, s, state)
				}
			}
		}
	}
}

// expectationAfter returns what the first note at or after the place says.
func expectationAfter(from map[int64]expectation, at int64) expectation {
	best := int64(1 << 62)
	for place := range from {
		if place >= at && place < best {
			best = place
		}
	}
	if best == 1<<62 {
		return expectation{}
	}
	return from[best]
}

func summaryOf(h *history, segment []byte) expectation {
	got := expectation{make(map[record.ID]record.Status), make(map[record.ID]map[uint32]record.State)}
	for _, p := range h.ended {
		f, _ := parseFrame(segment[p.at:p.end], p.at)
		if x, err := record.Decode(f.payload); err == nil {
			got.ended[x.ID] = x.Status
		}
	}
	for _, x := range h.unfinished() {
		states := make(map[uint32]record.State)
		for _, cp := range x.Checkpoints {
			number, err := strconv.Atoi(cp.Shape)
			if err != nil {
				panic(err)
			}
			states[uint32(number)] = cp.State
		}
		got.open[x.ID] = states
	}
	return got
}

// The same through Open, at some places.
func TestOpenAfterACut(t *testing.T) {
	t.Parallel()
	segment, _ := recordedRun(t)
	for cut := 0; cut <= len(segment); cut += 97 {
		dir := deadFolder(t, segment[:cut])
		h := newHistory()
		h.read(1, segment[:cut], true)
		want := summaryOf(h, segment)
		j := open(t, dir, nil)
		if len(j.Recovered()) != len(want.open) {
			t.Fatalf("cut at %d: recovered %d, want %d", cut, len(j.Recovered()), len(want.open))
		}
		waiting := drain(t, j)
		if len(waiting) != len(want.open)+len(want.ended) {
			t.Fatalf("cut at %d: %d wait, want %d and %d", cut, len(waiting), len(want.open), len(want.ended))
		}
		for id := range want.open {
			if waiting[id].Status != record.StatusCrashed {
				t.Fatalf("cut at %d: %s is %s", cut, id, waiting[id].Status)
			}
		}
		must(t, j.Close())
		if left := folders(t, dir); len(left) > 0 {
			t.Fatalf("cut at %d: %s is left", cut, left)
		}
	}
}

// deadFolder returns a directory with the folder of a dead writer.
func deadFolder(t *testing.T, segments ...[]byte) string {
	t.Helper()
	dir := t.TempDir()
	folder := filepath.Join(dir, "0123456789abcdef0123456789abcdef")
	must(t, os.Mkdir(folder, 0o700))
	must(t, os.WriteFile(filepath.Join(folder, lockName), nil, 0o600))
	for i, segment := range segments {
		must(t, os.WriteFile(filepath.Join(folder, segmentName(uint32(i+1))), segment, 0o600))
	}
	return dir
}

func TestDamagedByteNeverEndsAnExecution(t *testing.T) {
	t.Parallel()
	segment, from := recordedRun(t)
	last := from[int64(len(segment))]
	frames := 0
	readFrames(segment, func(parsedFrame) { frames++ })
	for at := headerBytes; at < len(segment); at++ {
		damaged := bytes.Clone(segment)
		damaged[at] ^= 1 << (at % 8)
		h := newHistory()
		h.read(1, damaged, true)
		got := summaryOf(h, damaged)
		for id, status := range got.ended {
			if last.ended[id] != status {
				t.Fatalf("byte %d: %s is %s", at, id, status)
			}
		}
		found := 0
		torn, isDamaged := readFrames(damaged, func(parsedFrame) { found++ })
		if found != frames-1 || !torn {
			t.Fatalf("byte %d: %d frames of %d are sound", at, found, frames)
		}
		for _, x := range h.unfinished() {
			if isDamaged && x.Status != record.StatusInterrupted {
				t.Fatalf("byte %d: %s is %s although the journal is damaged", at, x.ID, x.Status)
			}
		}
	}
}

func TestSegmentsThatAreNotOursOrNewerOrDamaged(t *testing.T) {
	t.Parallel()
	sound := appendHeader(nil, [16]byte{1}, 7)
	changed := func(at int) []byte {
		data := bytes.Clone(sound)
		data[at]++
		return data
	}
	tests := map[string]struct {
		data []byte
		want error
	}{
		"sound":       {sound, nil},
		"empty":       {nil, ErrNotSegment},
		"other magic": {changed(0), ErrNotSegment},
		"newer":       {changed(len(segmentMagic)), ErrNewer},
		"cut":         {sound[:headerBytes-1], ErrCorrupt},
		"damaged":     {changed(20), ErrCorrupt},
	}
	for name, test := range tests {
		if err := checkHeader(test.data); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

func TestTornOlderSegmentInterrupts(t *testing.T) {
	t.Parallel()
	begin := func(number byte) []byte {
		x := execution(number, record.StatusRunning)
		return appendFrame(appendHeader(nil, [16]byte{}, uint32(number)), kindBegin, x.ID, record.Append(nil, x))
	}
	first := begin(1)
	tests := map[string]struct {
		segments [][]byte
		want     record.Status
	}{
		"whole":             {[][]byte{first, begin(2)}, record.StatusCrashed},
		"last one torn":     {[][]byte{first, append(begin(2), 1, 2, 3)}, record.StatusCrashed},
		"older one torn":    {[][]byte{append(bytes.Clone(first), 1, 2, 3), begin(2)}, record.StatusInterrupted},
		"frames were lost":  {[][]byte{first, appendFrame(begin(2), kindLost, record.ID{}, nil)}, record.StatusInterrupted},
		"header is damaged": {[][]byte{append([]byte{1}, first[1:]...), begin(2)}, record.StatusInterrupted},
		"begin is damaged": {
			[][]byte{appendFrame(bytes.Clone(first), kindBegin, record.ID{9}, []byte("?"))}, record.StatusInterrupted,
		},
	}
	for name, test := range tests {
		j := open(t, deadFolder(t, test.segments...), nil)
		all := j.Recovered()
		if len(all) == 0 {
			t.Errorf("%s: nothing was recovered", name)
		}
		for _, x := range all {
			if x.Status != test.want {
				t.Errorf("%s: %s is %s, want %s", name, x.ID, x.Status, test.want)
			}
		}
	}
}

func FuzzHistory(f *testing.F) {
	x := execution(1, record.StatusOK)
	data := appendFrame(nil, kindBegin, x.ID, record.Append(nil, x))
	data = appendFrame(data, kindIntent, x.ID, record.AppendCheckpoint(nil, write(1, record.StateIntent)))
	data = appendFrame(data, kindExecution, record.ID{}, record.Append(nil, x))
	f.Add(data)
	f.Add(appendFrame(data, kindEnd, x.ID, record.Append(nil, x)))
	f.Add(appendFrame(appendFrame(data, kindAcknowledge, record.ID{}, position{1, 500}.payload()), kindClosed, record.ID{}, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		segment := append(appendHeader(nil, [16]byte{}, 1), data...)
		h := newHistory()
		h.read(1, segment, true)
		for _, p := range h.ended {
			if _, ok := parseFrame(segment[p.at:p.end], p.at); !ok {
				t.Fatal("an execution that ended cannot be read")
			}
		}
		for _, x := range h.unfinished() {
			if x.Status != record.StatusCrashed && x.Status != record.StatusInterrupted {
				t.Fatalf("an execution without an end is %s", x.Status)
			}
		}
	})
}
