package fluxtest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/fluxtest"
)

// The recordings that the tests replay: made before the network is gone.
var (
	shopFile string // a failed order
	jobFile  string // a job that went well
	raceFile string // one that ended well because of the order in which it got its answers
	dials    atomic.Int64
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "fluxtest")
	if err == nil {
		err = makeRecordings(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	noNetwork()
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// noNetwork traps what dials by the ways of net/http and looks up names by those of net (G-197).
func noNetwork() {
	dial := func(_ context.Context, network, address string) (net.Conn, error) {
		dials.Add(1)
		return nil, fmt.Errorf("a replay dialed %s %s", network, address)
	}
	http.DefaultTransport = &http.Transport{DialContext: dial, DialTLSContext: dial}
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: dial}
}

func makeRecordings(dir string) error {
	kept := make(chan *record.Execution, 1)
	rec, err := execution.New(execution.Config{Service: "shop", Keep: execution.Keep{All: true}, OnKept: func(x *record.Execution) { kept <- x }})
	if err != nil {
		return err
	}
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/charge" {
			http.Error(w, "no credit", http.StatusPaymentRequired)
		}
	}))
	defer provider.Close()
	shop{rec, provider.URL, ""}.handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/orders/7?by=card", strings.NewReader(`{"amount":5}`)))
	if shopFile, err = write(dir, "shop", <-kept); err != nil {
		return err
	}
	ctx, x := rec.Begin(context.Background(), record.Trigger{Kind: record.TriggerJob, Method: "nightly"}, nil)
	x.SetInput(map[string]int{"n": 3})
	x.End(job(ctx, []byte(`{"n":3}`)))
	if jobFile, err = write(dir, "job", <-kept); err != nil {
		return err
	}
	ctx, x = rec.Begin(context.Background(), record.Trigger{Kind: record.TriggerJob, Method: "race"}, nil)
	x.End(race(ctx))
	if raceFile, err = write(dir, "race", <-kept); err != nil {
		return err
	}
	return rec.Close(context.Background())
}

func write(dir, name string, x *record.Execution) (string, error) {
	var b bytes.Buffer
	if err := record.WriteBundle(&b, &record.Bundle{Execution: x}); err != nil {
		return "", err
	}
	path := filepath.Join(dir, name+".fluxrec")
	return path, os.WriteFile(path, b.Bytes(), 0o600)
}

// A shop asks for the stock, charges, and answers. bug changes what it does.
type shop struct {
	rec      *execution.Recorder
	provider string
	bug      string
}

func (s shop) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders/{id}", s.order)
	return s.rec.Middleware(mux)
}

func (s shop) order(w http.ResponseWriter, r *http.Request) {
	order, _ := io.ReadAll(r.Body)
	if s.bug == "other amount" {
		order = bytes.ReplaceAll(order, []byte("5"), []byte("6"))
	}
	stock, err := s.call(r.Context(), "GET", "/stock/"+r.PathValue("id"), nil)
	if err == nil && s.bug == "new call" {
		_, err = s.call(r.Context(), "POST", "/reserve", order)
	}
	status := stock
	if err == nil && s.bug != "no charge" {
		status, err = s.call(r.Context(), "POST", "/charge", order)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	fmt.Fprintf(w, "order %s by %s: %d", r.PathValue("id"), r.URL.Query().Get("by"), status)
}

func (s shop) call(ctx context.Context, method, path string, body []byte) (int, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.provider+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	resp, err := (&http.Client{Transport: s.rec.Transport(nil)}).Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func job(ctx context.Context, input []byte) error {
	_, err := execution.Do(ctx, execution.Op{Boundary: "world", Shape: "count", Effect: record.EffectWrite, Request: string(input)},
		func(context.Context) (int, error) { return 1, nil })
	return err
}

// race asks two things side by side and takes it for an error when the right answer is there before the left one. What it asks
// for lets the left one be first.
func race(ctx context.Context) error {
	first, decided := make(chan string, 2), make(chan struct{})
	for _, side := range []string{"left", "right"} {
		execution.Go(ctx, side, func(ctx context.Context) {
			_, _ = execution.Do(ctx, execution.Op{Boundary: "world", Shape: side, Effect: record.EffectRead}, func(context.Context) (string, error) {
				if side == "right" {
					<-decided
				}
				return side, nil
			})
			first <- side
		})
	}
	won := <-first
	close(decided)
	<-first
	if won != "left" {
		return fmt.Errorf("the %s was first", won)
	}
	return nil
}

// provider is where the shop was recorded, which nothing listens on any more.
func provider(t *testing.T) string {
	t.Helper()
	f, err := os.Open(shopFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := record.ReadBundle(f)
	if err != nil {
		t.Fatal(err)
	}
	return b.Execution.Checkpoints[0].Target
}

func handler(t *testing.T, bug string) http.Handler {
	t.Helper()
	rec, err := execution.New(execution.Config{Service: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	return shop{rec, provider(t), bug}.handler()
}

func TestReplayPassesWhenNothingChanged(t *testing.T) {
	t.Parallel()
	report := fluxtest.Replay(t, shopFile, handler(t, ""), nil)
	if report.Served != 2 {
		t.Errorf("%d operations from the record, want 2", report.Served)
	}
	fluxtest.Replay(t, shopFile, handler(t, "").ServeHTTP, &fluxtest.Options{Expect: "status=402"})
	fluxtest.Replay(t, jobFile, job, &fluxtest.Options{Expect: "ok"})
	if n := dials.Load(); n != 0 {
		t.Errorf("%d dials in replays", n)
	}
}

// TestHandlersThatPanicAreReplayed is a replay that fails in another way than the record.
func TestHandlersThatPanicAreReplayed(t *testing.T) {
	t.Parallel()
	fluxtest.Replay(t, shopFile, func(http.ResponseWriter, *http.Request) { panic("oh") }, &fluxtest.Options{Expect: "error"})
	fluxtest.Replay(t, jobFile, func(context.Context, []byte) error { return errors.New("oh") }, &fluxtest.Options{Expect: "error"})
}

// TestASweepFindsWhatDependsOnTheOrder is F-72: a replay in the recorded order goes well, and random ones soon do not.
func TestASweepFindsWhatDependsOnTheOrder(t *testing.T) {
	t.Parallel()
	handler := func(ctx context.Context, _ []byte) error { return race(ctx) }
	synctest.Test(t, func(t *testing.T) {
		fluxtest.Replay(t, raceFile, handler, &fluxtest.Options{Order: execution.OrderStrict})
	})
	w := &witness{TB: t}
	fluxtest.Replay(w, raceFile, handler, &fluxtest.Options{Order: execution.OrderStrict, Sweep: 100})
	if !strings.Contains(w.said, "with answers in random order ") || !strings.Contains(w.said, "the right was first") {
		t.Error(w.said)
	}
}

// A witness is a testing.TB that notes what a test says.
type witness struct {
	testing.TB
	said string
}

func (w *witness) Errorf(format string, args ...any) { w.said += fmt.Sprintf(format, args...) }

func TestAFailingReplaySaysWhatHappened(t *testing.T) {
	t.Parallel()
	for bug, want := range map[string][]string{
		"other amount": {"expected same", "POST /charge is not in the record", "op 1 of the record is like it", "- $.body.amount = 5", "+ $.body.amount = 6", "replay_test.go:", "STOPPED"},
		"new call":     {"POST /reserve is not in the record", `it asked  {"method":"POST"`, "✓ op 0 http", "STOPPED"},
		"no charge":    {"POST /charge  not asked for any more", "- $.status = 402", "+ $.status = 200", "DIVERGED"},
	} {
		w := &witness{TB: t}
		fluxtest.Replay(w, shopFile, handler(t, bug), nil)
		for _, text := range want {
			if !strings.Contains(w.said, text) {
				t.Errorf("%s: no %q in\n%s", bug, text, w.said)
			}
		}
	}
}

// TestMissingOperationsMayBeDone is not parallel: it is the only one that may dial.
func TestMissingOperationsMayBeDone(t *testing.T) {
	var asked []string
	w := &witness{TB: t}
	report := fluxtest.Replay(w, shopFile, handler(t, "new call"), &fluxtest.Options{Expect: "ok", Missing: func(op execution.Operation) bool {
		asked = append(asked, op.Shape)
		return true
	}})
	if len(asked) != 1 || asked[0] != "POST /reserve" || len(report.Live) != 1 || dials.Swap(0) != 1 {
		t.Errorf("asked about %v, live %v", asked, report.Live)
	}
}
