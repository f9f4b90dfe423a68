package recording

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/testservices"
)

// serveShop is a shop in a process of its own, whose executions are journalled. It says on which address it listens.
func serveShop(text string) error {
	var config childConfig
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		return err
	}
	ctx := context.Background()
	rec, err := execution.Connect(shopConfig(config.Dir))
	if err != nil {
		return err
	}
	s, err := openShop(ctx, rec, config.Postgres, config.Cache)
	if err != nil {
		return err
	}
	if config.Hang {
		s.stored = func(context.Context) { select {} }
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	return http.Serve(listener, rec.Middleware(s))
}

func shopConfig(dir string) execution.Config {
	return execution.Config{Service: "shop", Dir: dir, Keep: execution.Keep{All: true}, Journal: func(record.Trigger) bool { return true }}
}

// A child is a shop in a process of its own.
type child struct {
	process *exec.Cmd
	url     string
}

func startChild(t *testing.T, config childConfig, fault string) *child {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	c := &child{process: exec.Command(os.Args[0])}
	c.process.Env = append(os.Environ(), childVariable+"="+string(text), execution.FaultVariable+"="+fault)
	c.process.Stderr = os.Stderr
	out, err := c.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.process.Process.Kill() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	c.url = "http://" + strings.TrimSpace(address)
	return c
}

// order asks for an order. The answer does not come when the process dies.
func (c *child) order(ctx context.Context, key string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/orders", strings.NewReader("tea"))
	if err != nil {
		return err
	}
	req.Header.Set("Idempotency-Key", key)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// dies waits for the end of a child that is to die of its fault.
func (c *child) dies(t *testing.T) {
	t.Helper()
	var exit *exec.ExitError
	if err := c.process.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("the process ended with %v, want exit code 1", err)
	}
}

// An aftermath is the next process of a shop on the folder of one that died.
type aftermath struct {
	*shop
	rec       *execution.Recorder
	handler   http.Handler
	recovered *record.Execution
	kept      chan *record.Execution
}

func startAftermath(t *testing.T, config childConfig) *aftermath {
	t.Helper()
	a := &aftermath{kept: make(chan *record.Execution, 16)}
	own := shopConfig(config.Dir)
	own.OnKept = func(x *record.Execution) { a.kept <- x }
	var err error
	if a.rec, err = execution.Connect(own); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.rec.Close(context.Background()) })
	if a.shop, err = openShop(t.Context(), a.rec, config.Postgres, config.Cache); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.close)
	a.handler = a.rec.Middleware(a.shop)
	if recovered := a.rec.Recovered(); len(recovered) > 0 {
		a.recovered = recovered[0]
	}
	return a
}

func (a *aftermath) order(t *testing.T, key string) (*httptest.ResponseRecorder, *record.Execution) {
	t.Helper()
	req := httptest.NewRequest(http.MethodPost, "/orders", strings.NewReader("tea"))
	req.Header.Set("Idempotency-Key", key)
	answer := httptest.NewRecorder()
	a.handler.ServeHTTP(answer, req)
	return answer, <-a.kept
}

func newChildConfig(t *testing.T) childConfig {
	t.Helper()
	c := childConfig{Dir: t.TempDir(), Postgres: testservices.Postgres(t), Cache: testservices.Redis(t)}
	createTable(t, c.Postgres)
	return c
}

// TestDurableWriteBeforeItsOutcome is G-099 to G-109: the process dies when the database has the order and nobody knows.
func TestDurableWriteBeforeItsOutcome(t *testing.T) {
	t.Parallel()
	const key = "k1"
	config := newChildConfig(t)
	if value, _ := cached(t, config.Cache, key); rows(t, config.Postgres, key) != 0 || value != "" {
		t.Fatal("the order is there before")
	}
	c := startChild(t, config, "after-write-before-outcome:1")
	if err := c.order(t.Context(), key); err == nil {
		t.Error("the client got an answer")
	}
	c.dies(t)
	if value, _ := cached(t, config.Cache, key); rows(t, config.Postgres, key) != 1 || value != "" {
		t.Errorf("after the crash: %d rows, cached %q", rows(t, config.Postgres, key), value)
	}

	a := startAftermath(t, config)
	died := a.recovered
	if died == nil || died.Status != record.StatusCrashed {
		t.Fatalf("recovered %+v", died)
	}
	last := died.Checkpoints[len(died.Checkpoints)-1]
	if !last.InDoubt() || !strings.HasPrefix(last.Shape, "INSERT") {
		t.Errorf("the last operation is %s %s, %s", last.Boundary, last.Shape, last.State)
	}
	if report, err := a.rec.ReplayHTTP(t.Context(), &record.Bundle{Execution: died}, a.shop, nil); err == nil && len(report.Live) > 0 {
		t.Errorf("a replay of what died did %v", report.Live)
	}
	if rows(t, config.Postgres, key) != 1 {
		t.Error("the replay stored an order")
	}
	checkRetry(t, a, config, key)
}

// checkRetry has the client ask again, and once more.
func checkRetry(t *testing.T, a *aftermath, config childConfig, key string) {
	t.Helper()
	answer, retry := a.order(t, key)
	if answer.Code != http.StatusCreated || answer.Header().Get(headerStatus) != "created" {
		t.Errorf("retry: %d %s, %s", answer.Code, answer.Body, answer.Header().Get(headerStatus))
	}
	value, left := cached(t, config.Cache, key)
	if rows(t, config.Postgres, key) != 1 || value != answer.Body.String() || left <= 0 {
		t.Errorf("after the retry: %d rows, cached %q for %s", rows(t, config.Postgres, key), value, left)
	}
	did := shapes(retry)
	for _, boundary := range []string{"redis ", "postgres "} {
		if !slices.ContainsFunc(did, func(shape string) bool { return strings.HasPrefix(shape, boundary) }) {
			t.Errorf("the retry did %q", did)
		}
	}
	replaySame(t, a.shop, retry, answer)
	third, _ := a.order(t, key)
	if third.Code != http.StatusCreated || third.Header().Get(headerStatus) != "replayed" || third.Body.String() != answer.Body.String() {
		t.Errorf("third: %d %s, %s", third.Code, third.Body, third.Header().Get(headerStatus))
	}
}

// TestAProcessThatDiedIsResumedAtEachPosition lets the process die around each write, and the next one finish the request (F-92).
func TestAProcessThatDiedIsResumedAtEachPosition(t *testing.T) {
	t.Parallel()
	config := newChildConfig(t)
	for _, point := range []string{"before-intent", "after-intent", "after-write-before-outcome", "after-outcome"} {
		for write := 1; write <= 2; write++ {
			fault := fmt.Sprintf("%s:%d", point, write)
			t.Run(fault, func(t *testing.T) {
				t.Parallel()
				config := config
				config.Dir = t.TempDir()
				c := startChild(t, config, fault)
				if err := c.order(t.Context(), fault); err == nil {
					t.Error("the client got an answer")
				}
				c.dies(t)
				finish(t, config, fault)
			})
		}
	}
}

// TestAProcessThatWasKilledIsResumed kills a process with SIGKILL when the database has the order.
func TestAProcessThatWasKilledIsResumed(t *testing.T) {
	t.Parallel()
	const key = "killed"
	config := newChildConfig(t)
	config.Hang = true
	c := startChild(t, config, "")
	broken := make(chan error, 1)
	go func() { broken <- c.order(context.Background(), key) }()
	for rows(t, config.Postgres, key) == 0 {
		if t.Context().Err() != nil {
			t.Fatal("the order does not come")
		}
	}
	if err := c.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-broken; err == nil {
		t.Error("the client got an answer")
	}
	_ = c.process.Wait()
	config.Hang = false
	finish(t, config, key)
}

// finish resumes what a process left, and checks that everything is there once.
func finish(t *testing.T, config childConfig, key string) {
	t.Helper()
	a := startAftermath(t, config)
	if a.recovered == nil || a.recovered.Status == record.StatusOK {
		t.Fatalf("recovered %+v", a.recovered)
	}
	probe := func(_ context.Context, cp *record.Checkpoint) (bool, error) {
		if cp.Boundary == "redis" {
			value, _ := cached(t, config.Cache, key)
			return value != "", nil
		}
		return rows(t, config.Postgres, key) > 0, nil
	}
	report, err := a.rec.ResumeHTTP(t.Context(), &record.Bundle{Execution: a.recovered}, a.shop, &execution.ResumeOptions{Probe: probe})
	if err != nil {
		t.Fatal(err)
	}
	if report.Outcome != execution.OutcomeFixed || report.Replayed.HTTPStatus != http.StatusCreated {
		t.Errorf("resume: %v, refused %v, now %+v", report, report.Refused, report.Replayed)
	}
	resumed := <-a.kept
	if resumed.Parent != a.recovered.ID || resumed.Relation != record.RelationResume {
		t.Errorf("resumed %+v", resumed)
	}
	value, left := cached(t, config.Cache, key)
	if rows(t, config.Postgres, key) != 1 || value == "" || left <= 0 || left > time.Hour {
		t.Errorf("after the resume: %d rows, cached %q for %s", rows(t, config.Postgres, key), value, left)
	}
}
