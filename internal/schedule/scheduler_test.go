package schedule

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/message"
)

// inWorld runs a test in a bubble of its own time.
func inWorld(t *testing.T, test func(t *testing.T, w *world)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, vfs.NewMem())
		defer func() { w.stop() }()
		test(t, w)
	})
}

// wait lets time pass, and all that happens meanwhile.
func wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// The tests that give numbers follow the checklist of the Flux Capacitor protocol.

// 114, 115
func TestMessagesAppearAtTheirTime(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		due := time.Now().Add(2 * time.Second)
		w.put("a", due)
		w.put("b", due.Add(time.Hour))
		wait(2*time.Second - time.Millisecond)
		w.wantLog()
		wait(time.Millisecond)
		if got := w.wantLog("a"); got[0].index != message.IndexAt(due) {
			t.Errorf("index is of %s, want %s", got[0].index.Time(), due)
		}
		wait(time.Hour)
		w.wantLog("a", "b")
	})
}

// An earlier one wakes the scheduler, which sleeps until a later one.
func TestEarlierSchedulesAreNotLate(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		start := time.Now()
		w.put("late", start.Add(700*time.Millisecond))
		wait(10 * time.Millisecond)
		w.put("early", start.Add(20*time.Millisecond))
		wait(10 * time.Millisecond)
		w.wantLog("early")
		wait(time.Second)
		w.wantLog("early", "late")
	})
}

// 116
func TestSchedulesInThePastAppearAtOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.put("first", time.Now())
		synctest.Wait()
		before := w.wantLog("first")[0].index
		wait(time.Second)
		now := message.IndexAt(time.Now())
		w.put("past 1", time.Now().Add(-time.Hour))
		w.put("past 2", time.UnixMilli(-5))
		wait(pause)
		got := w.wantLog("first", "past 1", "past 2")
		if got[1].index < now || got[0].index != before {
			t.Errorf("indexes are %v; it is %d", got, now)
		}
	})
}

// 117
func TestSchedulesOfOneMillisecondHaveTheirOwnIndexes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const n = 3*maxBatch + 10
		due := time.Now().Add(time.Minute)
		var want []string
		var ops []engine.Operation
		for i := range n {
			id := fmt.Sprintf("%05d", i)
			want = append(want, id)
			ops = append(ops, newPut(t, id, due, w.clock.now(), id))
		}
		propose(t, w.engine, ns, ops...)
		wait(time.Minute)
		for i, f := range w.wantLog(want...) {
			if f.index != message.IndexAt(due)+message.Index(i) {
				t.Fatalf("message %d has index %d, which is of %s", i, f.index, f.index.Time())
			}
		}
	})
}

// 118 to 121
func TestSchedulesAreReplacedKeptAndCanceled(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		now, s := time.Now(), New(w.engine)
		w.put("moved", now.Add(time.Second))
		propose(t, w.engine, ns, newPut(t, "moved", now.Add(3*time.Second), now, "moved again"))
		w.put("kept", now.Add(2*time.Second))
		other := newPut(t, "kept", now.Add(time.Second), now, "other")
		other.IfAbsent = true
		propose(t, w.engine, ns, other)
		w.put("gone", now.Add(time.Second))
		gone, unknown := &Cancel{ID: "gone"}, &Cancel{ID: "unknown"}
		propose(t, w.engine, ns, gone, unknown)
		if other.Stored || !gone.Canceled || unknown.Canceled {
			t.Errorf("stored %v, canceled %v and %v", other.Stored, gone.Canceled, unknown.Canceled)
		}
		pending, ok, err := s.Get(ns, "moved")
		if err != nil || !ok || !pending.Due.Equal(now.Add(3*time.Second)) {
			t.Fatalf("pending %v (%v, %v)", pending, ok, err)
		}
		m, err := pending.Message()
		if err != nil || string(m.Payload) != "moved again" || m.Index != message.IndexAt(pending.Due) {
			t.Errorf("message %v (%v)", m, err)
		}
		wait(2 * time.Second)
		w.wantLog("kept")
		w.put("kept", time.Now().Add(2*time.Second)) // as its handler may do
		wait(time.Second)
		w.wantLog("kept", "moved again")
		if _, ok, err := s.Get(ns, "moved"); ok || err != nil {
			t.Errorf("still pending after it fired: %v (%v)", ok, err)
		}
		wait(time.Second)
		w.wantLog("kept", "moved again", "kept")
	})
}

// 122
func TestPendingSchedulesSurviveARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		w := newWorld(t, fs)
		start := time.Now()
		w.put("during", start.Add(time.Minute))
		w.put("after", start.Add(time.Hour))
		w.stop()
		<-time.After(10 * time.Minute)
		w.start(fs)
		synctest.Wait()
		got := w.wantLog("during")
		// A consumer that began a moment ago has a position of one second before. It must find the message.
		if began := message.IndexAt(time.Now().Add(-time.Second)); got[0].index <= began {
			t.Errorf("an overdue message has index %d, before %d where consumers begin", got[0].index, began)
		}
		wait(time.Hour)
		w.wantLog("during", "after")
		w.stop()
		w.start(fs)
		wait(time.Hour)
		w.wantLog("during", "after")
		w.stop()
	})
}

// TestWhatBecomesDueSoonAfterFiresTogether has a message due every millisecond. The first fires when it is due, the others no
// more than a pause later, several in a commit.
func TestWhatBecomesDueSoonAfterFiresTogether(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const n = 40
		start := time.Now().Add(time.Second)
		for i := range n {
			w.put(fmt.Sprint(i), start.Add(time.Duration(i)*time.Millisecond))
		}
		commits, seen := 0, 0
		w.engine.Subscribe(func(events []any) {
			commits++
			for _, event := range events {
				a := event.(messagelog.Appended)
				for index := a.Entry.First; index <= a.Entry.Last; index++ {
					due := start.Add(time.Duration(seen) * time.Millisecond)
					if late := time.Since(due); late < 0 || late > pause || seen == 0 && late > 0 {
						t.Errorf("message %d is %s late", seen, late)
					}
					seen++
				}
			}
		})
		wait(2 * time.Second)
		if seen != n || commits > n/4+1 {
			t.Errorf("%d messages in %d commits, want %d in a quarter of that", seen, commits, n)
		}
	})
}

func TestAJumpAheadIsNoticedWithinASecond(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.put("a", time.Now().Add(time.Hour))
		wait(time.Minute)
		w.clock.jump(2 * time.Hour)
		wait(maxSleep)
		got := w.wantLog("a")
		if now := w.clock.now(); got[0].index.Time().Before(now.Add(-maxSleep)) {
			t.Errorf("index is of %s, but it fired at %s", got[0].index.Time(), now)
		}
	})
}

func TestAfterAJumpBackSchedulesWaitForTheClock(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.put("before", w.clock.now())
		synctest.Wait()
		w.clock.jump(-time.Hour)
		w.put("at once", w.clock.now().Add(-time.Minute))
		w.put("soon", w.clock.now().Add(10*time.Second))
		wait(pause)
		w.wantLog("before", "at once")
		wait(10*time.Second - time.Millisecond - pause)
		w.wantLog("before", "at once")
		wait(time.Millisecond)
		got := w.wantLog("before", "at once", "soon")
		for i := 1; i < len(got); i++ {
			if got[i].index <= got[i-1].index {
				t.Errorf("indexes %v do not increase", got)
			}
		}
	})
}

func TestNamespacesFireApart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		now := time.Now()
		for i := range 3 {
			in := message.Namespace(fmt.Sprint("ns", i))
			propose(t, w.engine, in, newPut(t, "same id", now.Add(time.Duration(i)*time.Second), now, string(in)))
		}
		propose(t, w.engine, "ns1", &Cancel{ID: "same id"})
		wait(time.Minute)
		for i, want := range []int{1, 0, 1} {
			in := message.Namespace(fmt.Sprint("ns", i))
			if got := log(t, w.engine, in); len(got) != want || want == 1 && got[0].payload != string(in) {
				t.Errorf("log of %s has %v", in, got)
			}
		}
	})
}

// spoil is an operation that damages the message of a schedule.
type spoil struct {
	due int64
	id  string
}

func (s spoil) SizeBytes() int { return 0 }
func (s spoil) Apply(tx *engine.Tx) error {
	tx.Set(dueKey(tx.Namespace(), s.due, s.id), []byte("damaged"))
	return nil
}

func TestANamespaceThatCannotFireHoldsUpNoOther(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		due := time.Now().Add(time.Second)
		propose(t, w.engine, "bad", newPut(t, "a", due, time.Now(), "a"), spoil{due.UnixMilli(), "a"})
		w.put("a", due)
		w.put("b", due.Add(time.Millisecond))
		wait(time.Second + pause)
		w.wantLog("a", "b")
		propose(t, w.engine, "bad", newPut(t, "a", due, time.Now(), "repaired"))
		wait(maxSleep)
		if got := log(t, w.engine, "bad"); len(got) != 1 {
			t.Errorf("the namespace that was repaired has %v", got)
		}
	})
}

func TestBadSchedulesAreRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		now, one := time.Now(), block(t, "x")
		for _, id := range []string{"", "a\x00", strings.Repeat("x", MaxIDLen+1)} {
			if _, err := NewPut(id, now, now, one); !errors.Is(err, ErrBadID) {
				t.Errorf("put of %.10q: %v, want ErrBadID", id, err)
			}
			err := w.engine.Propose(t.Context(), &engine.Transaction{Namespace: ns, Operations: []engine.Operation{&Cancel{ID: id}}})
			if !errors.Is(err, ErrBadID) {
				t.Errorf("cancel of %.10q: %v, want ErrBadID", id, err)
			}
		}
		if _, err := NewPut("a", now.AddDate(5000, 0, 0), now, one); !errors.Is(err, ErrBadTime) {
			t.Errorf("put in 5000 years: %v, want ErrBadTime", err)
		}
		for _, blocks := range [][]byte{nil, append(one[:len(one):len(one)], one...)} {
			if _, err := NewPut("a", now, now, blocks); !errors.Is(err, ErrNotOne) {
				t.Errorf("put of %d bytes of blocks: %v, want ErrNotOne", len(blocks), err)
			}
		}
		if _, err := NewPut("a", now, now, []byte("nonsense")); !errors.Is(err, message.ErrNotBlock) {
			t.Errorf("put of nonsense: %v, want ErrNotBlock", err)
		}
	})
}
