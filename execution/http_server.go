package execution

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync/atomic"

	"github.com/flux-go/flux/execution/record"
)

// Middleware returns a handler that records each request that next handles as an execution. It gives next the request, and the
// response writer with the optional interfaces it had, and goes on with its panics. A request that belongs to an execution
// already, as behind a second middleware, stays with it.
func (r *Recorder) Middleware(next http.Handler) http.Handler {
	if r == nil {
		return next
	}
	r.Attend(record.TriggerHTTP, finderOf(next))
	r.Ready(record.TriggerHTTP)
	return &middleware{rec: r, next: next}
}

type middleware struct {
	rec   *Recorder
	next  http.Handler
	local atomic.Pointer[localAddr]
}

// localAddr is an address of the server with its text. Most servers have one.
type localAddr struct {
	addr netip.AddrPort
	text string
}

// ServeHTTP implements http.Handler.
func (m *middleware) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	switch {
	case FromContext(req.Context()) != nil:
		m.next.ServeHTTP(w, req)
		return
	case m.rec.process != nil:
		m.serveInProcess(w, req)
		return
	}
	ctx, x := m.rec.begin(req.Context(), m.trigger(req), func(x *Execution) { x.receive(req, m.rec.config.ControlKey) })
	if x == nil {
		m.next.ServeHTTP(w, req.WithContext(ctx))
		return
	}
	serve(ctx, x, m.next, w, req)
}

func (m *middleware) trigger(req *http.Request) record.Trigger {
	t := record.Trigger{
		Kind: record.TriggerHTTP, Method: req.Method, Path: req.URL.Path, Query: req.URL.RawQuery, Peer: req.RemoteAddr,
	}
	if local, ok := req.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		t.Local = m.textOf(local)
	}
	return t
}

func (m *middleware) textOf(local net.Addr) string {
	tcp, ok := local.(*net.TCPAddr)
	if !ok {
		return local.String()
	}
	addr := tcp.AddrPort()
	if known := m.local.Load(); known != nil && known.addr == addr {
		return known.text
	}
	known := &localAddr{addr, local.String()}
	m.local.Store(known)
	return known.text
}

// receive takes what a request says about its execution, and the request itself as input.
func (x *Execution) receive(req *http.Request, controlKey []byte) {
	x.head.RequestID = requestID(req.Header)
	x.asked = asksToKeep(req, controlKey)
	x.head.Trigger.Trace = validTrace(req.Header.Get(headerTrace))
	if cause := executionIn(req.Header, HeaderCause); !cause.IsZero() {
		x.head.Parent, x.head.Relation = cause, record.RelationChild
		x.head.Links = append(x.head.Links, record.Link{Kind: record.LinkCause, Execution: cause})
	}
	x.take(req)
	if x.journal && hasBody(req) {
		req.Body = readFirst(req.Body, int64(x.rec.config.Limits.BodyBytes))
	}
}

// take makes a request the input of an execution: its body is captured as it is read.
func (x *Execution) take(req *http.Request) {
	in := &liveMessage{
		method: req.Method, url: req.RequestURI, host: req.Host, proto: req.Proto, header: x.copyHeader(req.Header),
		encoding: req.TransferEncoding, tls: tlsOf(req.TLS, true),
	}
	in.announce(req.ContentLength)
	if in.url == "" {
		in.url = req.URL.RequestURI()
	}
	if hasBody(req) {
		in.capture.begin(x)
		req.Body = capturing(req.Body, in, req.Trailer)
	}
	x.input = in
}

func hasBody(req *http.Request) bool { return req.Body != nil && req.Body != http.NoBody }

// serve runs a handler in an execution, and ends it.
func serve(ctx context.Context, x *Execution, next http.Handler, w http.ResponseWriter, req *http.Request) {
	w.Header().Set(HeaderExecution, x.ID().String())
	if version := x.rec.code.Version; version != "" {
		w.Header().Set(HeaderCode, version)
	}
	out := newResponseWriter(x, w)
	inner := req.WithContext(ctx)
	defer func() {
		p := recover()
		giveBack(req, inner)
		x.answerHTTP(out, inner, p == nil)
		switch {
		case p == nil:
			x.End(nil)
		case p == http.ErrAbortHandler:
			x.End(http.ErrAbortHandler)
		default:
			x.EndPanic(p, debug.Stack())
		}
		if p != nil {
			panic(p)
		}
	}()
	next.ServeHTTP(out.withInterfaces(), inner)
}

// giveBack puts what a handler left in its copy of the request into the original, for handlers around the middleware, and for
// the server, which removes the files of forms.
func giveBack(req, inner *http.Request) {
	req.Pattern, req.Form, req.PostForm, req.MultipartForm = inner.Pattern, inner.Form, inner.PostForm, inner.MultipartForm
}

// answerHTTP sets the route and the output of an execution from what a handler did.
func (x *Execution) answerHTTP(out *responseWriter, req *http.Request, returned bool) {
	if req.Pattern != "" {
		x.SetRoute(req.Pattern)
	}
	x.SetOutput(out.finish(returned))
	if out.status != 0 {
		x.SetHTTPStatus(out.status)
	}
	if req.Context().Err() != nil {
		Note(req.Context(), "http.client", "gone before the handler returned")
	}
}
