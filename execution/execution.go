package execution

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/execution/redact"
)

// Mode is what happens to the operations of an execution.
type Mode int

// The modes.
const (
	ModeOff    Mode = iota // nothing is recorded
	ModeRecord             // operations are done and recorded
	ModeReplay             // operations are answered from a record
	ModeResume             // completed operations are answered from a record, the others done and recorded
)

// An Execution is one run that is recorded, replayed or resumed. All methods work on a nil Execution and do nothing then; all
// are safe for concurrent use.
type Execution struct {
	rec     *Recorder
	mode    Mode
	started time.Time
	strays  int64 // of the recorder, when it started

	mu           sync.Mutex
	head         record.Execution // without checkpoints, logs, sources, notes
	input        any
	output       any
	calls        []*Call
	callRoom     []Call       // room for the next ones
	lines        []headerLine // room for those of copied headers
	attrs        []slog.Attr  // room for those of log lines
	finished     uint32       // calls that finished
	logs         []logLine
	notes        []note
	root         *lane            // the one that was added last; nil at first
	lanes        map[string]*lane // others
	firstLane    lane
	env          map[string]variable
	dropped      record.Dropped
	bytes        int // of the recorder's memory for bodies
	transactions int
	asked        bool
	ended        bool
	released     bool // takes no more memory
	outside      bool // what a process that replays does outside of the replay
	journal      bool
	failure      *record.Error // that Fail stated

	redaction struct {
		sync.Mutex
		session *redact.Session // of an execution that is journalled: it remembers what it has hidden
	}

	progress progress // of an execution that is journalled

	stopped atomic.Pointer[Stop]
	refused atomic.Pointer[Refused]
	matcher *matcher // of what is replayed or resumed
	report  *reporter
	files   overlay         // what it did to files
	plan    *plan           // of a resume
	held    <-chan struct{} // closed when the right to resume is lost; nil when nobody watches it
}

type note struct {
	lane  string
	at    time.Duration
	name  string
	value any
}

// ID returns the id of the execution, the zero ID for nil.
func (x *Execution) ID() record.ID {
	if x == nil {
		return record.ID{}
	}
	return x.head.ID
}

// Mode returns ModeOff for nil.
func (x *Execution) Mode() Mode {
	if x == nil {
		return ModeOff
	}
	return x.mode
}

// update changes the head of an execution that has not ended.
func (x *Execution) update(change func()) {
	if x == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.ended {
		change()
	}
}

// SetInput sets what set the execution off: a value that marshals to JSON when the execution is kept. It must not change after End.
func (x *Execution) SetInput(input any) { x.update(func() { x.input = input }) }

// SetOutput sets what came out, as SetInput sets what went in.
func (x *Execution) SetOutput(output any) { x.update(func() { x.output = output }) }

// SetRoute sets the pattern that matched, when it was not known at the beginning.
func (x *Execution) SetRoute(route string) { x.update(func() { x.head.Trigger.Route = route }) }

// SetHTTPStatus sets the status of the answer. 500 and above make the execution fail.
func (x *Execution) SetHTTPStatus(status int) { x.update(func() { x.head.HTTPStatus = status }) }

// SetLabel sets a label, over the one of the recorder.
func (x *Execution) SetLabel(name, value string) {
	x.update(func() {
		labels := make(map[string]string, len(x.head.Labels)+1)
		for k, v := range x.head.Labels {
			labels[k] = v
		}
		labels[name] = value
		x.head.Labels = labels
	})
}

// Keep asks for the execution to be kept, however it ends.
func (x *Execution) Keep() { x.update(func() { x.asked = true }) }

// Link ties the execution to a message or to another execution.
func (x *Execution) Link(l record.Link) {
	x.update(func() { x.head.Links = append(x.head.Links, l) })
}

// Volatile declares paths, as "$.body.time", in which outputs and operations may differ without being another result.
func (x *Execution) Volatile(paths ...string) {
	x.update(func() { x.head.Volatile = append(x.head.Volatile, paths...) })
}

// Note states a fact about the execution of a context, for who reads its record.
func Note(ctx context.Context, name string, value any) {
	l := laneOf(ctx)
	if l == nil {
		return
	}
	at := time.Since(l.x.started)
	l.x.update(func() { l.x.notes = append(l.x.notes, note{l.name, at, name, value}) })
}

// Fail states why the execution of a context fails, for handlers that answer with an error instead of returning one. The place
// that calls it is the place of an error that knows none. The first counts, and what the execution ends with counts more.
func Fail(ctx context.Context, err error) {
	l := laneOf(ctx)
	if l == nil || err == nil {
		return
	}
	f := fault.Of(err)
	if len(f.Frames) == 0 {
		f.Frames = fault.Here(1).Frames()
	}
	l.x.update(func() {
		if l.x.failure == nil {
			l.x.failure = f
		}
	})
}

// End ends the execution: err is what it returned, nil when it went well. The record is kept or forgotten. Only the first End
// counts.
func (x *Execution) End(err error) {
	var f *record.Error
	if err != nil {
		f = fault.Of(err)
	}
	x.end(f)
}

// EndPanic ends the execution with a panic. Call it where the panic was recovered, and go on panicking.
func (x *Execution) EndPanic(value any, stack []byte) { x.end(fault.OfPanic(value, stack)) }

func (x *Execution) end(f *record.Error) {
	if x == nil {
		return
	}
	x.mu.Lock()
	if x.ended {
		x.mu.Unlock()
		return
	}
	x.ended = true
	x.head.Duration = time.Since(x.started)
	x.head.Error = cmp.Or(f, x.failure)
	x.head.Status = statusOf(x.head.Error, x.head.HTTPStatus)
	if x.stopped.Load() != nil {
		x.head.Status = record.StatusStopped
	}
	x.mu.Unlock()
	x.rec.ended(x)
}

func statusOf(f *record.Error, httpStatus int) record.Status {
	switch {
	case f == nil && httpStatus < 500:
		return record.StatusOK
	case f == nil:
		return record.StatusError
	case f.Class == record.ClassDeadline:
		return record.StatusTimeout
	case f.Class == record.ClassCanceled:
		return record.StatusCancelled
	}
	return record.StatusError
}

func (x *Execution) clonedCalls() []*Call {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.calls)
}

// Record returns the record of the execution as it is now, redacted. It is nil for nil.
func (x *Execution) Record() *record.Execution {
	if x == nil {
		return nil
	}
	x.mu.Lock()
	status := x.head.Status
	x.mu.Unlock()
	return x.snapshot(status)
}

// addLane adds a lane of that name, with the values that a record has for it. Lanes of one name that are added twice, which
// only roots can be, get different sources.
func (x *Execution) addLane(name string) *lane {
	x.mu.Lock()
	defer x.mu.Unlock()
	l := &x.firstLane
	if l.x != nil {
		l = new(lane)
	}
	l.x, l.name = x, name
	if x.matcher != nil {
		l.clock.left = x.matcher.source(record.SourceClock, name)
		copy(l.random.seed[:], x.matcher.source(record.SourceRandom, name))
	}
	if name == rootName {
		x.root = l
	} else {
		x.lanes = with(x.lanes, name, l)
	}
	return l
}

// rootName is the name of the lane with which an execution begins.
const rootName = "root"

// allLanes returns the lanes, in any order. The execution is locked.
func (x *Execution) allLanes() []*lane {
	lanes := slices.Collect(maps.Values(x.lanes))
	if x.root != nil {
		lanes = append(lanes, x.root)
	}
	return lanes
}

// inventedSeed is the seed for a lane whose random values the record does not have: the same in each replay, never a constant.
func (x *Execution) inventedSeed(lane string) [32]byte {
	id := x.head.ID
	if x.matcher != nil {
		id = x.matcher.of.ID
	}
	return sha256.Sum256(append(id[:], lane...))
}

// errEnded is what operations after the end of an execution are told in replay.
var errEnded = errors.New("the execution has ended")
