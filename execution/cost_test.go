package execution_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// BenchmarkRequest serves a request that reads and writes in a database, calls a provider and logs five lines, with all around
// the recorder kept in the process and cheap. The processor time is that of all goroutines, collections of garbage included;
// on a busy machine compare it with that of another build in turns.
func BenchmarkRequest(b *testing.B) {
	for _, test := range []struct {
		name   string
		config *execution.Config
	}{
		{"plain", nil},
		{"idle", &execution.Config{Record: func(record.Trigger) bool { return false }}},
		{"recorded", &execution.Config{Keep: execution.Keep{First: -1, Slower: -1}}},
		{"kept", &execution.Config{Keep: execution.Keep{All: true}, Limits: execution.Limits{Queue: 1 << 20, MemoryBytes: 1 << 30}}},
	} {
		b.Run(test.name, func(b *testing.B) {
			rec := benchRecorder(b, test.config)
			p := newPurchase(rec)
			b.ReportAllocs()
			before := processorTime()
			for n := 0; b.Loop(); n++ {
				p.order(n)
				if rec.Stats().Executions-rec.Stats().Kept > 64 && test.name == "kept" {
					runtime.Gosched() // the recorder keeps up with requests that come from a network
				}
			}
			_ = rec.Close(b.Context()) // what is kept is part of it
			b.ReportMetric(float64(processorTime()-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// processorTime returns what this process has used.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func benchRecorder(b *testing.B, config *execution.Config) *execution.Recorder {
	if config == nil {
		return nil
	}
	config.Service, config.Version = "purchases", "v1.2.3"
	rec, err := execution.New(*config)
	if err != nil {
		b.Fatal(err)
	}
	return rec
}

// TestIdleRecorderAllocatesNothing has a recorder there that records nothing.
func TestIdleRecorderAllocatesNothing(t *testing.T) {
	rec, err := execution.New(execution.Config{Service: "purchases", Record: func(record.Trigger) bool { return false }})
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close(t.Context())
	ctx, _ := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
	plain, idle := newPurchase(nil), newPurchase(rec)
	for name, f := range map[string]func(*purchase) error{
		"a query":     func(p *purchase) error { _, err := p.balance(ctx, 4711); return err },
		"a statement": func(p *purchase) error { return p.take(ctx, 4711) },
		"a call":      func(p *purchase) error { return p.pay(ctx, 4711, `{"amount": 4200}`) },
		"a line":      func(p *purchase) error { p.log.InfoContext(ctx, "order received", "order", 4711); return nil },
	} {
		count := func(p *purchase) float64 {
			return testing.AllocsPerRun(200, func() {
				if err := f(p); err != nil {
					t.Error(err)
				}
			})
		}
		if before, with := count(plain), count(idle); with > before && !raceDetector {
			t.Errorf("%s allocates %v times with a recorder that records nothing, %v without", name, with, before)
		}
	}
}

// A purchase is the service.
type purchase struct {
	db      *sql.DB
	client  *http.Client
	log     *slog.Logger
	handler http.Handler
}

func newPurchase(rec *execution.Recorder) *purchase {
	p := &purchase{}
	p.db = rec.OpenDB(accounts{})
	p.client = &http.Client{Transport: rec.Transport(provider{})}
	p.log = slog.New(slog.NewJSONHandler(io.Discard, nil))
	if rec != nil {
		p.log = slog.New(rec.Handler(slog.NewJSONHandler(io.Discard, nil)))
	}
	p.handler = rec.Middleware(http.HandlerFunc(p.serve))
	return p
}

// order sends the n-th order to the handler, as net/http does it.
func (p *purchase) order(n int) {
	body := `{"amount": 4200, "currency": "EUR"}`
	req := (&http.Request{
		Method: http.MethodPost, RequestURI: fmt.Sprint("/orders/o-", n), URL: &url.URL{Path: fmt.Sprint("/orders/o-", n)},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "shop.example.com", RemoteAddr: "127.0.0.1:40000",
		ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
		Header: http.Header{
			"User-Agent": {"Go-http-client/1.1"}, "Content-Type": {"application/json"}, "Content-Length": {"35"},
			"Accept-Encoding": {"gzip"},
		},
	}).WithContext(context.WithValue(context.Background(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}))
	p.handler.ServeHTTP(&benchAnswer{header: make(http.Header)}, req)
}

func (p *purchase) serve(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	n := len(r.URL.Path)
	p.log.InfoContext(ctx, "order received", "order", n)
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = p.charge(ctx, n, string(body))
	}
	if err != nil {
		panic(err)
	}
	p.log.InfoContext(ctx, "order done", "order", n)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"order": "o-%d", "state": "charged"}`, n)
}

func (p *purchase) charge(ctx context.Context, n int, body string) error {
	balance, err := p.balance(ctx, n)
	if err != nil {
		return err
	}
	p.log.InfoContext(ctx, "account loaded", "account", n, "balance", balance)
	if err := p.pay(ctx, n, body); err != nil {
		return err
	}
	p.log.InfoContext(ctx, "provider answered", "order", n, "amount", 4200)
	if err := p.take(ctx, n); err != nil {
		return err
	}
	p.log.InfoContext(ctx, "account updated", "account", n)
	return nil
}

func (p *purchase) balance(ctx context.Context, n int) (balance int64, err error) {
	err = p.db.QueryRowContext(ctx, "SELECT balance FROM accounts WHERE id = $1", n).Scan(&balance)
	return balance, err
}

func (p *purchase) take(ctx context.Context, n int) error {
	_, err := p.db.ExecContext(ctx, "UPDATE accounts SET balance = balance - $1 WHERE id = $2", 1, n)
	return err
}

func (p *purchase) pay(ctx context.Context, n int, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://pay.example.com/charges",
		strings.NewReader(fmt.Sprintf(`{"order": "o-%d", "what": %s}`, n, body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", "o-4711")
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	return err
}

// benchAnswer takes a response, as the response writer of net/http.
type benchAnswer struct {
	header http.Header
	status int
}

func (a *benchAnswer) Header() http.Header         { return a.header }
func (a *benchAnswer) WriteHeader(status int)      { a.status = status }
func (a *benchAnswer) Write(p []byte) (int, error) { return len(p), nil }
func (a *benchAnswer) Flush()                      {}

// provider answers each request.
type provider struct{}

func (provider) RoundTrip(req *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return nil, err
	}
	const body = `{"payment": "p-4711", "state": "taken"}`
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{
			"Content-Type": {"application/json"}, "Content-Length": {"39"}, "Date": {time.Unix(0, 0).UTC().Format(http.TimeFormat)},
		},
		ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
	}, nil
}

// accounts is a database that has each account. Like most drivers it checks arguments by itself.
type accounts struct{}

func (accounts) Connect(context.Context) (driver.Conn, error) { return accounts{}, nil }
func (accounts) Driver() driver.Driver                        { return nil }
func (accounts) Prepare(string) (driver.Stmt, error)          { return nil, driver.ErrSkip }
func (accounts) Close() error                                 { return nil }
func (accounts) Begin() (driver.Tx, error)                    { return nil, driver.ErrSkip }
func (accounts) CheckNamedValue(*driver.NamedValue) error     { return nil }
func (accounts) ResetSession(context.Context) error           { return nil }
func (accounts) IsValid() bool                                { return true }
func (accounts) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return &accountRows{}, nil
}

func (accounts) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return driver.RowsAffected(1), nil
}

type accountRows struct{ done bool }

func (*accountRows) Columns() []string                     { return []string{"balance"} }
func (*accountRows) ColumnTypeDatabaseTypeName(int) string { return "INT8" }
func (*accountRows) Close() error                          { return nil }
func (r *accountRows) Next(row []driver.Value) error {
	if r.done {
		return io.EOF
	}
	r.done, row[0] = true, int64(1_000_000)
	return nil
}
