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
	units map[string]bool

	mu     sync.Mutex
	reused map[string]bool // transactions of the resume whose operations come from the record
}

func newPlan(x *record.Execution, opts *ResumeOptions) (*plan, error) {
	if x.Replayable.Level == record.ReplayNone {
		return nil, fmt.Errorf("%w: %v", ErrNotReplayable, x.Replayable.Reasons)
	}
	p := &plan{opts: opts, cut: firstOpen(x), units: committed(x), reused: make(map[string]bool)}
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

// firstOpen returns the number of the first checkpoint that failed or has no outcome.
func firstOpen(x *record.Execution) int {
	for i := range x.Checkpoints {
		if cp := &x.Checkpoints[i]; !cp.Succeeded() && cp.Effect != record.EffectNone {
			return i
		}
	}
	return len(x.Checkpoints)
}

// ShapeCommit is record.ShapeCommit, for adapters.
const ShapeCommit = record.ShapeCommit

// committed returns the transactions of a record, and whether each was committed.
func committed(x *record.Execution) map[string]bool {
	units := make(map[string]bool)
	for i := range x.Checkpoints {
		if cp := &x.Checkpoints[i]; cp.Transaction != "" {
			units[cp.Transaction] = units[cp.Transaction] || cp.Shape == ShapeCommit && cp.Succeeded()
		}
	}
	return units
}

// mayCut refuses to begin at a place that would repeat what was completed: From is for going on later, or for doing a read again.
func (p *plan) mayCut(x *record.Execution) error {
	if p.cut > len(x.Checkpoints) {
		return fmt.Errorf("%w: the record has %d operations, there is no op %d", ErrRefused, len(x.Checkpoints), p.cut)
	}
	for i := range x.Checkpoints[p.cut:] {
		cp := &x.Checkpoints[p.cut+i]
		assumed, said := p.opts.Assume[cp.Number]
		if cp.Effect.Writes() && cp.Succeeded() && p.isLasting(cp) && !(said && !assumed) {
			return fmt.Errorf("%w: op %d (%s) was completed after op %d and would be done twice", ErrRefused, cp.Number, cp.Shape, p.cut)
		}
	}
	return nil
}

// isLasting says that what a checkpoint did was not rolled back.
func (p *plan) isLasting(cp *record.Checkpoint) bool {
	return cp.Transaction == "" || p.units[cp.Transaction]
}

func (p *plan) decide(cp *record.Checkpoint) (Decision, string) {
	assumed, said := p.opts.Assume[cp.Number]
	switch {
	case cp.Effect == record.EffectNone:
		return DecisionReuse, "it has no effect"
	case !p.isLasting(cp) && commitInDoubt(cp):
		return p.doubt(cp, "whether the transaction was committed is not known")
	case !p.isLasting(cp):
		return DecisionRedo, "its transaction was not committed"
	case said && assumed:
		return DecisionReuse, "an operator says that it was done"
	case said:
		return DecisionLive, "an operator says that it was not done"
	case cp.InDoubt():
		return p.doubt(cp, "whether it took effect is not known")
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

func commitInDoubt(cp *record.Checkpoint) bool { return cp.Shape == ShapeCommit && cp.InDoubt() }

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
	cp, _, near := x.matcher.match(c.lane.name, c.op, c.hash())
	if cp == nil {
		x.resolveNew(c, near)
		return
	}
	step := x.plan.steps[cp.Number]
	done := step.Decision == DecisionReuse
	if step.Decision == DecisionProbe {
		var err error
		if done, err = x.plan.opts.Probe(c.ctx, cp); err != nil {
			x.refuse(c, cp, "the probe could not tell whether it took effect: "+err.Error())
			return
		}
	}
	switch {
	case step.Decision == DecisionAsk:
		x.refuse(c, cp, step.Reason)
	case done:
		x.reuse(c, cp, step)
	default:
		x.goLive(c)
	}
}

func (x *Execution) reuse(c *Call, cp *record.Checkpoint, step Step) {
	c.recorded, c.from = cp, record.ProvenanceRecorded
	switch {
	case step.Decision == DecisionProbe:
		c.from = record.ProvenanceProbed
	case !cp.Succeeded() && cp.Effect.Writes():
		c.from = record.ProvenanceAssumed
	}
	if c.op.Transaction != "" {
		x.plan.mu.Lock()
		x.plan.reused[c.op.Transaction] = true
		x.plan.mu.Unlock()
	}
	x.report.mu.Lock()
	x.report.served++
	x.report.mu.Unlock()
	if x.journal {
		x.rec.outcome(c)
	}
}

// resolveNew decides about a call that the record does not have. A write that is like a completed one is not a new one (G-199),
// and a transaction that was committed takes no more statements.
func (x *Execution) resolveNew(c *Call, near *record.Checkpoint) {
	x.plan.mu.Lock()
	closed := c.op.Transaction != "" && x.plan.reused[c.op.Transaction]
	x.plan.mu.Unlock()
	switch {
	case closed:
		x.refuse(c, near, "it is new in a transaction that was committed")
	case near != nil && c.op.Effect.Writes() && near.Effect.Writes() && (near.Succeeded() || near.InDoubt()) && x.plan.isLasting(near):
		x.refuse(c, near, fmt.Sprintf("op %d was completed with another request", near.Number))
	case c.op.Effect == record.EffectNone:
		c.from = record.ProvenanceLive
	default:
		x.goLive(c)
	}
}

func (x *Execution) goLive(c *Call) {
	c.from = record.ProvenanceLive
	op := c.operation()
	x.report.mu.Lock()
	x.report.live = append(x.report.live, op)
	x.report.mu.Unlock()
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
