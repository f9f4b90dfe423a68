package cli

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/flux-go/flux"
	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/server"
)

type stockReserved struct{ Order string }

// storefront is three services that record to one server: shop calls payments over HTTP, and payments tells stock by an event.
type storefront struct {
	server *server.Server
	shop   *httptest.Server
	// reserved has a value for each event that stock has handled.
	reserved chan struct{}
	closing  []func() error
}

// openStorefront starts the services. Payments keeps its executions if keep is set.
func openStorefront(t *testing.T, keep bool) *storefront {
	t.Helper()
	s := &storefront{reserved: make(chan struct{}, 1)}
	var err error
	if s.server, err = server.Start(context.WithoutCancel(t.Context()), server.Config{Listen: "127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	payments := s.payments(t, keep)
	s.stock(t)
	rec := s.recorder(t, "shop", true)
	client := &http.Client{Transport: rec.Transport(nil)}
	s.shop = httptest.NewServer(rec.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, payments.URL+"/charges", http.NoBody)
		if err != nil {
			t.Error(err)
			return
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		w.WriteHeader(http.StatusCreated)
	})))
	t.Cleanup(s.shop.Close)
	return s
}

func (s *storefront) recorder(t *testing.T, service string, keep bool) *execution.Recorder {
	t.Helper()
	config := execution.Config{Service: service, URL: s.server.URL(), Dir: t.TempDir(), Keep: execution.Keep{All: keep, First: -1, Slower: -1}}
	rec, err := execution.Connect(config)
	if err != nil {
		t.Fatal(err)
	}
	s.closing = append(s.closing, func() error { return rec.Close(context.Background()) })
	return rec
}

func (s *storefront) app(t *testing.T, service string, keep bool) (*flux.App, *execution.Recorder) {
	t.Helper()
	rec := s.recorder(t, service, keep)
	app, err := flux.Connect(t.Context(), flux.Config{URL: s.server.URL(), Name: service, Recorder: rec})
	if err != nil {
		t.Fatal(err)
	}
	s.closing = append(s.closing, func() error { return app.Close(context.Background()) })
	return app, rec
}

func (s *storefront) payments(t *testing.T, keep bool) *httptest.Server {
	t.Helper()
	app, rec := s.app(t, "payments", keep)
	payments := httptest.NewServer(rec.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := flux.Publish(r.Context(), app, stockReserved{Order: "o1"}); err != nil {
			t.Error(err)
		}
	})))
	t.Cleanup(payments.Close)
	return payments
}

func (s *storefront) stock(t *testing.T) {
	t.Helper()
	app, _ := s.app(t, "stock", true)
	flux.HandleEvent(app.Consumer("stock", flux.Consumer{From: flux.Beginning}), func(context.Context, stockReserved) error {
		s.reserved <- struct{}{}
		return nil
	})
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() { ended <- app.Run(ctx) }()
	s.closing = append(s.closing, func() error { stop(); return <-ended })
}

// order lets a customer order, waits until all services are done and the server has their records, and returns the id of the
// execution of the shop.
func (s *storefront) order(t *testing.T) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.shop.URL+"/orders", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	<-s.reserved
	for i := len(s.closing) - 1; i >= 0; i-- {
		if err := s.closing[i](); err != nil {
			t.Error(err)
		}
	}
	return resp.Header.Get(execution.HeaderExecution)
}

// volatile is what differs from run to run in a tree.
var volatile = regexp.MustCompile(`\b[0-9a-f]{8}\b|\d+(\.\d+)?(µs|ms|s)\b|127\.0\.0\.1:\d+`)

// TestTraceTreeGoesAcrossServices is F-36: HTTP to HTTP to a message.
func TestTraceTreeGoesAcrossServices(t *testing.T) {
	t.Parallel()
	s := openStorefront(t, true)
	id := s.order(t)
	for _, asked := range []string{id, id[:8]} {
		out := runFlux(t, exitDone, "trace", asked, "--tree", "--url", s.server.URL())
		want := `3 executions of 3 services  trace 0af7651916cd43dd8448eb211c80319c

✓ ok 201  shop POST /orders  *  *  ◂
└─ op 0 http POST http://*/charges  *
   └─ ✓ ok 200  payments POST /charges  *  *
      └─ op 0 flux event publish cli.stockReserved  *
         └─ ✓ ok  stock message event cli.stockReserved  *  *
`
		if got := volatile.ReplaceAllString(out, "*"); got != want {
			t.Errorf("flux trace %s --tree\n%s\nwant\n%s", asked, got, want)
		}
	}
	var doc treeDocument
	if err := json.Unmarshal([]byte(runFlux(t, exitDone, "trace", id, "--tree", "--json", "--url", s.server.URL())), &doc); err != nil {
		t.Fatal(err)
	}
	last := doc.Parts[len(doc.Parts)-1]
	if len(doc.Parts) != 3 || doc.Parts[0].Cause != nil || *last.Cause != 1 || last.Operation.Boundary != "flux" || last.Message.MessageID == "" ||
		!last.Kept || last.Execution.Service != "stock" || last.Execution.Trace != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("tree %+v, the last part %+v", doc, last)
	}
	list := runFlux(t, exitDone, "logs", "--trace", "0AF7651916CD43DD8448EB211C80319C", "--json", "--url", s.server.URL())
	if n := strings.Count(list, "\n"); n != 3 {
		t.Errorf("%d executions of the trace, want 3:\n%s", n, list)
	}
	runFlux(t, exitUsage, "logs", "--trace", "0af7", "--url", s.server.URL())
	runFlux(t, exitFailed, "trace", "ffffffff", "--tree", "--url", s.server.URL())
}

// TestTraceTreeShowsWhatIsMissing has a service in the middle that kept nothing.
func TestTraceTreeShowsWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := openStorefront(t, false)
	out := runFlux(t, exitDone, "trace", s.order(t), "--tree", "--url", s.server.URL())
	want := `2 executions of 2 services, and 1 not kept  trace 0af7651916cd43dd8448eb211c80319c

✓ ok 201  shop POST /orders  *  *  ◂
└─ op 0 http POST http://*/charges  *
   └─ ? not kept  *
      └─ message * of event
         └─ ✓ ok  stock message event cli.stockReserved  *  *
`
	out = regexp.MustCompile(`message \S+ of`).ReplaceAllString(out, "message * of")
	if got := volatile.ReplaceAllString(out, "*"); got != want {
		t.Errorf("tree\n%s\nwant\n%s", got, want)
	}
	file := recordingFile(t, chargeFailed())
	runFlux(t, exitUsage, "trace", file, "--tree")
	runFlux(t, exitUsage, "trace", "7f3a", "--tree", "--op", "1")
}

// TestTreeDrawsBranches has all there can be in a tree, and names that want to control the terminal.
func TestTreeDrawsBranches(t *testing.T) {
	t.Parallel()
	exec := func(id, service, status, failure string) *fluxv1.ExecutionSummary {
		return &fluxv1.ExecutionSummary{
			Id: id, Kind: "http", Service: service, Method: "GET", Path: "/\x1b[2J", Status: status, Failed: record.Status(status).Failed(),
			Error: failure, DurationUs: 2000, Start: int64(len(id)),
		}
	}
	call := func(n int64, failure string) *fluxv1.ExecutionCall {
		return &fluxv1.ExecutionCall{Number: n, Boundary: "flux", Target: "event", Shape: "publish x", DurationUs: 10, Failed: failure != "", Error: failure}
	}
	resumed := exec("77777777", "stock", "running", "")
	resumed.Relation, resumed.Parent = "resume", "33333333-0"
	tree := &fluxv1.GetExecutionTreeResponse{Asked: 1, More: true, Parts: []*fluxv1.ExecutionPart{
		{Cause: -1, Message: &fluxv1.ExecutionLink{Log: "command", Index: 7}},
		{Id: "22222222", Summary: exec("22222222", "shop", "error", "stock is\x07 gone"), Cause: 0, Message: &fluxv1.ExecutionLink{Log: "command", Index: 7}},
		{Id: "33333333", Summary: exec("33333333", "stock", "timeout", ""), Cause: 1, Call: call(1, "deadline")},
		{Id: "77777777", Summary: resumed, Cause: 2},
		{Id: "44444444", Summary: exec("44444444", "mail", "ok", ""), Cause: 1, Call: call(1, "deadline")},
		{Cause: 1, Call: call(2, ""), Message: &fluxv1.ExecutionLink{Log: "event", MessageId: "m2"}},
		{Id: "55555555", Summary: exec("55555555", "tax", "ok", ""), Cause: 1},
	}}
	var out strings.Builder
	v := newTreeView(&screen{Writer: &out, width: 100}, tree)
	v.write()
	want := `5 executions of 4 services

? message 7 of command  from somebody who does not record
└─ message 7 of command
   └─ ✗ error  shop GET /·[2J  2ms  22222222  ◂
      │  stock is· gone
      ├─ op 1 flux event publish x  10µs  deadline
      │  ├─ ✗ timeout  stock GET /·[2J  2ms  33333333
      │  │  └─ … running  stock GET /·[2J  77777777  resume of 33333333
      │  └─ ✓ ok  mail GET /·[2J  2ms  44444444
      ├─ op 2 flux event publish x  10µs
      │  └─ ? message m2 of event  no execution that handled it is kept
      └─ ✓ ok  tax GET /·[2J  2ms  55555555  by which operation is not known

There are more executions than are shown.

next flux why 33333333
`
	if v.err != nil || out.String() != want {
		t.Errorf("tree\n%s\nwant\n%s(%v)", &out, want, v.err)
	}
}
