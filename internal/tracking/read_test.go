package tracking

import (
	"testing"
	"time"
)

// Item 55 of the protocol's checklist, and so on.
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

func TestReadWithoutWaitAnswersAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.open(tracker("a"), 0, nil).now(t)
	})
}

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
