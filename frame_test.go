package flux

import (
	"errors"
	"fmt"
	"testing"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

// heldProducer returns a producer without a sender, so that a test can be the sender.
func heldProducer() *producer {
	p := newProducer(nil, producerLimits{windowBytes: 8 << 20, messageBytes: 1 << 20}, nil)
	p.started.Do(func() { close(p.stopped) })
	return p
}

// put submits a transaction that puts a value of a size.
func put(t *testing.T, p *producer, bytes int) *transaction {
	t.Helper()
	value := &fluxv1.Value{Payload: &fluxv1.Value_Data{Data: make([]byte, bytes)}}
	tx := newTransaction(&fluxv1.Transaction{Values: []*fluxv1.ValuePut{{Key: "key", Value: value}}})
	if err := p.submit(t.Context(), tx, nil); err != nil {
		t.Fatal(err)
	}
	return tx
}

// checkFrame fails the test unless the next frame has so many transactions, from a number on.
func checkFrame(t *testing.T, p *producer, first uint64, n int) *frame {
	t.Helper()
	f := p.next()
	if n == 0 {
		if f != nil {
			t.Fatalf("frame of %d transactions, want none", len(f.transactions))
		}
		return nil
	}
	if f == nil || f.first != first || len(f.transactions) != n {
		t.Fatalf("frame %+v, want %d transactions from number %d on", f, n, first)
	}
	return f
}

// answer has a frame answered as if the server had put all of its values.
func answer(t *testing.T, p *producer, f *frame) {
	t.Helper()
	out := &fluxv1.PublishResponse{Sequence: f.first, Others: int32(len(f.transactions) - 1)}
	for range f.transactions {
		out.FirstIndexes = append(out.FirstIndexes, 1)
	}
	if err := p.land(f.first).settle(out); err != nil {
		t.Fatal(err)
	}
}

func TestSmallTransactionsWaitForCompany(t *testing.T) {
	t.Parallel()
	p := heldProducer()
	put(t, p, 10)
	first := checkFrame(t, p, 1, 1)
	put(t, p, 10)
	second := checkFrame(t, p, 2, 1)
	for range 5 {
		put(t, p, 10)
		checkFrame(t, p, 0, 0) // two frames are under way
	}
	if _, _, err := p.add(t.Context(), message.Log{Type: message.Event}, &message.Message{Type: "t"}, nil); err != nil {
		t.Fatal(err)
	}
	answer(t, p, first)
	f := checkFrame(t, p, 3, 6)
	if f.answeredThrough != 1 || f.transactions[5].changes.GetAppends() == nil {
		t.Errorf("frame %+v, want the message at its end", f)
	}
	answer(t, p, second)
	for range 3 {
		put(t, p, 10)
		checkFrame(t, p, 0, 0) // the frame under way is larger
	}
	for range 5 {
		put(t, p, 10)
	}
	checkFrame(t, p, 9, 8)
	for range 3 {
		put(t, p, collectBytes/3)
	}
	checkFrame(t, p, 17, 2) // much goes at once
	large := put(t, p, 2*collectBytes)
	checkFrame(t, p, 19, 1)
	if f := checkFrame(t, p, 20, 1); f.transactions[0] != large || f.small > 0 {
		t.Errorf("frame %+v, want the large transaction alone", f)
	}
	checkFrame(t, p, 0, 0)
	if p.mu.queued != 0 {
		t.Errorf("%d bytes in an empty queue", p.mu.queued)
	}
}

func TestNoMoreIsInFlightThanTheServerRemembers(t *testing.T) {
	t.Parallel()
	p := heldProducer()
	for range 2 * maxInFlight {
		put(t, p, 100)
	}
	var frames []*frame
	sent := 0
	for f := p.next(); f != nil; f = p.next() {
		frames = append(frames, f)
		sent += len(f.transactions)
	}
	if sent != maxInFlight {
		t.Fatalf("%d transactions are in flight, want %d", sent, maxInFlight)
	}
	answer(t, p, frames[1])
	checkFrame(t, p, 0, 0) // the oldest is not answered
	answer(t, p, frames[0])
	checkFrame(t, p, maxInFlight+1, len(frames[0].transactions))
}

func TestTransactionsOfAFrameAreSettledEachByItsAnswer(t *testing.T) {
	t.Parallel()
	p := heldProducer()
	var sent []*transaction
	for range 4 {
		sent = append(sent, put(t, p, 1))
	}
	f := checkFrame(t, p, 1, 4)
	if got := p.unanswered(); len(got) != 1 || len(got[0].GetOthers()) != 3 || got[0].GetSequence() != 1 {
		t.Errorf("to send again: %v", got)
	}
	refusal := &fluxv1.PublishError{Detail: &fluxv1.ErrorDetail{Code: "conflict"}, Message: "no"}
	err := p.land(1).settle(&fluxv1.PublishResponse{
		Sequence: 1, Others: 3, Error: refusal, FirstIndexes: []int64{7, 8},
		RefusedOthers: []*fluxv1.PublishRefusal{{Sequence: 3, Error: refusal}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"[] true", "[7] false", "[] true", "[8] false"} {
		err := sent[i].wait(t.Context())
		if got := fmt.Sprint(sent[i].firsts, errors.Is(err, ErrConflict)); got != want {
			t.Errorf("transaction %d: %s (%v), want %s", i, got, err, want)
		}
	}
	if again := p.land(1); again != nil || !f.answered || p.mu.unanswered != 0 {
		t.Errorf("answered again: %v; %d bytes are not answered", again, p.mu.unanswered)
	}
}

// TestFrameThatIsNotAnsweredWhollyFails has a server answer that knows of no frames. What it left out was not committed.
func TestFrameThatIsNotAnsweredWhollyFails(t *testing.T) {
	t.Parallel()
	p := heldProducer()
	first, second := put(t, p, 1), put(t, p, 1)
	checkFrame(t, p, 1, 2)
	if err := p.land(1).settle(&fluxv1.PublishResponse{Sequence: 1, FirstIndexes: []int64{1}}); Retryable(err) || !errors.Is(err, ErrInternal) {
		t.Errorf("settled with %v", err)
	}
	if err := first.wait(t.Context()); err != nil {
		t.Errorf("answered transaction: %v", err)
	}
	if err := second.wait(t.Context()); !errors.Is(err, ErrInternal) {
		t.Errorf("transaction without answer: %v", err)
	}
}
