package execution

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/execution/record"
)

// ErrResumed is returned for an execution that was resumed before, so that to resume it again would repeat what was done then.
var ErrResumed = errors.New("the execution was resumed")

// leaseTTL is how long others wait after a holder died.
const leaseTTL = 30 * time.Second

// A Claim is the right to resume an execution of a server, which one holder has at a time. Get it with ClaimResume and release it.
type Claim struct {
	// Bundle is what is to be resumed. When the execution was resumed before and that failed, it is the last of these resumes with
	// what it did not come to, see Inherit.
	Bundle *record.Bundle
	// ID of the execution that the resume is to make.
	ID record.ID

	remote *remote
	lease  *lease
	holder string
	stop   func()
	began  bool // the server knows that the resume may have begun
	ended  bool // the server knows how it ended
}

// Resumable returns what ClaimResume would claim, without claiming it. Errors are ErrUnknown and ErrResumed.
func Resumable(ctx context.Context, client fluxv1connect.ExecutionServiceClient, id string) (*record.Bundle, error) {
	r := &remote{client: client}
	bundle, err := r.whole(ctx, id)
	for err == nil {
		var next *record.Execution
		if next, err = r.successor(ctx, bundle.Execution.ID); next == nil || err != nil {
			break
		}
		bundle = &record.Bundle{Execution: Inherit(next, bundle.Execution), Boot: bundle.Boot}
	}
	return bundle, err
}

// ClaimResume claims an execution, given by its id or the beginning of one, for a holder, a name that nobody else has. The context it
// returns ends when the claim is lost. Errors are ErrUnknown, ErrLeased while another holder has it, and ErrResumed.
func ClaimResume(ctx context.Context, client fluxv1connect.ExecutionServiceClient, id, holder string) (context.Context, *Claim, error) {
	r := &remote{client: client}
	bundle, err := Resumable(ctx, client, id)
	if err != nil {
		return nil, nil, err
	}
	of := bundle.Execution.ID
	l, err := r.acquire(ctx, of, holder, leaseTTL)
	if err != nil {
		return nil, nil, err
	}
	// What was resumed while we had no lease is not to be missed.
	if next, err := r.successor(ctx, of); err != nil || next != nil {
		if err == nil {
			err = fmt.Errorf("%w: by %s just now", ErrResumed, next.ID)
		}
		return nil, nil, errors.Join(err, l.release(ctx))
	}
	c := &Claim{Bundle: bundle, ID: record.NewID(), remote: r, lease: l, holder: holder}
	held, stop := l.keep(ctx)
	c.stop = stop
	return held, c, nil
}

// Begin tells the server that the resume is about to begin. Until it knows the end, nobody can resume the execution again: nobody
// would know what was done.
func (c *Claim) Begin(ctx context.Context) error {
	of := c.Bundle.Execution
	running := &record.Execution{
		ID: c.ID, Parent: of.ID, Root: of.Root, Relation: record.RelationResume, RequestID: of.RequestID, Attempt: of.Attempt,
		Service: of.Service, Instance: c.holder, Environment: of.Environment, Trigger: of.Trigger, Input: of.Input,
		Start: time.Now().UTC(), Status: record.StatusRunning,
	}
	if running.Root.IsZero() {
		running.Root = of.ID
	}
	c.began = true // also when the answer is lost
	return c.put(ctx, running)
}

// End gives the server the record of the resume. The error is ErrLeased when another holder has got the claim meanwhile.
func (c *Claim) End(ctx context.Context, x *record.Execution) error {
	err := c.put(ctx, x)
	c.ended = err == nil
	return err
}

func (c *Claim) put(ctx context.Context, x *record.Execution) error {
	outcomes, err := c.remote.record(ctx, [][]byte{record.Append(nil, x)}, c.lease)
	if err == nil && outcomes[0].GetOutcome() == "refused" {
		err = fmt.Errorf("the server refused the record: %s", outcomes[0].GetReason())
	}
	return err
}

// Cancel tells the server that the resume did not begin after all.
func (c *Claim) Cancel(ctx context.Context) error {
	if !c.began {
		return nil
	}
	of := c.Bundle.Execution
	return c.End(ctx, &record.Execution{
		ID: c.ID, Parent: of.ID, Root: of.Root, Relation: record.RelationResume, Service: of.Service, Trigger: of.Trigger,
		Start: time.Now().UTC(), Status: record.StatusCancelled, Kept: "asked",
		Replayable: record.Replayable{Level: record.ReplayNone, Reasons: []string{"it did not begin"}},
	})
}

// Release ends the claim.
func (c *Claim) Release(ctx context.Context) error {
	c.stop()
	return c.lease.release(ctx)
}

// whole returns the execution with an id. A resume comes with what those before it knew.
func (r *remote) whole(ctx context.Context, id string) (*record.Bundle, error) {
	bundle, err := r.get(ctx, id)
	if err != nil || bundle.Execution.Relation != record.RelationResume {
		return bundle, err
	}
	parent, err := r.whole(ctx, bundle.Execution.Parent.String())
	if err != nil {
		return nil, fmt.Errorf("what %s has resumed: %w", bundle.Execution.ID, err)
	}
	bundle.Execution = Inherit(bundle.Execution, parent.Execution)
	return bundle, nil
}

// successor returns the resume of an execution that did something, nil when there is none. The error is ErrResumed when that went
// well, or is not known to have ended.
func (r *remote) successor(ctx context.Context, id record.ID) (*record.Execution, error) {
	var ids []string
	filter := &fluxv1.ExecutionFilter{Parent: id.String(), Relation: string(record.RelationResume)}
	err := r.list(ctx, filter, func(x *fluxv1.ExecutionSummary) bool {
		ids = append(ids, x.GetId())
		return true
	})
	for _, id := range ids {
		bundle, getErr := r.get(ctx, id)
		if err = errors.Join(err, getErr); err != nil {
			return nil, err
		}
		switch x := bundle.Execution; {
		case x.Status == record.StatusRunning:
			return nil, fmt.Errorf("%w: %s began in %s and its end is not known; it comes when the service starts there again, and --abandon gives it up", ErrResumed, x.ID, x.Instance)
		case x.Status == record.StatusOK:
			return nil, fmt.Errorf("%w: %s went well", ErrResumed, x.ID)
		case didSomething(x):
			return x, nil
		}
	}
	return nil, err
}

// didSomething says that a resume did writes, or may have.
func didSomething(x *record.Execution) bool {
	for i := range x.Checkpoints {
		if cp := &x.Checkpoints[i]; cp.Effect.Writes() && cp.Provenance != record.ProvenanceRecorded {
			return true
		}
	}
	return false
}

// ResumeByID resumes an execution of the server of the configuration in this process: handler gets the recorded request. It claims
// the execution, and brings the record of the resume to the server. Errors are ErrUnknown, ErrLeased, ErrResumed, ErrRefused and
// ErrNotReplayable.
func (r *Recorder) ResumeByID(ctx context.Context, id string, handler http.Handler, opts *ResumeOptions) (*Report, error) {
	return r.resumeByID(ctx, id, finderOf(handler), opts)
}

func (r *Recorder) resumeByID(ctx context.Context, id string, find Finder, opts *ResumeOptions) (*Report, error) {
	d, ok := r.store.(*delivery)
	if !ok || d.remote == nil {
		return nil, fmt.Errorf("%w: URL is empty, so there is no server to resume from", ErrBadConfig)
	}
	held, claim, err := ClaimResume(ctx, d.remote.client, id, r.instance+"-"+record.NewID().Short())
	if err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // what follows the run is done in any case
	report, err := r.resumeClaimed(held, claim, find, opts)
	return report, errors.Join(err, claim.Release(ctx))
}

func (r *Recorder) resumeClaimed(ctx context.Context, claim *Claim, find Finder, opts *ResumeOptions) (*Report, error) {
	run, err := find(claim.Bundle.Execution)
	if err != nil {
		return nil, err
	}
	opts = r.resumeOptions(claim.Bundle.Execution.ID, opts)
	opts.ID = claim.ID
	if _, err := newPlan(claim.Bundle.Execution, opts); err != nil {
		return nil, err
	}
	if err := claim.Begin(ctx); err != nil {
		return nil, err
	}
	inner, x, err := r.BeginResume(ctx, claim.Bundle, opts)
	if err != nil {
		return nil, errors.Join(err, claim.Cancel(context.WithoutCancel(ctx)))
	}
	x.held = ctx.Done()
	run.report(inner, x)
	return x.Report(), claim.End(context.WithoutCancel(ctx), x.Record())
}
