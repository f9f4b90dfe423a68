package idempotent

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/testservices"
)

// A desk takes orders into a database, where the entries are too. It may run in a process of its own.
type desk struct {
	db      *sql.DB
	store   *SQLStore
	rec     *execution.Recorder
	inner   http.Handler // that the recorder wraps
	handler http.Handler
	config  deskConfig
}

// deskConfig is what a desk in a process of its own needs.
type deskConfig struct {
	Dir, Database string
	Complete      bool // stores the answer in the transaction of the order
	Hang          bool // once the order is in the transaction
}

const deskVariable = "FLUX_TEST_DESK"

func TestMain(m *testing.M) {
	if text := os.Getenv(deskVariable); text != "" {
		fmt.Fprintln(os.Stderr, serveDesk(text))
		os.Exit(3)
	}
	os.Exit(m.Run())
}

const deskTables = "CREATE TABLE IF NOT EXISTS orders (id serial PRIMARY KEY, item text NOT NULL);" + execution.MarkerTable

func newDesk(config deskConfig) (*desk, error) {
	d := &desk{config: config}
	var err error
	d.rec, err = execution.Connect(execution.Config{
		Service: "desk", Dir: config.Dir, Keep: execution.Keep{All: true}, Journal: func(record.Trigger) bool { return true },
	})
	if err != nil {
		return nil, err
	}
	database, err := pgx.ParseConfig(config.Database)
	if err != nil {
		return nil, err
	}
	d.db = sql.OpenDB(d.rec.ConnectorWith(stdlib.GetConnector(*database), &execution.SQLOptions{Marker: true}))
	d.store = NewSQLStore(d.db)
	d.inner = Handler(http.HandlerFunc(d.order), d.store, nil)
	d.handler = d.rec.Middleware(d.inner)
	return d, nil
}

func serveDesk(text string) error {
	var config deskConfig
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		return err
	}
	d, err := newDesk(config)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return http.Serve(listener, d.handler)
}

// order writes an order in two statements of one transaction.
func (d *desk) order(w http.ResponseWriter, r *http.Request) {
	answer, err := d.take(r)
	if err != nil {
		execution.Fail(r.Context(), err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprint(w, answer)
}

func (d *desk) take(r *http.Request) (answer string, err error) {
	ctx := r.Context()
	item, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return "", err
	}
	defer tx.Rollback()
	if err := tx.QueryRowContext(ctx, "INSERT INTO orders (item) VALUES ($1) RETURNING id", string(item)).Scan(&answer); err != nil {
		return "", err
	}
	if d.config.Hang {
		select {}
	}
	if d.config.Complete {
		if err := Complete(ctx, d.store.In(tx), &Answer{Status: http.StatusCreated, Body: []byte(answer)}); err != nil {
			return "", err
		}
	}
	return answer, tx.Commit()
}

func newDeskConfig(t *testing.T) deskConfig {
	t.Helper()
	c := deskConfig{Dir: t.TempDir(), Database: testservices.Postgres(t)}
	db := openDB(t, "pgx", c.Database)
	if _, err := db.Exec(deskTables); err != nil {
		t.Fatal(err)
	}
	return c
}

// startDesk starts a desk in a process of its own and returns it and its URL.
func startDesk(t *testing.T, config deskConfig, fault string) (*exec.Cmd, string) {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), deskVariable+"="+string(text), execution.FaultVariable+"="+fault)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = child.Process.Kill(), child.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return child, "http://" + strings.TrimSpace(address)
}

// orderFrom sends an order for tea to a desk in another process.
func orderFrom(ctx context.Context, url, key string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/orders", strings.NewReader(key+" tea"))
	if err != nil {
		return nil, err
	}
	r.Header.Set(HeaderKey, key)
	r.Header.Set("Authorization", "Bearer hidden-in-records")
	resp, err := http.DefaultClient.Do(r)
	if err == nil {
		err = resp.Body.Close()
	}
	return resp, err
}

// order sends the same order to a desk in this process.
func orderAt(h http.Handler, key string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/orders", strings.NewReader(key+" tea"))
	r.Header.Set(HeaderKey, key)
	r.Header.Set("Authorization", "Bearer hidden-in-records")
	return serve(h, r)
}

// nextDesk starts a desk in this process on what another one left.
func nextDesk(t *testing.T, config deskConfig) *desk {
	t.Helper()
	d, err := newDesk(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = d.rec.Close(context.Background()), d.db.Close() })
	return d
}

func (d *desk) orders(t *testing.T, key string) (n int) {
	t.Helper()
	err := d.db.QueryRowContext(execution.Unrecorded(t.Context()), "SELECT count(*) FROM orders WHERE item = $1", key+" tea").Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAResumeEndsWhatAProcessBegan lets a process die around each of its writes: the beginning, the order, the commit, the end. What it
// left is resumed, and the client that asks again gets the answer of the resume, or of the process, when it had stored one. There is
// one order.
func TestAResumeEndsWhatAProcessBegan(t *testing.T) {
	t.Parallel()
	config := newDeskConfig(t)
	for _, complete := range []bool{false, true} {
		for _, point := range []string{"before-intent", "after-intent", "after-write-before-outcome", "after-outcome"} {
			for write := 1; write <= 4; write++ {
				fault := fmt.Sprintf("%s:%d", point, write)
				t.Run(fmt.Sprintf("%s, complete %v", fault, complete), func(t *testing.T) {
					t.Parallel()
					own := config
					own.Dir, own.Complete = t.TempDir(), complete
					resumeAfter(t, own, fault)
				})
			}
		}
	}
}

func resumeAfter(t *testing.T, config deskConfig, fault string) {
	t.Helper()
	key := t.Name()
	child, url := startDesk(t, config, fault)
	if resp, err := orderFrom(t.Context(), url, key); err == nil {
		t.Fatalf("the client got %s, %v", resp.Status, resp.Header)
	}
	_ = child.Wait()
	d := nextDesk(t, config)
	want := "replayed"
	if fault == "before-intent:1" { // nothing was done, and no record, if there is one, tells the entry
		want = "created"
	} else if len(d.rec.Recovered()) != 1 {
		t.Fatalf("recovered %v", d.rec.Recovered())
	}
	for _, of := range d.rec.Recovered() {
		opts := &execution.ResumeOptions{Probe: execution.ProbeMarker(d.db, of.ID)}
		report, err := d.rec.ResumeHTTP(t.Context(), &record.Bundle{Execution: of}, d.inner, opts)
		if err != nil {
			t.Fatal(err)
		}
		if fixed := report.Outcome == execution.OutcomeFixed; fixed != (want == "replayed") || fixed != (d.orders(t, key) == 1) {
			t.Errorf("%d orders after the resume: %v\n%s", d.orders(t, key), report, report.Text(nil))
		}
	}
	w := orderAt(d.handler, key)
	if w.Code != http.StatusCreated || w.Header().Get(HeaderStatus) != want || d.orders(t, key) != 1 {
		t.Errorf("then: %d %v %s, %d orders", w.Code, w.Header(), w.Body, d.orders(t, key))
	}
}

// TestTheEntryOfAKilledProcessIsTakenOver kills a process in the middle of a transaction. Its entry is lost with its lease.
func TestTheEntryOfAKilledProcessIsTakenOver(t *testing.T) {
	t.Parallel()
	config := newDeskConfig(t)
	config.Hang, config.Complete = true, true
	child, url := startDesk(t, config, "")
	lost := make(chan error, 1)
	go func() {
		_, err := orderFrom(context.Background(), url, "key")
		lost <- err
	}()
	config.Hang, config.Dir = false, t.TempDir() // another machine
	d := nextDesk(t, config)
	name := nameOf(nil, "Bearer hidden-in-records", "key")
	e := d.entry(t, name)
	for e.State != Running {
		e = d.entry(t, name)
	}
	check(t, orderAt(d.handler, "key"), 409, "in-progress", isRunning)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-lost; err == nil {
		t.Error("the client got an answer")
	}
	check(t, orderAt(d.handler, "key"), 409, "in-progress", isRunning)
	d.endLease(t, name, e)
	if w := orderAt(d.handler, "key"); w.Code != 201 || w.Header().Get(HeaderStatus) != "created" || d.orders(t, "key") != 1 {
		t.Errorf("%d %v %s, %d orders", w.Code, w.Header(), w.Body, d.orders(t, "key"))
	}
}

func (d *desk) entry(t *testing.T, name string) Entry {
	t.Helper()
	e, err := d.store.Get(execution.Unrecorded(t.Context()), name)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// endLease changes an entry as if its lease had gone by.
func (d *desk) endLease(t *testing.T, name string, e Entry) {
	t.Helper()
	over := e.Revision
	e.Lease, e.Revision = time.Now().Add(-time.Second), newRevision()
	if err := d.store.Put(execution.Unrecorded(t.Context()), name, over, e); err != nil {
		t.Fatal(err)
	}
}

// TestALateAttemptCommitsNothing is N3: with Complete, what an attempt did that lost its entry is rolled back.
func TestALateAttemptCommitsNothing(t *testing.T) {
	t.Parallel()
	config := newDeskConfig(t)
	config.Complete = true
	d := nextDesk(t, config)
	late := make(chan struct{})
	begun := make(chan struct{})
	h := Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-late
		if _, err := d.take(r); !errors.Is(err, ErrConflict) {
			t.Errorf("the late attempt: %v", err)
		}
	}), d.store, nil)
	answered := make(chan *httptest.ResponseRecorder)
	go func() { answered <- orderAt(h, "key") }()
	<-begun
	name := nameOf(nil, "Bearer hidden-in-records", "key")
	d.endLease(t, name, d.entry(t, name))
	check(t, orderAt(d.inner, "key"), 201, "created", "1")
	close(late)
	check(t, <-answered, 201, "replayed", "1")
	if n := d.orders(t, "key"); n != 1 {
		t.Errorf("%d orders", n)
	}
}

// TestCompleteIsReplayed has the answer and its effects in one transaction, recorded.
func TestCompleteIsReplayed(t *testing.T) {
	t.Parallel()
	config := newDeskConfig(t)
	config.Complete = true
	d := nextDesk(t, config)
	kept := make(chan *record.Execution, 1)
	rec, err := execution.New(execution.Config{Service: "desk", Keep: execution.Keep{All: true}, OnKept: func(x *record.Execution) { kept <- x }})
	if err != nil {
		t.Fatal(err)
	}
	check(t, orderAt(rec.Middleware(d.inner), "key"), 201, "created", "1")
	of := <-kept
	report, err := rec.ReplayHTTP(t.Context(), &record.Bundle{Execution: of}, d.inner, nil)
	if err != nil {
		t.Fatal(err)
	}
	if report.Outcome != execution.OutcomeSame || d.orders(t, "key") != 1 {
		t.Errorf("%v, %d orders\n%s", report, d.orders(t, "key"), report.Text(nil))
	}
}
