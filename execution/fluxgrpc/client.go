package fluxgrpc

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// The metadata that goes with calls.
const (
	keyExecution   = "x-flux-execution-id" // of the callee, in headers of responses
	keyCause       = "x-flux-cause"        // the execution that called
	keyTrace       = "traceparent"
	keyReplay      = "flux-replay" // see execution.HeaderReplay
	keyIdempotency = "idempotency-key"
)

// Options are what clients may be told. Nil means all defaults.
type Options struct {
	// Target names the server in records. Defaults to the target of the connection.
	Target string
	// Reads says that a method, as "/package.Service/Method", changes nothing. Defaults to what its schema says.
	Reads func(method string) bool
}

// DialOptions make a connection record the calls of executions, and answer replays from their record. A nil recorder is allowed.
func DialOptions(rec *execution.Recorder, opts *Options) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(UnaryClient(rec, opts)), grpc.WithChainStreamInterceptor(StreamClient(rec, opts)),
	}
}

// client is what both interceptors of a client know.
type client struct {
	rec *execution.Recorder
	Options
}

func newClient(rec *execution.Recorder, opts *Options) *client {
	c := &client{rec: rec}
	if opts != nil {
		c.Options = *opts
	}
	if c.Reads == nil {
		c.Reads = readsBySchema
	}
	return c
}

// records says whether somebody is going to record what happens under a context, so that nothing is allocated when not.
func (c *client) records(ctx context.Context) bool {
	return execution.FromContext(ctx) != nil || c.rec.Booting()
}

// readsBySchema says whether the schema of a method has it that it changes nothing.
func readsBySchema(method string) bool {
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", "."))
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return false
	}
	options, _ := d.Options().(*descriptorpb.MethodOptions)
	return options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
}

// op returns the operation of a call.
func (c *client) op(ctx context.Context, method string, cc *grpc.ClientConn) (execution.Op, *live) {
	md, _ := metadata.FromOutgoingContext(ctx)
	request := &live{document: document{Method: method, Metadata: md}}
	if deadline, ok := ctx.Deadline(); ok {
		request.Timeout = time.Until(deadline)
	}
	target := c.Target
	if target == "" {
		target = execution.FromContext(ctx).RecordedTarget("grpc", "grpc://"+strings.TrimPrefix(cc.Target(), "passthrough:///"))
	}
	op := execution.Op{
		Boundary: "grpc", Target: target, Shape: method, Effect: record.EffectWrite,
		Request: request, Identity: lazyIdentity{request: request}, IdempotencyKey: first(md, keyIdempotency),
	}
	if c.Reads(method) {
		op.Effect = record.EffectRead
	}
	return op, request
}

// outgoing returns the context with which a call is made: it tells the callee who calls, and nothing within it is recorded.
func outgoing(ctx context.Context, c *execution.Call) context.Context {
	ctx = metadata.AppendToOutgoingContext(ctx, keyCause, c.Execution().ID().String())
	md, _ := metadata.FromOutgoingContext(ctx)
	if trace := c.Execution().Trace(); trace != "" && len(md.Get(keyTrace)) == 0 {
		ctx = metadata.AppendToOutgoingContext(ctx, keyTrace, trace)
	}
	return execution.Unrecorded(ctx)
}

// linkCallee ties a call to the execution that answered it.
func linkCallee(c *execution.Call, header metadata.MD) {
	if id, err := record.ParseID(first(header, keyExecution)); err == nil {
		c.Link(record.Link{Kind: record.LinkEffect, Execution: id})
	}
}

// UnaryClient returns the interceptor of DialOptions for calls with one message each way.
func UnaryClient(rec *execution.Recorder, opts *Options) grpc.UnaryClientInterceptor {
	c := newClient(rec, opts)
	return func(
		ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
	) error {
		if !c.records(ctx) {
			return invoke(ctx, method, req, reply, cc, opts...)
		}
		op, request := c.op(ctx, method, cc)
		request.add(capture(execution.FromContext(ctx), req))
		call := c.rec.Start(ctx, op)
		switch {
		case call == nil:
			return invoke(ctx, method, req, reply, cc, opts...)
		case call.Err() != nil:
			return call.Err()
		case call.Recorded() != nil:
			return serveUnary(call.Recorded(), reply, opts)
		}
		var header, trailer metadata.MD
		opts = append(opts[:len(opts):len(opts)], grpc.Header(&header), grpc.Trailer(&trailer))
		err := invoke(outgoing(ctx, call), method, req, reply, cc, opts...)
		linkCallee(call, header)
		response := &live{document: document{Header: header, Trailer: trailer}}
		if err != nil {
			call.FinishFault(response, faultOf(err))
			return err
		}
		response.add(capture(call.Execution(), reply))
		call.Finish(response, nil)
		return nil
	}
}

// serveUnary answers a call from the record.
func serveUnary(cp *record.Checkpoint, reply any, opts []grpc.CallOption) error {
	d, err := decodeDocument(cp.Response)
	if err != nil {
		return err
	}
	giveMetadata(opts, d)
	switch {
	case cp.Error != nil:
		return fault.Rebuild(cp.Error, kinds...)
	case len(d.Messages) == 0:
		return nil // an operator says that it was done
	}
	return d.Messages[0].into(reply)
}

// giveMetadata gives recorded headers and trailers to who asked for them.
func giveMetadata(opts []grpc.CallOption, d *document) {
	for _, o := range opts {
		switch o := o.(type) {
		case grpc.HeaderCallOption:
			*o.HeaderAddr = d.Header
		case grpc.TrailerCallOption:
			*o.TrailerAddr = d.Trailer
		}
	}
}
