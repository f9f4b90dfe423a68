package execution

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/flux-go/flux/execution/record"
)

// ErrRefused is what operations return in a resume that needs a decision of a person. See Refused.
var ErrRefused = errors.New("resume refused")

// Refused is the error of operations that a resume must not decide alone: a write in doubt, or one whose request is no more the
// one that was completed. It is sticky, as a Stop is, and satisfies errors.Is with ErrRefused.
type Refused struct {
	Operation Operation `json:"operation"`
	Recorded  *uint32   `json:"recorded,omitempty"` // number of the checkpoint it is about
	Reason    string    `json:"reason"`
	Remedy    string    `json:"remedy"`
}

// Error implements error.
func (r *Refused) Error() string { return fmt.Sprintf("%v: %s: %s", ErrRefused, r.Operation, r.Reason) }

// Unwrap returns ErrRefused.
func (r *Refused) Unwrap() error { return ErrRefused }

// ResumeOptions say how a record is resumed.
type ResumeOptions struct {
	// From is the number of the first checkpoint that is not answered from the record, which may be one after the last. What is before
	// it is answered as it went, also failures, but for writes in doubt. It is refused before a write that was completed, and in a
	// transaction that was committed. Defaults to the first that failed or is in doubt, and that the program did not get over.
	From *uint32 `json:"from,omitempty"`
	// Assume settles writes in doubt by number: true means done, false not done. Defaults to none.
	Assume map[uint32]bool `json:"assume,omitempty"`
	// Probe finds out whether a write in doubt took effect. It returns ErrRefused when it cannot tell. Defaults to none.
	Probe func(context.Context, *record.Checkpoint) (done bool, err error) `json:"-"`
	// FreshReads does reads again, although their result is in the record. Defaults to false.
	FreshReads bool `json:"freshReads,omitempty"`
	// ID of the execution that the resume makes. Defaults to a new one.
	ID record.ID `json:"id,omitzero"`
}

// BeginResume begins a resume of a record: what was completed is answered from it, everything else is done. Run the code under
// the context it returns with the recorded input, and end it as in a recording. Hold the lease of the execution meanwhile. The
// errors are ErrNotReplayable and ErrRefused.
func (r *Recorder) BeginResume(ctx context.Context, b *record.Bundle, opts *ResumeOptions) (context.Context, *Execution, error) {
	opts = r.resumeOptions(b.Execution.ID, opts)
	plan, err := newPlan(b.Execution, opts)
	if err != nil {
		return nil, nil, err
	}
	x := r.newExecution(b.Execution.Trigger, ModeResume)
	x.descend(b.Execution, record.RelationResume)
	if !opts.ID.IsZero() {
		x.head.ID = opts.ID
	}
	x.plan = plan
	x.head.From = plan.from
	x.matcher = newMatcher(b.Execution, &ReplayOptions{})
	x.report = newReporter(x, &ReplayOptions{})
	x.env = environment(b.Execution)
	if len(b.Execution.Input.Data) > 0 {
		x.input = json.RawMessage(b.Execution.Input.Data) // until what runs sets it
	}
	r.bootEnds()
	x.head.Boot = r.boot.head.ID
	if x.journal = r.store.durable(); x.journal {
		if err := r.store.begin(x.snapshot(record.StatusRunning)); err != nil {
			return nil, nil, err
		}
	}
	r.register(x)
	return context.WithValue(ctx, laneKey{}, x.addLane("root")), x, nil
}

// resumeOptions returns options with the probe of the configuration, unless they have one.
func (r *Recorder) resumeOptions(of record.ID, opts *ResumeOptions) *ResumeOptions {
	own := ResumeOptions{}
	if opts != nil {
		own = *opts
	}
	if probe := r.config.Probe; own.Probe == nil && probe != nil {
		own.Probe = func(ctx context.Context, cp *record.Checkpoint) (bool, error) { return probe(ctx, of, cp) }
	}
	return &own
}
