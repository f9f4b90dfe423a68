package native

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"time"
	"unicode"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/recording"
)

const (
	defaultExecutions = 50
	// maxConditions bounds the conditions of a filter.
	maxConditions = 20
)

// ListExecutions serves the procedure of this name.
func (s executionService) ListExecutions(
	ctx context.Context, r *connect.Request[fluxv1.ListExecutionsRequest],
) (*connect.Response[fluxv1.ListExecutionsResponse], error) {
	size, err := executionsIn(r.Msg.GetMaxSize())
	if err != nil {
		return nil, err
	}
	filter, err := readFilter(r.Msg.GetFilter())
	if err != nil {
		return nil, err
	}
	page, err := s.executions.List(namespaceOf(ctx), filter, r.Msg.GetCursor(), size)
	if err != nil {
		return nil, err
	}
	out := &fluxv1.ListExecutionsResponse{Cursor: page.Next, SearchedTo: page.SearchedTo}
	for i := range page.Items {
		out.Executions = append(out.Executions, writeExecution(&page.Items[i]))
	}
	return connect.NewResponse(out), nil
}

func executionsIn(size int32) (int, error) {
	switch {
	case size == 0:
		return defaultExecutions, nil
	case size < 0 || size > maxExecutions:
		return 0, invalid("max_size %d: use 1 to %d", size, maxExecutions)
	}
	return int(size), nil
}

// TailExecutions serves the procedure of this name.
func (s executionService) TailExecutions(
	ctx context.Context, r *connect.Request[fluxv1.TailExecutionsRequest], stream *connect.ServerStream[fluxv1.TailExecutionsResponse],
) error {
	ns := namespaceOf(ctx)
	filter, err := readFilter(r.Msg.GetFilter())
	if err != nil {
		return err
	}
	after, err := s.tailStart(ctx, r.Msg, filter)
	if err != nil {
		return err
	}
	ctx, cancel := s.untilClosing(ctx)
	defer cancel()
	// The first response tells the client where to go on, whatever happens next.
	if err := stream.Send(&fluxv1.TailExecutionsResponse{After: int64(after)}); err != nil {
		return err
	}
	for {
		changed := s.executions.Changed(ns)
		arrivals, err := s.executions.Arrivals(ns, filter, after)
		if err != nil {
			return err
		}
		after = arrivals.Last
		if len(arrivals.Items) > 0 || arrivals.More {
			if err := stream.Send(writeArrivals(&arrivals)); err != nil {
				return err
			}
		}
		if arrivals.More {
			changed = closed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return causeOf(ctx, ctx.Err())
		}
	}
}

// closed is a channel that is closed.
var closed = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// tailStart returns the arrival after which a tail begins.
func (s executionService) tailStart(ctx context.Context, in *fluxv1.TailExecutionsRequest, f *recording.Filter) (uint64, error) {
	switch backlog := in.GetBacklog(); {
	case in.After != nil && in.GetAfter() < 0:
		return 0, invalid("after %d: use 0 for the beginning, or the arrival of an execution", in.GetAfter())
	case in.After != nil:
		return uint64(in.GetAfter()), nil
	case backlog < 0 || backlog > maxExecutions:
		return 0, invalid("backlog %d: use 0 to %d", backlog, maxExecutions)
	default:
		return s.executions.Backlog(namespaceOf(ctx), f, int(backlog))
	}
}

func writeArrivals(a *recording.Arrivals) *fluxv1.TailExecutionsResponse {
	out := &fluxv1.TailExecutionsResponse{After: int64(a.Last)}
	for i := range a.Items {
		out.Executions = append(out.Executions, writeExecution(&a.Items[i]))
	}
	return out
}

// readFilter returns a filter, or what makes no sense about it. None picks all.
func readFilter(in *fluxv1.ExecutionFilter) (*recording.Filter, error) {
	f := &recording.Filter{
		Status: record.Status(in.GetStatus()), Failed: in.GetFailed(), Service: in.GetService(), Route: in.GetRoute(),
		Path: in.GetPath(), Method: in.GetMethod(), MinDuration: time.Duration(in.GetMinDurationUs()) * time.Microsecond,
		Text: in.GetText(), RequestID: in.GetRequestId(), Fingerprint: in.GetFingerprint(),
		Relation: record.Relation(in.GetRelation()), MessageID: in.GetMessageId(), Kind: record.TriggerKind(in.GetKind()),
		Instance: in.GetInstance(), Pinned: in.GetPinned(), Trace: strings.ToLower(in.GetTrace()),
	}
	if err := checkFilter(in); err != nil {
		return nil, err
	}
	for _, id := range []struct {
		text string
		to   *record.ID
	}{{in.GetParent(), &f.Parent}, {in.GetRoot(), &f.Root}, {in.GetLinked(), &f.Linked}} {
		if err := id.to.UnmarshalText([]byte(id.text)); err != nil {
			return nil, err
		}
	}
	for _, text := range in.GetWhere() {
		condition, err := recording.ParseCondition(text)
		if err != nil {
			return nil, err
		}
		f.Where = append(f.Where, condition)
	}
	if since := in.GetSince(); since != 0 {
		f.Since = time.UnixMilli(since)
	}
	if until := in.GetUntil(); until != 0 {
		f.Until = time.UnixMilli(until)
	}
	return f, nil
}

// checkFilter returns an error for values that nothing can have.
func checkFilter(in *fluxv1.ExecutionFilter) error {
	const maxDurationUs = 1 << 53
	status, since, until := record.Status(in.GetStatus()), in.GetSince(), in.GetUntil()
	switch {
	case status != "" && !slices.Contains(record.Statuses, status):
		return invalid("status %q: use one of %s", status, statusNames())
	case since < 0 || until < 0:
		return invalid("since %d, until %d: use milliseconds since 1970, or 0 for no bound", since, until)
	case until != 0 && until <= since:
		return invalid("until %d is not after since %d", until, since)
	case in.GetMinDurationUs() < 0 || in.GetMinDurationUs() > maxDurationUs:
		return invalid("min_duration_us %d: use microseconds", in.GetMinDurationUs())
	case in.GetText() != "" && !strings.ContainsFunc(in.GetText(), func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }):
		return invalid("text %q has no word", in.GetText())
	case in.GetTrace() != "" && !isTraceID(in.GetTrace()):
		return invalid("trace %q: use 32 hexadecimal digits, which are the second part of a traceparent", in.GetTrace())
	case len(in.GetWhere()) > maxConditions:
		return invalid("%d conditions: use up to %d", len(in.GetWhere()), maxConditions)
	}
	return nil
}

func isTraceID(text string) bool {
	_, err := hex.DecodeString(text)
	return err == nil && len(text) == 32
}

func statusNames() string {
	names := make([]string, len(record.Statuses))
	for i, status := range record.Statuses {
		names[i] = string(status)
	}
	return strings.Join(names, ", ")
}
