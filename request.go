package flux

import (
	"context"
	"errors"
	"fmt"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/message"
)

// Command makes a struct that embeds it a command with a result of type R: something to be done.
//
//	type PlaceOrder struct {
//		flux.Command[OrderID]
//		Items []Item `json:"items"`
//	}
//
// It takes no room, and is no part of the payload. The compiler holds the handler and those who ask to the type.
type Command[R any] struct{ Returns[R] }

// Query makes a struct that embeds it a query with a result of type R: something to be looked up.
type Query[R any] struct{ Returns[R] }

// Returns makes a struct that embeds it a request with a result of type R, for custom topics. Commands embed [Command],
// queries [Query].
type Returns[R any] struct{}

// Nothing is the result of requests that have none: their answer says that they were handled.
type Nothing = struct{}

// Request is implemented by structs that embed [Command], [Query] or [Returns].
type Request[R any] interface {
	result() R
}

func (Returns[R]) result() (r R) { return r }

func (Command[R]) command() {}
func (Query[R]) query()     {}

type commandFor[R any] interface {
	Request[R]
	command()
}

type queryFor[R any] interface {
	Request[R]
	query()
}

// Ask publishes a command or a query and returns the answer of its handler, which no process has lost when it comes late:
// requests and answers are on disk. It waits until ctx ends, or for [Config.RequestTimeout] if ctx has no deadline.
//
// Errors of the handler come back as [Error], see there. [context.DeadlineExceeded] means that there was no answer yet; the
// request may still be handled. A handler that asks waits for the answer at once, also in an atomic consumer.
func Ask[R any](ctx context.Context, app *App, request Request[R]) (R, error) {
	log := message.Log{Type: message.Command}
	switch request.(type) {
	case interface{ command() }:
	case interface{ query() }:
		log.Type = message.Query
	default:
		var none R
		return none, fmt.Errorf("%w: %T embeds neither flux.Command nor flux.Query: use AskTo", ErrBadRequest, request)
	}
	return AskTo(ctx, app, log, request, nil)
}

// AskTo is [Ask] for requests in any log that has requests, such as that of a custom topic, with options.
func AskTo[R any](
	ctx context.Context, app *App, log message.Log, request Request[R], options *PublishOptions,
) (result R, err error) {
	m, err := newMessage(request, options)
	if err != nil {
		return result, err
	}
	answer, err := app.ask(ctx, log, m)
	if err != nil {
		return result, err
	}
	return decode[R](answer)
}

// ask publishes a request and returns the message that answers it.
func (a *App) ask(ctx context.Context, log message.Log, m *message.Message) (*message.Message, error) {
	if !log.Type.IsRequest() {
		return nil, fmt.Errorf("%w: messages of log %s are not answered", ErrBadRequest, log)
	}
	if err := log.Validate(); err != nil {
		return nil, err
	}
	a.correlateMessage(ctx, m)
	if !a.records(ctx) {
		return a.askNow(ctx, log, m)
	}
	op := execution.Op{Target: log.String(), Shape: "ask", Effect: record.EffectWrite}
	if log.Type == message.Query {
		op.Effect = record.EffectRead
	}
	messages := []*message.Message{m}
	op = operationRequest{Log: op.Target}.with(ctx, op, messages)
	answer, err := operate(ctx, a, op, func(c *execution.Call) (*recordedMessage, error) {
		link(c, log, messages, 0)
		answer, err := a.askNow(ctx, log, m)
		linkAnswer(c, answer)
		if err != nil {
			return nil, err
		}
		return newRecordedMessage(c.Execution(), answer), nil
	})
	if err != nil {
		return nil, err
	}
	if answer == nil {
		return nil, fmt.Errorf("%w: the answer to %s is not known", execution.ErrDiverged, m.Type)
	}
	return answer.message()
}

// askNow publishes a request that is complete but for its id, and returns the message that answers it, also when that is an
// error.
func (a *App) askNow(ctx context.Context, log message.Log, m *message.Message) (*message.Message, error) {
	ctx, cancel := a.requestContext(ctx)
	defer cancel()
	answers := a.answers[answerType(log.Type)]
	id, answered, err := answers.expect(ctx)
	if err != nil {
		return nil, err
	}
	defer answers.forget(id)
	m.Source, m.Request = a.config.ClientID, message.NewRequestID(id)
	refused := func(err error) {
		if err != nil {
			answers.deliver(id, outcome{err: err})
		}
	}
	if _, _, err := a.producer.add(ctx, log, m, refused); err != nil {
		return nil, err
	}
	select {
	case o := <-answered:
		return o.message, o.err
	case <-ctx.Done():
		return nil, fmt.Errorf("asking %s: %w", m.Type, cause(ctx))
	case <-a.ctx.Done():
		return nil, ErrClosed
	}
}

// cause returns why a context ended, in a way that is also the plain error of contexts.
func cause(ctx context.Context) error {
	if err := context.Cause(ctx); errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("%w: %w", ctx.Err(), context.Cause(ctx))
}

// answerType returns the type of the messages that answer requests of a type.
func answerType(request message.Type) message.Type {
	if request == message.WebRequest {
		return message.WebResponse
	}
	return message.Result
}
