package execution_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// trap is a transport that must not be used.
type trap struct{ t *testing.T }

func (tr trap) RoundTrip(req *http.Request) (*http.Response, error) {
	tr.t.Errorf("a replay sent %s %s", req.Method, req.URL)
	return nil, errors.New("trapped")
}

// recordClient records what a program does with a client.
func recordClient(t *testing.T, next http.RoundTripper, program func(context.Context, *http.Client) error) *record.Execution {
	t.Helper()
	rec, kept := recorder(t)
	ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
	x.End(program(ctx, &http.Client{Transport: rec.Transport(next)}))
	return <-kept
}

// replayClient replays what a program does with a client that has no network. It reads the record from a file.
func replayClient(t *testing.T, of *record.Execution, program func(context.Context, *http.Client) error) *execution.Report {
	t.Helper()
	rec, _ := recorder(t)
	ctx, x, err := rec.BeginReplay(t.Context(), throughFile(t, of), nil)
	if err != nil {
		t.Fatal(err)
	}
	x.End(program(ctx, &http.Client{Transport: rec.Transport(trap{t})}))
	return x.Report()
}

// answer is all that a program sees of a response.
type answer struct {
	Status       string
	Proto        string
	Header       http.Header
	Length       int64
	Encoding     []string
	Uncompressed bool
	Chunks       []string
	Trailer      http.Header
	End          string
	From         string
}

// get reads a response piece by piece.
func get(client *http.Client, req *http.Request) (answer, error) {
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := answer{
		Status: resp.Status, Proto: resp.Proto, Header: resp.Header, Length: resp.ContentLength, Encoding: resp.TransferEncoding,
		Uncompressed: resp.Uncompressed, From: resp.Request.URL.String(),
	}
	buffer := make([]byte, 64<<10)
	for {
		n, err := resp.Body.Read(buffer)
		if n > 0 {
			a.Chunks = append(a.Chunks, string(buffer[:n]))
		}
		if err != nil {
			a.End, a.Trailer = err.Error(), resp.Trailer
			if err != io.EOF {
				return a, err
			}
			return a, nil
		}
	}
}

// upstream answers in the ways HTTP has.
func upstream(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/text", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Many"] = []string{"one", "two", ""}
		_, _ = io.WriteString(w, `"top-level string"`)
	})
	mux.HandleFunc("/binary", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte{0xff, 0, 0xfe, '\n', 0x80}) })
	mux.HandleFunc("/gzip", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, strings.Repeat("compressed ", 100))
		_ = z.Close()
	})
	mux.HandleFunc("/trailers", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Checksum")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Checksum", "abc")
	})
	mux.HandleFunc("/empty", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/text", http.StatusFound) })
	mux.HandleFunc("/error", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusInternalServerError) })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Type", r.Header.Get("Content-Type"))
		_, _ = io.Copy(w, r.Body)
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "not a hundred bytes")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// TestTransportReplaysResponsesAsTheyCame is F-03, F-05, G-058, G-110, G-171 and G-190.
func TestTransportReplaysResponsesAsTheyCame(t *testing.T) {
	t.Parallel()
	server := upstream(t)
	requests := map[string]func() *http.Request{
		"GET /text": nil, "GET /binary": nil, "GET /gzip": nil, "GET /trailers": nil, "GET /empty": nil,
		"GET /redirect": nil, "GET /error": nil, "HEAD /text": nil, "GET /text?b=2&a=1&a=0": nil, "GET /cut": nil,
		"GET /nowhere": nil, "DELETE /empty": nil, "OPTIONS /text": nil,
		"POST form": func() *http.Request {
			req, _ := http.NewRequest("POST", server.URL+"/echo", strings.NewReader("a=1&b=2"))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			return req
		},
		"PUT stream": func() *http.Request {
			req, _ := http.NewRequest("PUT", server.URL+"/echo", io.NopCloser(io.MultiReader(strings.NewReader("no "), strings.NewReader("length"))))
			req.Trailer = http.Header{"X-End": []string{"yes"}}
			return req
		},
		"PATCH with credentials": func() *http.Request {
			req, _ := http.NewRequest("PATCH", strings.Replace(server.URL, "//", "//user:word@", 1)+"/echo", strings.NewReader(`{"b":1,"a":2}`))
			return req
		},
	}
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if request == nil {
				method, path, _ := strings.Cut(name, " ")
				request = func() *http.Request {
					req, _ := http.NewRequest(method, server.URL+path, nil)
					return req
				}
			}
			var live, replayed answer
			program := func(into *answer) func(ctx context.Context, client *http.Client) error {
				return func(ctx context.Context, client *http.Client) (err error) {
					*into, err = get(client, request().WithContext(ctx))
					return err
				}
			}
			of := recordClient(t, nil, program(&live))
			report := replayClient(t, of, program(&replayed))
			if report.Outcome != execution.OutcomeSame {
				t.Errorf("%v %+v", report, report.Divergences)
			}
			if !reflect.DeepEqual(live, replayed) {
				t.Errorf("live     %+v\nreplayed %+v", live, replayed)
			}
			if strings.Contains(string(of.Checkpoints[0].Request.Data), "word") {
				t.Errorf("the record has a password: %s", of.Checkpoints[0].Request.Data)
			}
			if want := map[bool]int{true: 2, false: 1}[name == "GET /redirect"]; len(of.Checkpoints) != want {
				t.Errorf("%d operations, want %d", len(of.Checkpoints), want)
			}
		})
	}
}

// TestTransportReplaysChunks is G-191: the server sends each event when the one before was read.
func TestTransportReplaysChunks(t *testing.T) {
	t.Parallel()
	wasRead := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := range 20 {
			fmt.Fprintf(w, "data: %s\n\n", strings.Repeat("x", i))
			_ = http.NewResponseController(w).Flush()
			<-wasRead
		}
	}))
	t.Cleanup(server.Close)
	program := func(ctx context.Context, client *http.Client, read func(chunk string)) error {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		buffer := make([]byte, 4096)
		for {
			n, err := resp.Body.Read(buffer)
			if n > 0 {
				read(string(buffer[:n]))
			}
			if err != nil {
				return err
			}
		}
	}
	var live, replayed []string
	of := recordClient(t, nil, func(ctx context.Context, client *http.Client) error {
		return program(ctx, client, func(chunk string) { live = append(live, chunk); wasRead <- struct{}{} })
	})
	replayClient(t, of, func(ctx context.Context, client *http.Client) error {
		return program(ctx, client, func(chunk string) { replayed = append(replayed, chunk) })
	})
	if len(live) != 20 || !reflect.DeepEqual(live, replayed) {
		t.Errorf("live %d chunks, replayed %d: %q", len(live), len(replayed), replayed)
	}
}

// seen is what a program can find out about an error.
func seen(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	var network net.Error
	var host x509.HostnameError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &network) {
		return fmt.Sprintf("%v", err)
	}
	return fmt.Sprintf("%v timeout=%t deadline=%t canceled=%t refused=%t reset=%t eof=%t dns=%t op=%t host=%t authority=%t invalid=%t", err,
		network.Timeout(), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled),
		errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF),
		errors.As(err, &dns) && dns.IsNotFound, errors.As(err, &op), errors.As(err, &host), errors.As(err, &authority), errors.As(err, &invalid))
}

// TestTransportReplaysFailures is F-04, G-059 and G-189.
func TestTransportReplaysFailures(t *testing.T) {
	t.Parallel()
	for name, c := range failures(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var live, replayed string
			program := func(into *string, timeout time.Duration) func(ctx context.Context, client *http.Client) error {
				return func(ctx context.Context, client *http.Client) error {
					client.Timeout = timeout
					req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
					if err != nil {
						return err
					}
					_, err = get(client, req)
					*into = seen(err)
					return err
				}
			}
			of := recordClient(t, c.next, program(&live, c.timeout))
			for i := 0; i < 6 && c.timeout > 0 && !strings.Contains(live, c.says); i++ { // a busy machine was too late for its kind of timeout
				c.timeout *= 3
				of = recordClient(t, c.next, program(&live, c.timeout))
			}
			if len(of.Checkpoints) != 1 || of.Checkpoints[0].Error == nil || of.Checkpoints[0].Error.Class != c.class {
				t.Fatalf("recorded %+v", of.Checkpoints)
			}
			report := replayClient(t, of, program(&replayed, c.timeout))
			if report.Outcome != execution.OutcomeSame {
				t.Errorf("%v %+v", report, report.Divergences)
			}
			if live != replayed || !strings.Contains(live, c.says) {
				t.Errorf("live     %s\nreplayed %s", live, replayed)
			}
		})
	}
}

type failure struct {
	url     string
	next    http.RoundTripper
	timeout time.Duration
	class   record.ErrorClass
	says    string
}

func failures(t *testing.T) map[string]failure {
	server := upstream(t)
	hang := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_, _ = io.WriteString(w, "the beginning")
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	}))
	t.Cleanup(hang.Close)
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	trust := func(config *tls.Config) http.RoundTripper {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AddCert(secure.Certificate())
		return &http.Transport{TLSClientConfig: config}
	}
	return map[string]failure{
		"refused":        {url: closed.URL, class: record.ClassRefused, says: "refused=true"},
		"dns":            {url: "http://host.invalid/", next: noName, class: record.ClassDNSNotFound, says: "dns=true"},
		"tls authority":  {url: secure.URL, next: &http.Transport{}, class: record.ClassTLSVerify, says: "authority=true"},
		"tls expired":    {url: secure.URL, next: trust(&tls.Config{Time: func() time.Time { return time.Now().AddDate(200, 0, 0) }}), class: record.ClassTLSExpired, says: "invalid=true"},
		"tls name":       {url: secure.URL, next: trust(&tls.Config{ServerName: "other.example"}), class: record.ClassTLSVerify, says: "host=true"},
		"header timeout": {url: hang.URL + "/header", timeout: 50 * time.Millisecond, class: record.ClassDeadline, says: "Client.Timeout exceeded while awaiting headers"},
		"transport's header timeout": {
			url: hang.URL + "/header", next: &http.Transport{ResponseHeaderTimeout: 50 * time.Millisecond}, class: record.ClassDeadline, says: "timeout=true",
		},
		"body timeout": {url: hang.URL + "/body", timeout: 50 * time.Millisecond, class: record.ClassDeadline, says: "while reading body"},
		"cut off":      {url: server.URL + "/cut", class: record.ClassUnexpectedEOF, says: "unexpected EOF"},
		"reset":        {url: speaks(t, ""), class: record.ClassEOF, says: "EOF"},
		"malformed":    {url: speaks(t, "SMTP 220 hello\r\n\r\n"), class: record.ClassProto, says: "malformed HTTP"},
	}
}

// noName fails as a resolver does, without asking one.
var noName = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "host.invalid", IsNotFound: true}}
}}

// speaks returns the address of a server that says something to whoever sends a line, and hangs up.
func speaks(t *testing.T, text string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	}()
	return "http://" + listener.Addr().String()
}

// TestCancelledRequestIsNoOperation is G-144.
func TestCancelledRequestIsNoOperation(t *testing.T) {
	t.Parallel()
	program := func(ctx context.Context, client *http.Client) error {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://host.invalid/", nil)
		if _, err := client.Do(req); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled request: %v", err)
		}
		return nil
	}
	of := recordClient(t, trap{t}, program)
	if len(of.Checkpoints) != 0 {
		t.Errorf("recorded %+v", of.Checkpoints)
	}
	if report := replayClient(t, of, program); report.Outcome != execution.OutcomeSame {
		t.Error(report)
	}
}

// TestCancellationInFlightIsReplayed cancels while the server does not answer.
func TestCancellationInFlightIsReplayed(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	hang := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does net/http notice that the client is gone
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(hang.Close)
	program := func(asked <-chan struct{}) func(ctx context.Context, client *http.Client) error {
		return func(ctx context.Context, client *http.Client) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			if asked != nil {
				go func() { <-asked; cancel() }()
			}
			req, _ := http.NewRequestWithContext(ctx, http.MethodPost, hang.URL, strings.NewReader("x"))
			_, err := client.Do(req)
			return err
		}
	}
	of := recordClient(t, nil, program(asked))
	if cp := of.Checkpoints[0]; cp.State != record.StateCancelled || cp.Error.Class != record.ClassCanceled {
		t.Errorf("recorded %+v", cp)
	}
	if report := replayClient(t, of, program(nil)); report.Outcome != execution.OutcomeSame {
		t.Errorf("%v %+v", report, report)
	}
}

func TestTransportJudgesAnswers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var status int
		_, _ = fmt.Sscan(r.URL.Query().Get("status"), &status)
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	for _, c := range []struct {
		method string
		status int
		effect record.Effect
		state  record.State
		failed bool
	}{
		{"GET", 200, record.EffectRead, record.StateDone, false},
		{"GET", 404, record.EffectRead, record.StateDone, false},
		{"GET", 502, record.EffectRead, record.StateDone, true},
		{"HEAD", 429, record.EffectRead, record.StateDone, true},
		{"POST", 201, record.EffectWrite, record.StateDone, false},
		{"POST", 500, record.EffectWrite, record.StateDone, true},
		{"POST", 502, record.EffectWrite, record.StateInDoubt, true},
		{"DELETE", 504, record.EffectWrite, record.StateInDoubt, true},
	} {
		of := recordClient(t, nil, func(ctx context.Context, client *http.Client) error {
			req, _ := http.NewRequestWithContext(ctx, c.method, fmt.Sprintf("%s/orders/42?status=%d", server.URL, c.status), nil)
			req.Header.Set("Idempotency-Key", "k")
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			return resp.Body.Close()
		})
		cp := of.Checkpoints[0]
		if cp.Effect != c.effect || cp.State != c.state || cp.Failure != c.failed || cp.IdempotencyKey != "k" {
			t.Errorf("%s %d: %+v", c.method, c.status, cp)
		}
		if cp.Target != server.URL || cp.Shape != c.method+" /orders/{id}" || !strings.HasSuffix(cp.Call.File, "http_client_test.go") {
			t.Errorf("%s %d: target %s, shape %s, call %+v", c.method, c.status, cp.Target, cp.Shape, cp.Call)
		}
	}
}

// TestLargeDownloadTakesConstantMemory is F-30.
func TestLargeDownloadTakesConstantMemory(t *testing.T) {
	t.Parallel()
	const size = 100 << 20
	part := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range size / len(part) {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	read := int64(0)
	program := func(ctx context.Context, client *http.Client) error {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		read, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	of := recordClient(t, nil, program)
	if read != size || len(of.Checkpoints[0].Response.Data) > 2<<20 || !of.Checkpoints[0].Response.Truncated {
		t.Errorf("read %d, recorded %d bytes", read, len(of.Checkpoints[0].Response.Data))
	}
	if of.Dropped.Bytes != size-1<<20 || of.Replayable.Level != record.ReplayPartial {
		t.Errorf("dropped %d bytes, replayable %v", of.Dropped.Bytes, of.Replayable)
	}
	report := replayClient(t, of, program)
	if read != 1<<20 || report.Outcome != execution.OutcomeFailed {
		t.Errorf("replayed %d bytes: %v", read, report)
	}
}

// TestMemoryOfBodiesIsBoundedAndGivenBack lets many executions hold bodies.
func TestMemoryOfBodiesIsBoundedAndGivenBack(t *testing.T) {
	t.Parallel()
	kept := make(chan *record.Execution, 100)
	rec, err := execution.New(execution.Config{
		Service: "shop", Keep: execution.Keep{All: true}, Limits: execution.Limits{MemoryBytes: 300, BodyBytes: 100},
		OnKept: func(x *record.Execution) { kept <- x },
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 100))
	}))
	t.Cleanup(server.Close)
	client := &http.Client{Transport: rec.Transport(nil)}
	fetch := func(n int) *record.Execution {
		ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
		for range n {
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
			if _, err := get(client, req); err != nil {
				t.Error(err)
			}
		}
		x.End(nil)
		return <-kept
	}
	if x := fetch(5); x.Dropped.Bytes != 200 {
		t.Errorf("%d bytes dropped, want 200", x.Dropped.Bytes)
	}
	_ = rec.Close(t.Context())
}

// TestTransportTellsTheCalleeWhoAsks is F-36.
func TestTransportTellsTheCalleeWhoAsks(t *testing.T) {
	t.Parallel()
	rec, kept := recorder(t)
	trace := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	var asked http.Header
	callee := httptest.NewServer(rec.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked = r.Header.Clone() })))
	t.Cleanup(callee.Close)
	client := &http.Client{Transport: rec.Transport(nil)}
	caller := rec.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, _ := http.NewRequestWithContext(r.Context(), http.MethodGet, callee.URL, nil)
		if _, err := get(client, req); err != nil {
			t.Error(err)
		}
	}))
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.Header.Set("Traceparent", trace)
	caller.ServeHTTP(httptest.NewRecorder(), req)
	child, parent := <-kept, <-kept
	if len(child.Links) != 1 || child.Links[0] != (record.Link{Kind: record.LinkCause, Execution: parent.ID}) {
		t.Errorf("links of the child: %+v, parent %s", child.Links, parent.ID)
	}
	if links := parent.Checkpoints[0].Links; len(links) != 1 || links[0] != (record.Link{Kind: record.LinkEffect, Execution: child.ID}) {
		t.Errorf("links of the operation: %+v, child %s", links, child.ID)
	}
	if parent.Trigger.Trace != trace || child.Trigger.TraceID() != parent.Trigger.TraceID() {
		t.Errorf("recorded traces %q and %q, want %q and one of the same trace", parent.Trigger.Trace, child.Trigger.Trace, trace)
	}
	if got := asked.Get("Traceparent"); got[:36] != trace[:36] || got[52:] != trace[52:] || got == trace {
		t.Errorf("traceparent %s", got)
	}
}

// TestDeadlinesDoNotPassInAReplay waits, in bubble time, much longer than the record says.
func TestDeadlinesDoNotPassInAReplay(t *testing.T) {
	t.Parallel()
	server := upstream(t)
	program := func(wait time.Duration) func(ctx context.Context, client *http.Client) error {
		return func(ctx context.Context, client *http.Client) error {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			if wait > 0 {
				<-time.After(wait) // somebody looks at a variable in a debugger
			}
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/text", nil)
			_, err := get(client, req)
			return err
		}
	}
	of := recordClient(t, nil, program(0))
	synctest.Test(t, func(t *testing.T) {
		if report := replayClient(t, of, program(time.Hour)); report.Outcome != execution.OutcomeSame {
			t.Errorf("%v %+v", report, report)
		}
	})
}
