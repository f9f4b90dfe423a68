package idempotent

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

const (
	modelLease = 10 * time.Second
	modelTTL   = 60 * time.Second
)

// A step is one thing that happens to a handler: a request begins, one that is under way ends, or time goes by.
type step struct {
	Request string // its key, its caller and its path, one letter each; "" for none
	Ends    int    // which of those under way, modulo their number
	How     int    // status that it ends with, 0 for a panic
	Wait    time.Duration
}

// modelEntry is what the handler ought to know of a key and a caller.
type modelEntry struct {
	state          State
	path           string
	holder         int // attempt that has it, or had it last
	lease, expires time.Time
}

// modelled are a handler and its model. Attempts are numbered; the answer of one is its number.
type modelled struct {
	t       *testing.T
	handler http.Handler
	purge   func()
	entries map[string]*modelEntry
	next    int
	running []*modelAttempt
	failure string
}

type modelAttempt struct {
	number int
	id     string        // of the entry
	end    chan int      // the status
	over   chan struct{} // closed when it is answered
	answer *httptest.ResponseRecorder
}

// TestTheHandlerDoesWhatTheModelDoes is N1 to N4, for random requests, ends and times.
func TestTheHandlerDoesWhatTheModelDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		steps := rapid.SliceOfN(rapid.Custom(drawStep), 1, 40).Draw(rt, "steps")
		var failure string
		synctest.Test(t, func(t *testing.T) { failure = runModel(t, steps) })
		if failure != "" {
			rt.Fatal(failure)
		}
	})
}

func drawStep(t *rapid.T) step {
	switch rapid.IntRange(0, 5).Draw(t, "kind") {
	case 0, 1, 2:
		return step{Request: rapid.StringMatching("[kl][ab][pq]").Draw(t, "request")}
	case 3, 4:
		return step{Ends: rapid.IntRange(0, 3).Draw(t, "which"), How: rapid.SampledFrom([]int{200, 201, 404, 500, 503, 0}).Draw(t, "how")}
	}
	return step{Wait: rapid.SampledFrom([]time.Duration{time.Second, modelLease / 2, modelLease, modelTTL}).Draw(t, "wait")}
}

func runModel(t *testing.T, steps []step) string {
	store := newMemory()
	m := &modelled{t: t, entries: make(map[string]*modelEntry), purge: func() { _, _ = store.Purge(t.Context()) }}
	m.handler = Handler(http.HandlerFunc(m.serve), store, &Config{Lease: modelLease, TTL: modelTTL})
	for i, s := range steps {
		switch {
		case s.Request != "":
			m.request(s.Request)
		case s.Wait > 0:
			<-time.After(s.Wait)
			m.purge()
		case len(m.running) > 0:
			m.end(s.Ends%len(m.running), s.How)
		}
		if m.failure != "" {
			m.failure = fmt.Sprintf("step %d: %s", i, m.failure)
			break
		}
	}
	for len(m.running) > 0 {
		m.running[0].end <- http.StatusOK
		<-m.running[0].over
		m.running = m.running[1:]
	}
	return m.failure
}

type modelKey struct{}

func (m *modelled) serve(w http.ResponseWriter, r *http.Request) {
	a := r.Context().Value(modelKey{}).(*modelAttempt)
	a.number = m.next
	m.next++
	m.running = append(m.running, a)
	status := <-a.end
	if status == 0 {
		panic("as the test wants it")
	}
	w.WriteHeader(status)
	fmt.Fprint(w, a.number)
}

// request sends a request and compares what becomes of it.
func (m *modelled) request(text string) {
	a := &modelAttempt{id: text[:2], end: make(chan int), over: make(chan struct{}), answer: httptest.NewRecorder(), number: -1}
	r := httptest.NewRequest(http.MethodPost, "/"+text[2:], nil)
	r.Header.Set(HeaderKey, text[:1])
	r.Header.Set("Authorization", text[1:2])
	r = r.WithContext(context.WithValue(r.Context(), modelKey{}, a))
	go func() {
		defer close(a.over)
		defer func() { _ = recover() }()
		m.handler.ServeHTTP(a.answer, r)
	}()
	synctest.Wait()
	e, now := m.entries[a.id], time.Now()
	switch {
	case e == nil || !now.Before(e.expires):
		m.begins(a, text[2:])
	case e.path != text[2:]:
		m.expect(a, http.StatusUnprocessableEntity, "mismatch", "")
	case e.state == Done:
		m.expect(a, 0, "replayed", strconv.Itoa(e.holder))
	case e.state == Running && now.Before(e.lease):
		m.expect(a, http.StatusConflict, "in-progress", "")
	default:
		m.begins(a, text[2:])
	}
}

func (m *modelled) begins(a *modelAttempt, path string) {
	if a.number < 0 {
		m.failure = fmt.Sprintf("the request did not begin: %d %v", a.answer.Code, a.answer.Header())
		return
	}
	now := time.Now()
	m.entries[a.id] = &modelEntry{Running, path, a.number, now.Add(modelLease), now.Add(modelTTL)}
}

// end ends an attempt and compares what its client gets.
func (m *modelled) end(i, status int) {
	a := m.running[i]
	m.running = append(m.running[:i:i], m.running[i+1:]...)
	a.end <- status
	<-a.over
	e, failed := m.entries[a.id], status == 0 || status >= 500
	own := e.holder == a.number && time.Now().Before(e.expires)
	if own {
		e.expires = time.Now().Add(modelTTL)
	}
	switch {
	case own && failed:
		e.state = Failed
	case own:
		e.state = Done
	}
	switch {
	case status == 0: // the client gets nothing
	case own && failed, failed && (e.state != Done || !time.Now().Before(e.expires)):
		m.expect(a, status, "failed", strconv.Itoa(a.number))
	case own:
		m.expect(a, status, "created", strconv.Itoa(a.number))
	case e.state == Done && time.Now().Before(e.expires):
		m.expect(a, 0, "replayed", strconv.Itoa(e.holder))
	default:
		m.expect(a, http.StatusConflict, "in-progress", "")
	}
}

// expect compares an answer. Status 0 and body "" stand for any.
func (m *modelled) expect(a *modelAttempt, status int, how, body string) {
	select {
	case <-a.over:
	default:
		m.failure = "a request began that ought not to: want " + how
		return
	}
	w := a.answer
	if how != w.Header().Get(HeaderStatus) || status > 0 && w.Code != status || body != "" && w.Body.String() != body {
		m.failure = fmt.Sprintf("%d %s %q, want %d %s %q", w.Code, w.Header().Get(HeaderStatus), w.Body, status, how, body)
	}
}
