package fluxgrpc

import (
	"context"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// StreamClient returns the interceptor of DialOptions for calls with more than one message.
func StreamClient(rec *execution.Recorder, opts *Options) grpc.StreamClientInterceptor {
	c := newClient(rec, opts)
	return func(
		ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption,
	) (grpc.ClientStream, error) {
		if !c.records(ctx) {
			return open(ctx, desc, cc, method, opts...)
		}
		s := &clientStream{client: c, ctx: ctx, desc: desc, opts: opts, response: &live{}}
		s.op, s.request = c.op(ctx, method, cc)
		s.open = func(ctx context.Context) (grpc.ClientStream, error) { return open(ctx, desc, cc, method, opts...) }
		both := desc.ClientStreams && desc.ServerStreams
		if both {
			s.op.Identity = lazyIdentity{request: s.request, bare: true}
		}
		if mode := execution.FromContext(ctx).Mode(); both || mode == execution.ModeRecord || mode == execution.ModeOff {
			if err := s.start(); err != nil {
				return nil, err
			}
		}
		return s, nil
	}
}

// clientStream is a call with more than one message, recorded or answered. It begins as an operation when enough is known of it
// to compare it: at once in a record, when its messages are complete in a replay.
type clientStream struct {
	*client
	ctx      context.Context
	desc     *grpc.StreamDesc
	opts     []grpc.CallOption
	open     func(context.Context) (grpc.ClientStream, error)
	op       execution.Op
	request  *live
	response *live

	mu      sync.Mutex
	started bool
	err     error // with which it started
	call    *execution.Call
	stream  grpc.ClientStream // the real one, nil when it is answered from the record
	forget  func() bool       // that the context may end
	waiting []any             // messages sent before it started
	replies *document         // recorded
	fault   *record.Error
	next    int // of replies
}

// start begins the operation, once.
func (s *clientStream) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		return s.err
	}
	s.started = true
	s.err = s.startLocked()
	return s.err
}

func (s *clientStream) startLocked() (err error) {
	s.call = s.rec.Start(s.ctx, s.op)
	if err := s.call.Err(); err != nil {
		return err
	}
	if cp := s.call.Recorded(); cp != nil {
		s.fault = cp.Error
		if s.replies, err = decodeDocument(cp.Response); err == nil {
			giveMetadata(s.opts, s.replies)
		}
		return err
	}
	ctx := s.ctx
	if s.call != nil {
		ctx = outgoing(ctx, s.call)
	}
	if s.stream, err = s.open(ctx); err != nil {
		s.call.FinishFault(nil, faultOf(err))
		return err
	}
	s.forget = context.AfterFunc(s.ctx, func() { // who cancels a call need not receive the end of it
		s.call.FinishFault(s.response, faultOf(status.FromContextError(s.ctx.Err()).Err()))
	})
	for _, m := range s.waiting {
		if err := s.stream.SendMsg(m); err != nil {
			return err
		}
	}
	return nil
}

// SendMsg implements grpc.ClientStream.
func (s *clientStream) SendMsg(m any) error {
	c := capture(execution.FromContext(s.ctx), m)
	s.request.add(c)
	if s.desc.ClientStreams && s.desc.ServerStreams {
		s.response.update(func(d *document) { d.Order += "s" })
		if err := s.compare(c); err != nil {
			return err
		}
	}
	s.mu.Lock()
	started, stream := s.started, s.stream
	if !started {
		s.waiting = append(s.waiting, m)
	}
	s.mu.Unlock()
	if stream == nil {
		return s.err
	}
	return stream.SendMsg(m)
}

// compare is an operation that does nothing: a replay compares the message with what was sent when it was recorded.
func (s *clientStream) compare(m *captured) error {
	c := s.rec.Start(s.ctx, execution.Op{
		Boundary: "grpc", Target: s.op.Target, Shape: s.op.Shape + " send", Effect: record.EffectRead,
		Request: identity{Method: s.op.Shape, Messages: []*captured{m}},
	})
	if err := c.Err(); err != nil {
		return err
	}
	c.Finish(nil, nil)
	return nil
}

// CloseSend implements grpc.ClientStream.
func (s *clientStream) CloseSend() error {
	if err := s.start(); err != nil {
		return err
	}
	if s.stream == nil {
		return nil
	}
	return s.stream.CloseSend()
}

// RecvMsg implements grpc.ClientStream.
func (s *clientStream) RecvMsg(m any) error {
	if err := s.start(); err != nil {
		return err
	}
	if s.stream == nil {
		return s.serve(m)
	}
	err := s.stream.RecvMsg(m)
	switch {
	case err == nil:
		s.response.add(capture(s.call.Execution(), m))
		s.response.update(func(d *document) { d.Order += "r" })
		s.call.Answer(s.response)
		if !s.desc.ServerStreams {
			s.finish(nil)
		}
	case err == io.EOF:
		s.response.update(func(d *document) { d.Order += "e" })
		s.finish(nil)
	default:
		s.finish(err)
	}
	return err
}

// finish tells the outcome, when the last message was received.
func (s *clientStream) finish(err error) {
	s.forget()
	header, _ := s.stream.Header() // it is there, or the call failed, which err says
	linkCallee(s.call, header)
	trailer := s.stream.Trailer()
	s.response.update(func(d *document) { d.Header, d.Trailer = header, trailer })
	if err != nil {
		s.call.FinishFault(s.response, faultOf(err))
		return
	}
	s.call.Finish(s.response, nil)
}

// serve gives the next message of the record.
func (s *clientStream) serve(m any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next < len(s.replies.Messages) {
		s.next++
		return s.replies.Messages[s.next-1].into(m)
	}
	switch {
	case s.fault != nil:
		return fault.Rebuild(s.fault, kinds...)
	case !s.desc.ServerStreams && s.next == 0: // an operator says that it was done
		s.next++
		return nil
	case s.desc.ServerStreams && (len(s.replies.Order) == 0 || s.replies.Order[len(s.replies.Order)-1] != 'e'):
		return fmt.Errorf("%w: the rest of %s was not received when it was recorded", execution.ErrDiverged, s.op.Shape)
	}
	return io.EOF
}

// Header implements grpc.ClientStream.
func (s *clientStream) Header() (metadata.MD, error) {
	if err := s.start(); err != nil {
		return nil, err
	}
	if s.stream == nil {
		return s.replies.Header, nil
	}
	return s.stream.Header()
}

// Trailer implements grpc.ClientStream.
func (s *clientStream) Trailer() metadata.MD {
	switch {
	case s.stream != nil:
		return s.stream.Trailer()
	case s.replies != nil:
		return s.replies.Trailer
	}
	return nil
}

// Context implements grpc.ClientStream.
func (s *clientStream) Context() context.Context {
	if s.stream != nil {
		return s.stream.Context()
	}
	return s.ctx
}
