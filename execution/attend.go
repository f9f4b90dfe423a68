package execution

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution/record"
)

// A Runner gives the code that handles executions of a kind the recorded input of one again. It runs the code under ctx, which x was
// begun with, and ends x. A panic of the code is the end of x, and does not leave the Runner.
type Runner func(ctx context.Context, x *Execution)

// A Finder returns how to run the code for a record, or an error that says why there is none: it satisfies errors.Is with
// ErrNotReplayable or ErrRefused.
type Finder func(of *record.Execution) (Runner, error)

// Attend lets executions of a kind be resumed and replayed in this process, when the server says so: of several finders for a kind, the
// first that has a Runner is taken. It is for what gives inputs to code, as Middleware does, which attends by itself; so do
// fluxgrpc.Attend, App.Run of package flux, and NewJob. stop takes it back, and leaves alone what runs.
func (r *Recorder) Attend(kind record.TriggerKind, find Finder) (stop func()) {
	if r == nil || r.attendant == nil {
		return func() {}
	}
	return r.attendant.offer(&offer{kind, find})
}

// An attendant keeps a stream to the server open on which it is told what to resume in this process, so that the fixed service
// itself finishes what failed. The process needs no address at which it can be reached, and no address comes from a record.
type attendant struct {
	rec    *Recorder
	remote *remote

	mu      sync.Mutex
	offers  []*offer
	stop    context.CancelFunc
	running sync.WaitGroup
}

// An offer is what a caller of Attend said.
type offer struct {
	kind record.TriggerKind
	find Finder
}

// maxCommands bounds how many executions are resumed in a process at a time.
const maxCommands = 8

// offer notes an offer, and begins to attend with the first.
func (a *attendant) offer(o *offer) (withdraw func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.offers = append(a.offers, o)
	if a.stop == nil {
		ctx, stop := context.WithCancel(context.Background())
		a.stop = stop
		a.running.Go(func() { a.run(ctx) })
	}
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.offers = slices.DeleteFunc(a.offers, func(other *offer) bool { return other == o })
	}
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
	if command.GetKind() == "replay" {
		return a.replay(ctx, command)
	}
	opts := new(ResumeOptions)
	if err := decodeOptions(command.GetOptions(), opts); err != nil {
		return nil, err
	}
	return a.rec.resumeByID(ctx, command.GetExecutionId(), a.find, opts)
}

func (a *attendant) replay(ctx context.Context, command *fluxv1.ExecutionCommand) (*Report, error) {
	opts := new(ReplayOptions)
	if err := decodeOptions(command.GetOptions(), opts); err != nil {
		return nil, err
	}
	bundle, err := a.remote.get(ctx, command.GetExecutionId())
	if err != nil {
		return nil, err
	}
	run, err := a.find(bundle.Execution)
	if err != nil {
		return nil, err
	}
	ctx, x, err := a.rec.BeginReplay(ctx, bundle, opts)
	if err != nil {
		return nil, err
	}
	run.report(ctx, x)
	return x.Report(), nil
}

func decodeOptions(data []byte, to any) error {
	if len(data) == 0 {
		return nil
	}
	return json.Unmarshal(data, to)
}

// find is the Finder of all that is offered. The error says what a program has to do to be found.
func (a *attendant) find(of *record.Execution) (Runner, error) {
	a.mu.Lock()
	offers := slices.Clone(a.offers)
	a.mu.Unlock()
	var why error
	for _, o := range offers {
		if o.kind != of.Trigger.Kind {
			continue
		}
		run, err := o.find(of)
		if err == nil {
			return run, nil
		}
		why = errors.Join(why, err)
	}
	if why != nil {
		return nil, why
	}
	return nil, fmt.Errorf("%w: %s", ErrRefused, cmp.Or(unattended[of.Trigger.Kind], unattendable[of.Trigger.Kind], "its kind is not known"))
}

// unattended tells, by the kind of an execution, what the process lacks that was asked to run it.
var unattended = map[record.TriggerKind]string{
	record.TriggerHTTP:    "the process that was asked has no handler of HTTP; wrap it with Recorder.Middleware",
	record.TriggerGRPC:    "the process that was asked has no server of gRPC that is known; say fluxgrpc.Attend(recorder, server)",
	record.TriggerMessage: "no App runs in the process that was asked; give the one that handles the message the Recorder",
	record.TriggerJob:     "the process that was asked has no such job; make it with execution.NewJob",
}

// unattendable tells about kinds of executions that no process is asked to run.
var unattendable = map[record.TriggerKind]string{
	record.TriggerCLI:  "it is a command; run it again with flux exec, or resume the executions that it made",
	record.TriggerTest: "it is a test; run that again",
	record.TriggerBoot: "it is the start of a process; start that again",
}

// Attendable returns ErrRefused, and what to do instead, for an execution that no process is asked to run.
func Attendable(of *record.Execution) error {
	if why := unattendable[of.Trigger.Kind]; why != "" {
		return fmt.Errorf("%w: %s", ErrRefused, why)
	}
	return nil
}

// errNotEnded is how an execution ends that its Runner did not end.
var errNotEnded = errors.New("the code was not run to its end")

// report runs an execution so that it has a report, whatever happens.
func (run Runner) report(ctx context.Context, x *Execution) {
	defer func() {
		if p := recover(); p != nil {
			x.EndPanic(p, debug.Stack())
		}
		x.End(errNotEnded)
	}()
	run(ctx, x)
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
