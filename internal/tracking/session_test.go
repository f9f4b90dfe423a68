package tracking

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/message"
)

// stream is a session whose batches are received as they come.
type stream struct {
	*Session
	w       *world
	batches chan Batch
	err     error // once batches is closed
}

func (w *world) stream(t Tracker, window int) *stream {
	w.t.Helper()
	session, err := w.Open(w.ctx, t, window)
	w.must(err)
	s := &stream{Session: session, w: w, batches: make(chan Batch, 100)}
	w.requests.Go(func() {
		defer close(s.batches)
		for {
			b, err := session.Next(w.ctx)
			if err != nil {
				s.err = err
				return
			}
			s.batches <- b
		}
	})
	synctest.Wait()
	return s
}

// next returns the batch that is there.
func (s *stream) next() Batch {
	s.w.t.Helper()
	synctest.Wait()
	select {
	case b, ok := <-s.batches:
		if !ok {
			s.w.t.Fatal(s.err)
		}
		return b
	default:
		s.w.t.Fatal("no batch")
		return Batch{}
	}
}

func (s *stream) wantNone() {
	s.w.t.Helper()
	synctest.Wait()
	select {
	case b, ok := <-s.batches:
		if !ok {
			s.w.t.Fatal(s.err)
		}
		s.w.t.Fatalf("batch %d of messages %d", b.ID, indexes(s.w.t, b.Chunks))
	default:
	}
}

func (s *stream) wantEnd(want error) {
	s.w.t.Helper()
	synctest.Wait()
	select {
	case b, ok := <-s.batches:
		if ok {
			s.w.t.Fatalf("batch %d", b.ID)
		}
		if !errors.Is(s.err, want) {
			s.w.t.Fatalf("ended with %v, want %v", s.err, want)
		}
	default:
		s.w.t.Fatal("goes on")
	}
}

func (s *stream) handled(id uint64) {
	s.w.t.Helper()
	s.w.must(s.Handled(id, false))
	synctest.Wait()
}

func TestSessionGivesOutAWindowOfBatches(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.stream(tracker("a"), 2)
		var sent []message.Index
		for i := range 4 {
			sent = append(sent, w.append(i)...)
		}
		before := message.Beginning
		for i := range 2 {
			b := s.next()
			w.wantMessages(b, sent[i])
			if want := message.NewPosition(message.AllSegments, before); !b.Position.Equal(want) || b.ID != uint64(i+1) {
				t.Errorf("batch %d after position %s, want %s", b.ID, b.Position, want)
			}
			before = sent[i]
		}
		s.wantNone()
		s.handled(2)
		w.wantPosition(sent[1])
		if id := <-s.Stored(); id != 2 {
			t.Errorf("stored through batch %d", id)
		}
		w.wantMessages(s.next(), sent[2:]...)
		if err := s.Handled(5, false); !errors.Is(err, ErrBadTracker) {
			t.Errorf("batch from the future handled: %v", err)
		}
		s.handled(1)
		w.wantPosition(sent[1])
	})
}

// Entries that are smaller than a batch make one together.
func TestSessionPutsBlocksTogether(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var sent []message.Index
		for range 10 {
			sent = append(sent, w.append(1, 2, 3)...)
		}
		tr := tracker("a")
		tr.MaxSize = 12
		s := w.stream(tr, 3)
		for i := 0; i < 30; i += 12 {
			b := s.next()
			end := min(i+12, 30)
			w.wantMessages(b, sent[i:end]...)
			if b.CaughtUp != (end == 30) {
				t.Errorf("caught up at %d: %v", end, b.CaughtUp)
			}
		}
	})
}

func TestSessionsShareEvenlyWhenOneJoins(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		first := w.append(1, 50, 100)
		a := w.stream(tracker("a"), 1)
		w.wantMessages(a.next(), first...)
		b := w.stream(tracker("b"), 1)
		more := w.append(1, 50, 100)
		a.wantNone()
		b.wantNone()
		w.wantRanges("a 0-128* b -")
		a.handled(1)
		w.wantMessages(a.next(), more[0], more[1])
		w.wantMessages(b.next(), more[2])
		w.wantRanges("a 0-64* b 64-128*")
	})
}

// Nobody has anything in hand, so a third one gets its share without anybody having to do anything.
func TestIdleSessionsGiveUpSegmentsAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, id := range []string{"b", "c", "a"} {
			w.stream(tracker(id), 1)
		}
		w.wantRanges("a 0-42 b 42-85 c 85-128")
		w.read(tracker("d"))
	})
}

func TestSlowSessionDoesNotStopTheOthers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.stream(tracker("a"), 1), w.stream(tracker("b"), 1)
		w.append(1, 100)
		a.next()
		b.next()
		c := w.stream(tracker("c"), 1)
		a.handled(1)
		more := w.append(1, 45, 70, 100)
		w.wantMessages(a.next(), more[0])
		c.wantNone() // waits for b to give up what it is to have
		<-time.After(patience + time.Millisecond)
		w.wantRanges("a 0-42* b 64-128* c 42-64*")
		w.wantMessages(c.next(), more[1])
		a.handled(2)
		c.handled(1)
		b.handled(1) // comes back at last, and everybody gets what is even
		w.wantRanges("a 0-42 b 42-85* c 85-128*")
		w.wantMessages(b.next(), more[2])
		w.wantMessages(c.next(), more[3])
	})
}

func TestSessionsGetWeightedShares(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		heavy := tracker("a")
		heavy.Weight = 3
		w.stream(heavy, 1)
		w.stream(tracker("b"), 1)
		w.wantRanges("a 0-96 b 96-128")
	})
}

func TestSegmentsOfAClosedSessionMoveAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := w.stream(tracker("a"), 4), w.stream(tracker("b"), 4)
		sent := w.append(1, 100)
		w.wantMessages(a.next(), sent[0])
		w.wantMessages(b.next(), sent[1])
		a.Close()
		a.wantEnd(ErrLeft)
		b.wantNone()
		b.handled(1)
		w.wantMessages(b.next(), sent[0])
		w.wantRanges("b 0-128*")
		if err := a.Handled(1, false); !errors.Is(err, ErrLeft) {
			t.Errorf("handled after close: %v", err)
		}
	})
}

func TestSessionAndLongPollsAreOneConsumer(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.stream(tracker("a"), 4)
		poll := w.open(tracker("b"), time.Minute, nil)
		w.wantRanges("a 0-64 b 64-128")
		sent := w.append(1, 100)
		w.wantMessages(s.next(), sent[0])
		w.wantMessages(poll.now(t), sent[1])
		s.Close()
		next := w.open(tracker("b"), time.Minute, nil)
		w.wantMessages(next.now(t), sent...) // b has not stored its own
	})
}

// A long poll that comes back while a session is uneven makes it come back too.
func TestSessionBalancesWithLongPolls(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.append(1)
		w.read(tracker("b"))
		s := w.stream(tracker("a"), 4)
		w.wantRanges("a - b 0-128*")
		w.store(orders, Batch{Segments: message.AllSegments, Last: at(w.append(2)[0])})
		w.open(tracker("b"), time.Minute, nil)
		w.wantRanges("a 0-64 b 64-128")
		s.wantNone()
	})
}

func TestSessionIsReplacedByItsLikes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		sent := w.append(1)
		older := w.stream(tracker("a"), 1)
		older.next()
		newer := w.stream(tracker("a"), 1)
		older.wantEnd(ErrReplaced)
		w.wantMessages(newer.next(), sent...)
		w.wantMessages(w.read(tracker("a")), sent...)
		newer.wantEnd(ErrReplaced)
		poll := w.open(tracker("b"), time.Minute, nil)
		b := w.stream(tracker("b"), 1)
		w.wantMessages(poll.now(t))
		older.Close() // must not remove the others
		b.wantNone()
		w.wantRanges("a 0-128* b -")
	})
}

func TestSessionThatHoldsABatchTooLongIsPurged(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tr := tracker("a")
		tr.PurgeTimeout = time.Second
		s := w.stream(tr, 2)
		<-time.After(time.Minute) // idle is not too long
		w.append(1)
		s.next()
		<-time.After(900 * time.Millisecond)
		s.handled(1)
		w.append(1)
		s.next()
		<-time.After(900 * time.Millisecond)
		s.wantNone()
		<-time.After(500 * time.Millisecond)
		s.wantEnd(ErrPurged)
		w.wantRanges("")
	})
}

func TestResetMakesASessionStartOver(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.stream(tracker("a"), 2)
		var sent []message.Index
		for range 3 {
			sent = append(sent, w.append(1)...)
		}
		s.next()
		s.next()
		w.must(w.ResetPosition(w.ctx, public, orders, message.Beginning))
		s.handled(1) // from before the reset, and so not stored
		w.wantPosition(message.Beginning)
		s.wantNone()
		s.handled(2)
		w.wantPosition(message.Beginning)
		w.wantMessages(s.next(), sent...)
	})
}

// The reset is on disk before the session hears of it.
func TestResetWinsOverAStoreUnderWay(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.stream(tracker("a"), 2)
		sent := append(w.append(1), w.append(1)...)
		s.next()
		s.handled(1)
		s.next()
		tx := &engine.Transaction{Namespace: public, Operations: []engine.Operation{&position.Reset{Consumer: orders, Last: message.Beginning}}}
		w.must(w.engine.Submit(w.ctx, tx, func(error) {}))
		w.must(s.Handled(2, false))
		w.wantPosition(message.Beginning)
		w.wantMessages(s.next(), sent...)
	})
}

func TestPositionRaisedByOthersDoesNotStopTheSession(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.stream(tracker("a"), 1)
		w.append(1)
		s.next()
		skipped := w.append(1)
		w.store(orders, Batch{Segments: message.SegmentRange{Start: 0, End: 7}, Last: &skipped[0]})
		s.handled(1)
		if id := <-s.Stored(); id != 1 {
			t.Errorf("stored through batch %d", id)
		}
		s.wantNone()
		sent := w.append(1)
		w.wantMessages(s.next(), sent...)
	})
}

// The client stores the positions itself, expecting the one that came with the batch.
func TestPositionKeptByTheClient(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tr := tracker("a")
		tr.TypeFilter = "e"
		s := w.stream(tr, 2)
		reject := func() { w.appendTo(events, message.Message{Type: "other"}) }
		for range 3 {
			reject()
			sent := w.append(1)
			reject()
			<-time.After(3 * time.Second) // so that the session may store what it rejected
			b := s.next()
			w.wantMessages(b, sent...)
			w.must(w.engine.Propose(w.ctx, &engine.Transaction{Namespace: public, Operations: []engine.Operation{
				&position.Store{Consumer: orders, Segments: b.Segments, Last: *b.Last, If: &b.Position},
			}}))
			w.must(s.Handled(b.ID, true))
			<-time.After(3 * time.Second)
		}
		last := w.append(1)
		s.next()
		w.must(s.Handled(4, true)) // without a position: the next session gets it again
		s.Close()
		w.wantMessages(w.stream(tr, 1).next(), last...)
	})
}

func TestSessionStoresNowAndThenWhatItRejects(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tr := tracker("a")
		tr.TypeFilter = "other"
		s := w.stream(tr, 1)
		first := w.append(1)
		w.wantPosition(first[0])
		last := w.append(1)
		w.wantPosition(first[0])
		<-time.After(storeInterval)
		w.wantPosition(last[0])
		s.wantNone()
	})
}

func TestClientControlledSessionGoesOnWhereItIs(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tr := tracker("a")
		tr.ClientControlled, tr.IgnoreSegment = true, true
		s := w.stream(tr, 4)
		sent := w.append(1, 100)
		w.wantMessages(s.next(), sent...)
		other := w.stream(tracker("b"), 4)
		w.must(s.Handled(1, true))
		w.wantMessages(other.next(), sent[1])
		s.wantNone() // not again, with its new range
		sent = w.append(100)
		w.wantMessages(s.next(), sent...)
		w.must(w.ResetPosition(w.ctx, public, orders, message.Beginning))
		s.handled(2)
		s.wantNone()
	})
}

func TestSingleSessionIsFollowedByAnother(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		single := func(id string) Tracker {
			tr := tracker(id)
			tr.Single = true
			return tr
		}
		b := w.stream(single("b"), 1)
		a := w.stream(single("a"), 1)
		w.wantRanges("a - b 0-128")
		sent := w.append(1, 100)
		w.wantMessages(b.next(), sent...)
		b.Close()
		w.wantMessages(a.next(), sent...)
	})
}

func TestSessionEndsWhenThePositionCannotBeStored(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s := w.stream(tracker("a"), 1)
		w.append(1)
		s.next()
		w.must(w.engine.Close())
		s.handled(1)
		s.wantEnd(engine.ErrClosed)
	})
}

func TestNextEndsWithItsContext(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		s, err := w.Open(w.ctx, tracker("a"), 0)
		w.must(err)
		ctx, cancel := context.WithTimeout(w.ctx, time.Second)
		defer cancel()
		if _, err := s.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		sent := w.append(1)
		b, err := s.Next(w.ctx)
		w.must(err)
		w.wantMessages(b, sent...)
		if _, err := w.Open(w.ctx, tracker("b"), -1); !errors.Is(err, ErrBadTracker) {
			t.Errorf("window of -1: %v", err)
		}
	})
}
