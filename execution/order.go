package execution

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/flux-go/flux/execution/record"
)

// Order is the order in which the operations of a replay get their answers when several are under way.
type Order string

// The orders.
const (
	OrderFast   Order = ""       // each when it is asked for
	OrderStrict Order = "strict" // in which they came when they were recorded
	OrderRandom Order = "random" // one after the other, at random by the seed: to find out what depends on the order
)

const (
	turnTick     = time.Millisecond
	turnPace     = 5 * turnTick // what was longer between two answers is not waited for
	turnPatience = 2000         // ticks without an answer or a question, after which a strict replay is not strict any more
)

// A conductor lets the answers of a replay out one by one, so that what runs side by side goes on in a chosen order. An operation
// waits for its turn in await. In the strict order that is when all have had theirs that came before it in the record, but for
// those that nobody will ask for: their lane has asked for what came after them. When all wait for what does not come, it gives up
// and lets everything pass. Time is counted in ticks, so that a program held by a debugger does not lose its turn.
//
// What a lane does with its answer it does in the few milliseconds before the next lane gets one. On a machine that is too busy
// for that, a strict replay may come out in another order than the record all the same.
type conductor struct {
	order  Order
	random *rand.Rand
	report *reporter

	mu     sync.Mutex
	came   []*record.Checkpoint // that had an answer, in the order of the answers
	states map[*record.Checkpoint]turnState
	asked  map[string]time.Duration // by lane: the latest start of what it asked for
	turns  []*turn                  // that wait
	last   *record.Checkpoint       // that passed
	passed time.Time                // when it did
	moved  time.Time                // when something last was asked for or passed
	moves  int                      // how often something was
	open   bool                     // nothing waits any more
}

type turnState byte

const (
	turnUnasked turnState = iota
	turnWaits
	turnPassed
)

// A turn is an operation that waits for its answer.
type turn struct {
	cp   *record.Checkpoint
	come chan struct{} // closed when it is its turn
}

// newConductor returns nil for OrderFast, which needs none.
func newConductor(of *record.Execution, opts *ReplayOptions, report *reporter) *conductor {
	if opts.Order == OrderFast {
		return nil
	}
	q := &conductor{
		order: opts.Order, random: rand.New(rand.NewPCG(opts.Seed, 0)), report: report,
		states: make(map[*record.Checkpoint]turnState, len(of.Checkpoints)), asked: make(map[string]time.Duration),
	}
	for i := range of.Checkpoints {
		if cp := &of.Checkpoints[i]; cp.Finished > 0 && (cp.Effect != record.EffectNone || cp.Boundary == boundaryTimer) {
			q.came = append(q.came, cp)
		}
	}
	slices.SortFunc(q.came, func(a, b *record.Checkpoint) int { return int(a.Finished) - int(b.Finished) })
	return q
}

// await returns when it is the turn of a checkpoint to answer, or when the context ends.
func (q *conductor) await(ctx context.Context, cp *record.Checkpoint) {
	if q == nil || cp == nil {
		return
	}
	t := &turn{cp, make(chan struct{})}
	if q.ask(t) {
		return
	}
	tick := time.NewTicker(turnTick)
	defer tick.Stop()
	for seen, idle := 0, 0; ; {
		select {
		case <-t.come:
			return
		case <-ctx.Done():
			q.leave(t)
			return
		case <-tick.C:
			idle++
			if moves := q.tick(idle > turnPatience); moves != seen {
				seen, idle = moves, 0
			}
		}
	}
}

// ask takes the place of a turn among those that wait, and reports whether it came at once.
func (q *conductor) ask(t *turn) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open || q.states[t.cp] == turnPassed { // a read may be asked again
		return true
	}
	q.asked[t.cp.Lane] = max(q.asked[t.cp.Lane], t.cp.Start)
	q.turns, q.states[t.cp] = append(q.turns, t), turnWaits
	q.move()
	if q.order == OrderStrict {
		q.strict()
	}
	return q.states[t.cp] == turnPassed
}

func (q *conductor) move() { q.moved, q.moves = time.Now(), q.moves+1 }

// leave is for a turn that nobody waits for any more.
func (q *conductor) leave(t *turn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pass(t)
}

// tick lets pass whose turn it is, all of them when patience is at its end, and returns how often something moved.
func (q *conductor) tick(impatient bool) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.open || len(q.turns) == 0:
	case q.order == OrderRandom:
		if time.Since(q.moved) >= turnTick {
			q.pass(q.turns[q.random.IntN(len(q.turns))])
		}
	case impatient:
		q.report.add(Divergence{Kind: DivergenceReordered, Detail: q.stuck()})
		q.openLocked()
	default:
		q.strict()
	}
	return q.moves
}

// strict lets pass all whose turn it is.
func (q *conductor) strict() {
	for again := true; again; {
		again = false
		for _, t := range slices.Clone(q.turns) {
			if q.awaited(t.cp) == nil && q.paced(t.cp) {
				q.pass(t)
				again = true
			}
		}
	}
}

// awaited returns a checkpoint that is to answer before another one, nil when there is none.
func (q *conductor) awaited(cp *record.Checkpoint) *record.Checkpoint {
	for _, before := range q.came {
		if cp.Finished != 0 && before.Finished >= cp.Finished {
			return nil
		}
		state := q.states[before]
		skipped := state == turnUnasked && q.asked[before.Lane] >= before.Start+before.Duration
		follows := before.Lane == cp.Lane && before.Number >= cp.Number
		if state != turnPassed && !skipped && !follows {
			return before
		}
	}
	return nil
}

// paced says that the last answer, when it went to another lane, has had its time to take effect.
func (q *conductor) paced(cp *record.Checkpoint) bool {
	if q.last == nil || q.last.Lane == cp.Lane {
		return true
	}
	gap := (cp.Start + cp.Duration) - (q.last.Start + q.last.Duration)
	return time.Since(q.passed) >= min(max(gap, turnTick), turnPace)
}

func (q *conductor) pass(t *turn) {
	i := slices.Index(q.turns, t)
	if i < 0 {
		return
	}
	q.turns = slices.Delete(q.turns, i, i+1)
	q.states[t.cp], q.last, q.passed = turnPassed, t.cp, time.Now()
	q.move()
	close(t.come)
}

// stop lets everything pass from now on: the replay is over, or has stopped.
func (q *conductor) stop() {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.openLocked()
}

func (q *conductor) openLocked() {
	q.open = true
	for len(q.turns) > 0 {
		q.pass(q.turns[0])
	}
}

// stuck says who waits for what.
func (q *conductor) stuck() string {
	t := q.turns[0]
	text := fmt.Sprintf("op %d of lane %s waited for its turn", t.cp.Number, t.cp.Lane)
	if before := q.awaited(t.cp); before != nil {
		text += fmt.Sprintf(" after op %d of lane %s, which was not asked for", before.Number, before.Lane)
	}
	return text + "; from here on answers came when they were asked for"
}
