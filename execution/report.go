package execution

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/flux-go/flux/execution/record"
)

// A Report says how a replay or a resume went, compared with the record.
type Report struct {
	Execution   record.ID    `json:"execution"` // the one that was made
	Of          record.ID    `json:"of"`        // the one that was recorded
	Outcome     Outcome      `json:"outcome"`
	Recorded    Ending       `json:"recorded"`
	Replayed    Ending       `json:"replayed"`
	Divergences []Divergence `json:"divergences,omitempty"` // in the order they were found
	Stop        *StopReport  `json:"stop,omitempty"`
	Served      int          `json:"served"`           // operations answered from the record
	Live        []Operation  `json:"live,omitempty"`   // operations done for real
	Output      []Difference `json:"output,omitempty"` // in which outputs differ, but for volatile paths
	Refused     *Refused     `json:"refused,omitempty"`

	Operations []OperationReport `json:"operations,omitempty"` // each that was asked for, in order
	Logs       []LogComparison   `json:"logs,omitempty"`
	Duration   time.Duration     `json:"duration"`             // of the replay or resume, ns
	Outside    []Operation       `json:"outside,omitempty"`    // that the process did outside of the replay; they were refused
	Violations []string          `json:"violations,omitempty"` // what went past the recorder and was kept from the network
}

// OperationReport is what became of one operation.
type OperationReport struct {
	Operation Operation         `json:"operation"`
	Recorded  *uint32           `json:"recorded,omitempty"` // number of the checkpoint that answered it
	Level     string            `json:"level,omitempty"`    // of matching: exact, moved, lane, repeated, shape
	Source    record.Provenance `json:"source,omitempty"`
}

// StopReport is the operation at which a replay stopped.
type StopReport struct {
	Operation Operation    `json:"operation"`
	Near      *uint32      `json:"near,omitempty"` // number of a checkpoint that is like it
	Diff      []Difference `json:"diff,omitempty"` // between its request and that of the operation
}

// Ending is how an execution ended.
type Ending struct {
	Status     record.Status     `json:"status"`
	HTTPStatus int               `json:"httpStatus,omitempty"`
	Class      record.ErrorClass `json:"class,omitempty"`
	Message    string            `json:"message,omitempty"`
	Frame      record.Frame      `json:"frame,omitzero"` // innermost of the user's code
}

func endingOf(x *record.Execution) Ending {
	e := Ending{Status: x.Status, HTTPStatus: x.HTTPStatus}
	if x.Error != nil {
		e.Class, e.Message = x.Error.Class, x.Error.Message
		if len(x.Error.Frames) > 0 {
			e.Frame = x.Error.Frames[0]
		}
	}
	return e
}

// Outcome is the verdict of a report.
type Outcome string

// The outcomes.
const (
	OutcomeSame     Outcome = "same"     // it ended as recorded and did what was recorded
	OutcomeDiverged Outcome = "diverged" // it asked for other things than recorded, or its output differs
	OutcomeStopped  Outcome = "stopped"  // it asked for an operation the record does not have
	OutcomeFixed    Outcome = "fixed"    // the record failed, this did not
	OutcomeFailed   Outcome = "failed"   // it failed in another way than recorded
	OutcomeRefused  Outcome = "refused"  // a resume needs a decision
)

// ExitCode is the exit code of flux replay and flux resume for the report.
func (r *Report) ExitCode() int {
	switch r.Outcome {
	case OutcomeDiverged:
		return 2
	case OutcomeStopped:
		return 3
	case OutcomeFailed:
		return 4
	case OutcomeRefused:
		return 6
	}
	return 0
}

// DivergenceKind is what kind of difference a divergence is.
type DivergenceKind string

// The kinds of divergences.
const (
	DivergenceExtraCall      DivergenceKind = "extra_call"
	DivergenceReordered      DivergenceKind = "reordered"
	DivergenceRequestChanged DivergenceKind = "request_changed"
	DivergenceRepeated       DivergenceKind = "repeated_read"
	DivergenceUnused         DivergenceKind = "unused_recording"
	DivergenceOutcome        DivergenceKind = "outcome_changed"
	DivergenceSource         DivergenceKind = "nondeterministic_source"
)

// A Divergence is one way in which a replay was not what was recorded.
type Divergence struct {
	Kind      DivergenceKind `json:"kind"`
	Operation *Operation     `json:"operation,omitempty"` // of the replay
	Recorded  *Operation     `json:"recorded,omitempty"`  // of the record
	Detail    string         `json:"detail,omitempty"`
	Diff      []Difference   `json:"diff,omitempty"`
}

// reporter collects what a report needs while the execution runs. All methods work on nil.
type reporter struct {
	x    *Execution
	opts *ReplayOptions

	mu          sync.Mutex
	divergences []Divergence
	sources     map[string]bool
	done        *Report
}

func newReporter(x *Execution, opts *ReplayOptions) *reporter {
	return &reporter{x: x, opts: opts, sources: make(map[string]bool)}
}

func (r *reporter) add(d Divergence) {
	if r == nil {
		return
	}
	r.mu.Lock()
	r.divergences = append(r.divergences, d)
	r.mu.Unlock()
}

// source reports, once each, a source that gave values the record does not have.
func (r *reporter) source(kind record.SourceKind, lane, name string) {
	if r == nil {
		return
	}
	what := string(kind)
	switch {
	case name != "":
		what += " " + name
	case lane != "":
		what += " of " + lane
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.sources[what] {
		r.sources[what] = true
		r.divergences = append(r.divergences, Divergence{Kind: DivergenceSource, Detail: what})
	}
}

// matched reports how a call was matched.
func (r *reporter) matched(c *Call, cp *record.Checkpoint, level Level) {
	c.match, c.level = cp, level
	if level <= LevelExact {
		return
	}
	op := c.operation()
	d := Divergence{Kind: DivergenceReordered, Operation: &op, Recorded: recordedOperation(cp)}
	switch level {
	case LevelLane:
		d.Detail = "in lane " + cp.Lane
	case LevelRepeat:
		d.Kind = DivergenceRepeated
	case LevelShape:
		d.Kind, d.Diff = DivergenceRequestChanged, Diff(cp.Request.Data, op.Request.Data, nil)
	}
	r.add(d)
}

// validates says whether an operation of that effect is done for real and compared.
func (r *reporter) validates(effect record.Effect) bool {
	return r.opts.Validate && effect != record.EffectNone && (!effect.Writes() || r.opts.AllowEffects)
}

// compare reports a live outcome that is not what was recorded.
func (r *reporter) compare(c *Call) {
	live := c.redacted()
	diff := Diff(c.compare.Response.Data, live.Response.Data, r.volatile())
	if before, now := failureText(c.compare), failureText(&live); before != now {
		diff = append(diff, Difference{Path: "$error", Kind: Changed, Expected: before, Actual: now})
	}
	if len(diff) > 0 {
		op := c.operation()
		r.add(Divergence{Kind: DivergenceOutcome, Operation: &op, Recorded: recordedOperation(c.compare), Diff: diff})
	}
}

func failureText(cp *record.Checkpoint) string {
	if cp.Error == nil {
		return ""
	}
	return string(cp.Error.Class) + ": " + cp.Error.Message
}

func (r *reporter) volatile() []string {
	return slices.Concat(r.opts.Volatile, r.x.head.Volatile)
}

// volatileOutput adds what each answer of HTTP has that says nothing about it.
func (r *reporter) volatileOutput() []string {
	if r.x.head.Trigger.Kind != record.TriggerHTTP {
		return r.volatile()
	}
	return append(r.volatile(), "$.header.Date", "$.header."+HeaderExecution, "$.header."+HeaderCode, "$.header."+HeaderReplay, "$.chunks")
}

func recordedOperation(cp *record.Checkpoint) *Operation {
	return &Operation{
		Number: cp.Number, Lane: cp.Lane, Boundary: cp.Boundary, Target: cp.Target, Shape: cp.Shape, Effect: cp.Effect,
		Request: cp.Request, Call: cp.Call,
	}
}

// operation returns the operation of a call as reports show it, redacted.
func (c *Call) operation() Operation {
	cp := c.redacted()
	return *recordedOperation(&cp)
}

// Report returns how a replay or resume went. It is nil before End, and for executions that were only recorded.
func (x *Execution) Report() *Report {
	if x == nil || x.report == nil {
		return nil
	}
	x.report.mu.Lock()
	defer x.report.mu.Unlock()
	return x.report.done
}

// finish makes the report of an execution that ended.
func (r *reporter) finish(replayed *record.Execution) {
	of := r.x.matcher.of
	report := &Report{
		Execution: replayed.ID, Of: of.ID, Recorded: endingOf(of), Replayed: endingOf(replayed),
		Output: Diff(of.Output.Data, replayed.Output.Data, r.volatileOutput()),
		Logs:   compareLogs(of.Logs, replayed.Logs, r.volatile()), Duration: replayed.Duration,
	}
	report.Operations, report.Served, report.Live = operationReports(r.x.clonedCalls(), replayed)
	if stop := r.x.stopped.Load(); stop != nil {
		report.Stop = stop.report()
		r.add(Divergence{Kind: DivergenceExtraCall, Operation: &stop.Operation})
	}
	for _, cp := range r.x.matcher.unused() {
		r.add(Divergence{Kind: DivergenceUnused, Recorded: recordedOperation(cp)})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	report.Divergences = r.divergences
	report.Refused = r.x.refused.Load()
	report.Outcome = report.verdict()
	r.done = report
}

// String returns the word for the level in reports.
func (l Level) String() string {
	return [...]string{"none", "exact", "moved", "lane", "repeated", "shape"}[l]
}

// operationReports returns what became of each call, how many were answered from the record, and those that were done.
func operationReports(calls []*Call, replayed *record.Execution) (all []OperationReport, served int, live []Operation) {
	for i, c := range calls[:len(replayed.Checkpoints)] {
		cp := &replayed.Checkpoints[i]
		report := OperationReport{Operation: *recordedOperation(cp), Source: cp.Provenance}
		if of := cmp.Or(c.match, c.recorded); of != nil && of != virtual {
			report.Recorded, report.Level = &of.Number, c.level.String()
		}
		switch {
		case c.recorded != nil:
			served++
		case cp.Provenance == record.ProvenanceLive && cp.Effect != record.EffectNone:
			live = append(live, report.Operation)
		}
		all = append(all, report)
	}
	return all, served, live
}

// verdict decides the outcome. Unused checkpoints of a replay that stopped say nothing: it did not come that far.
func (r *Report) verdict() Outcome {
	sameEnd := r.Recorded.Status == r.Replayed.Status && r.Recorded.HTTPStatus == r.Replayed.HTTPStatus &&
		r.Recorded.Class == r.Replayed.Class && r.Recorded.Message == r.Replayed.Message
	switch {
	case r.Refused != nil:
		return OutcomeRefused
	case r.Stop != nil:
		return OutcomeStopped
	case r.Recorded.Status.Failed() && !r.Replayed.Status.Failed():
		return OutcomeFixed
	case r.Replayed.Status.Failed() && !sameEnd:
		return OutcomeFailed
	case !sameEnd || len(r.Divergences) > 0 || len(r.Output) > 0 || len(r.Violations) > 0:
		return OutcomeDiverged
	}
	return OutcomeSame
}

func (s *Stop) report() *StopReport {
	out := &StopReport{Operation: s.Operation}
	if s.Near != nil {
		out.Near = &s.Near.Number
		out.Diff = Diff(s.Near.Request.Data, s.Operation.Request.Data, nil)
	}
	return out
}

// String returns the report in a line.
func (r *Report) String() string {
	return fmt.Sprintf("%s: recorded %s, replayed %s, %d operations from the record, %d live, %d divergences",
		r.Outcome, r.Recorded.Status, r.Replayed.Status, r.Served, len(r.Live), len(r.Divergences))
}
