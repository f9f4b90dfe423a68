package tracking

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/message"
)

// The tests of this file follow the Flux Capacitor protocol's checklist, whose numbers they give.

// 84, 85
func TestWaitingTrackersHaveEvenRanges(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, i := range rand.Perm(3) {
			w.open(tracker(string(rune('a'+i))), time.Minute, nil)
		}
		w.wantRanges("a 0-42 b 42-85 c 85-128")
	})
}

// 85
func TestTrackersBeyondTheSegmentsWaitForThem(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var answers []*answer
		for i := range 130 {
			answers = append(answers, w.open(tracker(fmt.Sprintf("t%03d", i)), time.Minute, nil))
		}
		all := make([]int, message.Segments)
		for i := range all {
			all[i] = i
		}
		sent := w.append(all...)
		for i, a := range answers[:128] {
			w.wantMessages(a.now(t), sent[i])
		}
		for _, a := range answers[128:] {
			<-a.done
			b := a.now(t)
			w.wantMessages(b)
			w.wantSegments(b, 0, 0)
			if !b.Position.Empty() || b.Last != nil || !b.CaughtUp || a.after != time.Minute {
				t.Errorf("answer without segments: %+v after %s", b, a.after)
			}
		}
	})
}

// 86
func TestJoiningTrackerWaitsForTheActiveOne(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		sent := w.append(1, 100)
		w.wantMessages(w.read(tracker("a")), sent...)
		b := w.open(tracker("b"), time.Minute, nil)
		more := w.append(1, 100)
		if synctest.Wait(); b.answered() {
			t.Fatal("b was given messages of a's segments")
		}
		w.wantSegments(w.read(tracker("a")), 0, 64)
		w.wantMessages(b.now(t), sent[1], more[1])
		w.wantSegments(b.now(t), 64, 128)
	})
}

// 87: the life of a cluster. Every tracker finds messages whenever it has segments.
func TestLifeOfACluster(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.append(1, 50, 70, 100)
		reads := func(id string) { w.open(tracker(id), time.Hour, nil) }
		leaves := func(id string) { w.Disconnect(public, orders, id, false) }
		for _, step := range []struct {
			does func(string)
			id   string
			want string
		}{
			{reads, "a", "a 0-128*"},
			{reads, "b", "a 0-128* b -"},
			{reads, "a", "a 0-64* b 64-128*"},
			{reads, "c", "a 0-64* b 64-128* c -"},
			{reads, "a", "a 0-42* b 64-128* c 42-64*"},
			{leaves, "c", "a 0-42* b 42-128*"},
			{leaves, "b", "a 0-128*"},
			{leaves, "a", ""},
		} {
			step.does(step.id)
			w.wantRanges(step.want)
		}
	})
}

// 90, 91
func TestSingleTrackerIsFollowedByAnother(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		single := func(id string) Tracker {
			tr := tracker(id)
			tr.Single = true
			return tr
		}
		sent := w.append(1, 100)
		w.wantMessages(w.read(single("a")), sent...)
		b, c := w.open(single("b"), time.Minute, nil), w.open(single("c"), time.Minute, nil)
		w.wantRanges("a 0-128* b - c -")
		w.Disconnect(public, orders, "a", false)
		w.wantMessages(b.now(t), sent...)
		w.wantRanges("b 0-128* c -")
		<-c.done
		w.wantSegments(c.now(t), 0, 0)
	})
}

// 92, 93, 100
func TestClosedConnectionGivesItsTrackersSegmentsAway(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		sent := w.append(1)
		one, two := new(int), new(int)
		w.open(tracker("a"), time.Minute, one).now(t)         // active
		waiting := w.open(tracker("b"), time.Minute, one)     // waiting, over the same connection
		alternating := w.open(tracker("c"), time.Minute, one) // whose next request comes over another one
		w.open(tracker("c"), time.Minute, two)
		alternating.now(t)
		last := w.open(tracker("d"), time.Minute, two)
		w.ConnectionClosed(one)
		<-waiting.done
		if !errors.Is(waiting.err, ErrLeft) {
			t.Errorf("waiting request: %v", waiting.err)
		}
		w.wantRanges("c 0-64* d 64-128")
		w.ConnectionClosed(two)
		<-last.done
		if !errors.Is(last.err, ErrLeft) || w.ranges() != "" || len(w.Service.mu.connections) > 0 {
			t.Errorf("%v, still there: %s, %d connections", last.err, w.ranges(), len(w.Service.mu.connections))
		}
		w.wantMessages(w.read(tracker("e")), sent...)
		w.ConnectionClosed(one)
	})
}

// 94
func TestDisconnectEndsTheOpenRead(t *testing.T) {
	for _, final := range []bool{true, false} {
		t.Run(fmt.Sprint("final batch ", final), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				a := w.open(tracker("a"), time.Minute, nil)
				w.Disconnect(public, orders, "a", final)
				w.Disconnect(public, orders, "a", final)
				w.Disconnect(public, position.Consumer{Log: events, Name: "unknown"}, "a", final)
				<-a.done
				switch b := a.batch; {
				case final && (a.err != nil || !b.Segments.Empty() || b.Last != nil || !b.Position.Empty() || !b.CaughtUp):
					t.Errorf("final batch %+v, %v", b, a.err)
				case !final && !errors.Is(a.err, ErrLeft):
					t.Errorf("error %v", a.err)
				}
				w.wantRanges("")
			})
		})
	}
}

// 95, 96
func TestTrackerThatDoesNotComeBackIsPurged(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.append(1)
		patient := tracker("a")
		patient.PurgeTimeout = time.Second
		w.read(patient)
		b := w.open(tracker("b"), time.Hour, nil)
		<-time.After(time.Second)
		w.wantRanges("a 0-128* b -")
		<-time.After(2 * purgeInterval)
		w.wantRanges("b 0-128*")
		b.now(t)
		w.open(patient, time.Hour, nil) // waits for longer than it may work
		<-time.After(time.Minute)
		w.wantRanges("a - b 0-128*")
	})
}

// 97
func TestNewerReadReplacesTheOlder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		older := w.open(tracker("a"), time.Minute, nil)
		newer := w.open(tracker("a"), time.Minute, nil)
		w.wantMessages(older.now(t))
		if older.batch.Last != nil || newer.answered() {
			t.Error("the newer request is not the current one")
		}
		sent := w.append(1)
		w.wantMessages(newer.now(t), sent...)
	})
}

func TestReadThatIsGivenUpLeaves(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx, cancel := context.WithTimeout(w.ctx, time.Second)
		defer cancel()
		other := w.open(tracker("b"), time.Hour, nil)
		if _, err := w.Read(ctx, tracker("a"), time.Minute, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		w.wantRanges("b 0-128")
		sent := w.append(1)
		w.wantMessages(other.now(t), sent...)
	})
}

// 98
func TestConsumersOfDifferentLogsAreIndependent(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, log := range []message.Log{
			events, {Type: message.Command}, {Type: message.Custom, Topic: "x"}, {Type: message.Custom, Topic: "y"},
		} {
			sent := w.appendTo(log, inSegments(1, 100)...)
			tr := tracker("a" + log.String())
			tr.Log = log
			b := w.read(tr)
			w.wantMessages(b, sent...)
			w.wantSegments(b, 0, 128)
		}
	})
}

// 99
func TestClaimKeepsSegments(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		sent := w.append(1, 100)
		claim, err := w.Claim(w.ctx, tracker("a"), time.Minute, nil)
		w.must(err)
		if want := message.NewPosition(message.AllSegments, message.Beginning); claim.Segments != message.AllSegments || !claim.Position.Equal(want) {
			t.Errorf("claim %+v", claim)
		}
		b := w.open(tracker("b"), time.Minute, nil)
		w.wantRanges("a 0-128* b -")
		second := make(chan Claim)
		go func() {
			claim, _ := w.Claim(w.ctx, tracker("c"), 3*time.Second, nil)
			second <- claim
		}()
		if claim := <-second; !claim.Segments.Empty() || !claim.Position.Empty() {
			t.Errorf("claim without segments %+v", claim)
		}
		w.Disconnect(public, orders, "c", false)
		w.Disconnect(public, orders, "a", false)
		w.wantMessages(b.now(t), sent...)
	})
}

// 88, 89 and the invariants T1 to T3 in random lives are in model_test.go.

func TestServiceStopsInAnyOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		session, err := w.Open(w.ctx, tracker("a"), 1)
		w.must(err)
		results, err := w.Results(w.ctx, public, events, "client", nil)
		w.must(err)
		ctx, cancel := context.WithCancel(w.ctx)
		ended := make(chan error)
		other := New(w.engine, w.logs, w.positions, Options{})
		go func() { ended <- other.Run(ctx) }()
		again, err := other.Results(w.ctx, public, events, "client", nil)
		w.must(err)
		cancel()
		w.must(<-ended) // with a stream that is still open
		again.Close()
		for range 2 {
			session.Close()
			results.Close()
		}
		if _, err := session.Next(w.ctx); !errors.Is(err, ErrLeft) {
			t.Errorf("closed session: %v", err)
		}
		if _, _, err := results.Next(w.ctx); !errors.Is(err, ErrLeft) {
			t.Errorf("closed results: %v", err)
		}
		if len(w.Service.mu.hubs)+len(w.Service.mu.clusters)+len(w.watches.mu.watchers) > 0 {
			t.Error("something is left")
		}
	})
}
