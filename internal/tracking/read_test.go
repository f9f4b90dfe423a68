package tracking

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/message"
)

// The tests of this file follow the Flux Capacitor protocol's checklist, whose numbers they give.

// 55
func TestReadOfAnEmptyLogAnswersAtTheDeadline(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.open(tracker("a"), 500*time.Millisecond, nil)
		<-a.done
		b := a.now(t)
		w.wantMessages(b)
		w.wantSegments(b, 0, 128)
		if a.after != 500*time.Millisecond || b.Last != nil || !b.CaughtUp {
			t.Errorf("after %s: last %v, caught up %v", a.after, b.Last, b.CaughtUp)
		}
	})
}

// 56
func TestReadWithoutWaitAnswersAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.open(tracker("a"), 0, nil).now(t)
	})
}

// 57
func TestWaitingReadIsAnsweredByAnAppend(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a := w.open(tracker("a"), time.Minute, nil)
		if a.answered() {
			t.Fatal("answered without messages")
		}
		want := w.append(7)
		w.wantMessages(a.now(t), want...)
	})
}

// 58 to 60
func TestNewConsumerStarts(t *testing.T) {
	for name, test := range map[string]struct {
		last func(all []message.Index) *message.Index
		want int // messages left out
	}{
		"one second ago": {func([]message.Index) *message.Index { return nil }, 2},
		"at the beginning": {func([]message.Index) *message.Index {
			from := message.Beginning
			return &from
		}, 0},
		"after an index":       {func(all []message.Index) *message.Index { return &all[0] }, 1},
		"in the middle of one": {func(all []message.Index) *message.Index { return &all[2] }, 3},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				all := w.append(1, 2)
				<-time.After(1500 * time.Millisecond)
				all = append(all, w.append(3, 4)...)
				<-time.After(900 * time.Millisecond)
				tr := tracker("a")
				tr.Last = test.last(all)
				w.wantMessages(w.read(tr), all[test.want:]...)
			})
		})
	}
}

// The protocol has a hole here: what is appended to the half that a second tracker is given must not be passed over.
func TestSegmentsOfALateTrackerStartWhereTheConsumerStarted(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		first := w.append(3, 100)
		b := w.read(tracker("a"))
		w.wantMessages(b, first...)
		w.must(w.StorePosition(w.ctx, public, orders, message.SegmentRange{Start: 0, End: 64}, first[1]))
		late := w.open(tracker("b"), time.Minute, nil)
		w.open(tracker("a"), time.Minute, nil)
		w.wantMessages(late.now(t), first[1])
	})
}

// 61
func TestStoredPositionRules(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		all := w.append(1, 2, 3)
		w.store(orders, Batch{Segments: message.AllSegments, Last: &all[1]})
		w.wantMessages(w.read(tracker("a")), all[2])
	})
}

// 62
func TestClientControlledIndexRules(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		all := w.append(1, 2, 3)
		w.store(orders, Batch{Segments: message.AllSegments, Last: &all[2]})
		tr := tracker("a")
		tr.ClientControlled, tr.Last = true, &all[0]
		b := w.read(tr)
		w.wantMessages(b, all[1:]...)
		if want := message.NewPosition(message.AllSegments, all[0]); !b.Position.Equal(want) {
			t.Errorf("position %s, want %s", b.Position, want)
		}
		if got := w.read(tr); len(indexes(t, got.Chunks)) != 2 {
			t.Error("asked again from the same index, it got something else")
		}
	})
}

func TestClientControlledTrackerWithoutIndexMissesNothingBetweenRequests(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tr := tracker("a")
		tr.ClientControlled, tr.Last = true, nil
		w.wantMessages(w.readFor(tr, 0))
		want := w.append(1)
		<-time.After(5 * time.Second)
		w.wantMessages(w.read(tr), want...)
	})
}

// 63
func TestSingleTrackerStartsAfterTheLargerIndex(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		all := w.append(1, 2, 3)
		tr := tracker("a")
		tr.Single = true
		w.store(orders, Batch{Segments: message.AllSegments, Last: &all[0]})
		w.wantMessages(w.read(tr), all[1:]...)
		tr.Last = &all[1]
		w.wantMessages(w.read(tr), all[2])
	})
}

// 64 to 67 and 69; what the position does by itself is tested in its package
func TestPositionOfSomeSegments(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		all := w.append(1, 100, 2, 101)
		low := message.SegmentRange{Start: 0, End: 64}
		if got := w.position(orders); got != "[]" {
			t.Errorf("position of an unknown consumer is %s", got)
		}
		w.store(orders, Batch{Segments: low, Last: &all[3]})
		w.store(orders, Batch{Segments: low, Last: &all[0]})
		if want := message.NewPosition(low, all[3]).String(); w.position(orders) != want {
			t.Errorf("position %s, want %s", w.position(orders), want)
		}
		w.wantMessages(w.read(tracker("a")), all[1], all[3])
	})
}

// 68
func TestResetWakesAWaitingTracker(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		all := w.append(1, 2)
		w.store(orders, w.read(tracker("a")))
		a := w.open(tracker("a"), time.Minute, nil)
		w.must(w.ResetPosition(w.ctx, public, orders, message.Beginning))
		w.wantMessages(a.now(t), all...)
	})
}

func TestResetIntoTheFuture(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.must(w.ResetPosition(w.ctx, public, orders, message.IndexAt(time.Now().Add(time.Hour))))
		a := w.open(tracker("a"), 2*time.Hour, nil)
		w.append(1)
		if synctest.Wait(); a.answered() {
			t.Fatal("got a message from before the reset's time")
		}
		<-time.After(61 * time.Minute)
		want := w.append(2)
		w.wantMessages(a.now(t), want...)
	})
}

// 70, 71, 74
func TestBatchSaysWhereItIs(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		all := w.append(1, 2, 3, 4, 5)
		tr := tracker("a")
		tr.MaxSize = 2
		for i, caughtUp := range []bool{false, false, true} {
			b := w.read(tr)
			end := min(2*i+2, len(all))
			w.wantMessages(b, all[2*i:end]...)
			if *b.Last != all[end-1] || b.CaughtUp != caughtUp {
				t.Errorf("batch %d: last %d, caught up %v", i, *b.Last, b.CaughtUp)
			}
			before := message.Beginning
			if i > 0 {
				before = all[2*i-1]
			}
			if want := message.NewPosition(message.AllSegments, before); !b.Position.Equal(want) {
				t.Errorf("batch %d: position %s, want %s", i, b.Position, want)
			}
			w.store(orders, b)
		}
	})
}

func TestBatchIsCutByBytes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var all []message.Index
		for i := range 10 {
			all = append(all, w.append(i, i, i)...)
		}
		tr := tracker("a")
		tr.MaxBytes = 1
		for i := range 10 {
			b := w.read(tr)
			w.wantMessages(b, all[3*i:3*i+3]...)
			w.store(orders, b)
		}
	})
}

// 72
func TestRejectedMessagesArePassed(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		tr := tracker("a")
		tr.TypeFilter = "other"
		var last message.Index
		for range 5 {
			last = w.append(make([]int, 1000)...)[999]
		}
		a := w.open(tr, time.Minute, nil)
		if a.answered() {
			t.Fatal("answered without a message")
		}
		w.wantPosition(last)
		w.append(1) // is examined, but it is too early to store that
		w.wantPosition(last)
		<-time.After(2 * time.Second)
		last = w.append(1)[0]
		w.wantPosition(last)
		last = w.append(1)[0]
		<-a.done
		if b := a.now(t); b.Last == nil || *b.Last != last || !b.CaughtUp {
			t.Errorf("last %v, want %d", b.Last, last)
		}
	})
}

func (w *world) wantPosition(last message.Index) {
	w.t.Helper()
	synctest.Wait()
	if want := message.NewPosition(message.AllSegments, last).String(); w.position(orders) != want {
		w.t.Errorf("position %s, want %s", w.position(orders), want)
	}
}

// 73
func TestOldRejectedMessagesAreAnsweredAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		last := w.append(1, 2, 3)[2]
		<-time.After(time.Minute)
		tr := tracker("a")
		tr.TypeFilter = "other"
		b := w.open(tr, 30*time.Second, nil).now(t)
		w.wantMessages(b)
		if b.Last == nil || *b.Last != last || b.CaughtUp {
			t.Errorf("last %v, caught up %v", b.Last, b.CaughtUp)
		}
		w.store(orders, b)
		if w.open(tr, 30*time.Second, nil).answered() {
			t.Error("examined again what was rejected")
		}
	})
}

// A reset must be stronger than what was left out by filters before it.
func TestResetForgetsWhatFiltersRejected(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		rejected := w.append(1)
		tr := tracker("a")
		tr.TypeFilter = "other"
		a := w.open(tr, time.Minute, nil)
		w.wantPosition(rejected[0])
		w.must(w.ResetPosition(w.ctx, public, orders, message.Beginning))
		synctest.Wait()
		tr.TypeFilter = ""
		w.wantMessages(w.read(tr), rejected...)
		a.now(t)
	})
}

// 77 to 79
func TestTypeFilterOfARead(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		all := w.appendTo(events,
			message.Message{Type: "com.example.UserCreated"}, message.Message{Type: "com.example.UserCreatedX"}, message.Message{},
		)
		tr := tracker("a")
		tr.TypeFilter = ".*Created"
		w.wantMessages(w.read(tr), all[0], all[2])
	})
}

// 80, 81
func TestTargets(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		target := func(segment int32, to string) message.Message {
			return message.Message{Routed: true, Segment: segment, Target: to}
		}
		waiting := w.open(tracker("b"), time.Minute, nil) // so that a is given the first half
		tr := tracker("a")
		tr.FilterTarget = true
		open := w.open(tr, time.Minute, nil)
		w.wantRanges("a 0-64 b 64-128")
		sent := w.appendTo(events,
			target(100, "a"), target(1, "client of a"), target(100, "client of a"), target(1, "other"), target(1, ""), target(100, ""))
		w.wantMessages(open.now(t), sent[0], sent[1], sent[4])
		w.wantMessages(waiting.now(t), sent[0], sent[2], sent[5]) // does not look at targets
	})
}

// A message for this very tracker lies in a segment that others have passed.
func TestMessageForATrackerIsNotPassedByOthers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := tracker("a"), tracker("b")
		a.FilterTarget, b.FilterTarget = true, true
		other := w.open(b, time.Minute, nil)
		first := w.open(a, time.Minute, nil)
		w.append(1) // makes a busy
		first.now(t)
		sent := w.appendTo(events, message.Message{Routed: true, Segment: 100, Target: "a"}, message.Message{Routed: true, Segment: 100})
		batch := other.now(t)
		w.wantMessages(batch, sent[1])
		w.store(orders, batch)
		w.store(orders, Batch{Segments: message.SegmentRange{Start: 0, End: 64}, Last: at(sent[0] - 1)})
		w.wantMessages(w.read(a), sent[0])
	})
}

// 82
func TestIgnoreSegmentGetsEverything(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		a, b := tracker("a"), tracker("b")
		a.IgnoreSegment, b.IgnoreSegment = true, true
		x, y := w.open(a, time.Minute, nil), w.open(b, time.Minute, nil)
		w.wantRanges("a 0-64 b 64-128")
		sent := w.append(1, 100)
		w.wantMessages(x.now(t), sent...)
		w.wantMessages(y.now(t), sent...)
	})
}

// 83, 98
func TestNotificationsGoToAll(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		sent := w.append(1, 100)
		w.wantMessages(w.read(tracker("a")), sent...)
		for _, id := range []string{"a", "b"} {
			tr := tracker(id)
			tr.Log = notifications
			open := w.open(tr, time.Minute, nil)
			if id == "b" {
				tr.ID = "a"
				w.open(tr, time.Minute, nil) // comes back, which leaves b its half
			}
			w.wantMessages(open.now(t), sent...)
		}
		if c := (position.Consumer{Log: notifications, Name: orders.Name}); w.position(c) != "[]" {
			t.Errorf("stored %s", w.position(c))
		}
	})
}

func TestBadTrackersAreRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for name, breakIt := range map[string]func(*Tracker){
			"no id":         func(t *Tracker) { t.ID = "" },
			"long id":       func(t *Tracker) { t.ID = string(make([]byte, 600)) },
			"no consumer":   func(t *Tracker) { t.Consumer = "" },
			"no topic":      func(t *Tracker) { t.Log.Type = message.Custom },
			"filter":        func(t *Tracker) { t.TypeFilter = "a(" },
			"size":          func(t *Tracker) { t.MaxSize = -1 },
			"bytes":         func(t *Tracker) { t.MaxBytes = -1 },
			"weight":        func(t *Tracker) { t.Weight = -1 },
			"purge timeout": func(t *Tracker) { t.PurgeTimeout = -1 },
		} {
			tr := tracker("a")
			breakIt(&tr)
			_, err := w.Read(w.ctx, tr, 0, nil)
			_, errOpen := w.Open(w.ctx, tr, 1)
			_, errClaim := w.Claim(w.ctx, tr, 0, nil)
			for _, err := range []error{err, errOpen, errClaim} {
				if !errors.Is(err, ErrBadTracker) {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		if len(w.Service.mu.clusters) > 0 {
			t.Error("a bad tracker became a member")
		}
	})
}

func TestTrackerThatCannotStartIsNoMember(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(w.ctx)
		cancel()
		if _, err := w.Open(ctx, tracker("a"), 1); !errors.Is(err, context.Canceled) {
			t.Errorf("open: %v", err)
		}
		if len(w.Service.mu.clusters) > 0 {
			t.Error("it is a member")
		}
	})
}
