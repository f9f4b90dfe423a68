package execution_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// shapes are requests of all kinds: F-01 wants 20 read back as they came.
var shapes = []struct {
	method, target string
	header         http.Header
	body           string
	chunked        bool
	trailer        http.Header
}{
	{method: "GET", target: "/"},
	{method: "GET", target: "/a?b=1&b=2&a=%20x"},
	{method: "GET", target: "/a%2Fb/c;d?raw=a+b%2B"},
	{method: "GET", target: "/?"},
	{method: "HEAD", target: "/"},
	{method: "OPTIONS", target: "/x"},
	{method: "DELETE", target: "/orders/7"},
	{method: "PURGE", target: "/cache"},
	{method: "POST", target: "/", body: `{"a":1}`, header: http.Header{"Content-Type": {"application/json"}}},
	{method: "POST", target: "/", body: `"just a string"`},
	{method: "POST", target: "/", body: "null"},
	{method: "POST", target: "/", body: "\xff\x00\xfe"},
	{method: "POST", target: "/", body: ""},
	{method: "POST", target: "/", body: "a=1&a=2", header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}},
	{method: "POST", target: "/", body: "streamed", chunked: true},
	{method: "POST", target: "/", body: "with trailer", chunked: true, trailer: http.Header{"X-Sum": {"1", "2"}}},
	{method: "PUT", target: "/", body: strings.Repeat("large ", 30_000)},
	{method: "PATCH", target: "/", body: "x", header: http.Header{"X-Many": {"one", "", "three"}, "Accept": {"a, b"}}},
	{method: "GET", target: "/", header: http.Header{"X-Unicode": {"hé"}, "User-Agent": {"me"}}},
	{method: "GET", target: "/status"},
}

// message is what a record has of a request or a response of HTTP.
type message struct {
	Method, URL, Host, Proto string
	Status                   int
	Header, Trailer          http.Header
	Body                     record.Body
	Unread                   bool
}

func messageOf(t *testing.T, p record.Payload) message {
	t.Helper()
	var m message
	if err := json.Unmarshal(p.Data, &m); err != nil {
		t.Fatal(err, string(p.Data))
	}
	return m
}

// TestMiddlewareRecordsWhatCameAndWhatWasSent is F-01 and F-02, and replays each request (F-59).
func TestMiddlewareRecordsWhatCameAndWhatWasSent(t *testing.T) {
	t.Parallel()
	rec, kept := recorder(t)
	var seen message
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen = message{Method: r.Method, URL: r.RequestURI, Host: r.Host, Proto: r.Proto, Header: r.Header, Trailer: r.Trailer, Body: record.Body{Data: body}}
		w.Header()["X-Back"] = []string{"1", "", "3"}
		w.Header().Set("Trailer", "X-Sum")
		if r.URL.Path == "/status" {
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = w.Write(body)
		w.Header().Set("X-Sum", "7")
	})
	server := httptest.NewServer(rec.Middleware(mux))
	t.Cleanup(server.Close)
	for _, shape := range shapes {
		name := shape.method + " " + shape.target
		req, err := http.NewRequest(shape.method, server.URL+shape.target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if shape.body != "" {
			req.Body, req.ContentLength = io.NopCloser(strings.NewReader(shape.body)), int64(len(shape.body))
		}
		if shape.chunked {
			req.ContentLength = -1
		}
		req.Trailer = shape.trailer
		for header, values := range shape.header {
			req.Header[header] = values
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		x := <-kept
		in, out := messageOf(t, x.Input), messageOf(t, x.Output)
		if in.Method != seen.Method || in.URL != seen.URL || in.Host != seen.Host || in.Proto != seen.Proto || !bytes.Equal(in.Body.Data, seen.Body.Data) ||
			fmt.Sprint(in.Header) != fmt.Sprint(seen.Header) || fmt.Sprint(in.Trailer) != fmt.Sprint(seen.Trailer) {
			t.Errorf("%s: recorded %+v\nthe handler saw %+v", name, in, seen)
		}
		sent := bytes.Equal(out.Body.Data, body) && fmt.Sprint(out.Trailer) == fmt.Sprint(resp.Trailer)
		if out.Status != resp.StatusCode || !sent && shape.method != http.MethodHead { // HEAD has no body, whatever is written
			t.Errorf("%s: recorded %+v\nthe client got %d %s %v", name, out, resp.StatusCode, body, resp.Trailer)
		}
		for header, values := range out.Header {
			if header != "Trailer" && fmt.Sprint(values) != fmt.Sprint(resp.Header[header]) {
				t.Errorf("%s: recorded %s: %q, the client got %q", name, header, values, resp.Header[header])
			}
		}
		if resp.Header.Get(execution.HeaderExecution) != x.ID.String() || x.Trigger.Route != "/" || x.HTTPStatus != resp.StatusCode {
			t.Errorf("%s: execution %s, route %q, status %d", name, x.ID, x.Trigger.Route, x.HTTPStatus)
		}
		report, err := rec.ReplayHTTP(t.Context(), &record.Bundle{Execution: x}, mux, nil)
		if err != nil || report.Outcome != execution.OutcomeSame {
			t.Errorf("%s: replayed %v %v %+v", name, report, err, report.Output)
		}
	}
}

func TestMiddlewareKeepsOptionalInterfaces(t *testing.T) {
	t.Parallel()
	rec, kept := recorder(t)
	handler := rec.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := w.(http.Flusher); !ok {
			t.Error("no Flusher")
		}
		if _, ok := w.(io.ReaderFrom); !ok {
			t.Error("no ReaderFrom")
		}
		if _, ok := w.(http.Hijacker); ok != (r.ProtoMajor == 1) {
			t.Errorf("Hijacker: %t", ok)
		}
		if _, ok := w.(http.Pusher); ok != (r.ProtoMajor == 2) {
			t.Errorf("Pusher: %t", ok)
		}
		if r.URL.Path == "/hijack" {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			_ = conn.Close()
			return
		}
		if _, err := io.Copy(w, strings.NewReader("copied")); err != nil {
			t.Error(err)
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
	}))
	for _, http2 := range []bool{false, true} {
		server := httptest.NewUnstartedServer(handler)
		server.EnableHTTP2 = http2
		server.StartTLS()
		t.Cleanup(server.Close)
		resp, err := server.Client().Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil { // closing before the end would break the stream under the handler
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if out := messageOf(t, (<-kept).Output); string(out.Body.Data) != "copied" || out.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("HTTP/2 %t: recorded %+v", http2, out)
		}
		if !http2 {
			resp, err := server.Client().Get(server.URL + "/hijack")
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if x := <-kept; x.Replayable.Level != record.ReplayPartial {
				t.Errorf("a hijacked connection: %+v", x.Replayable)
			}
		}
	}
}

func TestMiddlewareRecordsPanicsAndGoesOnWithThem(t *testing.T) {
	t.Parallel()
	rec, kept := recorder(t)
	for _, value := range []any{"out of cheese", errors.New("an error"), http.ErrAbortHandler} {
		func() {
			defer func() {
				if p := recover(); p != value {
					t.Errorf("panicked with %v, want %v", p, value)
				}
			}()
			handler := rec.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(value) }))
			handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		}()
		x := <-kept
		if x.Status != record.StatusError || x.Error.Message != fmt.Sprint(value) {
			t.Errorf("recorded %s %+v", x.Status, x.Error)
		}
		if isPanic := x.Error.Class == record.ClassPanic; isPanic == (value == http.ErrAbortHandler) {
			t.Errorf("%v: class %s", value, x.Error.Class)
		} else if isPanic && (len(x.Error.Frames) == 0 || !strings.HasSuffix(x.Error.Frames[0].File, "http_server_test.go")) {
			t.Errorf("%v: frames %+v", value, x.Error.Frames)
		}
	}
}

func TestMiddlewareMarksABodyThatWasNotRead(t *testing.T) {
	t.Parallel()
	rec, kept := recorder(t)
	handler := rec.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = r.Body.Read(make([]byte, 3)) }))
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", strings.NewReader("abcdef")))
	if in := messageOf(t, (<-kept).Input); string(in.Body.Data) != "abc" || !in.Unread {
		t.Errorf("recorded %+v", in)
	}
}

// TestRequestHeadersChangeNothing is F-97: whatever a client sends, the request is recorded and answered; only a signature asks.
func TestRequestHeadersChangeNothing(t *testing.T) {
	t.Parallel()
	kept := make(chan *record.Execution, 1)
	key := []byte("the key of the service")
	rec, err := execution.New(execution.Config{
		Service: "shop", Keep: execution.Keep{First: -1}, ControlKey: key, OnKept: func(x *record.Execution) { kept <- x },
	})
	if err != nil {
		t.Fatal(err)
	}
	handler := rec.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "answer") }))
	send := func(change func(*http.Request)) {
		req := httptest.NewRequest("GET", "/thing", nil)
		change(req)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, req)
		if w.Code != http.StatusOK || w.Body.String() != "answer" || w.Header().Get(execution.HeaderExecution) == "" {
			t.Errorf("answered %d %s %v", w.Code, w.Body, w.Header())
		}
	}
	for _, header := range []string{"X-Flux-Record", "X-Flux-Replay", "Flux-Replay", execution.HeaderKeep, execution.HeaderRequest, execution.HeaderCause} {
		for _, value := range []string{"off", "1", "true", "1792000000.abcdef", strings.Repeat("x", 10_000), "\"';--"} {
			send(func(r *http.Request) { r.Header.Set(header, value) })
		}
	}
	send(func(r *http.Request) { execution.SignKeep(r, []byte("another key")) })
	send(func(r *http.Request) { execution.SignKeep(r, key); r.URL = &url.URL{Path: "/other"} })
	if got := rec.Stats().Executions; got != 38 {
		t.Errorf("%d executions begun, want 38", got)
	}
	send(func(r *http.Request) { execution.SignKeep(r, key); r.Header.Set(execution.HeaderRequest, "order-7/a") })
	if x := <-kept; x.Kept != "asked" || x.RequestID != "order-7/a" {
		t.Errorf("kept for %q, request id %q", x.Kept, x.RequestID)
	}
	if err := rec.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if got := rec.Stats().Kept; got != 1 {
		t.Errorf("%d kept, want the signed one", got)
	}
}

// shop is an application with a payment that fails.
func shop(rec *execution.Recorder, client *http.Client, provider string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		order, _ := io.ReadAll(r.Body)
		req, _ := http.NewRequestWithContext(r.Context(), http.MethodPost, provider+"/charge", bytes.NewReader(order))
		req.Header.Set("Idempotency-Key", execution.UUID(r.Context()).String())
		resp, err := client.Do(req)
		if err == nil {
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				err = fmt.Errorf("charge of order %s: %s", r.PathValue("id"), resp.Status)
			}
		}
		if err != nil {
			execution.Fail(r.Context(), err)
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, "paid")
	})
	return rec.Middleware(mux)
}

// TestAFailureIsReproducedAlways is F-61.
func TestAFailureIsReproducedAlways(t *testing.T) {
	t.Parallel()
	rec, kept := recorder(t)
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusServiceUnavailable) }))
	app := shop(rec, &http.Client{Transport: rec.Transport(nil)}, provider.URL)
	app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/orders/7", strings.NewReader(`{"amount":5}`)))
	provider.Close()
	of := <-kept
	if of.Error == nil || of.Error.Frames[0].Line == 0 || !strings.HasSuffix(of.Error.Frames[0].File, "http_server_test.go") {
		t.Fatalf("recorded %+v", of.Error)
	}
	again, _ := recorder(t)
	app = shop(again, &http.Client{Transport: again.Transport(trap{t})}, provider.URL)
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		report, err := again.ReplayHTTP(ctx, &record.Bundle{Execution: of}, app, nil)
		cancel()
		if err != nil || report.Outcome != execution.OutcomeSame {
			t.Fatalf("%v %v %+v %+v", report, err, report.Divergences, report.Output)
		}
		if got := report.Replayed; got.Class != of.Error.Class || got.Message != of.Error.Message || got.Frame != of.Error.Frames[0] {
			t.Fatalf("replayed %+v, recorded %+v", got, of.Error)
		}
	}
}

func TestResumeHTTPDoesWhatIsLeft(t *testing.T) {
	t.Parallel()
	rec, kept := recorder(t)
	down := true
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down {
			http.Error(w, "down", http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(provider.Close)
	app := shop(rec, &http.Client{Transport: rec.Transport(nil)}, provider.URL)
	app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/orders/7", strings.NewReader(`{"amount":5}`)))
	of := <-kept
	down = false
	report, err := rec.ResumeHTTP(t.Context(), &record.Bundle{Execution: of}, app, nil)
	if err != nil || report.Outcome != execution.OutcomeFixed || len(report.Live) != 1 {
		t.Errorf("%v %v", report, err)
	}
	if x := <-kept; x.Parent != of.ID || x.Status != record.StatusOK {
		t.Errorf("resumed: %+v", x)
	}
}
