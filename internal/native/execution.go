package native

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/recording"
)

// executionService serves fluxv1connect.ExecutionServiceHandler.
type executionService struct{ *Service }

// maxExecutions bounds the executions that one call stores, deletes or returns.
const maxExecutions = 1000

// RecordExecutions serves the procedure of this name.
func (s executionService) RecordExecutions(
	ctx context.Context, r *connect.Request[fluxv1.RecordExecutionsRequest],
) (*connect.Response[fluxv1.RecordExecutionsResponse], error) {
	if n := len(r.Msg.GetExecutions()); n > maxExecutions {
		return nil, invalid("%d executions: use up to %d", n, maxExecutions)
	}
	var operations []engine.Operation
	if fence := r.Msg.GetFence(); fence != nil {
		op, err := fenceOf(fence)
		if err != nil {
			return nil, err
		}
		operations = append(operations, &op)
	}
	out := &fluxv1.RecordExecutionsResponse{}
	records := make([]*recording.Record, len(r.Msg.GetExecutions())) // nil for those that are refused
	for i, data := range r.Msg.GetExecutions() {
		outcome := &fluxv1.RecordOutcome{Outcome: "refused"}
		out.Outcomes = append(out.Outcomes, outcome)
		op, err := recording.NewRecord(data)
		if err != nil {
			outcome.Reason = validText(err.Error())
			continue
		}
		records[i], outcome.Id = op, op.ID().String()
		operations = append(operations, op)
	}
	if len(operations) > 0 {
		if err := s.propose(ctx, operations...); err != nil {
			return nil, leaseHint(err)
		}
	}
	for i, op := range records {
		if op != nil {
			out.Outcomes[i].Outcome = string(op.Outcome)
		}
	}
	return connect.NewResponse(out), nil
}

// GetExecution serves the procedure of this name.
func (s executionService) GetExecution(
	ctx context.Context, r *connect.Request[fluxv1.GetExecutionRequest],
) (*connect.Response[fluxv1.GetExecutionResponse], error) {
	found, err := s.executions.Get(namespaceOf(ctx), r.Msg.GetId(), r.Msg.GetBoot())
	if err != nil {
		return nil, err
	}
	out := &fluxv1.GetExecutionResponse{Summary: writeExecution(found.Item), Boot: found.Boot, Lease: writeLease(found.Lease)}
	if !r.Msg.GetSummaryOnly() {
		out.Execution = found.Record
	}
	return connect.NewResponse(out), nil
}

// DeleteExecutions serves the procedure of this name.
func (s executionService) DeleteExecutions(
	ctx context.Context, r *connect.Request[fluxv1.DeleteExecutionsRequest],
) (*connect.Response[fluxv1.DeleteExecutionsResponse], error) {
	if n := len(r.Msg.GetIds()); n > maxExecutions {
		return nil, invalid("%d ids: use up to %d", n, maxExecutions)
	}
	out := &fluxv1.DeleteExecutionsResponse{}
	for _, text := range r.Msg.GetIds() {
		id, err := record.ParseID(text)
		if err != nil {
			return nil, err
		}
		op, err := s.remove(ctx, id)
		switch {
		case err != nil:
			return nil, err
		case op == nil:
		case op.Pinned:
			out.Pinned = append(out.Pinned, id.String())
		case op.Removed:
			out.Deleted = append(out.Deleted, id.String())
		}
	}
	return connect.NewResponse(out), nil
}

// remove removes an execution. It returns nil when there is none.
func (s executionService) remove(ctx context.Context, id record.ID) (*recording.Remove, error) {
	for {
		op, err := s.executions.NewRemove(namespaceOf(ctx), id)
		if err != nil || op == nil {
			return nil, err
		}
		err = s.propose(ctx, op)
		if errors.Is(err, engine.ErrConflict) && ctx.Err() == nil {
			continue // recorded anew since it was read
		}
		return op, err
	}
}

// PinExecution serves the procedure of this name.
func (s executionService) PinExecution(
	ctx context.Context, r *connect.Request[fluxv1.PinExecutionRequest],
) (*connect.Response[fluxv1.PinExecutionResponse], error) {
	id, err := s.executions.Resolve(namespaceOf(ctx), r.Msg.GetId())
	if err != nil {
		return nil, err
	}
	op := &recording.Pin{ID: id, Unpin: r.Msg.GetUnpin()}
	if err := s.propose(ctx, op); err != nil {
		return nil, err
	}
	if op.Item == nil {
		return nil, notFoundf("no execution %s", id)
	}
	return connect.NewResponse(&fluxv1.PinExecutionResponse{Summary: writeExecution(op.Item), Changed: op.Changed}), nil
}

// writeExecution returns the summary as the wire knows it.
func writeExecution(i *recording.Item) *fluxv1.ExecutionSummary {
	out := &fluxv1.ExecutionSummary{
		Id: i.ID.String(), Parent: i.Parent.String(), Relation: validText(string(i.Relation)), Root: i.Root.String(),
		RequestId: validText(i.RequestID), Attempt: int32(i.Attempt),
		Service: validText(i.Service), Instance: validText(i.Instance), Environment: validText(i.Environment),
		Version: validText(i.Version), Commit: validText(i.Commit), Dirty: i.Dirty,
		Kind: validText(string(i.Kind)), Method: validText(i.Method), Route: validText(i.Route), Path: validText(i.Path),
		Start: i.Start.UnixMilli(), DurationUs: i.Duration.Microseconds(),
		Status: validText(string(i.Status)), Failed: i.Status.Failed(), HttpStatus: int32(i.HTTPStatus),
		ErrorClass: validText(string(i.ErrorClass)), Error: validText(i.Error), Fingerprint: validText(i.Fingerprint),
		Replayable: validText(string(i.Level)), Kept: validText(i.Kept),
		Checkpoints: int64(i.Checkpoints), InDoubt: int64(i.InDoubt), Logs: int64(i.Logs), Size: int64(i.Bytes),
		Pinned: i.Pinned, Recorded: i.Recorded, Arrival: int64(i.Arrival),
		Trace: validText(i.Trace),
	}
	if i.Level == "" {
		out.Replayable = string(record.ReplayFull)
	}
	for n := range i.Links {
		out.Links = append(out.Links, writeLink(&i.Links[n]))
	}
	return out
}

func writeLink(l *record.Link) *fluxv1.ExecutionLink {
	return &fluxv1.ExecutionLink{
		Kind: validText(string(l.Kind)), Execution: l.Execution.String(), Log: validText(l.Log), Index: int64(l.Index),
		MessageId: validText(l.MessageID),
	}
}
