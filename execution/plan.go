package execution

import (
	"fmt"
	"strconv"
	"sync"

	"github.com/flux-go/flux/execution/record"
)

// Decision is what a resume does about a recorded operation when the program asks for it again.
type Decision string

// The decisions.
const (
	DecisionReuse Decision = "reuse" // answer it from the record
	DecisionRedo  Decision = "redo"  // do it again: it changed nothing, or what it changed was rolled back
	DecisionLive  Decision = "live"  // do it: it did not take effect, or may be repeated with its key
	DecisionProbe Decision = "probe" // find out whether it took effect
	DecisionAsk   Decision = "ask"   // a person must say whether it took effect
)

// A Step is what a resume is going to do about one checkpoint, and why.
type Step struct {
	Checkpoint *record.Checkpoint `json:"checkpoint"`
	Decision   Decision           `json:"decision"`
	Reason     string             `json:"reason"`
}

// Plan tells what a resume of a record would do, without doing anything. The error is ErrRefused or ErrNotReplayable.
func Plan(x *record.Execution, opts *ResumeOptions) ([]Step, error) {
	if opts == nil {
		opts = &ResumeOptions{}
	}
	p, err := newPlan(x, opts)
	if err != nil {
		return nil, err
	}
	return p.steps, nil
}

// plan is what a resume does.
type plan struct {
	opts  *ResumeOptions
	steps []Step
	cut   int
	from  string // key of the first operation that is not answered from the record, "" when all are
	units map[string]*unitPlan
	done  []*record.Checkpoint // writes that were completed and not rolled back

	mu    sync.Mutex
	fates map[string]*fate // of the transactions of the resume
}

func newPlan(x *record.Execution, opts *ResumeOptions) (*plan, error) {
	if x.Replayable.Level == record.ReplayNone {
		return nil, fmt.Errorf("%w: %v", ErrNotReplayable, x.Replayable.Reasons)
	}
	p := &plan{opts: opts, units: unitsOf(x), fates: make(map[string]*fate)}
	for i := range x.Checkpoints {
		if cp := &x.Checkpoints[i]; cp.Effect.Writes() && cp.Succeeded() && p.isLasting(cp) {
			p.done = append(p.done, cp)
		}
	}
	p.cut = p.firstOpen(x)
	if opts.From != nil {
		p.cut = int(*opts.From)
		if err := p.mayCut(x); err != nil {
			return nil, err
		}
	}
	p.steps = make([]Step, len(x.Checkpoints))
	for i := range x.Checkpoints {
		cp := &x.Checkpoints[i]
		decision, reason := p.decide(cp)
		p.steps[i] = Step{cp, decision, reason}
	}
	if p.cut < len(x.Checkpoints) {
		cp := &x.Checkpoints[p.cut]
		p.from = cp.Boundary + " " + cp.Shape + " " + strconv.Itoa(p.cut)
	}
	return p, nil
}

// firstOpen returns the number of the first checkpoint that failed or has no outcome, and that the program did not get over.
func (p *plan) firstOpen(x *record.Execution) int {
	for i := range x.Checkpoints {
		if cp := &x.Checkpoints[i]; !cp.Succeeded() && cp.Effect != record.EffectNone && p.overcame(cp) == nil {
			return i
		}
	}
	return len(x.Checkpoints)
}

// ShapeCommit is record.ShapeCommit, for adapters.
const ShapeCommit = record.ShapeCommit

// mayCut refuses to begin at a place that would repeat what was completed: From is for going on later, or for doing a read again.
func (p *plan) mayCut(x *record.Execution) error {
	if p.cut > len(x.Checkpoints) {
		return fmt.Errorf("%w: the record has %d operations, there is no op %d", ErrRefused, len(x.Checkpoints), p.cut)
	}
	for i := range x.Checkpoints[p.cut:] {
		cp := &x.Checkpoints[p.cut+i]
		if u := p.units[cp.Transaction]; u != nil && u.committed && int(u.first.Number) < p.cut {
			return fmt.Errorf("%w: op %d is of a transaction that was committed, which is answered as a whole: begin after op %d",
				ErrRefused, cp.Number, u.last.Number)
		}
		assumed, said := p.opts.Assume[cp.Number]
		if cp.Effect.Writes() && cp.Succeeded() && p.isLasting(cp) && !(said && !assumed) {
			return fmt.Errorf("%w: op %d (%s) was completed after op %d and would be done twice", ErrRefused, cp.Number, cp.Shape, p.cut)
		}
	}
	return nil
}

// isBefore says that a checkpoint comes before the place where an operator wants to begin, with an outcome that the program went on
// with: it gets the same again, also a failure.
func (p *plan) isBefore(cp *record.Checkpoint) bool {
	return p.opts.From != nil && int(cp.Number) < p.cut && !cp.InDoubt() && cp.State != record.StateIntent
}

func (p *plan) decide(cp *record.Checkpoint) (Decision, string) {
	assumed, said := p.opts.Assume[cp.Number]
	switch {
	case cp.Transaction != "":
		return p.decideUnit(p.units[cp.Transaction])
	case cp.Effect == record.EffectNone && cp.Succeeded():
		return DecisionReuse, "it has no effect"
	case said && assumed:
		return DecisionReuse, "an operator says that it was done"
	case said:
		return DecisionLive, "an operator says that it was not done"
	case !cp.Succeeded() && p.overcame(cp) != nil:
		return DecisionReuse, fmt.Sprintf("the program got over its failure and completed op %d", p.overcame(cp).Number)
	case cp.InDoubt():
		return p.doubt(cp, "whether it took effect is not known")
	case !cp.Succeeded() && p.isBefore(cp):
		return DecisionReuse, fmt.Sprintf("it failed, and comes before op %d", p.cut)
	case !cp.Succeeded():
		return DecisionLive, "it failed"
	case cp.Effect.Writes():
		return DecisionReuse, "it was completed"
	case p.opts.FreshReads:
		return DecisionRedo, "reads are to be fresh"
	case int(cp.Number) >= p.cut:
		return DecisionRedo, "it was read after the first failure"
	}
	return DecisionReuse, "it was read before the first failure"
}

// doubt decides about an operation that is in doubt.
func (p *plan) doubt(cp *record.Checkpoint, why string) (Decision, string) {
	assumed, said := p.opts.Assume[cp.Number]
	switch {
	case said && assumed:
		return DecisionReuse, why + "; an operator says that it was done"
	case said:
		return DecisionLive, why + "; an operator says that it was not done"
	case cp.IdempotencyKey != "":
		return DecisionLive, why + "; its idempotency key makes a repetition harmless"
	case p.opts.Probe != nil:
		return DecisionProbe, why
	}
	return DecisionAsk, why
}

// resolve decides about a call of a resume.
func (x *Execution) resolve(c *Call) {
	if refused := x.refused.Load(); refused != nil {
		c.refusal = refused
		return
	}
	if c.op.Transaction != "" {
		x.resolveInUnit(c)
		return
	}
	cp, _, near := x.matcher.match(c.lane.name, c.op, c.hash())
	if cp == nil {
		x.resolveNew(c, near)
		return
	}
	if done, ok := x.settle(c, cp, cp); !ok {
		return
	} else if done {
		x.reuse(c, cp)
	} else {
		x.goLive(c)
	}
}

// settle finds out whether what a checkpoint says is done, by the outcome of the checkpoint that decides about it. When that
// cannot be told, it refuses the call and returns ok false.
func (x *Execution) settle(c *Call, cp, deciding *record.Checkpoint) (done, ok bool) {
	switch step := x.plan.steps[cp.Number]; step.Decision {
	case DecisionAsk:
		x.refuse(c, deciding, step.Reason)
		return false, false
	case DecisionProbe:
		done, err := x.plan.opts.Probe(c.ctx, deciding)
		if err != nil {
			x.refuse(c, deciding, "the probe could not tell whether it took effect: "+err.Error())
		}
		return done, err == nil
	default:
		return step.Decision == DecisionReuse, true
	}
}

func (x *Execution) reuse(c *Call, cp *record.Checkpoint) {
	c.recorded, c.from = cp, x.plan.provenance(cp)
	if c.from != record.ProvenanceRecorded {
		known := *cp // it is done, whatever hid that
		known.State, known.Failure, known.Error = record.StateDone, false, nil
		c.recorded = &known
	}
	if x.journal {
		x.rec.outcome(c)
	}
}

// resolveNew decides about a call that the record does not have. A write that is like a completed one is not a new one (G-199).
func (x *Execution) resolveNew(c *Call, near *record.Checkpoint) {
	switch {
	case near != nil && c.op.Effect.Writes() && near.Effect.Writes() && (near.Succeeded() || near.InDoubt()) && x.plan.isLasting(near):
		x.refuse(c, near, fmt.Sprintf("op %d was completed with another request", near.Number))
	case c.op.Effect == record.EffectNone:
		c.from = record.ProvenanceLive
	default:
		x.goLive(c)
	}
}

// goLive lets a call be done, unless somebody else may be resuming the execution by now.
func (x *Execution) goLive(c *Call) {
	select {
	case <-x.held:
		c.refusal = ErrLeased
		return
	default:
	}
	c.from = record.ProvenanceLive
	if x.journal && c.op.Effect.Writes() {
		c.refusal = x.rec.intent(c)
	}
}

func (x *Execution) refuse(c *Call, cp *record.Checkpoint, reason string) {
	refused := &Refused{Operation: c.operation(), Reason: reason, Remedy: "decide with --assume done=N or --assume notdone=N"}
	if cp != nil {
		refused.Recorded = &cp.Number
	}
	if !x.refused.CompareAndSwap(nil, refused) {
		refused = x.refused.Load()
	}
	c.refusal = refused
}
