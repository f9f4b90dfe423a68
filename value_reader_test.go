package flux

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

// heldReader returns a reader without a sender, so that a test can be the sender, and the server.
func heldReader() *valueReader {
	c := Config{}.WithDefaults()
	r := newValueReader(&App{config: c, log: c.Logger, ctx: context.Background()})
	r.mu.started = true
	return r
}

// ask has n callers ask for keys that are numbered from first on.
func ask(t interface{ Fatal(...any) }, r *valueReader, first, n int) []*valueRead {
	reads := make([]*valueRead, n)
	for i := range reads {
		reads[i] = &valueRead{key: fmt.Sprint(first + i), done: make(chan struct{}, 1)}
		if err := r.ask(reads[i]); err != nil {
			t.Fatal(err)
		}
	}
	return reads
}

// checkRequest returns the next request, which must have n keys, or not be if n is 0.
func checkRequest(t *testing.T, r *valueReader, n int) *fluxv1.ReadValuesRequest {
	t.Helper()
	request := r.next(func(error) {})
	if got := len(request.GetKeys()); got != n {
		t.Fatalf("request for %d keys, want %d", got, n)
	}
	return request
}

// answerOf returns the answer to n keys of a request behind those that were answered: each has its key as its value.
func answerOf(request *fluxv1.ReadValuesRequest, answered, n int) *fluxv1.ReadValuesResponse {
	out := &fluxv1.ReadValuesResponse{Number: request.GetNumber(), Answered: uint32(answered)}
	for _, key := range request.GetKeys()[answered:][:n] {
		value := &fluxv1.Value{Payload: &fluxv1.Value_Data{Data: []byte(key)}}
		out.Values = append(out.Values, &fluxv1.ReadValue{Value: value})
	}
	return out
}

func TestReadsWaitForCompany(t *testing.T) {
	t.Parallel()
	r := heldReader()
	ask(t, r, 0, 1)
	first := checkRequest(t, r, 1)
	ask(t, r, 1, 3)
	checkRequest(t, r, 3)
	ask(t, r, 4, 5)
	checkRequest(t, r, 0) // two requests are under way
	if _, err := r.land(answerOf(first, 0, 1)); err != nil {
		t.Fatal(err)
	}
	checkRequest(t, r, 5)
	ask(t, r, 9, fullValueFrames*valueFrameKeys)
	for range fullValueFrames - 2 {
		checkRequest(t, r, valueFrameKeys) // many go at once
	}
	checkRequest(t, r, 0)
}

func TestRequestsForValuesAreOfBoundedSize(t *testing.T) {
	t.Parallel()
	r := heldReader()
	for range 100 {
		if err := r.ask(&valueRead{key: strings.Repeat("k", 2000), done: make(chan struct{}, 1)}); err != nil {
			t.Fatal(err)
		}
	}
	checkRequest(t, r, valueFrameBytes/2000)
	if err := r.ask(&valueRead{key: strings.Repeat("k", 2*valueFrameBytes), done: make(chan struct{}, 1)}); err != nil {
		t.Fatal(err)
	}
	checkRequest(t, r, valueFrameBytes/2000)
	r.lost(ErrForbidden)
	ask(t, r, 0, 1)
	checkRequest(t, r, 1)
}

func TestAnswersThatNobodyAskedForEndTheStream(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*fluxv1.ReadValuesResponse){
		"number":   func(a *fluxv1.ReadValuesResponse) { a.Number++ },
		"place":    func(a *fluxv1.ReadValuesResponse) { a.Answered = 1 },
		"too many": func(a *fluxv1.ReadValuesResponse) { a.Values = append(a.Values, a.Values...) },
		"none":     func(a *fluxv1.ReadValuesResponse) { a.Values = nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := heldReader()
			ask(t, r, 0, 3)
			answer := answerOf(checkRequest(t, r, 3), 0, 2)
			change(answer)
			if _, err := r.land(answer); !errors.Is(err, ErrInternal) {
				t.Errorf("landed: %v", err)
			}
		})
	}
}

// readerModel is what a reader must agree with: every read is done once, by an answer to its key, by an error that is final, or
// because it was tried often enough.
type readerModel struct {
	r        *valueReader
	asked    int
	open     map[string]*valueRead // neither done nor taken back
	tries    map[string]int
	requests []*fluxv1.ReadValuesRequest // under way
	answered []int                       // of them
}

func TestReadsAreDoneOnceByTheirAnswer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &readerModel{r: heldReader(), open: make(map[string]*valueRead), tries: make(map[string]int)}
		t.Repeat(map[string]func(*rapid.T){
			"ask":    m.ask,
			"next":   m.next,
			"answer": m.answer,
			"forget": m.forget,
			"lost":   m.lost,
			"":       m.check,
		})
	})
}

func (m *readerModel) ask(t *rapid.T) {
	n := rapid.IntRange(1, 2*valueFrameKeys).Draw(t, "reads")
	for _, read := range ask(t, m.r, m.asked, n) {
		m.open[read.key] = read
	}
	m.asked += n
}

func (m *readerModel) next(*rapid.T) {
	request := m.r.next(func(error) {})
	if request == nil {
		return
	}
	for _, key := range request.GetKeys() {
		m.tries[key]++
	}
	m.requests, m.answered = append(m.requests, request), append(m.answered, 0)
}

func (m *readerModel) answer(t *rapid.T) {
	if len(m.requests) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.requests)-1).Draw(t, "request")
	request, before := m.requests[i], m.answered[i]
	n := rapid.IntRange(1, len(request.GetKeys())-before).Draw(t, "keys")
	reads, err := m.r.land(answerOf(request, before, n))
	if err != nil || len(reads) != n {
		t.Fatalf("answer to %d keys lands as %d reads, %v", n, len(reads), err)
	}
	for j, key := range request.GetKeys()[before:][:n] {
		if reads[j].key != key {
			t.Fatalf("answer to %s went to %s", key, reads[j].key)
		}
		delete(m.open, key)
	}
	if m.answered[i] += n; m.answered[i] == len(request.GetKeys()) {
		m.requests, m.answered = slices.Delete(m.requests, i, i+1), slices.Delete(m.answered, i, i+1)
	}
}

// forget takes back a read that waits.
func (m *readerModel) forget(t *rapid.T) {
	if len(m.r.mu.waiting) == 0 {
		return
	}
	read := rapid.SampledFrom(m.r.mu.waiting).Draw(t, "read")
	m.r.forget(read)
	delete(m.open, read.key)
}

func (m *readerModel) lost(t *rapid.T) {
	err := rapid.SampledFrom([]error{ErrUnavailable, ErrForbidden, errLate(1)}).Draw(t, "error")
	m.r.lost(err)
	m.requests, m.answered = nil, nil
	for key, read := range m.open {
		tries := m.tries[key]
		want := err == ErrForbidden || tries == valueTries || tries > 0 && errors.Is(err, context.DeadlineExceeded)
		select {
		case <-read.done:
			if !want || read.err != err {
				t.Fatalf("%s failed with %v after %d tries, stream with %v", key, read.err, tries, err)
			}
			delete(m.open, key)
		default:
			if want {
				t.Fatalf("%s goes on after %d tries and %v", key, tries, err)
			}
		}
	}
}

func (m *readerModel) check(t *rapid.T) {
	keys := make(map[string]bool)
	for _, read := range m.r.mu.waiting {
		keys[read.key] = true
	}
	flight := 0
	for _, f := range m.r.mu.flight {
		flight += len(f.reads)
		for _, read := range f.reads[f.answered:] {
			keys[read.key] = true
		}
	}
	if flight != m.r.mu.keys || len(keys) != len(m.open) {
		t.Fatalf("%d keys are under way, %d counted; %d reads are there, want %d", flight, m.r.mu.keys, len(keys), len(m.open))
	}
	for key := range m.open {
		if !keys[key] {
			t.Fatalf("the read of %s is lost", key)
		}
	}
}
