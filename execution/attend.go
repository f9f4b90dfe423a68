package execution

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

// An attendant keeps a stream to the server open on which it is told what to resume in this process, so that the fixed service
// itself finishes what failed. The process needs no address at which it can be reached, and no address comes from a record.
type attendant struct {
	rec    *Recorder
	remote *remote

	mu       sync.Mutex
	handlers []http.Handler // that Middleware wraps
	stop     context.CancelFunc
	running  sync.WaitGroup
}

// maxCommands bounds how many executions are resumed in a process at a time.
const maxCommands = 8

// serves notes a handler that executions may be resumed with, and begins to attend with the first.
func (a *attendant) serves(handler http.Handler) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.handlers = append(a.handlers, handler)
	if a.stop != nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	a.running.Go(func() { a.run(ctx) })
}

// close takes no more commands and waits for those under way, until ctx ends.
func (a *attendant) close(ctx context.Context) {
	if a == nil {
		return
	}
	a.mu.Lock()
	stop := a.stop
	a.mu.Unlock()
	if stop == nil {
		return
	}
	stop()
	done := make(chan struct{})
	go func() { a.running.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// run attends until ctx ends, over and over when the server goes away.
func (a *attendant) run(ctx context.Context) {
	slots := make(chan struct{}, maxCommands)
	for wait := uploadFirstWait; ctx.Err() == nil; wait = min(2*wait, uploadLongestWait) {
		if attended := a.attend(ctx, slots); attended {
			wait = uploadFirstWait
		}
		if !sleepUpload(ctx, wait/2+rand.N(wait/2)) {
			return
		}
	}
}

// attend carries out commands until the stream breaks. It says whether there was a stream.
func (a *attendant) attend(ctx context.Context, slots chan struct{}) bool {
	config := a.rec.config
	stream, err := a.remote.client.Attend(ctx, connect.NewRequest(&fluxv1.AttendRequest{Instance: &fluxv1.Instance{
		Service: config.Service, Instance: a.rec.instance, Version: a.rec.code.Version, Environment: config.Environment,
	}}))
	if err != nil {
		return false
	}
	defer stream.Close()
	attended := false
	for stream.Receive() {
		attended = true
		command := stream.Msg().GetCommand()
		if command == nil {
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return true
		}
		a.running.Go(func() {
			defer func() { <-slots }()
			a.answer(context.WithoutCancel(ctx), command)
		})
	}
	return attended
}

// answer carries out a command and tells what came of it.
func (a *attendant) answer(ctx context.Context, command *fluxv1.ExecutionCommand) {
	answer := &fluxv1.AnswerCommandRequest{Id: command.GetId()}
	report, err := a.obey(ctx, command)
	if err == nil {
		answer.Report, err = json.Marshal(report)
	}
	if err != nil {
		answer.Code, answer.Error = codeOf(err), err.Error()
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if _, err := a.remote.client.AnswerCommand(ctx, connect.NewRequest(answer)); err != nil {
		a.rec.config.Logger.Warn("nobody learned what came of a command", "command", command.GetKind(), "execution", command.GetExecutionId(), "error", err)
	}
}

func (a *attendant) obey(ctx context.Context, command *fluxv1.ExecutionCommand) (*Report, error) {
	handler := a.handlerFor(ctx, command.GetExecutionId())
	if command.GetKind() == "replay" {
		opts := new(ReplayOptions)
		if err := decodeOptions(command.GetOptions(), opts); err != nil {
			return nil, err
		}
		bundle, err := a.remote.get(ctx, command.GetExecutionId())
		if err != nil {
			return nil, err
		}
		return a.rec.ReplayHTTP(ctx, bundle, handler, opts)
	}
	opts := new(ResumeOptions)
	if err := decodeOptions(command.GetOptions(), opts); err != nil {
		return nil, err
	}
	return a.rec.ResumeByID(ctx, command.GetExecutionId(), handler, opts)
}

func decodeOptions(data []byte, to any) error {
	if len(data) == 0 {
		return nil
	}
	return json.Unmarshal(data, to)
}

// handlerFor returns the handler for an execution: of several, the first that has a route for its request.
func (a *attendant) handlerFor(ctx context.Context, id string) http.Handler {
	a.mu.Lock()
	handlers := a.handlers
	a.mu.Unlock()
	if len(handlers) == 1 {
		return handlers[0]
	}
	bundle, err := a.remote.get(ctx, id)
	if err != nil {
		return handlers[0]
	}
	req, err := recordedRequest(bundle.Execution)
	if err != nil {
		return handlers[0]
	}
	for _, handler := range handlers {
		router, ok := handler.(interface {
			Handler(*http.Request) (http.Handler, string)
		})
		if !ok {
			return handler
		}
		if _, pattern := router.Handler(req); pattern != "" {
			return handler
		}
	}
	return handlers[0]
}

// codeOf returns the word for an error in answers to commands.
func codeOf(err error) string {
	for _, known := range []struct {
		err  error
		code string
	}{
		{ErrLeased, "leased"}, {ErrResumed, "resumed"}, {ErrRefused, "refused"}, {ErrNotReplayable, "refused"}, {ErrUnknown, "unknown"},
	} {
		if errors.Is(err, known.err) {
			return known.code
		}
	}
	return "failed"
}
