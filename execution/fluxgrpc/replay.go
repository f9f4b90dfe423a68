package fluxgrpc

import (
	"context"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// Replay replays the record of a call that a server got: it gives the messages to the handler that register registers, as with a
// grpc.Server, and answers its operations from the record. There is neither server nor network. The error is
// execution.ErrNotReplayable; what the handler returns is in the report.
func Replay(
	ctx context.Context, rec *execution.Recorder, register func(grpc.ServiceRegistrar), b *record.Bundle, opts *execution.ReplayOptions,
) (*execution.Report, error) {
	handle, recorded, err := find(register, b.Execution)
	if err != nil {
		return nil, err
	}
	ctx, x, err := rec.BeginReplay(ctx, b, opts)
	if err != nil {
		return nil, err
	}
	return recorded.run(ctx, x, handle), nil
}

// Resume resumes the record of a call that a server got as Replay replays it: what was completed is answered from the record, the
// rest is done. Hold the lease of the execution meanwhile. The errors are execution.ErrNotReplayable and execution.ErrRefused.
func Resume(
	ctx context.Context, rec *execution.Recorder, register func(grpc.ServiceRegistrar), b *record.Bundle, opts *execution.ResumeOptions,
) (*execution.Report, error) {
	handle, recorded, err := find(register, b.Execution)
	if err != nil {
		return nil, err
	}
	ctx, x, err := rec.BeginResume(ctx, b, opts)
	if err != nil {
		return nil, err
	}
	return recorded.run(ctx, x, handle), nil
}

// recordedCall is the call of a record.
type recordedCall struct {
	*document
	method string
	next   int  // of its messages
	ended  bool // the client closed its side
}

// recordedCallOf reads the call of a record. The error is execution.ErrNotReplayable.
func recordedCallOf(of *record.Execution) (*recordedCall, error) {
	if of.Trigger.Kind != record.TriggerGRPC {
		return nil, fmt.Errorf("%w: it began with %s, not with a call of gRPC", execution.ErrNotReplayable, of.Trigger.Kind)
	}
	d, err := decodeDocument(of.Input)
	if err != nil {
		return nil, fmt.Errorf("%w: its messages cannot be read: %w", execution.ErrNotReplayable, err)
	}
	r := &recordedCall{document: d, method: of.Trigger.Method}
	if out, err := decodeDocument(of.Output); err == nil {
		r.ended = strings.Contains(out.Order, "e")
	}
	return r, nil
}

// receive gives the next message.
func (r *recordedCall) receive(m any) error {
	if r.next < len(r.Messages) {
		r.next++
		return r.Messages[r.next-1].into(m)
	}
	if !r.ended {
		return fmt.Errorf("%w: no more of %s was received when it was recorded", execution.ErrDiverged, r.method)
	}
	return io.EOF
}

// one gives the only message of a call.
func (r *recordedCall) one(m any) error {
	if len(r.Messages) == 0 {
		return fmt.Errorf("%w: the record of %s has no message", execution.ErrDiverged, r.method)
	}
	return r.Messages[0].into(m)
}

// handler handles a recorded call.
type handler func(ctx context.Context, in *inbound) error

// find returns the handler of the method of a record.
func find(register func(grpc.ServiceRegistrar), of *record.Execution) (handler, *recordedCall, error) {
	recorded, err := recordedCallOf(of)
	if err != nil {
		return nil, nil, err
	}
	services := &services{method: recorded.method}
	register(services)
	if services.found == nil {
		return nil, nil, fmt.Errorf("%w: no service has %s", execution.ErrNotReplayable, recorded.method)
	}
	return services.found, recorded, nil
}

// services is a registrar that looks for one method.
type services struct {
	method string
	found  handler
}

// RegisterService implements grpc.ServiceRegistrar.
func (s *services) RegisterService(desc *grpc.ServiceDesc, impl any) {
	name, ok := strings.CutPrefix(s.method, "/"+desc.ServiceName+"/")
	if !ok {
		return
	}
	for _, m := range desc.Methods {
		if m.MethodName == name {
			s.found = unaryHandler(m, impl)
		}
	}
	for _, stream := range desc.Streams {
		if stream.StreamName == name {
			s.found = func(ctx context.Context, in *inbound) error { return in.streaming(ctx, impl, nil, stream.Handler) }
		}
	}
}

// unaryHandler calls a method with the recorded message. What the interceptor is given is the method with its message decoded.
func unaryHandler(m grpc.MethodDesc, impl any) handler {
	return func(ctx context.Context, in *inbound) error {
		intercept := func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			return in.unary(ctx, req, handle)
		}
		_, err := m.Handler(impl, ctx, in.recorded.one, intercept)
		return err
	}
}

// run runs a handler with the call. A panic of it is in the report.
func (r *recordedCall) run(ctx context.Context, x *execution.Execution, handle handler) (report *execution.Report) {
	defer func() {
		if recover() != nil {
			report = x.Report()
		}
	}()
	ctx = metadata.NewIncomingContext(ctx, r.Metadata)
	in := newInbound(ctx, x, r.method)
	in.recorded, in.input.Timeout = r, r.Timeout
	x.End(handle(ctx, in)) // it has ended, unless the message could not be read
	return x.Report()
}

// rerun gives a handler the recorded call in place of the one that came, under the context of that, and returns what it returned.
type rerun func(ctx context.Context, handle handler) error

// taken returns how to run what a call stands for, nil for one that stands for itself: in a process that replays or resumes a call,
// one of its method with the nonce stands for it; in others, one that Attend sent.
func taken(ctx context.Context, rec *execution.Recorder, method string) rerun {
	if run := attendedBy(ctx, method); run != nil {
		return run
	}
	mode, of := rec.Process()
	if mode == execution.ModeOff || of.Trigger.Method != method {
		return nil
	}
	nonce := incoming(ctx, keyReplay)
	if rec.TakeRequest(record.TriggerGRPC, nonce) == nil {
		return nil
	}
	_ = grpc.SetHeader(ctx, metadata.Pairs(keyReplay, nonce)) // who asked waits for the report, too
	return func(ctx context.Context, handle handler) error {
		recorded, err := recordedCallOf(of)
		if err != nil {
			return status.Error(codes.FailedPrecondition, err.Error())
		}
		ctx, x, err := rec.BeginRecorded(ctx)
		if err != nil {
			return status.Error(codes.FailedPrecondition, err.Error())
		}
		return recorded.failure(ctx, x, handle)
	}
}

// unaryTaken handles a call with one message each way in place of the one that came.
func unaryTaken(ctx context.Context, run rerun, req any, handle grpc.UnaryHandler) (resp any, err error) {
	err = run(ctx, func(ctx context.Context, in *inbound) error {
		err := in.recorded.one(req)
		if err == nil {
			resp, err = in.unary(ctx, req, handle)
		}
		return err
	})
	return resp, err
}

// failure runs a handler and returns what it returned.
func (r *recordedCall) failure(ctx context.Context, x *execution.Execution, handle handler) (err error) {
	r.run(ctx, x, func(ctx context.Context, in *inbound) error {
		err = handle(ctx, in)
		return err
	})
	return err
}
