package execution

import (
	"context"
	"errors"
	"fmt"

	"github.com/flux-go/flux/execution/record"
)

var (
	// ErrStopped is what operations return in a replay that met an operation the record does not have. See Stop.
	ErrStopped = errors.New("replay stopped")
	// ErrDiverged is returned when a record answers an operation with something its caller cannot take.
	ErrDiverged = errors.New("replay diverged")
	// ErrNotReplayable is returned for records that lack what a replay needs.
	ErrNotReplayable = errors.New("not replayable")
)

// A Stop is the error of operations that a replay cannot answer: a call that the record does not have. It is sticky: once an
// execution stopped, each of its operations returns the same Stop. It satisfies errors.Is with ErrStopped.
type Stop struct {
	Operation Operation          // that was asked for
	Near      *record.Checkpoint // of the same shape and not used, nil when there is none
}

// Error implements error.
func (s *Stop) Error() string {
	text := fmt.Sprintf("%v: %s is not in the record", ErrStopped, s.Operation)
	if s.Near != nil {
		text += fmt.Sprintf("; op %d is like it, with another request", s.Near.Number)
	}
	return text
}

// Unwrap returns ErrStopped.
func (s *Stop) Unwrap() error { return ErrStopped }

// ReplayOptions say how a record is replayed. The zero value replays strictly.
type ReplayOptions struct {
	// ReuseReads answers a read that is asked more often than it was recorded from the same checkpoint. Defaults to false.
	ReuseReads bool `json:"reuseReads,omitempty"`
	// Loose answers reads by a checkpoint of the same shape when none has the same request, and reports it. Defaults to false.
	Loose bool `json:"loose,omitempty"`
	// Live does operations for real instead of answering or stopping: it is asked for each. Defaults to none.
	Live func(Operation) bool `json:"-"`
	// Missing does an operation for real that the record does not have, instead of stopping: it is asked for each. Defaults to
	// none.
	Missing func(Operation) bool `json:"-"`
	// Validate does reads for real and compares their outcome with the record; AllowEffects does so with writes, too.
	Validate     bool `json:"validate,omitempty"`
	AllowEffects bool `json:"allowEffects,omitempty"`
	// Volatile are paths, as "$.body.time", that comparisons leave out, beside those of the record.
	Volatile []string `json:"volatile,omitempty"`
	// Order is the order of answers to operations that are under way side by side. Defaults to OrderFast.
	Order Order `json:"order,omitempty"`
	// Seed makes one order of OrderRandom another one.
	Seed uint64 `json:"seed,omitempty"`
}

// BeginReplay begins a replay of a record. Run the code under the context it returns with the recorded input, call SetOutput and
// End as in a recording, and read Report. The error is ErrNotReplayable.
func (r *Recorder) BeginReplay(ctx context.Context, b *record.Bundle, opts *ReplayOptions) (context.Context, *Execution, error) {
	if opts == nil {
		opts = &ReplayOptions{}
	}
	of := b.Execution
	if of.Replayable.Level == record.ReplayNone {
		return nil, nil, fmt.Errorf("%w: %v", ErrNotReplayable, of.Replayable.Reasons)
	}
	x := r.newExecution(of.Trigger, ModeReplay)
	x.descend(of, record.RelationReplay)
	x.head.Start = of.Start
	x.matcher = newMatcher(of, opts)
	x.report = newReporter(x, opts)
	x.matcher.conductor = newConductor(of, opts, x.report)
	x.env = environment(of)
	return context.WithValue(ctx, laneKey{}, x.addLane("root")), x, nil
}

// descend makes the execution one that comes from another.
func (x *Execution) descend(of *record.Execution, relation record.Relation) {
	x.head.Parent, x.head.Relation, x.head.Root = of.ID, relation, of.Root
	if of.Root.IsZero() {
		x.head.Root = of.ID
	}
	x.head.RequestID, x.head.Attempt, x.head.Volatile = of.RequestID, of.Attempt, of.Volatile
}

func environment(of *record.Execution) map[string]variable {
	env := make(map[string]variable)
	for _, s := range of.Sources {
		if s.Kind == record.SourceEnv {
			env[s.Name] = decodeVariable(s.Values)
		}
	}
	return env
}

// answer decides what happens to a call of a replay or a resume.
func (x *Execution) answer(c *Call) {
	if c.refusal != nil {
		return
	}
	if stop := x.stopped.Load(); stop != nil {
		c.refusal = stop
		return
	}
	if x.mode == ModeResume {
		x.resolve(c)
		return
	}
	cp, level, near := x.matcher.match(c.lane.name, c.op, c.hash())
	x.report.matched(c, cp, level)
	switch live := x.report.opts.Live; {
	case live != nil && live(c.operation()):
		c.from, c.compare = record.ProvenanceLive, cp
	case cp != nil && x.report.validates(c.op.Effect):
		c.from, c.compare = record.ProvenanceLive, cp
	case cp != nil:
		c.from, c.recorded = record.ProvenanceRecorded, cp
	case c.op.Effect == record.EffectNone:
		c.recorded = virtual
	default:
		x.missing(c, near)
	}
	x.matcher.conductor.await(c.ctx, cp)
}

// missing decides about a call that the record does not have.
func (x *Execution) missing(c *Call, near *record.Checkpoint) {
	op := c.operation()
	if ask := x.report.opts.Missing; ask != nil && ask(op) {
		c.from = record.ProvenanceLive
		x.report.add(Divergence{Kind: DivergenceExtraCall, Operation: &op})
		return
	}
	x.stop(c, &Stop{op, near})
}

// virtual answers operations without effect that the record does not have, such as waiting: they succeed at once.
var virtual = &record.Checkpoint{State: record.StateDone}

func (x *Execution) stop(c *Call, stop *Stop) {
	if x.outside {
		x.rec.process.refused(stop)
		c.refusal = stop
		return
	}
	if !x.stopped.CompareAndSwap(nil, stop) {
		stop = x.stopped.Load()
	}
	c.refusal = stop
	x.matcher.conductor.stop()
}

// An Operation names an operation that was asked for.
type Operation struct {
	Number   uint32         `json:"number"`
	Lane     string         `json:"lane"`
	Boundary string         `json:"boundary"`
	Target   string         `json:"target"`
	Shape    string         `json:"shape"`
	Effect   record.Effect  `json:"effect"`
	Request  record.Payload `json:"request,omitzero"`
	Call     record.Frame   `json:"call,omitzero"`
}

// String returns "op 4 http https://card.example POST /charge".
func (o Operation) String() string {
	text := fmt.Sprintf("op %d %s", o.Number, o.Boundary)
	if o.Target != "" {
		text += " " + o.Target
	}
	return text + " " + o.Shape
}
