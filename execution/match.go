package execution

import (
	"sync"

	"github.com/flux-go/flux/execution/record"
)

// Level is how well a recorded operation fits the one that asks for it.
type Level int

// The levels of matching, from the best.
const (
	LevelNone   Level = iota // nothing in the record fits
	LevelExact               // same lane, same request, in its place
	LevelMoved               // same lane, same request, at another place in the order
	LevelLane                // same request, in another lane
	LevelRepeat              // same request, a read whose record was used before
	LevelShape               // same boundary, target and shape, another request
)

// A slot is a checkpoint of the record that is replayed, and what became of it.
type slot struct {
	cp   *record.Checkpoint
	used bool
}

// matcher finds the checkpoint that answers an operation. Operations match by what they ask, never by where they stand in a
// list, so that a log line, a clock read or a call more or less does not shift the others.
type matcher struct {
	of    *record.Execution
	reuse bool // reads may be answered twice from one checkpoint
	loose bool // reads may be answered by a checkpoint of another request

	conductor *conductor // of a replay that keeps an order; nil otherwise

	mu      sync.Mutex
	slots   []slot
	byHash  map[record.Hash][]*slot
	byShape map[shape][]*slot
	latest  map[string]*record.Checkpoint // per lane, of those used, the one that started last
}

type shape struct{ boundary, target, shape string }

func newMatcher(of *record.Execution, opts *ReplayOptions) *matcher {
	m := &matcher{
		of: of, reuse: opts.ReuseReads, loose: opts.Loose,
		slots: make([]slot, len(of.Checkpoints)), byHash: make(map[record.Hash][]*slot, len(of.Checkpoints)),
		byShape: make(map[shape][]*slot), latest: make(map[string]*record.Checkpoint),
	}
	for i := range of.Checkpoints {
		s := &m.slots[i]
		s.cp = &of.Checkpoints[i]
		m.byHash[s.cp.Hash] = append(m.byHash[s.cp.Hash], s)
		key := shape{s.cp.Boundary, s.cp.Target, s.cp.Shape}
		m.byShape[key] = append(m.byShape[key], s)
	}
	return m
}

// match finds the checkpoint for an operation and marks it used. near is one of the same shape that was not used, for the
// report, when nothing fits.
func (m *matcher) match(lane string, op Op, hash record.Hash) (cp *record.Checkpoint, level Level, near *record.Checkpoint) {
	return m.matchUnit(noUnit, lane, op, hash)
}

// Which checkpoints may answer, beside those of one transaction of the record.
const (
	noUnit  = "*"  // all
	anyUnit = "tx" // those of transactions
)

// matchUnit is match among the checkpoints of a transaction of the record.
func (m *matcher) matchUnit(unit, lane string, op Op, hash record.Hash) (cp *record.Checkpoint, level Level, near *record.Checkpoint) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, level := m.sameRequest(unit, lane, op, hash); s != nil {
		if op.Effect == record.EffectNone {
			level = LevelExact // where it stands says nothing: see unused
		}
		return m.use(lane, s, level), level, nil
	}
	for _, s := range m.byShape[shape{op.Boundary, op.Target, op.Shape}] {
		if s.used || !isOf(unit, s.cp) {
			continue
		}
		if m.loose && !op.Effect.Writes() && !s.cp.Effect.Writes() {
			return m.use(lane, s, LevelShape), LevelShape, nil
		}
		return nil, LevelNone, s.cp
	}
	return nil, LevelNone, nil
}

// sameRequest looks among the checkpoints of the same request: in the lane, then in others, then among used reads. A write in
// another lane fits only when there is no choice.
func (m *matcher) sameRequest(unit, lane string, op Op, hash record.Hash) (*slot, Level) {
	var elsewhere, repeat *slot
	others := 0
	for _, s := range m.byHash[hash] {
		switch {
		case !fits(s.cp, op), !isOf(unit, s.cp):
		case s.used:
			repeat = s
		case s.cp.Lane == lane:
			return s, m.place(lane, s.cp)
		default:
			others++
			if elsewhere == nil {
				elsewhere = s
			}
		}
	}
	if elsewhere != nil && (others == 1 || !op.Effect.Writes()) {
		return elsewhere, LevelLane
	}
	if repeat != nil && m.reuse && !op.Effect.Writes() {
		return repeat, LevelRepeat
	}
	return nil, LevelNone
}

func isOf(unit string, cp *record.Checkpoint) bool {
	return unit == noUnit || unit == anyUnit && cp.Transaction != "" || unit == cp.Transaction
}

// fits guards X3 against a hash that is wrong in a damaged or forged record.
func fits(cp *record.Checkpoint, op Op) bool {
	return cp.Boundary == op.Boundary && cp.Target == op.Target && cp.Shape == op.Shape && cp.Effect == op.Effect
}

// place says whether a checkpoint comes in its turn: no other of its lane was used that had started only after it was over.
func (m *matcher) place(lane string, cp *record.Checkpoint) Level {
	if last := m.latest[lane]; last != nil && last.Number > cp.Number && last.Start >= cp.Start+cp.Duration {
		return LevelMoved
	}
	return LevelExact
}

func (m *matcher) use(lane string, s *slot, level Level) *record.Checkpoint {
	s.used = true
	if last := m.latest[lane]; level != LevelRepeat && s.cp.Effect != record.EffectNone && (last == nil || s.cp.Number > last.Number) {
		m.latest[lane] = s.cp
	}
	return s.cp
}

// unused returns the checkpoints that nothing asked for, writes first. Those without effect say nothing: whether a statement is
// prepared depends on what a pool did before.
func (m *matcher) unused() []*record.Checkpoint {
	m.mu.Lock()
	defer m.mu.Unlock()
	var writes, reads []*record.Checkpoint
	for i := range m.slots {
		switch s := &m.slots[i]; {
		case s.used, s.cp.Effect == record.EffectNone:
		case s.cp.Effect.Writes():
			writes = append(writes, s.cp)
		default:
			reads = append(reads, s.cp)
		}
	}
	return append(writes, reads...)
}

// source returns the values that the record has for a lane.
func (m *matcher) source(kind record.SourceKind, lane string) []byte {
	for i := range m.of.Sources {
		if s := &m.of.Sources[i]; s.Kind == kind && s.Lane == lane {
			return s.Values
		}
	}
	return nil
}

// RecordedTarget returns the target under which a replayed record knows a system: that of the program when the record has it or
// has none, and otherwise the only one of the boundary. A replay mostly runs where addresses are others.
func (x *Execution) RecordedTarget(boundary, own string) string {
	if x == nil || x.matcher == nil {
		return own
	}
	only := ""
	for i := range x.matcher.of.Checkpoints {
		cp := &x.matcher.of.Checkpoints[i]
		switch {
		case cp.Boundary != boundary:
		case cp.Target == own, only != "" && only != cp.Target:
			return own
		default:
			only = cp.Target
		}
	}
	if only == "" {
		return own
	}
	return only
}

// Of returns the record that is replayed or resumed, nil for an execution that is only recorded. It must not be changed.
func (x *Execution) Of() *record.Execution {
	if x == nil || x.matcher == nil {
		return nil
	}
	return x.matcher.of
}
