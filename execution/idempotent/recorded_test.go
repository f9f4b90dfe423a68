package idempotent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/execution/redact"
)

// A shop takes orders: it charges, and mails a receipt, which may fail. Executions of its requests are recorded.
type shop struct {
	*memory
	t       *testing.T
	rec     *execution.Recorder
	inner   http.Handler // that the recorder wraps
	handler http.Handler
	kept    chan *record.Execution

	fails   atomic.Bool // mailing
	charges atomic.Int32
	mails   atomic.Int32
	hold    chan struct{} // that mailing waits for; nil for nothing
	holding chan struct{}
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{memory: newMemory(), t: t, kept: make(chan *record.Execution, 16)}
	rec, err := execution.New(execution.Config{
		Service: "shop", Keep: execution.Keep{All: true}, OnKept: func(x *record.Execution) { s.kept <- x },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rec.Close(context.Background()) })
	s.rec = rec
	s.inner = Handler(http.HandlerFunc(s.order), s.memory, nil)
	s.handler = rec.Middleware(s.inner)
	return s
}

func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	charge, err := s.write(r.Context(), "charge", &s.charges)
	if err == nil {
		if s.hold != nil {
			close(s.holding)
			<-s.hold
		}
		_, err = s.write(r.Context(), "mail", &s.mails)
	}
	if err != nil {
		execution.Fail(r.Context(), err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"charge": %d, "at": %d}`, charge, execution.Now(r.Context()).UnixNano())
}

func (s *shop) write(ctx context.Context, shape string, count *atomic.Int32) (int32, error) {
	op := execution.Op{Boundary: "shop", Shape: shape, Effect: record.EffectWrite}
	return execution.Do(ctx, op, func(context.Context) (int32, error) {
		if shape == "mail" && s.fails.Load() {
			return 0, errors.New("the mail is down")
		}
		return count.Add(1), nil
	})
}

// send sends an order with a key and secrets, and returns the answer and its record.
func (s *shop) send(key string) (*httptest.ResponseRecorder, *record.Execution) {
	s.t.Helper()
	w := serve(s.handler, secretOrder(key, "1009"))
	return w, <-s.kept
}

// secretOrder returns a request of which a record hides the caller and a part of the body.
func secretOrder(key, order string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/orders", strings.NewReader(`{"order": `+order+`, "card": "4111111111111111"}`))
	r.Header.Set(HeaderKey, key)
	r.Header.Set("Authorization", "Bearer very-secret-token")
	r.Header.Set("Content-Type", "application/json")
	return r
}

// resume resumes a record.
func (s *shop) resume(of *record.Execution) (*execution.Report, *record.Execution) {
	s.t.Helper()
	report, err := s.rec.ResumeHTTP(s.t.Context(), &record.Bundle{Execution: of}, s.inner, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return report, <-s.kept
}

// checkReplay replays a record without the store and without effects.
func (s *shop) checkReplay(of *record.Execution) {
	s.t.Helper()
	s.memory.fail(errors.New("a replay asked the store"))
	defer s.memory.fail(nil)
	charges, mails := s.charges.Load(), s.mails.Load()
	report, err := s.rec.ReplayHTTP(s.t.Context(), &record.Bundle{Execution: of}, s.inner, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if report.Outcome != execution.OutcomeSame || len(report.Live) > 0 || s.charges.Load() != charges || s.mails.Load() != mails {
		s.t.Errorf("replay of %d: %v\n%s", of.HTTPStatus, report, report.Text(nil))
	}
}

func (s *shop) checkEffects(charges, mails int32) {
	s.t.Helper()
	if s.charges.Load() != charges || s.mails.Load() != mails {
		s.t.Errorf("%d charges, %d mails, want %d, %d", s.charges.Load(), s.mails.Load(), charges, mails)
	}
}

// TestReplaysAnswerAsTheStoreDid is N5.
func TestReplaysAnswerAsTheStoreDid(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.fails.Store(true)
	w, failed := s.send("key")
	if w.Header().Get(HeaderStatus) != "failed" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	s.fails.Store(false)
	s.hold, s.holding = make(chan struct{}), make(chan struct{})
	go s.handler.ServeHTTP(httptest.NewRecorder(), secretOrder("key", "1009"))
	<-s.holding
	inProgress := <-s.sent("key", 409)
	close(s.hold)
	created := <-s.kept
	s.hold = nil
	replayed := <-s.sent("key", 201)
	other := serve(s.handler, secretOrder("key", "1010"))
	check(t, other, 422, "mismatch", isMismatch)
	mismatch := <-s.kept
	s.memory.fail(errors.New("the disk is gone"))
	down := <-s.sent("key", 503)
	s.checkEffects(2, 1)
	for _, of := range []*record.Execution{failed, inProgress, created, replayed, mismatch, down} {
		s.checkReplay(of)
	}
}

// sent sends an order, checks the status of the answer, and returns where its record comes.
func (s *shop) sent(key string, status int) <-chan *record.Execution {
	s.t.Helper()
	if w := serve(s.handler, secretOrder(key, "1009")); w.Code != status {
		s.t.Errorf("%d %s, want %d", w.Code, w.Body, status)
	}
	return s.kept
}

func TestAResumeEndsARequestOnce(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.fails.Store(true)
	_, failed := s.send("key")
	s.fails.Store(false)
	report, resumed := s.resume(failed)
	if report.Outcome != execution.OutcomeFixed {
		t.Errorf("%v\n%s", report, report.Text(nil))
	}
	s.checkEffects(1, 1)
	w, replayed := s.send("key")
	if w.Code != 201 || w.Header().Get(HeaderStatus) != "replayed" || !strings.HasPrefix(w.Body.String(), `{"charge": 1,`) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	check(t, serve(s.handler, secretOrder("key", "1010")), 422, "mismatch", isMismatch) // the key stays bound to the request
	<-s.kept
	s.checkEffects(1, 1)
	for _, of := range []*record.Execution{failed, resumed, replayed} {
		s.checkReplay(of)
	}
}

// TestAResumeFindsWhatTheClientDid is N5: the client was faster than the operator.
func TestAResumeFindsWhatTheClientDid(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.fails.Store(true)
	_, failed := s.send("key")
	s.fails.Store(false)
	s.send("key")
	s.checkEffects(2, 1) // the client does not know of a record
	report, resumed := s.resume(failed)
	if report.Outcome != execution.OutcomeFixed || resumed.HTTPStatus != http.StatusCreated {
		t.Errorf("%v\n%s", report, report.Text(nil))
	}
	s.checkEffects(2, 1)
	s.checkReplay(resumed)
}

func TestAResumeDoesNotGetInTheWay(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.fails.Store(true)
	_, failed := s.send("key")
	s.fails.Store(false)
	s.hold, s.holding = make(chan struct{}), make(chan struct{})
	go s.handler.ServeHTTP(httptest.NewRecorder(), secretOrder("key", "1009"))
	<-s.holding
	report, resumed := s.resume(failed)
	if !resumed.Status.Failed() || resumed.HTTPStatus != http.StatusConflict {
		t.Errorf("%v: %s, %d", report, resumed.Status, resumed.HTTPStatus)
	}
	close(s.hold)
	if other := <-s.kept; other.Status != record.StatusOK {
		t.Errorf("the other ended with %s", other.Status)
	}
	s.hold = nil
	s.checkEffects(2, 1)
	s.checkReplay(resumed)
	again, _ := s.resume(failed)
	if again.Outcome != execution.OutcomeFixed {
		t.Errorf("%v", again)
	}
	s.checkEffects(2, 1)
}

func TestAResumeIsResumed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.fails.Store(true)
	_, whole := s.send("key")
	for range 2 {
		report, failed := s.resume(whole)
		if report.Outcome != execution.OutcomeSame && report.Outcome != execution.OutcomeFailed {
			t.Errorf("%v\n%s", report, report.Text(nil))
		}
		s.checkReplay(failed)
		whole = execution.Inherit(failed, whole)
	}
	s.fails.Store(false)
	report, last := s.resume(whole)
	if report.Outcome != execution.OutcomeFixed {
		t.Errorf("%v\n%s", report, report.Text(nil))
	}
	s.checkReplay(last)
	s.send("key")
	s.checkEffects(1, 1)
}

// TestRecordsTellTheEntryAndNotThePayload checks that rules leave the names alone that a resume needs, and that a record has no hash
// of a body with secrets in it, by which they could be guessed.
func TestRecordsTellTheEntryAndNotThePayload(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, x := s.send("key")
	payload := payloadOf(secretOrder("key", "1009"), []byte(`{"order": 1009, "card": "4111111111111111"}`))
	data := record.Append(nil, x)
	for _, secret := range []string{"4111111111111111", "very-secret-token", fmt.Sprintf("%x", payload), string(payload)} {
		if strings.Contains(string(data), secret) {
			t.Errorf("the record has %q", secret)
		}
	}
	redactor := redact.Default().Redactor([]byte("key"))
	for i := range 2000 {
		name, revision := nameOf(nil, "caller", fmt.Sprint(i)), newRevision()
		cp := record.Checkpoint{
			Boundary: boundary, Shape: shapeBegin, Request: record.Payload{Data: fmt.Appendf(nil, `{"entry":%q}`, name)},
			Response: record.Payload{Data: fmt.Appendf(nil, `{"outcome":"begun","entry":%q,"revision":%q}`, name, revision)},
		}
		redactor.Checkpoint(&cp)
		if !strings.Contains(string(cp.Request.Data), name) || !strings.Contains(string(cp.Response.Data), revision) {
			t.Fatalf("%s %s", cp.Request.Data, cp.Response.Data)
		}
	}
}

// TestARecordWithoutKeyRunsAgainWithoutOne has records of a handler that knew no keys.
func TestARecordWithoutKeyRunsAgainWithoutOne(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.fails.Store(true)
	serve(s.rec.Middleware(http.HandlerFunc(s.order)), secretOrder("key", "1009"))
	failed := <-s.kept
	s.checkReplay(failed)
	s.fails.Store(false)
	report, resumed := s.resume(failed)
	if report.Outcome != execution.OutcomeFixed || len(s.memory.entries) != 0 {
		t.Errorf("%d entries, %v\n%s", len(s.memory.entries), report, report.Text(nil))
	}
	s.checkEffects(1, 1)
	s.checkReplay(resumed)
}

// TestRecallTakesNothingFromDamagedRecords cuts and changes what records have of verdicts.
func TestRecallTakesNothingFromDamagedRecords(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		data := []byte(rapid.SampledFrom([]string{
			`{"outcome":"replayed","answer":{"status":201,"header":{"A":["b"]},"body":"text"}}`,
			`{"outcome":"begun","entry":"00ff","revision":"A"}`,
			`{"answer":{"body":{"base64":"AP8=","bytes":9,"sha256":"","truncated":true}}}`,
		}).Draw(t, "record"))
		at := rapid.IntRange(0, len(data)-1).Draw(t, "at")
		to := rapid.IntRange(at, len(data)).Draw(t, "to")
		data = slices.Replace(data, at, to, rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "with")...)
		var v verdict
		err := v.recall(&record.Checkpoint{Response: record.Payload{Data: data}})
		if err != nil && !errors.Is(err, execution.ErrDiverged) {
			t.Errorf("%q: %v", data, err)
		}
		if err == nil && v.Recorded != nil && (v.Answer.Status != v.Recorded.Status || v.Recorded.Body.Truncated) {
			t.Errorf("%q: %+v", data, v.Answer)
		}
	})
}
