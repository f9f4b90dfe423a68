package execution

import (
	"context"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/execution/redact"
)

// A Recorder records the executions of one service in one process. Create it with Connect or New. All methods work on a nil
// Recorder, which records nothing, and are safe for concurrent use.
type Recorder struct {
	config    Config
	code      record.Code
	instance  string
	redactor  *redact.Redactor
	boot      *Execution
	bootKept  bool         // only the worker uses it
	strays    atomic.Int64 // operations that belong to no execution
	memory    atomic.Int64 // bytes held in bodies
	stats     counters
	faults    *faultPoint
	cause     record.ID  // of the execution that runs this program, if one does
	attendant *attendant // nil unless executions can be resumed here when the server says so
	process   *process   // nil unless the process replays or resumes one record

	mu      sync.Mutex
	first   map[string]int // executions per route that Keep.First kept
	running map[record.ID]*Execution
	closed  bool

	queue  chan *Execution
	worker sync.WaitGroup
	store  store
}

// A store takes the records that are kept. It must not block for long: it writes to memory or to the local disk.
type store interface {
	durable() bool // what it takes survives the process
	begin(x *record.Execution) error
	progress(x *record.Execution) error
	intent(id record.ID, cp *record.Checkpoint) error
	outcome(id record.ID, cp *record.Checkpoint) error
	end(x *record.Execution, journalled bool) error
	close(ctx context.Context) error
}

// Stats counts what a recorder did since it was created.
type Stats struct {
	Executions int64 // begun
	Kept       int64
	Dropped    int64 // kept, but lost to a full queue, a full disk, or an error of encoding
	Strays     int64 // operations outside any execution, after the start of the process
}

type counters struct{ begun, kept, dropped atomic.Int64 }

// New returns a recorder that keeps its records in this process: Config.OnKept sees them. The error is ErrBadConfig.
func New(config Config) (*Recorder, error) { return newRecorder(config, discard{}) }

func newRecorder(config Config, store store) (*Recorder, error) {
	config = config.WithDefaults()
	if err := config.Validate(); err != nil {
		return nil, err
	}
	r := &Recorder{
		config:   config,
		code:     codeVersion(config.Version),
		instance: instance(),
		redactor: config.Rules.Redactor(redactKey(config.RedactKey)),
		first:    make(map[string]int),
		running:  make(map[record.ID]*Execution),
		queue:    make(chan *Execution, config.Limits.Queue),
		store:    store,
	}
	var err error
	if r.faults, err = parseFault(os.Getenv(FaultVariable)); err != nil {
		return nil, err
	}
	if r.cause, err = readCause(); err != nil {
		return nil, err
	}
	if d, ok := store.(*delivery); ok && d.remote != nil && !config.Unattended {
		r.attendant = &attendant{rec: r, remote: d.remote}
	}
	r.boot = r.newExecution(record.Trigger{Kind: record.TriggerBoot}, ModeRecord)
	r.boot.join(r.cause)
	r.worker.Go(r.work)
	return r, nil
}

// codeVersion reads from the build information which program this is.
func codeVersion(version string) record.Code {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return record.Code{Version: version}
	}
	code := record.Code{Module: info.Main.Path, Package: info.Path, Version: info.Main.Version, Go: info.GoVersion}
	if version != "" {
		code.Version = version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			code.Commit = s.Value
		case "vcs.modified":
			code.Dirty = s.Value == "true"
		}
	}
	return code
}

func instance() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatInt(time.Now().UnixMilli(), 36)
}

// BeginOptions are what Begin may be told beyond the trigger.
type BeginOptions struct {
	ID        record.ID // Defaults to a new one.
	RequestID string    // Defaults to the ID.
	Attempt   int       // Defaults to 1.
	Parent    record.ID // of which this one is Relation. Defaults to none.
	Relation  record.Relation
	Keep      bool // whatever becomes of it
	Input     any  // as SetInput, for executions that are journalled from their beginning
}

// Begin begins an execution and returns the context under which its operations are recorded. When the configuration says not to
// record it, the Execution is nil, and operations under the context are left alone. End it with Execution.End.
func (r *Recorder) Begin(ctx context.Context, t record.Trigger, opts *BeginOptions) (context.Context, *Execution) {
	return r.begin(ctx, t, func(x *Execution) {
		if opts != nil {
			x.apply(opts)
		}
	})
}

// begin is Begin with a function that fills the execution before it is journalled.
func (r *Recorder) begin(ctx context.Context, t record.Trigger, fill func(*Execution)) (context.Context, *Execution) {
	switch {
	case r == nil:
		return ctx, nil
	case r.process != nil:
		return r.beginInProcess(ctx, t)
	case !r.config.Record(t):
		r.bootEnds()
		return Unrecorded(ctx), nil
	}
	x := r.newExecution(t, ModeRecord)
	x.journal = r.config.Journal(t)
	fill(x)
	x.join(r.cause)
	r.bootEnds()
	x.head.Boot = r.boot.head.ID
	r.register(x)
	if x.journal {
		if err := r.store.begin(x.snapshot(record.StatusRunning)); err != nil {
			r.config.Logger.Error("execution is not journalled", "execution", x.head.ID, "error", err)
			x.journal = false
		}
	}
	return context.WithValue(ctx, laneKey{}, x.addLane(rootName)), x
}

func (x *Execution) apply(opts *BeginOptions) {
	if !opts.ID.IsZero() {
		x.head.ID = opts.ID
	}
	x.head.RequestID = opts.RequestID
	x.head.Attempt = max(opts.Attempt, 1)
	x.head.Parent, x.head.Relation = opts.Parent, opts.Relation
	x.asked, x.input = opts.Keep, opts.Input
}

func (r *Recorder) newExecution(t record.Trigger, mode Mode) *Execution {
	now := time.Now()
	return &Execution{
		rec: r, mode: mode, started: now, strays: r.strays.Load(),
		head: record.Execution{
			ID: record.NewID(), Attempt: 1, Service: r.config.Service, Instance: r.instance, Environment: r.config.Environment,
			Code: r.code, Labels: r.config.Labels, Trigger: t, Start: now.UTC(), Status: record.StatusRunning,
		},
	}
}

func (r *Recorder) register(x *Execution) {
	r.stats.begun.Add(1)
	r.mu.Lock()
	r.running[x.head.ID] = x
	r.mu.Unlock()
}

// Start is [Start] for adapters that know a recorder: operations of contexts without an execution belong to the start of the
// process, until its first execution; after that they are counted and otherwise left alone.
func (r *Recorder) Start(ctx context.Context, op Op) *Call {
	if l := laneOf(ctx); l != nil {
		return l.x.startCall(ctx, l, op)
	}
	if r == nil || isUnrecorded(ctx) {
		return nil
	}
	if l := r.boot.rootLane(); l != nil {
		return r.boot.startCall(ctx, l, op)
	}
	r.strays.Add(1)
	return nil
}

// rootLane returns the root lane of an execution that has not ended.
func (x *Execution) rootLane() *lane {
	x.mu.Lock()
	ended, l := x.ended, x.root
	x.mu.Unlock()
	if ended {
		return nil
	}
	if l == nil {
		l = x.addLane(rootName)
	}
	return l
}

// bootEnds ends the execution of the start of the process. One that is replayed answers to the end.
func (r *Recorder) bootEnds() {
	if r.boot.mode != ModeRecord {
		return
	}
	r.boot.mu.Lock()
	defer r.boot.mu.Unlock()
	if !r.boot.ended {
		r.boot.ended = true
		r.boot.head.Duration = time.Since(r.boot.started)
		r.boot.head.Status = record.StatusOK
	}
}

// ended decides what becomes of an execution that ended.
func (r *Recorder) ended(x *Execution) {
	if x.report != nil {
		x.report.finish(x.snapshot(x.head.Status))
		if r.process != nil {
			r.process.over(x)
		}
	}
	if x.mode == ModeReplay {
		return
	}
	r.mu.Lock()
	delete(r.running, x.head.ID)
	r.mu.Unlock()
	if strays := r.strays.Load() - x.strays; strays > 0 && x.mode == ModeRecord {
		x.partial(strconv.FormatInt(strays, 10) + " operations happened outside any execution while it ran")
	}
	if x.head.Kept = r.reason(x); x.head.Kept == "" {
		x.release()
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		r.stats.dropped.Add(1)
		x.release()
		return
	}
	select {
	case r.queue <- x:
	default:
		r.stats.dropped.Add(1)
		x.release()
	}
}

// partial notes why the execution cannot be replayed wholly.
func (x *Execution) partial(reason string) {
	x.head.Replayable.Level = record.ReplayPartial
	x.head.Replayable.Reasons = append(x.head.Replayable.Reasons, reason)
}

// reason returns the rule that keeps an execution, "" when none does.
func (r *Recorder) reason(x *Execution) string {
	keep := &r.config.Keep
	switch {
	case x.head.Status.Failed():
		return "failed"
	case x.mode != ModeRecord || x.asked || x.journal:
		return "asked"
	case keep.Slower >= 0 && x.head.Duration >= keep.Slower:
		return "slow"
	case keep.All:
		return "all"
	case keep.If != nil && keep.If(&x.head):
		return "asked"
	case r.isEarly(&x.head.Trigger):
		return "new-code"
	case keep.Sample > 0 && rand.Float64() < keep.Sample:
		return "sampled"
	}
	return ""
}

// isEarly says that the execution is one of the first of its route.
func (r *Recorder) isEarly(t *record.Trigger) bool {
	if r.config.Keep.First <= 0 {
		return false
	}
	route := t.Route
	if route == "" {
		route = t.Method + " " + t.Path
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n, known := r.first[route]
	if n >= r.config.Keep.First || !known && len(r.first) >= maxRoutes {
		return false
	}
	r.first[route] = n + 1
	return true
}

// maxRoutes bounds the memory for programs whose routes are not known, only paths.
const maxRoutes = 1000

// Stats returns the counters.
func (r *Recorder) Stats() Stats {
	if r == nil {
		return Stats{}
	}
	return Stats{
		Executions: r.stats.begun.Load(), Kept: r.stats.kept.Load(), Dropped: r.stats.dropped.Load(), Strays: r.strays.Load(),
	}
}

// Close brings away what was kept: to the folder of the recorder in any case, to the server until ctx ends. What the server has not
// got by then it gets from the next process with the same folder. Executions that still run are recorded no more.
func (r *Recorder) Close(ctx context.Context) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.mu.Unlock()
	r.attendant.close(ctx) // what it resumes is still to be recorded
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	close(r.queue)
	r.mu.Unlock()
	r.worker.Wait()
	return r.store.close(ctx)
}
