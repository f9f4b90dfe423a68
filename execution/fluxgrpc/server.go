package fluxgrpc

import (
	"context"
	"io"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// ServerOptions make a server record each call as an execution. A nil recorder is allowed.
func ServerOptions(rec *execution.Recorder) []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(UnaryServer(rec)), grpc.ChainStreamInterceptor(StreamServer(rec))}
}

// UnaryServer returns the interceptor of ServerOptions for calls with one message each way.
func UnaryServer(rec *execution.Recorder) grpc.UnaryServerInterceptor {
	rec.Ready(record.TriggerGRPC)
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		if run := taken(ctx, rec, info.FullMethod); run != nil {
			return unaryTaken(ctx, run, req, handle)
		}
		ctx, x := begin(ctx, rec, info.FullMethod)
		if x == nil {
			return handle(ctx, req)
		}
		return newInbound(ctx, x, info.FullMethod).unary(ctx, req, handle)
	}
}

// StreamServer returns the interceptor of ServerOptions for calls with more than one message.
func StreamServer(rec *execution.Recorder) grpc.StreamServerInterceptor {
	rec.Ready(record.TriggerGRPC)
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		if run := taken(stream.Context(), rec, info.FullMethod); run != nil {
			return run(stream.Context(), func(ctx context.Context, in *inbound) error {
				return in.streaming(ctx, srv, nil, handle)
			})
		}
		ctx, x := begin(stream.Context(), rec, info.FullMethod)
		if x == nil {
			return handle(srv, &streamWith{stream, ctx})
		}
		return newInbound(ctx, x, info.FullMethod).streaming(ctx, srv, stream, handle)
	}
}

// streamWith is a stream with another context.
type streamWith struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (s *streamWith) Context() context.Context { return s.ctx }

// begin begins the execution of a call. One that belongs to an execution already stays with it.
func begin(ctx context.Context, rec *execution.Recorder, method string) (context.Context, *execution.Execution) {
	if rec == nil || execution.FromContext(ctx) != nil {
		return ctx, nil
	}
	trigger := record.Trigger{Kind: record.TriggerGRPC, Method: method, Route: method}
	if p, ok := peer.FromContext(ctx); ok {
		if trigger.Peer = p.Addr.String(); p.LocalAddr != nil {
			trigger.Local = p.LocalAddr.String()
		}
	}
	var opts execution.BeginOptions
	var cause record.ID
	if text := incoming(ctx, keyCause); text != "" {
		cause, _ = record.ParseID(text)
	}
	if !cause.IsZero() {
		opts.Parent, opts.Relation = cause, record.RelationChild
	}
	ctx, x := rec.Begin(ctx, trigger, &opts)
	if x != nil {
		x.SetTrace(incoming(ctx, keyTrace))
	}
	if !cause.IsZero() {
		x.Link(record.Link{Kind: record.LinkCause, Execution: cause})
	}
	return ctx, x
}

// incoming returns a value of the metadata that came with a call, "" for none.
func incoming(ctx context.Context, name string) string {
	if values := metadata.ValueFromIncomingContext(ctx, name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// inbound is a call that is an execution.
type inbound struct {
	x        *execution.Execution
	method   string
	input    *live
	output   *live
	recorded *recordedCall // that is replayed, nil when it came over a connection
}

func newInbound(ctx context.Context, x *execution.Execution, method string) *inbound {
	md, _ := metadata.FromIncomingContext(ctx)
	in := &inbound{x: x, method: method, output: &live{}}
	in.input = &live{document: document{Method: method, Metadata: md}}
	if deadline, ok := ctx.Deadline(); ok {
		in.input.Timeout = time.Until(deadline)
	}
	if p, ok := peer.FromContext(ctx); ok && p.AuthInfo != nil {
		in.input.TLS = p.AuthInfo.AuthType() == "tls"
	}
	x.SetInput(in.input)
	return in
}

// unary handles a call with one message each way.
func (in *inbound) unary(ctx context.Context, req any, handle grpc.UnaryHandler) (resp any, err error) {
	in.input.add(capture(in.x, req))
	ctx = in.withTransport(ctx)
	defer in.end(&err)
	defer execution.Enter(ctx)()
	resp, err = handle(ctx, req)
	if err == nil && resp != nil {
		in.output.add(capture(in.x, resp))
	}
	return resp, err
}

// streaming handles a call with more messages. A nil stream is that of the record.
func (in *inbound) streaming(ctx context.Context, srv any, stream grpc.ServerStream, handle grpc.StreamHandler) (err error) {
	ctx = in.withTransport(ctx)
	defer in.end(&err)
	defer execution.Enter(ctx)()
	return handle(srv, &serverStream{ServerStream: stream, ctx: ctx, in: in})
}

// end ends the execution with what the handler returned, or panicked with.
func (in *inbound) end(err *error) {
	p := recover()
	in.x.SetOutput(in.output)
	if p != nil {
		in.x.EndPanic(p, debug.Stack())
		panic(p)
	}
	in.x.End(*err)
}

// withTransport returns a context in which headers and trailers go through the record. The first of them says which execution it is.
func (in *inbound) withTransport(ctx context.Context) context.Context {
	next := grpc.ServerTransportStreamFromContext(ctx)
	if in.recorded != nil {
		next = nil
	}
	t := &transport{next, in}
	if next != nil {
		_ = next.SetHeader(metadata.Pairs(keyExecution, in.x.ID().String())) // a call without it is a call all the same
	}
	return grpc.NewContextWithServerTransportStream(ctx, t)
}

// transport captures the headers and trailers that a handler sets with its context.
type transport struct {
	next grpc.ServerTransportStream // nil in a replay
	in   *inbound
}

// Method implements grpc.ServerTransportStream.
func (t *transport) Method() string { return t.in.method }

// SetHeader implements grpc.ServerTransportStream.
func (t *transport) SetHeader(md metadata.MD) error {
	t.in.header(md)
	if t.next == nil {
		return nil
	}
	return t.next.SetHeader(md)
}

// SendHeader implements grpc.ServerTransportStream.
func (t *transport) SendHeader(md metadata.MD) error {
	t.in.header(md)
	if t.next == nil {
		return nil
	}
	return t.next.SendHeader(md)
}

// SetTrailer implements grpc.ServerTransportStream.
func (t *transport) SetTrailer(md metadata.MD) error {
	t.in.trailer(md)
	if t.next == nil {
		return nil
	}
	return t.next.SetTrailer(md)
}

func (in *inbound) header(md metadata.MD) {
	in.output.update(func(d *document) { d.Header = metadata.Join(d.Header, md) })
}

func (in *inbound) trailer(md metadata.MD) {
	in.output.update(func(d *document) { d.Trailer = metadata.Join(d.Trailer, md) })
}

// serverStream is the stream that a handler gets.
type serverStream struct {
	grpc.ServerStream // nil in a replay
	ctx               context.Context
	in                *inbound
}

// Context implements grpc.ServerStream.
func (s *serverStream) Context() context.Context { return s.ctx }

// RecvMsg implements grpc.ServerStream.
func (s *serverStream) RecvMsg(m any) error {
	var err error
	if s.ServerStream != nil {
		err = s.ServerStream.RecvMsg(m)
	} else {
		err = s.in.recorded.receive(m)
	}
	switch err {
	case nil:
		s.in.input.add(capture(s.in.x, m))
		s.in.output.update(func(d *document) { d.Order += "r" })
	case io.EOF:
		s.in.output.update(func(d *document) { d.Order += "e" })
	}
	return err
}

// SendMsg implements grpc.ServerStream.
func (s *serverStream) SendMsg(m any) error {
	s.in.output.add(capture(s.in.x, m))
	s.in.output.update(func(d *document) { d.Order += "s" })
	if s.ServerStream == nil {
		return nil
	}
	return s.ServerStream.SendMsg(m)
}

// SetHeader implements grpc.ServerStream.
func (s *serverStream) SetHeader(md metadata.MD) error {
	s.in.header(md)
	if s.ServerStream == nil {
		return nil
	}
	return s.ServerStream.SetHeader(md)
}

// SendHeader implements grpc.ServerStream.
func (s *serverStream) SendHeader(md metadata.MD) error {
	s.in.header(md)
	if s.ServerStream == nil {
		return nil
	}
	return s.ServerStream.SendHeader(md)
}

// SetTrailer implements grpc.ServerStream.
func (s *serverStream) SetTrailer(md metadata.MD) {
	s.in.trailer(md)
	if s.ServerStream != nil {
		s.ServerStream.SetTrailer(md)
	}
}
