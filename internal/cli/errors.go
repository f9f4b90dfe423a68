package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

// hinted is an error that knows what to do about it.
type hinted struct {
	error
	hint string
}

func (e *hinted) Unwrap() error { return e.error }

// failf returns an error with a hint.
func failf(hint, format string, args ...any) error {
	return &hinted{fmt.Errorf(format, args...), hint}
}

// A verdict ends the program with an exit code of its own, after the command has written why.
type verdict struct{ code int }

func (v *verdict) Error() string { return fmt.Sprintf("exit code %d", v.code) }

// usageError says that the program was called in a wrong way.
type usageError struct{ hinted }

// usagef returns a usageError with a hint.
func usagef(hint, format string, args ...any) error {
	return &usageError{hinted{fmt.Errorf(format, args...), hint}}
}

// fail tells the user about an error.
func (p *program) fail(err error) {
	text, hint := p.explain(err)
	fmt.Fprintf(p.err, "%s %s\n", p.err.red("Error:"), text)
	if hint != "" {
		fmt.Fprintf(p.err, "%s %s\n", p.err.bold("Try:"), hint)
	}
}

// explain returns the text of an error, and what to do about it or nothing.
func (p *program) explain(err error) (text, hint string) {
	var own *hinted
	var usage *usageError
	var remote *connect.Error
	switch {
	case errors.As(err, &usage):
		return usage.Error(), usage.hint
	case errors.As(err, &own):
		return own.Error(), own.hint
	case errors.Is(err, context.Canceled) || connect.CodeOf(err) == connect.CodeCanceled:
		return "interrupted", ""
	case errors.As(err, &remote):
		return p.explainRemote(remote)
	}
	return err.Error(), ""
}

// remoteHints are for errors that one deals with differently here than in a program. Keys are codes of ErrorDetail.
var remoteHints = map[string]string{
	"unauthenticated": "give a token with --token or FLUX_TOKEN",
	"too_large":       "raise --max-message-bytes of the server",
}

// isNotFlux reports whether an error says that what answers does not know the protocol.
func isNotFlux(err *connect.Error) bool {
	return (err.Code() == connect.CodeUnimplemented || err.Code() == connect.CodeUnknown) &&
		(strings.Contains(err.Message(), "HTTP") || strings.Contains(err.Message(), "content-type"))
}

// explainRemote explains what a server answered, or that none did.
func (p *program) explainRemote(err *connect.Error) (text, hint string) {
	for _, detail := range err.Details() {
		if value, decodeErr := detail.Value(); decodeErr == nil {
			if detail, ok := value.(*fluxv1.ErrorDetail); ok {
				return err.Message(), cmp.Or(remoteHints[detail.GetCode()], detail.GetHint())
			}
		}
	}
	switch {
	case err.Code() == connect.CodeUnavailable:
		return fmt.Sprintf("no server at %s: %s", p.url, err.Message()), "start one with flux serve, or name another with --url or FLUX_URL"
	case isNotFlux(err):
		return fmt.Sprintf("what answers at %s is not a Flux server: %s", p.url, err.Message()), "check --url or FLUX_URL"
	}
	return fmt.Sprintf("connection to %s broke: %s", p.url, err.Message()), "check that the server is up, and try again"
}
