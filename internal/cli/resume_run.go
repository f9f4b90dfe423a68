package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// A resumption carries out the resume of one execution.
type resumption struct {
	p       *program
	bundle  *record.Bundle
	watched bool     // the server knows the execution
	command []string // that starts the program here; empty for a process that is connected to the server
	address string
	opts    *execution.ResumeOptions
}

func (r *resumption) run(ctx context.Context) (*execution.Report, error) {
	switch {
	case len(r.command) == 0 && !r.watched:
		return nil, usagef("add -- and the command that starts your program", "the server does not know this execution")
	case len(r.command) == 0:
		return r.there(ctx)
	case !r.watched:
		result, _, err := r.here(ctx)
		if err != nil {
			return nil, err
		}
		return result.report, nil
	}
	return r.claimed(ctx)
}

// there resumes in a process of the service.
func (r *resumption) there(ctx context.Context) (*execution.Report, error) {
	if err := execution.Attendable(r.bundle.Execution); err != nil {
		return nil, err
	}
	c, err := r.p.dial()
	if err != nil {
		return nil, err
	}
	return resumeThere(ctx, c, r.bundle.Execution.ID.String(), r.bundle.Execution.Service, r.opts)
}

// resumeThere tells a process of a service to resume an execution, and waits for its report.
func resumeThere(ctx context.Context, c *client, id, service string, opts *execution.ResumeOptions) (*execution.Report, error) {
	options, err := json.Marshal(opts)
	if err != nil {
		return nil, err
	}
	answer, err := c.executions.CommandInstance(ctx, connect.NewRequest(&fluxv1.CommandInstanceRequest{
		Command: &fluxv1.ExecutionCommand{ExecutionId: id, Kind: "resume", Options: options}, Service: service,
	}))
	if connect.CodeOf(err) == connect.CodeNotFound {
		text, _ := (&program{}).explain(err)
		return nil, failf(fmt.Sprintf("start %s with the fix, or add -- and the command that starts it here", service), "%s", text)
	}
	if err != nil {
		return nil, err
	}
	if got := answer.Msg.GetAnswer(); got.GetError() != "" {
		return nil, answerError(got)
	}
	report := new(execution.Report)
	return report, json.Unmarshal(answer.Msg.GetAnswer().GetReport(), report)
}

// answerError is the error that a process answered with.
func answerError(answer *fluxv1.AnswerCommandRequest) error {
	text := answer.GetError()
	switch answer.GetCode() {
	case "leased":
		return because{text, execution.ErrLeased}
	case "resumed":
		return because{text, execution.ErrResumed}
	case "refused":
		return because{text, execution.ErrRefused}
	}
	return errors.New(text)
}

// because is an error with a text of its own and the identity of another.
type because struct {
	text string
	is   error
}

// Error implements error.
func (b because) Error() string { return b.text }

// Unwrap returns the identity.
func (b because) Unwrap() error { return b.is }

// claimed resumes in a program that is started here, while nobody else may.
func (r *resumption) claimed(ctx context.Context) (_ *execution.Report, err error) {
	c, err := r.p.dial()
	if err != nil {
		return nil, err
	}
	held, claim, err := execution.ClaimResume(ctx, c.executions, r.bundle.Execution.ID.String(), holderName())
	if err != nil {
		return nil, err
	}
	whatever := context.WithoutCancel(ctx)
	defer func() { err = errors.Join(err, claim.Release(whatever)) }()
	if err := claim.Begin(held); err != nil {
		return nil, err
	}
	r.bundle, r.opts.ID = claim.Bundle, claim.ID
	result, began, err := r.here(held)
	switch {
	case !began:
		return nil, errors.Join(err, claim.Cancel(whatever))
	case err != nil:
		return nil, failf("look whether the program still runs; when it starts again it brings the record of what it did",
			"the resume %s began, and its end is not known: %w", claim.ID, err)
	case result.record == nil:
		return result.report, nil // the program died; its journal tells what it did
	}
	return result.report, claim.End(whatever, result.record.Execution)
}

// here resumes in a program that is started here. It says whether the program may have begun.
func (r *resumption) here(ctx context.Context) (result *rerunResult, began bool, err error) {
	run := &rerun{p: r.p, bundle: r.bundle, command: r.command, address: r.address}
	result, err = run.run(ctx, execution.Control{Resume: r.opts}, true)
	return result, run.began, err
}

// holderName is a name for this process that no other has.
func holderName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("flux resume on %s, process %d, %s", host, os.Getpid(), rand.Text()[:8])
}
