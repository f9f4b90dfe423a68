package native

import (
	"context"
	"errors"
	"slices"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/recording"
)

// ListIssues serves the procedure of this name.
func (s executionService) ListIssues(
	ctx context.Context, r *connect.Request[fluxv1.ListIssuesRequest],
) (*connect.Response[fluxv1.ListIssuesResponse], error) {
	size, err := executionsIn(r.Msg.GetMaxSize())
	if err != nil {
		return nil, err
	}
	status, service := recording.IssueStatus(r.Msg.GetStatus()), r.Msg.GetService()
	if status != "" && !slices.Contains(recording.IssueStatuses, status) {
		return nil, invalid("status %q: use open, resolved or regressed", status)
	}
	page, err := s.executions.Issues(namespaceOf(ctx), func(i *recording.Issue) bool {
		return (status == "" || i.Status == status) && (service == "" || slices.Contains(i.Services, service))
	}, r.Msg.GetCursor(), size)
	if err != nil {
		return nil, err
	}
	out := &fluxv1.ListIssuesResponse{Cursor: page.Next}
	for i := range page.Issues {
		out.Issues = append(out.Issues, writeIssue(&page.Issues[i]))
	}
	return connect.NewResponse(out), nil
}

// GetIssue serves the procedure of this name.
func (s executionService) GetIssue(
	ctx context.Context, r *connect.Request[fluxv1.GetIssueRequest],
) (*connect.Response[fluxv1.GetIssueResponse], error) {
	issue, sample, err := s.executions.Issue(namespaceOf(ctx), r.Msg.GetFingerprint())
	if err != nil {
		return nil, err
	}
	out := writeIssue(issue)
	if sample != nil {
		out.Sample = writeExecution(sample)
	}
	return connect.NewResponse(&fluxv1.GetIssueResponse{Issue: out}), nil
}

// ResolveIssue serves the procedure of this name.
func (s executionService) ResolveIssue(
	ctx context.Context, r *connect.Request[fluxv1.ResolveIssueRequest],
) (*connect.Response[fluxv1.ResolveIssueResponse], error) {
	issue, _, err := s.executions.Issue(namespaceOf(ctx), r.Msg.GetFingerprint())
	if err != nil {
		return nil, err
	}
	op := &recording.Resolve{Fingerprint: issue.Fingerprint, Reopen: r.Msg.GetReopen()}
	if err := s.propose(ctx, op); err != nil {
		return nil, err
	}
	return connect.NewResponse(&fluxv1.ResolveIssueResponse{Issue: writeIssue(op.Issue)}), nil
}

func writeIssue(i *recording.Issue) *fluxv1.Issue {
	out := &fluxv1.Issue{
		Fingerprint: validText(i.Fingerprint), Title: validText(i.Title), Status: string(i.Status), Count: int64(i.Count),
		FirstSeen: i.FirstSeen, LastSeen: i.LastSeen, Resolved: i.Resolved,
		ErrorClass: validText(string(i.Class)), Location: validText(i.Location),
	}
	for _, service := range i.Services {
		out.Services = append(out.Services, validText(service))
	}
	return out
}

// GetExecutionRetention serves the procedure of this name.
func (s executionService) GetExecutionRetention(
	ctx context.Context, _ *connect.Request[fluxv1.GetExecutionRetentionRequest],
) (*connect.Response[fluxv1.GetExecutionRetentionResponse], error) {
	t, err := s.executions.Totals(namespaceOf(ctx))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&fluxv1.GetExecutionRetentionResponse{
		Retention: &fluxv1.ExecutionRetention{
			Seconds: t.Retention.Seconds, Executions: t.Retention.Executions, Bytes: t.Retention.Bytes,
		},
		Executions: int64(t.Executions), Bytes: int64(t.Bytes), Pinned: int64(t.Pinned),
	}), nil
}

// SetExecutionRetention serves the procedure of this name.
func (s executionService) SetExecutionRetention(
	ctx context.Context, r *connect.Request[fluxv1.SetExecutionRetentionRequest],
) (*connect.Response[fluxv1.SetExecutionRetentionResponse], error) {
	in := r.Msg.GetRetention()
	op := &recording.SetRetention{Retention: recording.Retention{
		Seconds: in.GetSeconds(), Executions: in.GetExecutions(), Bytes: in.GetBytes(),
	}}
	if err := s.propose(ctx, op); err != nil {
		return nil, err
	}
	return connect.NewResponse(&fluxv1.SetExecutionRetentionResponse{}), nil
}

const (
	defaultLease = 30 * time.Second
	maxLeaseMs   = int64(recording.MaxLease / time.Millisecond)
)

// AcquireLease serves the procedure of this name.
func (s executionService) AcquireLease(
	ctx context.Context, r *connect.Request[fluxv1.AcquireLeaseRequest],
) (*connect.Response[fluxv1.AcquireLeaseResponse], error) {
	id, err := record.ParseID(r.Msg.GetExecutionId())
	if err != nil {
		return nil, err
	}
	ttl, err := leaseTime(r.Msg.GetTtlMs())
	if err != nil {
		return nil, err
	}
	op := &recording.Acquire{Execution: id, Holder: r.Msg.GetHolder(), TTL: ttl}
	if err := s.propose(ctx, op); err != nil {
		return nil, leaseHint(err)
	}
	if op.Lease == nil {
		return nil, notFoundf("no execution %s", id)
	}
	return connect.NewResponse(&fluxv1.AcquireLeaseResponse{Lease: writeLease(op.Lease)}), nil
}

// leaseTime returns how long a lease is to last.
func leaseTime(ms int64) (time.Duration, error) {
	switch {
	case ms == 0:
		return defaultLease, nil
	case ms < 0 || ms > maxLeaseMs:
		return 0, invalid("ttl_ms %d: use %d to %d", ms, recording.MinLease.Milliseconds(), maxLeaseMs)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// leaseHint says what to do when somebody else has a lease.
func leaseHint(err error) error {
	if errors.Is(err, engine.ErrConflict) {
		return hinted{err, "wait until the other one has ended, or its lease has run out"}
	}
	return err
}

// RenewLease serves the procedure of this name.
func (s executionService) RenewLease(
	ctx context.Context, r *connect.Request[fluxv1.RenewLeaseRequest],
) (*connect.Response[fluxv1.RenewLeaseResponse], error) {
	fence, err := fenceOf(r.Msg.GetFence())
	if err != nil {
		return nil, err
	}
	ttl, err := leaseTime(r.Msg.GetTtlMs())
	if err != nil {
		return nil, err
	}
	op := &recording.Renew{Fence: fence, TTL: ttl}
	if err := s.propose(ctx, op); err != nil {
		return nil, leaseHint(err)
	}
	return connect.NewResponse(&fluxv1.RenewLeaseResponse{Lease: writeLease(op.Lease)}), nil
}

// ReleaseLease serves the procedure of this name.
func (s executionService) ReleaseLease(
	ctx context.Context, r *connect.Request[fluxv1.ReleaseLeaseRequest],
) (*connect.Response[fluxv1.ReleaseLeaseResponse], error) {
	fence, err := fenceOf(r.Msg.GetFence())
	if err != nil {
		return nil, err
	}
	op := &recording.Release{Fence: fence}
	if err := s.propose(ctx, op); err != nil {
		return nil, err
	}
	return connect.NewResponse(&fluxv1.ReleaseLeaseResponse{Released: op.Released}), nil
}

func fenceOf(in *fluxv1.LeaseFence) (recording.Fence, error) {
	id, err := record.ParseID(in.GetExecutionId())
	if err != nil {
		return recording.Fence{}, err
	}
	if in.GetToken() <= 0 {
		return recording.Fence{}, invalid("token %d: use that of the lease", in.GetToken())
	}
	return recording.Fence{Execution: id, Token: uint64(in.GetToken())}, nil
}

func writeLease(l *recording.Lease) *fluxv1.Lease {
	if l == nil {
		return nil
	}
	return &fluxv1.Lease{ExecutionId: l.Execution.String(), Holder: validText(l.Holder), Token: int64(l.Token), Expires: l.Expires}
}
