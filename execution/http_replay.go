package execution

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// ReplayHTTP replays the record of an HTTP request: it gives handler the request as it came and answers its operations from
// the record. The handler may be wrapped in a Middleware or not. Nothing needs a server or a network. The error is
// ErrNotReplayable; a panic of the handler is in the report.
func (r *Recorder) ReplayHTTP(ctx context.Context, b *record.Bundle, handler http.Handler, opts *ReplayOptions) (*Report, error) {
	req, err := recordedRequest(b.Execution)
	if err != nil {
		return nil, err
	}
	ctx, x, err := r.BeginReplay(ctx, b, opts)
	if err != nil {
		return nil, err
	}
	return x.rerun(ctx, handler, req), nil
}

// ResumeHTTP resumes the record of an HTTP request as ReplayHTTP replays it. Hold the lease of the execution meanwhile. The
// errors are ErrNotReplayable and ErrRefused.
func (r *Recorder) ResumeHTTP(ctx context.Context, b *record.Bundle, handler http.Handler, opts *ResumeOptions) (*Report, error) {
	req, err := recordedRequest(b.Execution)
	if err != nil {
		return nil, err
	}
	ctx, x, err := r.BeginResume(ctx, b, opts)
	if err != nil {
		return nil, err
	}
	return x.rerun(ctx, handler, req), nil
}

// rerun gives a handler a recorded request. The panic it ends with, if any, was recorded.
func (x *Execution) rerun(ctx context.Context, handler http.Handler, req *http.Request) (report *Report) {
	defer func() {
		if recover() != nil {
			report = x.Report()
		}
	}()
	x.take(req)
	serve(withLocal(ctx, x.head.Trigger.Local), x, handler, &sink{header: make(http.Header)}, req)
	return x.Report()
}

// finderOf is the Finder of a handler. One that routes, as http.ServeMux does, is taken for requests that it has a route for.
func finderOf(handler http.Handler) Finder {
	return func(of *record.Execution) (Runner, error) {
		req, err := recordedRequest(of)
		if err != nil {
			return nil, err
		}
		router, ok := handler.(interface {
			Handler(*http.Request) (http.Handler, string)
		})
		if ok {
			if _, pattern := router.Handler(req); pattern == "" {
				return nil, fmt.Errorf("%w: the handler has no route for %s %s", ErrRefused, req.Method, req.URL.Path)
			}
		}
		return func(ctx context.Context, x *Execution) { x.rerun(ctx, handler, req) }, nil
	}
}

// withLocal tells handlers on which address the request arrived.
func withLocal(ctx context.Context, local string) context.Context {
	if local == "" {
		return ctx
	}
	return context.WithValue(ctx, http.LocalAddrContextKey, recordedAddr(local))
}

// recordedAddr is an address of TCP that is only text.
type recordedAddr string

// Network implements net.Addr.
func (a recordedAddr) Network() string { return "tcp" }

// String implements net.Addr.
func (a recordedAddr) String() string { return string(a) }

var _ net.Addr = recordedAddr("")

// recordedRequest rebuilds the request of a record. The error is ErrNotReplayable.
func recordedRequest(of *record.Execution) (*http.Request, error) {
	if of.Trigger.Kind != record.TriggerHTTP {
		return nil, fmt.Errorf("%w: it began with %s, not with a request of HTTP", ErrNotReplayable, of.Trigger.Kind)
	}
	m, err := decodeMessage(of.Input)
	if err != nil {
		return nil, fmt.Errorf("%w: its request cannot be read: %w", ErrNotReplayable, err)
	}
	return m.request(of.Trigger.Peer)
}

func (m *httpMessage) request(peer string) (*http.Request, error) {
	target, err := url.ParseRequestURI(m.URL)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotReplayable, err)
	}
	req := &http.Request{
		Method: m.Method, URL: target, RequestURI: m.URL, Host: m.Host, Proto: cmp.Or(m.Proto, "HTTP/1.1"), Header: m.Header.Clone(),
		ContentLength: m.length(), TransferEncoding: m.Encoding, RemoteAddr: peer, TLS: m.TLS.state(), Body: http.NoBody,
	}
	req.ProtoMajor, req.ProtoMinor, _ = http.ParseHTTPVersion(req.Proto)
	if req.Header == nil {
		req.Header = make(http.Header)
	}
	if len(m.Trailer) > 0 {
		req.Trailer = announced(m.Trailer)
	}
	body := &recordedBody{message: m, end: io.EOF}
	switch {
	case m.BodyError != nil:
		body.end = fault.Rebuild(m.BodyError)
	case m.Body.Truncated:
		body.end = fmt.Errorf("%w: the record has %d of %d bytes of the request", ErrDiverged, len(m.Body.Data), m.Body.Bytes)
	case m.Unread:
		body.end = fmt.Errorf("%w: the rest of the request was not read when it was recorded", ErrDiverged)
	default:
		body.trailer = func() { fill(req.Trailer, m.Trailer) }
	}
	if len(m.Body.Data) > 0 || body.end != io.EOF || m.length() != 0 {
		req.Body = body
	}
	return req, nil
}

// sink is the response writer of a replay: what it gets was recorded before. It allows what a real one does.
type sink struct {
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (s *sink) Header() http.Header { return s.header }

// WriteHeader implements http.ResponseWriter.
func (s *sink) WriteHeader(status int) {
	if s.status == 0 && status >= 200 {
		s.status = status
	}
}

// Write implements io.Writer.
func (s *sink) Write(p []byte) (int, error) {
	s.WriteHeader(http.StatusOK)
	if s.status == http.StatusNoContent || s.status == http.StatusNotModified {
		return 0, http.ErrBodyNotAllowed
	}
	return len(p), nil
}

// Flush implements http.Flusher.
func (s *sink) Flush() {}

// SetReadDeadline is for http.ResponseController, as are the methods below.
func (s *sink) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline see SetReadDeadline.
func (s *sink) SetWriteDeadline(time.Time) error { return nil }

// EnableFullDuplex see SetReadDeadline.
func (s *sink) EnableFullDuplex() error { return nil }
