package native

import (
	"context"
	"errors"
	"io"
	"time"

	"connectrpc.com/connect"
)

// Observer is told what happens. Its methods are called often and must be quick.
type Observer interface {
	// Called tells of a call that ended. The code is "ok" or one of those of docs/protocol/errors.md.
	Called(procedure, code string, took time.Duration)
	// Committed tells of a transaction that was committed, or refused, and how long that took from its proposal.
	Committed(took time.Duration, err error)
}

// interceptor stands around every handler: it turns faults into errors, and errors into what the wire knows.
type interceptor struct{ service *Service }

func (i interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		done := i.begin(request.Spec().Procedure)
		if err := fault(request.Any()); err != nil {
			return nil, done(err)
		}
		response, err := next(ctx, request)
		return response, done(err)
	}
}

func (i interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		done := i.begin(conn.Spec().Procedure)
		return done(next(ctx, faultConn{conn}))
	}
}

// WrapStreamingClient is for clients, which are not here.
func (i interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// begin returns what to do with the outcome of the call.
func (i interceptor) begin(procedure string) (done func(error) error) {
	started := time.Now()
	return func(err error) error {
		code := "ok"
		if err != nil {
			code = classOf(err).code
		}
		i.service.observer.Called(procedure, code, time.Since(started))
		return wireError(err, procedure, i.service.logger)
	}
}

// faultConn returns the faults of messages from Receive.
type faultConn struct{ connect.StreamingHandlerConn }

func (c faultConn) Receive(m any) error {
	err := c.StreamingHandlerConn.Receive(m)
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return err
	}
	return fault(m)
}
