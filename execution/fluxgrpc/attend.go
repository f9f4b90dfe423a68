package fluxgrpc

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// Attend lets calls that failed be resumed by a server of this process, which has ServerOptions with the same recorder. Say it when
// all services are registered. A call goes through all interceptors of the server, without a connection: those before that of the
// recorder get the recorded metadata and an empty message. stop takes it back. A nil recorder is allowed.
func Attend(rec *execution.Recorder, server *grpc.Server) (stop func()) {
	return rec.Attend(record.TriggerGRPC, func(of *record.Execution) (execution.Runner, error) {
		recorded, err := recordedCallOf(of)
		if err != nil {
			return nil, err
		}
		if !hasMethod(server, recorded.method) {
			return nil, fmt.Errorf("%w: no service of the server has %s", execution.ErrNotReplayable, recorded.method)
		}
		return func(ctx context.Context, x *execution.Execution) {
			again := &attended{call: recorded, x: x, ctx: ctx, over: make(chan struct{})}
			again.serve(server, of.Trigger.Peer)
		}, nil
	})
}

func hasMethod(server *grpc.Server, method string) bool {
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	for _, m := range server.GetServiceInfo()[service].Methods {
		if m.Name == name {
			return true
		}
	}
	return false
}

// attended is a recorded call on its way through a server to the interceptor, which finds it in the context.
type attended struct {
	call  *recordedCall
	x     *execution.Execution
	ctx   context.Context // of x
	taken atomic.Bool
	over  chan struct{} // closed when the handler has returned
}

type attendedKey struct{}

// emptyMessage is a message of no bytes, with its prefix.
const emptyMessage = "\x00\x00\x00\x00\x00"

// serve gives the server a call that stands for the recorded one, and waits until the handler has returned.
func (a *attended) serve(server *grpc.Server, peer string) {
	ctx := context.WithValue(execution.Unrecorded(a.ctx), attendedKey{}, a) // what comes before the handler is no part of the execution
	req := &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: a.call.method}, Proto: "HTTP/2.0", ProtoMajor: 2, RemoteAddr: peer, Header: a.header(),
		Body: io.NopCloser(strings.NewReader(emptyMessage)),
	}
	answer := &answer{header: make(http.Header)}
	server.ServeHTTP(answer, req.WithContext(ctx))
	if !a.taken.CompareAndSwap(false, true) {
		<-a.over
		return
	}
	a.x.End(fmt.Errorf("the call did not come to its handler: status %s %s", answer.header.Get("Grpc-Status"), answer.header.Get("Grpc-Message")))
}

// header returns the recorded metadata as a request has it.
func (a *attended) header() http.Header {
	header := make(http.Header)
	for name, values := range textOf(a.call.Metadata) {
		if !strings.HasPrefix(name, ":") && !strings.HasPrefix(name, "grpc-") {
			header[http.CanonicalHeaderKey(name)] = values
		}
	}
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/grpc")
	}
	return header
}

// run gives the handler the recorded call, under the context that came with the call through the server.
func (a *attended) run(ctx context.Context, handle handler) error {
	defer close(a.over)
	return a.call.failure(within{ctx, a.ctx}, a.x, handle)
}

// within is a context with the values of another before its own.
type within struct {
	context.Context
	values context.Context
}

// Value implements context.Context.
func (w within) Value(key any) any {
	if v := w.values.Value(key); v != nil {
		return v
	}
	return w.Context.Value(key)
}

// attendedBy returns how to run the recorded call that a call through a server stands for, nil when it stands for itself.
func attendedBy(ctx context.Context, method string) rerun {
	a, _ := ctx.Value(attendedKey{}).(*attended)
	if a == nil || a.call.method != method || !a.taken.CompareAndSwap(false, true) {
		return nil
	}
	return a.run
}

// answer takes the answer of a call, which is in the record. In the end the status is in its header.
type answer struct{ header http.Header }

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(int) {}

// Write implements io.Writer.
func (a *answer) Write(p []byte) (int, error) { return len(p), nil }

// Flush implements http.Flusher.
func (a *answer) Flush() {}
