package tracking

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/message"
)

// life is a random life of one consumer, whose trackers are long polls and sessions, beside a model of what it owes to whom.
type life struct {
	*world
	random *rand.Rand
	steps  []string
	// owed has, per segment, the messages that pass the filter and were not delivered, ascending.
	owed [message.Segments][]message.Index
	// sent has all messages that pass the filter, by index.
	sent   map[message.Index]int
	last   message.Index
	resets int
	actors map[string]*actor
}

// actor is a client with one tracker.
type actor struct {
	tracker Tracker
	// kept says that the client stores the position of its session itself.
	kept    bool
	session *stream
	poll    *answer
	// hand has the batches that it has not handled.
	hand []held
}

type held struct {
	batch    Batch
	messages []message.Index
	resets   int
}

const ourType, otherType = "ours", "other"

func TestInvariantsHoldInTheLivesOfConsumers(t *testing.T) {
	t.Parallel()
	for range 25 {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				l := &life{world: w, random: rand.New(rand.NewPCG(seed, 0)), sent: map[message.Index]int{}, actors: map[string]*actor{}}
				l.last = message.Beginning
				for n := range 4000 {
					l.step()
					if n%500 == 499 {
						l.settle()
					}
				}
			})
		})
	}
}

func (l *life) note(format string, args ...any) {
	l.steps = append(l.steps, fmt.Sprintf(format, args...))
}

func (l *life) fail(format string, args ...any) {
	l.t.Helper()
	l.t.Fatalf("%s\nafter\n%s", fmt.Sprintf(format, args...), strings.Join(l.steps[max(0, len(l.steps)-25):], "\n"))
}

// step does one random thing and checks what came of it.
func (l *life) step() {
	id := string(rune('a' + l.random.IntN(6)))
	a := l.actors[id]
	switch n := l.random.IntN(100); {
	case n < 25:
		l.publish()
	case n < 28:
		l.reset()
	case n < 34:
		l.pass(time.Duration(l.random.IntN(300)) * time.Millisecond)
	case n < 36:
		l.pass(3 * time.Second)
	case a == nil:
		l.join(id)
	case n < 42:
		l.leave(id, a)
	case len(a.hand) > 0:
		l.handle(id, a)
	case a.session == nil && a.poll == nil:
		l.poll(id, a)
	}
	l.observe()
}

func (l *life) publish() {
	messages := make([]message.Message, 1+l.random.IntN(6))
	segments := make([]int, len(messages))
	for i := range messages {
		segments[i] = l.random.IntN(message.Segments)
		messages[i] = message.Message{Type: otherType, Routed: true, Segment: int32(segments[i])}
		if l.random.IntN(3) > 0 {
			messages[i].Type = ourType
		}
	}
	for i, index := range l.appendTo(events, messages...) {
		l.last = index
		if messages[i].Type == ourType {
			l.sent[index] = segments[i]
			l.owed[segments[i]] = append(l.owed[segments[i]], index)
		}
	}
	l.note("append through %d to %d", l.last, segments)
}

// reset makes the consumer owe everything after an index, and nothing before.
func (l *life) reset() {
	to := message.Beginning
	if l.last != message.Beginning && l.random.IntN(4) > 0 {
		to = l.last - message.Index(l.random.IntN(200))
	}
	l.note("reset to %d", to)
	l.resets++
	for i := range l.owed {
		l.owed[i] = nil
	}
	for index, segment := range l.sent {
		if index > to {
			l.owed[segment] = append(l.owed[segment], index)
		}
	}
	for i := range l.owed {
		slices.Sort(l.owed[i])
	}
	l.must(l.ResetPosition(l.ctx, public, orders, to))
}

func (l *life) pass(d time.Duration) {
	l.note("%s pass", d)
	<-time.After(d)
}

func (l *life) join(id string) {
	tr := tracker(id)
	tr.TypeFilter, tr.MaxSize, tr.Weight = ourType, 1+l.random.IntN(12), 1+l.random.IntN(3)
	if l.random.IntN(3) == 0 {
		tr.PurgeTimeout = time.Second
	}
	a := &actor{tracker: tr, kept: l.random.IntN(2) == 0}
	l.actors[id] = a
	if l.random.IntN(2) == 0 {
		l.poll(id, a)
		return
	}
	l.note("%s opens a session, kept %v", id, a.kept)
	a.session = l.stream(tr, 1+l.random.IntN(3))
}

func (l *life) poll(id string, a *actor) {
	maxWait := []time.Duration{0, time.Second, time.Hour}[l.random.IntN(3)]
	l.note("%s reads for %s", id, maxWait)
	a.poll = l.open(a.tracker, maxWait, a)
}

func (l *life) leave(id string, a *actor) {
	l.note("%s leaves", id)
	l.drop(a)
	delete(l.actors, id)
	switch {
	case a.session != nil:
		a.session.Close()
	case l.random.IntN(2) == 0:
		l.ConnectionClosed(a)
	default:
		l.Disconnect(public, orders, id, l.random.IntN(2) == 0)
	}
}

// drop makes the consumer owe again what an actor had in hand.
func (l *life) drop(a *actor) {
	for _, h := range a.hand {
		if h.resets != l.resets {
			continue // the reset has done so
		}
		for _, index := range h.messages {
			segment := l.sent[index]
			l.owed[segment] = append(l.owed[segment], index)
			slices.Sort(l.owed[segment])
		}
	}
	a.hand = nil
}

// handle handles some of the batches in hand and stores their position.
func (l *life) handle(id string, a *actor) {
	n := 1 + l.random.IntN(len(a.hand))
	latest := a.hand[n-1]
	l.note("%s handles %d batches through %d", id, n, *latest.batch.Last)
	switch {
	case a.session == nil:
		if latest.resets == l.resets {
			l.store(orders, latest.batch)
		}
	case a.kept:
		for _, h := range a.hand[:n] {
			l.commit(id, h)
		}
		l.must(a.session.Handled(latest.batch.ID, true))
	default:
		l.must(a.session.Handled(latest.batch.ID, false))
	}
	a.hand = a.hand[n:]
}

// commit stores the position after a batch as a transaction does: only if it is the one that came with the batch.
func (l *life) commit(id string, h held) {
	op := &position.Store{Consumer: orders, Segments: h.batch.Segments, Last: *h.batch.Last, If: &h.batch.Position}
	err := l.engine.Propose(l.ctx, &engine.Transaction{Namespace: public, Operations: []engine.Operation{op}})
	if err != nil && (h.resets == l.resets || !errors.Is(err, engine.ErrConflict)) {
		l.fail("%s: position after batch %d: %v", id, h.batch.ID, err)
	}
	if err == nil && h.resets != l.resets { // the reset has changed nothing in these segments
		l.settleUp(h)
	}
}

// settleUp takes what a reset left at the very position it had before as handled.
func (l *life) settleUp(h held) {
	for segment := h.batch.Segments.Start; segment < h.batch.Segments.End; segment++ {
		l.owed[segment] = slices.DeleteFunc(l.owed[segment], func(i message.Index) bool { return i <= *h.batch.Last })
	}
}

// observe waits until nothing moves, takes what was delivered, and checks the invariants.
func (l *life) observe() {
	synctest.Wait()
	known := map[string]bool{}
	if c := l.lookup(clusterID{public, orders}); c != nil {
		for _, t := range c.trackers() {
			known[t.ID] = true
		}
	}
	ids := slices.Sorted(maps.Keys(l.actors))
	for _, id := range ids {
		if a := l.actors[id]; !known[id] { // purged
			l.note("%s was purged", id)
			if a.tracker.PurgeTimeout == 0 {
				l.fail("%s is gone", id)
			}
			l.drop(a)
			if a.session == nil {
				a.poll = nil
			} else {
				delete(l.actors, id)
			}
		}
	}
	for _, id := range ids {
		if a := l.actors[id]; a != nil {
			l.receive(id, a)
		}
	}
	l.check()
}

// receive takes what an actor was given.
func (l *life) receive(id string, a *actor) {
	switch {
	case a.session != nil:
		for len(a.session.batches) > 0 {
			l.deliver(id, a, <-a.session.batches)
		}
	case a.poll != nil && a.poll.answered():
		if a.poll.err != nil {
			l.fail("%s: %v", id, a.poll.err)
		}
		b := a.poll.batch
		a.poll = nil
		if b.Last == nil {
			l.note("%s is answered with nothing", id)
			return
		}
		l.deliver(id, a, b)
	}
}

// deliver checks T2 and T3: a batch has all that is owed up to its last index, and nothing that is not.
func (l *life) deliver(id string, a *actor, b Batch) {
	h := held{b, nil, l.resets}
	for _, m := range decode(l.t, b.Chunks) {
		h.messages = append(h.messages, m.Index)
		segment := int(m.Segment)
		owed := l.owed[segment]
		if m.Type != ourType || !b.Segments.Contains(segment) || len(owed) == 0 || owed[0] != m.Index || m.Index > *b.Last {
			l.fail("%s was given %d of segment %d in a batch of %s through %d; owed there: %d", id, m.Index, segment, b.Segments, *b.Last, owed)
		}
		l.owed[segment] = owed[1:]
	}
	l.note("%s is given %d of %s through %d", id, h.messages, b.Segments, *b.Last)
	l.checkPassed(b.Segments, *b.Last, id)
	a.hand = append(a.hand, h)
}

func (l *life) checkPassed(segments message.SegmentRange, last message.Index, by string) {
	for segment := segments.Start; segment < segments.End; segment++ {
		if owed := l.owed[segment]; len(owed) > 0 && owed[0] <= last {
			l.fail("%s has passed %d of segment %d", by, owed[0], segment)
		}
	}
}

// check checks T1, and that the stored position has passed nothing that is owed or in hand.
func (l *life) check() {
	stored, err := l.positions.Get(public, orders)
	l.must(err)
	var holder [message.Segments]string
	for id, a := range l.actors {
		for _, h := range a.hand {
			for segment := h.batch.Segments.Start; segment < h.batch.Segments.End; segment++ {
				if other := holder[segment]; other != "" && other != id {
					l.fail("T1: %s and %s have messages of segment %d", id, other, segment)
				}
				holder[segment] = id
			}
			if len(h.messages) > 0 && h.resets == l.resets {
				l.checkNotPassed(stored, h.messages[0], id)
			}
		}
	}
	for segments, last := range stored.Ranges() {
		l.checkPassed(segments, last, "the position")
	}
}

func (l *life) checkNotPassed(p message.Position, index message.Index, id string) {
	if segment, ok := l.sent[index]; ok && !p.IsNewIndex(segment, index) {
		l.fail("position %s has passed %d of segment %d, which %s has in hand", p, index, segment, id)
	}
}

// settle has everybody do their work until nothing is owed. It fails when somebody waits for what is owed to him.
func (l *life) settle() {
	for range 2000 {
		busy := false
		for id, a := range l.actors {
			if len(a.hand) > 0 {
				l.handle(id, a)
				busy = true
			} else if a.session == nil && a.poll == nil {
				a.poll = l.open(a.tracker, time.Hour, a)
				busy = true
			}
			l.observe()
		}
		if !busy {
			<-time.After(20 * time.Second)
			l.observe()
			if l.nothingOwed() {
				return
			}
		}
		if len(l.actors) == 0 {
			l.join("z")
			l.observe()
		}
	}
	l.fail("messages are owed: %d, ranges %s", l.owed, l.ranges())
}

func (l *life) nothingOwed() bool {
	for _, owed := range l.owed {
		if len(owed) > 0 {
			return false
		}
	}
	return true
}
