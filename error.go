package flux

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

// Error is an error that keeps its meaning on its way from the handler to who asked: a code for programs, a message for
// people, and a detail for both. Two errors with equal codes are the same to [errors.Is], whatever their messages:
//
//	var ErrNoFunds = &flux.Error{Code: "bank.no_funds", Message: "not enough funds"}
//
//	return "", fmt.Errorf("%w: %s has %d", ErrNoFunds, account, balance)   // in the handler
//	if errors.Is(err, bank.ErrNoFunds) { … }                               // in the service that asked
//
// Codes without a dot belong to Flux.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	// Detail is any JSON value. Defaults to none.
	Detail json.RawMessage `json:"detail,omitempty"`

	cause error
}

// The errors of Flux itself, to be compared with [errors.Is].
var (
	// ErrBadRequest is returned when a call makes no sense to the server.
	ErrBadRequest = &Error{Code: "bad_request", Message: "bad request"}
	// ErrConflict is returned when a condition of a transaction did not hold.
	ErrConflict = &Error{Code: "conflict", Message: "conflict"}
	// ErrTooLarge is returned when a message is larger than the server takes.
	ErrTooLarge = &Error{Code: "too_large", Message: "too large"}
	// ErrReadOnly is returned while the server cannot write, for example because its disk is full.
	ErrReadOnly = &Error{Code: "read_only", Message: "server takes no writes"}
	// ErrUnauthenticated is returned when the server does not know the token.
	ErrUnauthenticated = &Error{Code: "unauthenticated", Message: "unknown token"}
	// ErrForbidden is returned when the token does not allow the call.
	ErrForbidden = &Error{Code: "forbidden", Message: "forbidden"}
	// ErrNotFound is returned when what was asked for does not exist.
	ErrNotFound = &Error{Code: "not_found", Message: "not found"}
	// ErrUnavailable is returned when the server cannot be reached or is stopping.
	ErrUnavailable = &Error{Code: "closing", Message: "server unavailable"}
	// ErrFailed is returned by [Ask] when the handler failed with an error that is no [Error].
	ErrFailed = &Error{Code: "failed", Message: "handler failed"}
	// ErrInternal is returned when a handler panicked, or the server did what it never should.
	ErrInternal = &Error{Code: "internal", Message: "internal error"}
	// ErrClosed is returned by an [App] that was closed.
	ErrClosed = errors.New("flux: app is closed")
)

// Errorf returns an error with a code. The rest is as in [fmt.Errorf]; what %w wraps stays in this process.
func Errorf(code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), cause: errors.Unwrap(err)}
}

// WithDetail returns a copy of e with a value for programs, or panics if it has no JSON form.
func (e *Error) WithDetail(value any) *Error {
	detail, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("flux: detail of error %s: %v", e.Code, err))
	}
	with := *e
	with.Detail = detail
	return &with
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns what [Errorf] wrapped.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is an *Error with the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Retryable reports whether doing the same again later may succeed. It decides everywhere in this package whether something
// is tried again:
//
//   - An [Error] is final, for it says what is wrong with the request, unless it is [ErrUnavailable] or [ErrReadOnly], or the
//     server says that it gave up waiting.
//   - The end of a context by [context.Canceled], and [ErrClosed], are final.
//   - Everything else may be an accident: a timeout, a connection that broke, an error of a library.
func Retryable(err error) bool {
	var e *Error
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, ErrClosed):
		return false
	case errors.As(err, &e):
		return slices.Contains(passing, e.Code)
	}
	return true
}

// passing are the codes of errors that may go away by themselves.
var passing = []string{ErrUnavailable.Code, ErrReadOnly.Code, "timeout", "canceled"}

// published returns what is told about an error of a handler to who asked. Nothing but this leaves the process: code and
// detail of an [Error] in the chain with the whole text, or just the text of any other error, under the code "failed".
func published(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return &Error{Code: e.Code, Message: err.Error(), Detail: e.Detail}
	}
	return &Error{Code: ErrFailed.Code, Message: err.Error()}
}

// ofServer translates errors of calls: those that the server explains become an [Error], lost connections [ErrUnavailable].
func ofServer(err error) error {
	var e *connect.Error
	if !errors.As(err, &e) {
		return err
	}
	for _, detail := range e.Details() {
		if value, err := detail.Value(); err == nil {
			if d, ok := value.(*fluxv1.ErrorDetail); ok {
				return explained(d, e.Message())
			}
		}
	}
	if known, ok := codes[e.Code()]; ok {
		return &Error{Code: known.Code, Message: e.Message()}
	}
	return &Error{Code: ErrUnavailable.Code, Message: fmt.Sprintf("%s: %s", ErrUnavailable.Message, e.Message())}
}

func explained(d *fluxv1.ErrorDetail, text string) *Error {
	if d.GetHint() != "" {
		text += " (" + d.GetHint() + ")"
	}
	return &Error{Code: d.GetCode(), Message: text}
}

// codes are the errors that come from something between us and the server, or from an older server, and are final.
var codes = map[connect.Code]*Error{
	connect.CodeInvalidArgument:    ErrBadRequest,
	connect.CodeUnimplemented:      ErrBadRequest,
	connect.CodeOutOfRange:         ErrBadRequest,
	connect.CodeUnauthenticated:    ErrUnauthenticated,
	connect.CodePermissionDenied:   ErrForbidden,
	connect.CodeNotFound:           ErrNotFound,
	connect.CodeAborted:            ErrConflict,
	connect.CodeFailedPrecondition: ErrConflict,
	connect.CodeResourceExhausted:  ErrTooLarge,
}
