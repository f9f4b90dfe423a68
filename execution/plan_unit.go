package execution

import (
	"fmt"
	"strings"

	"github.com/flux-go/flux/execution/record"
)

// unitPlan is what is known of a transaction of a record.
type unitPlan struct {
	commit    *record.Checkpoint // the last attempt to commit it, nil when there was none
	first     *record.Checkpoint // of its operations
	last      *record.Checkpoint // of its operations
	committed bool
}

func unitsOf(x *record.Execution) map[string]*unitPlan {
	units := make(map[string]*unitPlan)
	for i := range x.Checkpoints {
		cp := &x.Checkpoints[i]
		if cp.Transaction == "" {
			continue
		}
		u := units[cp.Transaction]
		if u == nil {
			u = &unitPlan{first: cp}
			units[cp.Transaction] = u
		}
		u.last = cp
		if cp.Shape == ShapeCommit {
			u.commit, u.committed = cp, u.committed || cp.Succeeded()
		}
	}
	return units
}

// isLasting says that what a checkpoint did was not rolled back.
func (p *plan) isLasting(cp *record.Checkpoint) bool {
	return cp.Transaction == "" || p.units[cp.Transaction].committed
}

// decideUnit decides about a transaction: all of its operations come from the record, or none.
func (p *plan) decideUnit(u *unitPlan) (Decision, string) {
	switch {
	case u.committed:
		return DecisionReuse, "its transaction was committed"
	case p.overcame(u.last) != nil:
		return DecisionReuse, fmt.Sprintf("its transaction was not committed, and the program completed op %d after it", p.overcame(u.last).Number)
	case u.commit != nil && u.commit.InDoubt():
		return p.doubt(u.commit, "whether its transaction was committed is not known")
	case p.isBefore(u.last):
		return DecisionReuse, fmt.Sprintf("its transaction was not committed, and comes before op %d", p.cut)
	}
	return DecisionRedo, "its transaction was not committed"
}

// overcame returns a write that was completed after a checkpoint, in its lane or in one above it, so that the program cannot have
// ended because of it. To do it again could complete the same work a second time.
func (p *plan) overcame(cp *record.Checkpoint) *record.Checkpoint {
	for _, done := range p.done {
		if done.Start >= cp.Start+cp.Duration && done.Number > cp.Number && strings.HasPrefix(cp.Lane+"/", done.Lane+"/") {
			return done
		}
	}
	return nil
}

// fate is what became of a transaction of a resume.
type fate struct {
	of   string // transaction of the record, "" for a new one
	live bool
}

// resolveInUnit decides about a call that is part of a transaction. The first one decides for all.
func (x *Execution) resolveInUnit(c *Call) {
	x.plan.mu.Lock()
	f := x.plan.fates[c.op.Transaction]
	x.plan.mu.Unlock()
	if f == nil {
		x.beginUnit(c)
		return
	}
	var cp, near *record.Checkpoint
	if f.of != "" {
		cp, _, near = x.matcher.matchUnit(f.of, c.lane.name, c.op, c.hash())
	}
	switch {
	case f.live:
		x.goLive(c)
	case cp != nil:
		x.reuse(c, cp)
	case c.op.Shape == record.ShapeRollback:
		c.recorded = virtual
	default:
		x.refuse(c, near, "it is new in a transaction that was committed")
	}
}

// beginUnit decides about the first call of a transaction.
func (x *Execution) beginUnit(c *Call) {
	cp, _, _ := x.matcher.matchUnit(anyUnit, c.lane.name, c.op, c.hash())
	f := &fate{live: true}
	if cp != nil {
		deciding := cp
		if u := x.plan.units[cp.Transaction]; u.commit != nil {
			deciding = u.commit
		}
		done, ok := x.settle(c, cp, deciding)
		if !ok {
			return
		}
		f.of, f.live = cp.Transaction, !done
	}
	x.plan.mu.Lock()
	x.plan.fates[c.op.Transaction] = f
	x.plan.mu.Unlock()
	if f.live {
		x.goLive(c)
	} else {
		x.reuse(c, cp)
	}
}

// provenance says how the outcome of a checkpoint that is reused is known.
func (p *plan) provenance(cp *record.Checkpoint) record.Provenance {
	_, said := p.opts.Assume[cp.Number]
	switch {
	case cp.Succeeded():
	case said:
		return record.ProvenanceAssumed
	case cp.InDoubt() && p.steps[cp.Number].Decision == DecisionProbe:
		return record.ProvenanceProbed
	}
	return record.ProvenanceRecorded
}
