package tracking

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/flux-go/flux/message"
)

var results = message.Log{Type: message.Result}

// inbox is what a stream of results has returned.
type inbox struct {
	*Results
	w    *world
	got  []message.Index
	last message.Index
	// step lets the stream go on, when it is not to do so by itself.
	step chan struct{}
}

func (w *world) inbox(client string, after message.Index, slow bool) *inbox {
	w.t.Helper()
	r, err := w.Results(w.ctx, public, results, client, &after)
	w.must(err)
	in := &inbox{Results: r, w: w}
	if slow {
		in.step = make(chan struct{})
	}
	w.requests.Go(func() {
		defer r.Close()
		for in.wait() {
			chunks, last, err := r.Next(w.ctx)
			if err != nil {
				return
			}
			in.got = append(in.got, indexes(w.t, chunks)...)
			in.last = last
		}
	})
	return in
}

func (in *inbox) wait() bool {
	select {
	case <-in.step:
		return true
	case <-in.w.ctx.Done():
		return false
	default:
		if in.step == nil {
			return true
		}
	}
	select {
	case <-in.step:
		return true
	case <-in.w.ctx.Done():
		return false
	}
}

func (in *inbox) want(want []message.Index) {
	in.w.t.Helper()
	synctest.Wait()
	if !slices.Equal(in.got, want) {
		in.w.t.Fatalf("client %s got %d results, want %d: %d, want %d", in.client, len(in.got), len(want), in.got, want)
	}
	if len(want) > 0 && in.last < want[len(want)-1] {
		in.w.t.Fatalf("last %d is before %d", in.last, want[len(want)-1])
	}
}

// answer appends a block of results for the clients, and adds their indexes to sent.
func (w *world) answer(sent map[string][]message.Index, clients ...string) {
	w.t.Helper()
	messages := make([]message.Message, len(clients))
	for i, client := range clients {
		messages[i] = message.Message{Type: "answer", Target: client}
	}
	for i, index := range w.appendTo(results, messages...) {
		sent[clients[i]] = append(sent[clients[i]], index)
	}
}

func TestResultsGoToTheirClients(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		sent := map[string][]message.Index{}
		w.answer(sent, "a", "b", "a", "")
		a, b := w.inbox("a", message.Beginning, false), w.inbox("b", sent["b"][0], false)
		c, again := w.inbox("c", message.Beginning, false), w.inbox("a", sent["a"][0], false)
		w.answer(sent, "a", "a") // for one client only
		w.answer(sent, "b", "c", "", "nobody")
		a.want(sent["a"])
		b.want(sent["b"][1:])
		c.want(sent["c"])
		again.want(sent["a"][1:])
	})
}

func TestResultsSinceASecondAgo(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		sent := map[string][]message.Index{}
		w.answer(sent, "a")
		r, err := w.Results(w.ctx, public, results, "a", nil)
		w.must(err)
		defer r.Close()
		chunks, last, err := r.Next(w.ctx)
		w.must(err)
		if got := indexes(t, chunks); !slices.Equal(got, sent["a"]) || last != sent["a"][0] {
			t.Errorf("got %d through %d, want %d", got, last, sent["a"])
		}
	})
}

// There are too many for the hub to keep, so the client has to read the log, and comes back to the hub after that.
func TestSlowClientMissesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		sent := map[string][]message.Index{}
		slow := w.inbox("a", message.Beginning, true)
		w.answer(sent, "a")
		slow.step <- struct{}{}
		slow.want(sent["a"])
		slow.step <- struct{}{} // now it is live
		large := message.Message{Type: "answer", Target: "a", Payload: make([]byte, maxQueuedBytes/4)}
		for i := range large.Payload {
			large.Payload[i] = byte(rand.Uint32()) // does not compress
		}
		for range 12 {
			sent["a"] = append(sent["a"], w.appendTo(results, large)...)
			synctest.Wait()
		}
		slow.Results.mu.Lock()
		if held := slow.Results.mu.bytes; held > 2*maxQueuedBytes {
			t.Errorf("%d bytes are kept for a slow client", held)
		}
		slow.Results.mu.Unlock()
		for len(slow.got) < len(sent["a"]) {
			select {
			case slow.step <- struct{}{}:
			case <-w.ctx.Done():
			}
			synctest.Wait()
		}
		slow.want(sent["a"])
		slow.step <- struct{}{}
		w.answer(sent, "a")
		slow.want(sent["a"])
	})
}

// Streams begin at random places while results are appended: whatever the moment, there is no gap and no duplicate.
func TestResultsWithoutGapOrDuplicate(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		random := seeded(t, rand.Uint64())
		sent := map[string][]message.Index{}
		type open struct {
			*inbox
			after message.Index
		}
		var streams []open
		for range 300 {
			var clients []string
			for range 1 + random.IntN(8) {
				clients = append(clients, fmt.Sprint("c", random.IntN(4)))
			}
			w.answer(sent, clients...)
			if random.IntN(5) == 0 {
				client := fmt.Sprint("c", random.IntN(4))
				after := message.Beginning
				if past := sent["c0"]; len(past) > 0 && random.IntN(3) > 0 {
					after = past[random.IntN(len(past))] // may lie within a block
				}
				streams = append(streams, open{w.inbox(client, after, false), after})
			}
			if random.IntN(3) == 0 {
				synctest.Wait()
			}
		}
		for _, s := range streams {
			all := sent[s.client]
			first, _ := slices.BinarySearch(all, s.after+1)
			s.want(all[first:])
		}
	})
}

func TestResultsAfterTruncation(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		sent := map[string][]message.Index{}
		w.answer(sent, "a")
		w.truncate(results, sent["a"][0])
		in := w.inbox("a", message.Beginning, false)
		in.want(nil)
		w.answer(sent, "a")
		in.want(sent["a"][1:])
	})
}

func TestBadResultsAreRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		if _, err := w.Results(w.ctx, public, results, "", nil); !errors.Is(err, ErrBadTracker) {
			t.Errorf("no client: %v", err)
		}
		if _, err := w.Results(w.ctx, public, message.Log{Type: message.Custom}, "a", nil); !errors.Is(err, ErrBadTracker) {
			t.Errorf("no topic: %v", err)
		}
	})
}
