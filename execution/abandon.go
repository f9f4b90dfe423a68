package execution

import (
	"context"
	"errors"
	"fmt"
	"strings"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/execution/record"
)

// An Abandonment is what it means to give up a resume that began, and of whose end nothing was heard.
type Abandonment struct {
	Resume *record.Execution `json:"resume"` // as it would be then
	Of     record.ID         `json:"of"`     // what it resumed
}

// Abandonable returns the resume of an execution that began, and of whose end nothing was heard. The id may be that of the resume.
// Errors are ErrUnknown, ErrResumed, and ErrRefused when there is none.
func Abandonable(ctx context.Context, client fluxv1connect.ExecutionServiceClient, id string) (*Abandonment, error) {
	r := &remote{client: client}
	bundle, err := r.whole(ctx, id)
	if err == nil && bundle.Execution.Status == record.StatusRunning {
		bundle, err = r.whole(ctx, bundle.Execution.Parent.String())
	}
	for err == nil {
		of := bundle.Execution
		running, err := r.unfinished(ctx, of.ID)
		if err != nil {
			return nil, err
		}
		if running != nil {
			given, err := abandoned(running, of)
			return &Abandonment{given, of.ID}, err
		}
		next, err := r.successor(ctx, of.ID)
		if err != nil {
			return nil, err
		}
		if next == nil {
			return nil, fmt.Errorf("%w: no resume of %s began without an end", ErrRefused, of.ID)
		}
		bundle.Execution = Inherit(next, of)
	}
	return nil, err
}

// Abandon gives up the resume that Abandonable returns, so that the execution can be resumed again. What the resume may have done is in
// doubt from then on; what it did beyond the record is not known to anybody, and its own record comes too late. The holder is a name that
// nobody else has. The errors are those of Abandonable, and ErrLeased while the process is alive that resumes.
func Abandon(ctx context.Context, client fluxv1connect.ExecutionServiceClient, id, holder string) (a *Abandonment, err error) {
	if a, err = Abandonable(ctx, client, id); err != nil {
		return nil, err
	}
	r := &remote{client: client}
	l, err := r.acquire(ctx, a.Of, holder, leaseTTL)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.release(context.WithoutCancel(ctx))) }()
	again, err := r.unfinished(ctx, a.Of)
	switch {
	case err != nil:
		return nil, err
	case again == nil || again.ID != a.Resume.ID:
		return nil, fmt.Errorf("%w: the end of %s has come just now", ErrRefused, a.Resume.ID)
	}
	return a, (&Claim{remote: r, lease: l}).put(ctx, a.Resume)
}

// unfinished returns the resume of an execution that began and has no end, nil when there is none.
func (r *remote) unfinished(ctx context.Context, id record.ID) (*record.Execution, error) {
	found := ""
	filter := &fluxv1.ExecutionFilter{Parent: id.String(), Relation: string(record.RelationResume), Status: string(record.StatusRunning)}
	err := r.list(ctx, filter, func(x *fluxv1.ExecutionSummary) bool {
		found = x.GetId()
		return false
	})
	if found == "" || err != nil {
		return nil, err
	}
	bundle, err := r.get(ctx, found)
	if err != nil {
		return nil, err
	}
	return bundle.Execution, nil
}

// abandoned returns the end of a resume of which nothing was heard: each write that it was going to do is in doubt.
func abandoned(running, of *record.Execution) (*record.Execution, error) {
	p, err := newPlan(of, &ResumeOptions{})
	if err != nil {
		return nil, err
	}
	const reason = "it was given up: what it did is not known"
	x := *running
	x.Status, x.Kept = record.StatusInterrupted, "asked"
	x.Error = &record.Error{Class: record.ClassUnknown, Message: reason}
	x.Replayable = record.Replayable{Level: record.ReplayPartial, Reasons: []string{reason}}
	x.Checkpoints = p.inDoubt()
	return &x, nil
}

// inDoubt returns what a resume by the plan may have done. Of a transaction that it did again, that is its commit: what the record does
// not have of that has a commit of no request, which answers none, so that it is refused and not repeated.
func (p *plan) inDoubt() (all []record.Checkpoint) {
	add := func(cp record.Checkpoint, unit string) {
		cp.Number, cp.Transaction, cp.Provenance, cp.Start, cp.Duration = uint32(len(all)), unit, record.ProvenanceLive, 0, 0
		all = append(all, cp)
	}
	for i := range p.steps {
		step := &p.steps[i]
		cp := *step.Checkpoint
		u := p.units[cp.Transaction]
		switch {
		case step.Decision == DecisionReuse:
		case u == nil && cp.Effect.Writes():
			add(unknown(cp), "")
		case u != nil && cp.Succeeded() && cp.Shape != record.ShapeRollback:
			add(cp, unitName(cp.Transaction))
		}
		if u != nil && u.last == step.Checkpoint && step.Decision != DecisionReuse {
			commit := record.Checkpoint{Lane: cp.Lane, Boundary: cp.Boundary, Target: cp.Target, Shape: ShapeCommit, Effect: record.EffectWrite}
			if u.commit != nil {
				commit = *u.commit
			}
			add(unknown(commit), unitName(cp.Transaction))
		}
	}
	return all
}

// unknown returns a checkpoint as if its outcome was not known.
func unknown(cp record.Checkpoint) record.Checkpoint {
	cp.State, cp.Failure, cp.Response, cp.Error, cp.Finished, cp.Links = record.StateInDoubt, false, record.Payload{}, nil, 0, nil
	return cp
}

// unitName is the name of a transaction in a resume, which numbers its own as the execution did that it repeats.
func unitName(unit string) string { return unit[strings.LastIndexByte(unit, '/')+1:] }
