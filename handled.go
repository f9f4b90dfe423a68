package flux

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/message"
)

// handledInput is the input of an execution that handles a message.
type handledInput struct {
	recordedMessage
	Handler  int    `json:"handler,omitempty"` // place among those that the consumer has for the message
	Tracker  string `json:"tracker,omitempty"`
	Segments [2]int `json:"segments"` // of the tracker, half-open
}

// lazyInput is the input of an invocation whose message is still where it was read, for executions that are journalled from
// their beginning.
type lazyInput Invocation

// MarshalJSON implements json.Marshaler.
func (i *lazyInput) MarshalJSON() ([]byte, error) {
	return json.Marshal((*Invocation)(i).input(nil, (*Invocation)(i).message))
}

func (i *Invocation) input(x *execution.Execution, m *message.Message) *handledInput {
	return &handledInput{
		recordedMessage: *newRecordedMessage(x, m), Handler: i.handler, Tracker: i.session.id,
		Segments: [2]int{i.batch.segments.Start, i.batch.segments.End},
	}
}

// record begins an execution for a call of a handler, and returns the invocation of that call, which is another when the
// execution is recorded. Without a recorder it does nothing.
func (i *Invocation) record(number int) *Invocation {
	rec := i.session.app.config.Recorder
	if rec == nil {
		return i
	}
	i.handler = number
	opts := execution.BeginOptions{Attempt: i.attempt + 1, Input: (*lazyInput)(i)}
	cause := record.Link{Kind: record.LinkCause, Log: i.session.path, Index: uint64(i.message.Index)}
	if text := i.message.Metadata[metaExecution]; text != "" {
		if id, err := record.ParseID(text); err == nil {
			cause.Execution, opts.Parent, opts.Relation = id, id, record.RelationChild
		}
	}
	if i.attempt > 0 {
		opts.RequestID, opts.Parent, opts.Relation = i.first.String(), i.execution.ID(), record.RelationRetry
	}
	trigger := record.Trigger{
		Kind: record.TriggerMessage, Method: i.message.Type, Path: i.session.path, Route: string(i.session.name),
		Peer: i.message.Metadata[metaClientName],
	}
	ctx, x := rec.Begin(i.session.ctx, trigger, &opts)
	if x == nil {
		if i.message == &i.copied { // it is of this call alone
			i.Context = ctx
		}
		return i
	}
	x.SetTrace(i.message.Metadata[metaTraceParent])
	cause.MessageID = i.message.MessageID()
	x.Link(cause)
	return i.next(ctx, x)
}

// next returns the invocation of a recorded call, after this one.
func (i *Invocation) next(ctx context.Context, x *execution.Execution) *Invocation {
	kept := i.message.Clone()
	x.SetInput(i.input(x, kept))
	n := &Invocation{
		Context: ctx, session: i.session, batch: i.batch, copied: *i.message, handler: i.handler,
		execution: x, attempt: i.attempt + 1, first: i.first,
	}
	n.message = &n.copied
	if n.first.IsZero() {
		n.first = x.ID()
	}
	return n
}

// end ends the execution of a call. It returns what the handler did, with its result as the message that answers the request.
func (i *Invocation) end(h *handler, result any, err error) (any, error) {
	x := i.execution
	if x == nil {
		return result, err
	}
	if err == nil {
		err = i.commitUnit()
	}
	if err == nil && h.answers {
		if m, problem := answerMessage(i.session.table.log.Type, result, nil); problem == nil {
			x.SetOutput(newRecordedMessage(x, m.Clone()))
			result = m
		}
	}
	x.End(err)
	return result, err
}

// unitOf returns the transaction of the outputs that the handler of an atomic consumer publishes, "" in other cases.
func (i *Invocation) unitOf(a *App) string {
	if i == nil || i.session.app != a || !i.session.Atomic || i.execution == nil {
		return ""
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.unit == "" && !i.over {
		i.unit = i.execution.NewTransaction()
	}
	return i.unit
}

// commitUnit is the operation that commits the outputs of a call. While a consumer runs, that happens with the batch, and with
// the position after it: when it fails, the message is handled again. A resume, which has no batch, commits them here.
func (i *Invocation) commitUnit() error {
	i.mu.Lock()
	unit, outputs := i.unit, i.outputs
	i.mu.Unlock()
	if unit == "" {
		return nil
	}
	op := execution.Op{Target: i.session.path, Shape: record.ShapeCommit, Effect: record.EffectWrite, Transaction: unit}
	_, err := operate(i, i.session.app, op, func(c *execution.Call) (Nothing, error) {
		if c.Execution().Mode() != execution.ModeResume {
			return Nothing{}, nil
		}
		b := &batch{}
		b.addOutputs(outputs)
		changes, err := b.changes()
		if err == nil {
			_, err = i.session.app.commitNow(i, changes)
		}
		return Nothing{}, err
	})
	return err
}

// ReplayMessage replays the record of an execution that handled a message: it gives the message to the handler that is
// registered with app, and answers what that asks for from the record. Nothing needs a server: app may be that of [Offline]. It
// needs a [Config.Recorder]. The error is [execution.ErrNotReplayable]; what the handler returns is in the report.
func ReplayMessage(ctx context.Context, app *App, b *record.Bundle, opts *execution.ReplayOptions) (*execution.Report, error) {
	r, err := app.rerunOf(b.Execution)
	if err != nil {
		return nil, err
	}
	ctx, x, err := app.config.Recorder.BeginReplay(ctx, b, opts)
	if err != nil {
		return nil, err
	}
	r.run(ctx, x)
	return x.Report(), nil
}

// ResumeMessage resumes the record of an execution that handled a message: what was completed is answered from the record, the
// rest is done. What the handler returns goes nowhere, for who asked has the error already. Hold the lease of the execution
// meanwhile. The errors are [execution.ErrNotReplayable] and [execution.ErrRefused].
func ResumeMessage(ctx context.Context, app *App, b *record.Bundle, opts *execution.ResumeOptions) (*execution.Report, error) {
	r, err := app.rerunOf(b.Execution)
	if err != nil {
		return nil, err
	}
	ctx, x, err := app.config.Recorder.BeginResume(ctx, b, opts)
	if err != nil {
		return nil, err
	}
	r.run(ctx, x)
	return x.Report(), nil
}

// rerun is a recorded message with its handler.
type rerun struct {
	session *session
	handler *handler
	input   handledInput
	message *message.Message
}

// rerunOf finds the handler of a record. The error is execution.ErrNotReplayable.
func (a *App) rerunOf(of *record.Execution) (*rerun, error) {
	t, r := of.Trigger, &rerun{}
	switch {
	case a.config.Recorder == nil:
		return nil, fmt.Errorf("%w: the App has no Recorder", ErrBadRequest)
	case t.Kind != record.TriggerMessage:
		return nil, fmt.Errorf("%w: it began with %s, not with a message", execution.ErrNotReplayable, t.Kind)
	}
	err := json.Unmarshal(of.Input.Data, &r.input)
	if err == nil {
		r.message, err = r.input.message()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: its message cannot be read: %w", execution.ErrNotReplayable, err)
	}
	handlers, table := a.consumerOf(t)
	if table == nil {
		return nil, fmt.Errorf("%w: consumer %s has no handler of %s in log %s", execution.ErrNotReplayable, t.Route, t.Method, t.Path)
	}
	found := table.handlersOf(t.Method)
	if r.input.Handler >= len(found) {
		return nil, fmt.Errorf("%w: consumer %s has %d handlers of %s, it was one more", execution.ErrNotReplayable, t.Route, len(found), t.Method)
	}
	r.handler = &found[r.input.Handler]
	r.session = &session{tracker: newTracker(a, handlers, table)}
	r.session.id = r.input.Tracker
	return r, nil
}

// consumerOf returns the consumer of a trigger, by its name or, when another has it, by what it handles.
func (a *App) consumerOf(t record.Trigger) (handlers *Handlers, table *handlerTable) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range a.mu.consumed {
		for log, candidate := range h.tables {
			if log.String() != t.Path || len(candidate.handlersOf(t.Method)) == 0 {
				continue
			}
			if string(h.name) == t.Route {
				return h, candidate
			}
			handlers, table = h, candidate
		}
	}
	return handlers, table
}

// run gives the message to the handler, and ends the execution.
func (r *rerun) run(ctx context.Context, x *execution.Execution) {
	r.session.ctx = ctx
	b := &batch{segments: message.SegmentRange{Start: r.input.Segments[0], End: r.input.Segments[1]}}
	before := &Invocation{Context: ctx, session: r.session, batch: b, message: r.message, handler: r.input.Handler}
	inv := before.next(ctx, x)
	result, err := inv.safely(r.handler)
	if err != nil {
		inv.drop()
	}
	_, _ = inv.end(r.handler, result, err) // it is in the report
	inv.close()
}

// findHandler is the [execution.Finder] of an App that runs: a message goes to the handler that had it.
func (a *App) findHandler(of *record.Execution) (execution.Runner, error) {
	r, err := a.rerunOf(of)
	if err != nil {
		return nil, err
	}
	return r.run, nil
}

// runRecorded is Run in a process that replays or resumes a record: nothing else is handled there.
func (a *App) runRecorded(ctx context.Context, of *record.Execution) error {
	r, err := a.rerunOf(of)
	if err == nil && a.config.Recorder.TakeRecorded(record.TriggerMessage) != nil {
		ctx, x, err := a.config.Recorder.BeginRecorded(ctx)
		if err != nil {
			return err
		}
		r.run(ctx, x)
		return nil
	}
	if err != nil && of.Trigger.Kind == record.TriggerMessage {
		// It may be that of another App, so this is no error; if it is not, somebody waits in vain and has to know why.
		fmt.Fprintln(os.Stderr, "flux: not this App:", err)
	}
	select {
	case <-ctx.Done():
	case <-a.closing.Done():
	}
	return nil
}
