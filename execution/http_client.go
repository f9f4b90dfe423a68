package execution

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// Transport returns a round tripper that records the requests of executions that go through next, which defaults to
// http.DefaultTransport. Each hop of a redirect is an operation. In a replay it sends nothing.
func (r *Recorder) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	if t, ok := next.(*transport); r == nil || ok && t.rec == r {
		return next
	}
	return &transport{r, next}
}

// InstallDefault makes http.DefaultTransport one of the recorder, and with it http.DefaultClient, http.Get and all clients
// without a transport of their own. Call it at the start of the program.
func (r *Recorder) InstallDefault() { http.DefaultTransport = r.Transport(nil) }

type transport struct {
	rec  *Recorder
	next http.RoundTripper
}

// CloseIdleConnections is for http.Client.CloseIdleConnections.
func (t *transport) CloseIdleConnections() {
	if next, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	x := t.rec.executionOf(req.Context())
	if x == nil || req.URL == nil {
		return t.next.RoundTrip(req)
	}
	if err := gaveUp(req, x.mode); err != nil {
		closeBody(req.Body)
		return nil, err
	}
	out := x.newOutbound(req)
	call := t.rec.Start(req.Context(), out.op)
	switch {
	case call.Err() != nil:
		closeBody(out.body)
		return nil, call.Err()
	case call.Recorded() != nil:
		closeBody(out.body)
		return serveRecorded(call, req)
	case call == nil:
		return t.next.RoundTrip(req)
	}
	return t.send(call, req, out)
}

// executionOf returns the execution that operations of a context belong to, that of the start of the process included. It
// counts those that belong to none.
func (r *Recorder) executionOf(ctx context.Context) *Execution {
	if x := FromContext(ctx); x != nil || isUnrecorded(ctx) {
		return x
	}
	if l := r.boot.rootLane(); l != nil {
		return l.x
	}
	r.strays.Add(1)
	return nil
}

// gaveUp returns the error of a request that was cancelled before it began, which is no operation. Deadlines do not pass in a
// replay: a debugger may stop in it.
func gaveUp(req *http.Request, mode Mode) error {
	err := req.Context().Err()
	if err == nil || mode == ModeReplay && err == context.DeadlineExceeded {
		return nil
	}
	return context.Cause(req.Context())
}

func closeBody(body io.Closer) {
	if body != nil {
		_ = body.Close()
	}
}

// send does a call and records what comes of it.
func (t *transport) send(call *Call, req *http.Request, out outbound) (*http.Response, error) {
	sent := req.WithContext(Unrecorded(req.Context())) // there may be another transport of ours behind next
	sent.Body = out.body
	if t.rec.config.Propagate(req.URL.Host) {
		sent.Header = ownHeader(req.Header)
		call.propagate(sent.Header)
	}
	resp, err := t.next.RoundTrip(sent)
	if err != nil {
		call.FinishFault(nil, fault.Of(clientTimeout(req, err, "(Client.Timeout exceeded while awaiting headers)")))
		return nil, err
	}
	resp.Request = req
	t.receive(call, req, resp)
	return resp, nil
}

// receive records a response, whose body is still to come.
func (t *transport) receive(call *Call, req *http.Request, resp *http.Response) {
	live := &liveMessage{
		status: resp.StatusCode, reason: reasonOf(resp), proto: resp.Proto, header: call.x.copyHeader(resp.Header), encoding: resp.TransferEncoding,
		uncompressed: resp.Uncompressed, tls: tlsOf(resp.TLS, false),
	}
	live.announce(resp.ContentLength)
	if id := executionIn(resp.Header, HeaderExecution); !id.IsZero() {
		call.Link(record.Link{Kind: record.LinkEffect, Execution: id})
	}
	judge(call, resp.StatusCode)
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols:
		call.x.update(func() { call.x.partial("a connection switched to another protocol") })
		call.Finish(live, nil)
	case resp.Body == nil || resp.Body == http.NoBody:
		call.Finish(live, nil)
	default:
		live.capture.begin(call.x)
		live.unread = true
		call.Answer(live)
		resp.Body = &responseBody{ReadCloser: resp.Body, call: call, req: req, resp: resp, live: live, length: resp.ContentLength}
	}
}

// reasonOf returns the text behind a status when it is not the usual one.
func reasonOf(resp *http.Response) string {
	_, reason, _ := strings.Cut(resp.Status, " ")
	if reason == http.StatusText(resp.StatusCode) {
		return ""
	}
	return reason
}

// judge says what a status means: overload and errors of the server are failures, and an answer of a gateway does not tell
// whether a write took effect.
func judge(call *Call, status int) {
	switch {
	case status == http.StatusBadGateway || status == http.StatusGatewayTimeout:
		call.Doubt()
	case status >= 500 || status == http.StatusTooManyRequests:
		call.Fail()
	}
}

// responseBody captures the body of a response as it is read.
type responseBody struct {
	io.ReadCloser
	call   *Call
	req    *http.Request
	resp   *http.Response
	live   *liveMessage
	length int64 // as announced
}

// Read implements io.Reader.
func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		_, _ = b.live.capture.Write(p[:n])
		if b.length < 0 {
			b.live.capture.cut()
		}
	}
	if err == io.EOF {
		b.live.update(func(l *liveMessage) { l.unread, l.trailer = false, b.resp.Trailer.Clone() })
		b.call.Finish(b.live, nil)
	} else if err != nil {
		b.fail(err)
	}
	return n, err
}

func (b *responseBody) fail(err error) {
	err = clientTimeout(b.req, err, "(Client.Timeout or context cancellation while reading body)")
	b.live.update(func(l *liveMessage) { l.unread = false })
	b.call.FinishFault(b.live, fault.Of(err))
}

// Close implements io.Closer. Who knows the length need not read on to the end to have read all.
func (b *responseBody) Close() error {
	if b.live.capture.written() == b.length {
		b.live.update(func(l *liveMessage) { l.unread = false })
	}
	b.call.Finish(b.live, nil)
	return b.ReadCloser.Close()
}

// timeoutSlack is how long after a deadline the timer of http.Client may fire.
const timeoutSlack = 10 * time.Millisecond

// clientTimeout returns an error as the program sees it after http.Client had it: when its Timeout passed, it says so in the
// text. What tells is the channel with which it cancels requests of transports it does not know.
func clientTimeout(req *http.Request, err error, remark string) error {
	//lint:ignore SA1019 http.Client still uses it
	cancelled := req.Cancel
	deadline, ok := req.Context().Deadline()
	if !ok || cancelled == nil || time.Now().Before(deadline) {
		return err
	}
	timer := time.NewTimer(timeoutSlack)
	defer timer.Stop()
	select {
	case <-cancelled:
		return &timeoutError{err.Error() + " " + remark}
	case <-timer.C:
		return err
	}
}

// timeoutError is what http.Client makes of an error when its Timeout passed.
type timeoutError struct{ text string }

func (e *timeoutError) Error() string        { return e.text }
func (e *timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }
func (e *timeoutError) Timeout() bool        { return true }
func (e *timeoutError) Temporary() bool      { return true }
