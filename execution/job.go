package execution

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"

	"github.com/flux-go/flux/execution/record"
)

// A Job is work with a name that no request began, each run of which is an execution: a nightly report, a delivery of a queue that
// Flux knows nothing of. In and Out go through JSON. Make one with NewJob.
type Job[In, Out any] struct {
	rec  *Recorder
	name string
	do   func(context.Context, In) (Out, error)
}

// NewJob returns a job that do carries out, and lets runs of it that failed be resumed in this process: make it when what do needs is
// there. The name is to be the same in all versions of a program. A nil recorder is allowed.
func NewJob[In, Out any](rec *Recorder, name string, do func(context.Context, In) (Out, error)) *Job[In, Out] {
	j := &Job[In, Out]{rec, name, do}
	rec.Attend(record.TriggerJob, j.find)
	return j
}

// Run runs the job, and returns what it returns; it goes on with its panics. In a process that flux replay or flux resume started for
// a run of this job, the first Run is that one, with the input that was recorded.
func (j *Job[In, Out]) Run(ctx context.Context, in In) (Out, error) {
	ctx, x := j.rec.Begin(ctx, record.Trigger{Kind: record.TriggerJob, Method: j.name}, &BeginOptions{Input: in})
	if of := x.Of(); of != nil {
		recorded, err := j.input(of)
		if err != nil {
			x.End(err)
			var none Out
			return none, err
		}
		in = recorded
	}
	return j.run(ctx, x, in)
}

func (j *Job[In, Out]) run(ctx context.Context, x *Execution, in In) (out Out, err error) {
	defer func() {
		if p := recover(); p != nil {
			x.EndPanic(p, debug.Stack())
			panic(p)
		}
	}()
	defer Enter(ctx)()
	if out, err = j.do(ctx, in); err == nil {
		x.SetOutput(out)
	}
	x.End(err)
	return out, err
}

// input returns the input of a run that was recorded. The error is ErrNotReplayable.
func (j *Job[In, Out]) input(of *record.Execution) (in In, err error) {
	if len(of.Input.Data) == 0 {
		return in, nil
	}
	if of.Input.Truncated {
		return in, fmt.Errorf("%w: the input of job %s was shortened", ErrNotReplayable, j.name)
	}
	if err := json.Unmarshal(of.Input.Data, &in); err != nil {
		return in, fmt.Errorf("%w: the input of job %s cannot be read: %w", ErrNotReplayable, j.name, err)
	}
	return in, nil
}

// find is the Finder of the job.
func (j *Job[In, Out]) find(of *record.Execution) (Runner, error) {
	if of.Trigger.Method != j.name {
		return nil, fmt.Errorf("%w: it is a run of job %q, not of %q", ErrRefused, of.Trigger.Method, j.name)
	}
	in, err := j.input(of)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, x *Execution) { _, _ = j.run(ctx, x, in) }, nil // how it ends is in the report
}
