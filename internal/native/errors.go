package native

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/auth"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/eventstore"
	"github.com/flux-go/flux/internal/keyvalue"
	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/internal/recording"
	"github.com/flux-go/flux/internal/schedule"
	"github.com/flux-go/flux/internal/tracking"
	"github.com/flux-go/flux/message"
)

// Errors of this package. Callers of the API see them as codes.
var (
	errBadRequest      = errors.New("bad request")
	errTooLarge        = errors.New("too large")
	errUnauthenticated = errors.New("unauthenticated")
	errForbidden       = errors.New("forbidden")
	errNotFound        = errors.New("not found")
	errTimeout         = errors.New("no answer in time")
	errClosing         = errors.New("server is closing")
)

// class is a kind of error as the wire knows it; docs/protocol/errors.md lists them for clients.
type class struct {
	code   string // ErrorDetail.code, of which there are only ever more
	status connect.Code
	hint   string // unless the error has one of its own
}

var (
	badRequest      = class{"bad_request", connect.CodeInvalidArgument, "correct the request; sending it again cannot help"}
	ambiguous       = class{"bad_request", connect.CodeInvalidArgument, "use more of its digits"}
	conflict        = class{"conflict", connect.CodeAborted, "read the current state and decide again"}
	left            = class{"conflict", connect.CodeAborted, "open a new stream, unless another tracker is to have this id"}
	tooLarge        = class{"too_large", connect.CodeResourceExhausted, "send less at a time, or raise max-message-bytes of the server"}
	readOnly        = class{"read_only", connect.CodeUnavailable, "look at the disk of the server and restart it; reads go on meanwhile"}
	unauthenticated = class{"unauthenticated", connect.CodeUnauthenticated, "send the header Authorization: Bearer TOKEN"}
	forbidden       = class{"forbidden", connect.CodePermissionDenied, "use a token with this right in this namespace"}
	notFound        = class{"not_found", connect.CodeNotFound, "docs/protocol/native.md lists what there is"}
	timeout         = class{"timeout", connect.CodeDeadlineExceeded, "wait longer, or see whether a consumer is running that answers"}
	canceled        = class{"canceled", connect.CodeCanceled, "the call was canceled by its caller"}
	closing         = class{"closing", connect.CodeUnavailable, "connect again and resend what was not answered"}
	internal        = class{"internal", connect.CodeInternal, "the log of the server says more"}
)

// classes tells by which error a class is known. The first match counts: damage of the store comes before damage of what a
// client sent, for the former may wrap the latter.
var classes = []struct {
	err error
	class
}{
	{engine.ErrCorrupt, internal},
	{engine.ErrConflict, conflict},
	{engine.ErrReadOnly, readOnly},
	{engine.ErrTooLarge, tooLarge},
	{engine.ErrClosed, closing},
	{message.ErrTooLarge, tooLarge},
	{message.ErrNotBlock, badRequest},
	{message.ErrVersion, badRequest},
	{message.ErrCorrupt, badRequest},
	{message.ErrBadLog, badRequest},
	{message.ErrBadRange, badRequest},
	{message.ErrBadPosition, badRequest},
	{position.ErrBadConsumer, badRequest},
	{eventstore.ErrBadID, badRequest},
	{keyvalue.ErrBadKey, badRequest},
	{schedule.ErrBadID, badRequest},
	{schedule.ErrBadTime, badRequest},
	{schedule.ErrNotOne, badRequest},
	{record.ErrBadID, badRequest},
	{recording.ErrAmbiguous, ambiguous},
	{recording.ErrBadCondition, badRequest},
	{recording.ErrBadCursor, badRequest},
	{recording.ErrBadLease, badRequest},
	{recording.ErrBadRetention, badRequest},
	{recording.ErrNotFound, notFound},
	{tracking.ErrBadTracker, badRequest},
	{tracking.ErrLeft, left},
	{tracking.ErrReplaced, left},
	{tracking.ErrPurged, left},
	{auth.ErrBadNamespace, badRequest},
	{engine.ErrBadNamespace, badRequest},
	{errBadRequest, badRequest},
	{errTooLarge, tooLarge},
	{errUnauthenticated, unauthenticated},
	{errForbidden, forbidden},
	{errNotFound, notFound},
	{errTimeout, timeout},
	{errClosing, closing},
	{context.DeadlineExceeded, timeout},
	{context.Canceled, canceled},
}

// statuses gives a class to the errors that Connect finds itself, such as an unknown compression.
var statuses = map[connect.Code]class{
	connect.CodeInvalidArgument:   badRequest,
	connect.CodeResourceExhausted: tooLarge,
	connect.CodeDeadlineExceeded:  timeout,
	connect.CodeCanceled:          canceled,
	connect.CodeUnimplemented:     notFound,
	connect.CodeInternal:          badRequest, // half frames and other breaches of the protocol
	connect.CodeUnknown:           canceled,   // the connection broke while the request was read
}

// hinted is an error with advice that fits better than that of its class.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// invalid returns an error about what the caller sent.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errBadRequest, fmt.Sprintf(format, args...))
}

// notFoundf returns an error about something that is not there.
func notFoundf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errNotFound, fmt.Sprintf(format, args...))
}

func classOf(err error) class {
	for _, known := range classes {
		if errors.Is(err, known.err) {
			return known.class
		}
	}
	var wire *connect.Error
	if errors.As(err, &wire) {
		if c, ok := statuses[wire.Code()]; ok {
			return c
		}
	}
	return internal
}

// detail returns the part of an error that programs read.
func detail(err error) *fluxv1.ErrorDetail {
	c := classOf(err)
	d := &fluxv1.ErrorDetail{Code: c.code, Hint: c.hint}
	if own := (hinted{}); errors.As(err, &own) {
		d.Hint = own.hint
	}
	return d
}

// text is what callers are told; of internal errors they learn nothing that could be somebody else's.
func text(err error) string {
	if classOf(err) == internal {
		return "internal error"
	}
	var wire *connect.Error
	if errors.As(err, &wire) {
		return wire.Message()
	}
	return err.Error()
}

// wireError returns err as Connect sends it. Every error of the API passes here once. Nil stays nil.
func wireError(err error, procedure string, logger *slog.Logger) error {
	if err == nil {
		return nil
	}
	c := classOf(err)
	if c == internal {
		logger.Error("request failed", "procedure", procedure, "error", err)
	}
	out := connect.NewError(c.status, errors.New(text(err)))
	if d, detailErr := connect.NewErrorDetail(detail(err)); detailErr == nil {
		out.AddDetail(d)
	}
	return out
}
