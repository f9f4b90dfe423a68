package execution

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/server"
)

// A shop is a service with a handler that fails until it is fixed.
type shop struct {
	*ledger
	fixed   bool
	entered chan struct{} // gets a value when the last step is about to be done, if not nil
	leave   chan struct{} // which is then waited for
}

func (s *shop) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	ctx := req.Context()
	body := make([]byte, 5)
	if _, err := req.Body.Read(body); string(body) != "order" {
		http.Error(w, "body "+string(body)+": "+err.Error(), http.StatusBadRequest)
		return
	}
	if err := s.write(ctx, "reserve", "one", ""); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if !s.fixed {
		http.Error(w, "broken", http.StatusInternalServerError)
		return
	}
	if s.entered != nil {
		s.entered <- struct{}{}
		<-s.leave
	}
	if err := s.write(ctx, "ship", "one", ""); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

// open connects a process of the service to a server.
func (s *shop) open(t *testing.T, url, version string) (*Recorder, http.Handler) {
	t.Helper()
	rec, err := Connect(Config{Service: "shop", Version: version, URL: url, Namespace: "public", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return rec, rec.Middleware(s)
}

// fail has an order fail and returns its id, once the server has its record.
func (s *shop) fail(t *testing.T, url string) string {
	t.Helper()
	rec, handler := s.open(t, url, "1")
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/orders", strings.NewReader("order")))
	if answer.Code != http.StatusInternalServerError {
		t.Fatalf("answer %d", answer.Code)
	}
	if err := rec.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return answer.Header().Get(HeaderExecution)
}

func command(t *testing.T, s *slowServer, id string) (*fluxv1.CommandInstanceResponse, error) {
	t.Helper()
	answer, err := s.client.CommandInstance(t.Context(), connect.NewRequest(&fluxv1.CommandInstanceRequest{
		Command: &fluxv1.ExecutionCommand{ExecutionId: id, Kind: "resume"}, Service: "shop",
	}))
	if err != nil {
		return nil, err
	}
	return answer.Msg, nil
}

// attended waits until a process attends.
func attended(t *testing.T, s *slowServer) {
	t.Helper()
	for {
		answer, err := s.client.ListInstances(t.Context(), connect.NewRequest(&fluxv1.ListInstancesRequest{Service: "shop"}))
		if err != nil {
			t.Fatal(err)
		}
		if len(answer.Msg.GetInstances()) > 0 {
			return
		}
	}
}

// TestTheFixedServiceFinishesWhatFailed resumes an execution in a process that only has a connection to the server (G-167), twice at
// the same time, and once more (G-200).
func TestTheFixedServiceFinishesWhatFailed(t *testing.T) {
	t.Parallel()
	s := newSlowServer(t, server.Config{})
	l := newLedger()
	id := (&shop{ledger: l}).fail(t, s.url)

	if _, err := command(t, s, id); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("without a process: %v", err)
	}
	fixed := &shop{ledger: l, fixed: true, entered: make(chan struct{}), leave: make(chan struct{})}
	rec, _ := fixed.open(t, s.url, "2")
	t.Cleanup(func() { _ = rec.Close(context.Background()) })
	attended(t, s)

	first := make(chan *fluxv1.CommandInstanceResponse, 1)
	go func() {
		answer, err := command(t, s, id)
		if err != nil {
			t.Error(err)
		}
		first <- answer
	}()
	<-fixed.entered
	second, err := command(t, s, id)
	if err != nil || second.GetAnswer().GetCode() != "resumed" && second.GetAnswer().GetCode() != "leased" {
		t.Errorf("a second resume at the same time: %v, %v", second, err)
	}
	close(fixed.leave)
	answer := <-first
	report := new(Report)
	if err := json.Unmarshal(answer.GetAnswer().GetReport(), report); err != nil || report.Outcome != OutcomeFixed {
		t.Fatalf("%v, report %v", answer, err)
	}
	if third, err := command(t, s, id); err != nil || third.GetAnswer().GetCode() != "resumed" {
		t.Errorf("once more: %v, %v", third, err)
	}
	if l.effects["reserve"] != 1 || l.effects["ship"] != 1 {
		t.Errorf("effects %v", l.effects)
	}
	resumed, err := s.get(t.Context(), report.Execution.String())
	if err != nil {
		t.Fatal(err)
	}
	x := resumed.Execution
	if x.Parent.String() != id || x.Relation != record.RelationResume || x.Status != record.StatusOK || x.HTTPStatus != 201 || x.Code.Version != "2" {
		t.Errorf("resumed: %+v", x)
	}
	if x.Checkpoints[0].Provenance != record.ProvenanceRecorded || x.Checkpoints[1].Provenance != record.ProvenanceLive {
		t.Errorf("checkpoints: %+v", x.Checkpoints)
	}
}

// TestAResumeThatFailedIsResumed resumes three times: what the first did is not done again by the last.
func TestAResumeThatFailedIsResumed(t *testing.T) {
	t.Parallel()
	s := newSlowServer(t, server.Config{})
	l := newLedger()
	id := (&shop{ledger: l}).fail(t, s.url)
	for i := range 3 {
		rec, _ := (&shop{ledger: l}).open(t, s.url, "2")
		handler := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			for n, step := range []string{"reserve", "a", "b", "c"}[:2+i] {
				if n == 0 && i == 1 {
					continue // one that does not even come to what was done before
				}
				if err := l.write(req.Context(), step, "one", ""); err != nil {
					t.Error(err)
				}
			}
			if i < 2 {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
		report, err := rec.ResumeByID(t.Context(), id, handler, nil)
		if err != nil {
			t.Fatalf("resume %d: %v", i, err)
		}
		if fixed := report.Outcome == OutcomeFixed; fixed != (i == 2) {
			t.Errorf("resume %d: %v", i, report)
		}
		if err := rec.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []string{"reserve", "a", "b", "c"} {
		if l.effects[step] != 1 {
			t.Errorf("%s was done %d times", step, l.effects[step])
		}
	}
}

// TestThousandsAreResumed has one process resume many executions, several at a time, each once.
func TestThousandsAreResumed(t *testing.T) {
	t.Parallel()
	n := 1000
	if testing.Short() {
		n = 200
	}
	s := newSlowServer(t, server.Config{})
	l := newLedger()
	ids := failMany(t, s.url, l, n)
	rec, err := Connect(Config{Service: "shop", Version: "2", URL: s.url, Namespace: "public", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rec.Close(context.Background()) })
	rec.Middleware(many{l, true})
	attended(t, s)
	began := time.Now()
	todo := make(chan string)
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for id := range todo {
				if answer, err := command(t, s, id); err != nil || len(answer.GetAnswer().GetReport()) == 0 {
					t.Errorf("%s: %v, %v", id, answer, err)
				}
			}
		})
	}
	for _, id := range ids {
		todo <- id
	}
	close(todo)
	workers.Wait()
	t.Logf("%d resumed in %s", n, time.Since(began))
	if len(l.effects) != 2*n {
		t.Errorf("%d effects, want %d", len(l.effects), 2*n)
	}
	for what, times := range l.effects {
		if times != 1 {
			t.Errorf("%s was done %d times", what, times)
		}
	}
}

// many is a handler that does two writes for each path, and fails between them until it is fixed.
type many struct {
	*ledger
	fixed bool
}

func (m many) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	err := m.write(req.Context(), "reserve "+req.URL.Path, "one", "")
	if err == nil && m.fixed {
		err = m.write(req.Context(), "ship "+req.URL.Path, "one", "")
	}
	if err != nil || !m.fixed {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// failMany has requests fail, and returns the ids of their executions once the server has them.
func failMany(t *testing.T, url string, l *ledger, n int) (ids []string) {
	t.Helper()
	rec, err := Connect(Config{Service: "shop", URL: url, Namespace: "public", Dir: t.TempDir(), Limits: Limits{Queue: n}})
	if err != nil {
		t.Fatal(err)
	}
	handler := rec.Middleware(many{l, false})
	for i := range n {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/orders/"+strconv.Itoa(i), nil))
		ids = append(ids, answer.Header().Get(HeaderExecution))
	}
	if err := rec.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return ids
}
