package native

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/internal/tracking"
	"github.com/flux-go/flux/message"
)

const (
	defaultRequestTimeout = time.Minute
	maxWait               = 5 * time.Minute
)

// errWaited is the cause of contexts whose time is up.
var errWaited = errors.New("the time is up")

// Request serves the procedure of this name: it becomes a client for one request.
func (s logService) Request(
	ctx context.Context, r *connect.Request[fluxv1.RequestRequest],
) (*connect.Response[fluxv1.RequestResponse], error) {
	log, m, err := readRequest(r.Msg)
	if err != nil {
		return nil, err
	}
	wait, err := readWait("timeout_ms", r.Msg.GetTimeoutMs(), defaultRequestTimeout)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.untilClosing(ctx)
	defer cancel()
	ctx, cancelWait := context.WithTimeoutCause(ctx, wait, errWaited)
	defer cancelWait()
	results, err := s.resultsFrom(ctx, answerLog(log), m.Source)
	if err != nil {
		return nil, err
	}
	defer results.Close()
	index, err := s.publish(ctx, log, m)
	if err != nil {
		return nil, err
	}
	answer, err := awaitAnswer(ctx, results, m.Request)
	if err != nil {
		if context.Cause(ctx) == errWaited {
			err = fmt.Errorf("%w: request %d in %s after %s", errTimeout, index, log, wait)
		}
		return nil, err
	}
	result := writeMessage(answer, r.Msg.GetRaw())
	return connect.NewResponse(&fluxv1.RequestResponse{Result: result, RequestIndex: int64(index)}), nil
}

// readRequest returns the request with a client id of its own.
func readRequest(in *fluxv1.RequestRequest) (message.Log, *message.Message, error) {
	log, err := parseLog(in.GetLog())
	if err != nil {
		return log, nil, err
	}
	if !log.Type.IsRequest() {
		return log, nil, invalid("messages of log %s are not answered: use command, query or custom/TOPIC", log)
	}
	if in.GetMessage() == nil {
		return log, nil, invalid("no message")
	}
	if in.GetMessage().GetSource() != "" || in.GetMessage().RequestId != nil {
		return log, nil, invalid("source and request_id are given by the server")
	}
	m, err := readMessage(in.GetMessage())
	m.Source, m.Request = "request-"+rand.Text(), message.NewRequestID(1)
	return log, &m, err
}

// answerLog is where answers to the requests of a log go.
func answerLog(requests message.Log) message.Log {
	if requests.Type == message.WebRequest {
		return message.Log{Type: message.WebResponse}
	}
	return message.Log{Type: message.Result}
}

// readWait returns a time to wait, in milliseconds in the schema.
func readWait(field string, milli int64, none time.Duration) (time.Duration, error) {
	switch {
	case milli == 0:
		return none, nil
	case milli < 0 || milli > maxWait.Milliseconds():
		return 0, invalid("%s %d: use 1 to %d", field, milli, maxWait.Milliseconds())
	}
	return time.Duration(milli) * time.Millisecond, nil
}

// resultsFrom returns the answers to a client from now on.
func (s *Service) resultsFrom(ctx context.Context, log message.Log, client string) (*tracking.Results, error) {
	ns := namespaceOf(ctx)
	head, err := s.logs.Head(ns, log)
	if err != nil {
		return nil, err
	}
	return s.tracking.Results(ctx, ns, log, client, &head.Last)
}

func (s *Service) publish(ctx context.Context, log message.Log, m *message.Message) (message.Index, error) {
	w := message.BlockWriter{Now: s.clock}
	if err := w.Add(m); err != nil {
		return 0, err
	}
	op, err := messagelog.NewAppend(log, w.Seal(nil, message.LZ4))
	if err != nil {
		return 0, err
	}
	firsts, err := s.commit(ctx, []engine.Operation{op}, "")
	if err != nil {
		return 0, err
	}
	return firsts[0], nil
}

func awaitAnswer(ctx context.Context, results *tracking.Results, id message.RequestID) (*message.Message, error) {
	for {
		chunks, _, err := results.Next(ctx)
		if err != nil {
			return nil, causeOf(ctx, err)
		}
		messages, err := unpack(chunks)
		if err != nil {
			return nil, err
		}
		for i := range messages {
			if messages[i].Request == id {
				return &messages[i], nil
			}
		}
	}
}

// untilClosing returns a context that ends with errClosing when the service closes.
func (s *Service) untilClosing(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.closing, func() { cancel(errClosing) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// causeOf replaces the error of a context by its cause.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return context.Cause(ctx)
	}
	return err
}

// Results serves the procedure of this name.
func (s logService) Results(
	ctx context.Context, r *connect.Request[fluxv1.ResultsRequest], stream *connect.ServerStream[fluxv1.ResultsResponse],
) error {
	log := message.Log{Type: message.Result}
	if name := r.Msg.GetLog(); name != "" {
		var err error
		if log, err = parseLog(name); err != nil {
			return err
		}
	}
	if r.Msg.GetClientId() == "" {
		return invalid("no client_id")
	}
	ctx, cancel := s.untilClosing(ctx)
	defer cancel()
	results, err := s.tracking.Results(ctx, namespaceOf(ctx), log, r.Msg.GetClientId(), readIndex(r.Msg.LastIndex))
	if err != nil {
		return err
	}
	defer results.Close()
	// Headers tell the client that nothing is missed from now on.
	if err := stream.Send(nil); err != nil {
		return err
	}
	for {
		chunks, last, err := results.Next(ctx)
		if err != nil {
			return causeOf(ctx, err)
		}
		if err := stream.Send(&fluxv1.ResultsResponse{Chunks: writeChunks(chunks), LastIndex: int64(last)}); err != nil {
			return err
		}
	}
}
