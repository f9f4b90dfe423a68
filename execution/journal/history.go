package journal

import (
	"cmp"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/flux-go/flux/execution/record"
)

// history is what the segments of one writer, read in their order, say.
type history struct {
	ended        []place // executions that ended, in their order, without what is acknowledged
	open         map[record.ID]*openExecution
	over         map[record.ID]bool // ended, so that nothing opens them again
	acknowledged position
	isClosed     bool // the process has closed the journal, so it went on without
	isDamaged    bool // something may be missing in the middle
}

// place is where an execution is in a segment.
type place struct {
	segment uint32
	at, end int64 // of its frame
}

// openExecution is one that has begun and not ended.
type openExecution struct {
	begun       *record.Execution // nil when its begin is missing
	checkpoints map[uint32]record.Checkpoint
	progress    map[time.Duration]*record.Execution // by how long the execution had run
}

func newHistory() *history {
	return &history{open: make(map[record.ID]*openExecution), over: make(map[record.ID]bool)}
}

// read takes in a segment, of which data is the whole file.
func (h *history) read(number uint32, data []byte, isLast bool) {
	torn, damaged := readFrames(data, func(f parsedFrame) { h.take(number, f) })
	h.isDamaged = h.isDamaged || damaged || torn && !isLast
}

func (h *history) take(segment uint32, f parsedFrame) {
	switch f.kind {
	case kindBegin, kindIntent, kindOutcome, kindProgress:
		if !h.over[f.id] {
			h.takeStep(f)
		}
	case kindExecution:
		h.ended = append(h.ended, place{segment, f.at, f.end})
	case kindEnd:
		if len(f.payload) > 0 { // else it was at the server, or dropped
			h.ended = append(h.ended, place{segment, f.at, f.end})
		}
		delete(h.open, f.id)
		h.over[f.id] = true
	case kindAcknowledge:
		if p, ok := parsePosition(f.payload); ok {
			h.acknowledged = p
			h.ended = slices.DeleteFunc(h.ended, func(e place) bool { return p.covers(e.segment, e.end) })
		}
	case kindClosed:
		h.isClosed = true
	case kindLost:
		h.isDamaged = true
	}
}

// takeStep merges: an outcome stays, whatever comes after it. Frames may come twice, see Journal.carry.
func (h *history) takeStep(f parsedFrame) {
	x := h.open[f.id]
	if x == nil {
		x = &openExecution{checkpoints: make(map[uint32]record.Checkpoint), progress: make(map[time.Duration]*record.Execution)}
		h.open[f.id] = x
	}
	var err error
	switch f.kind {
	case kindBegin:
		x.begun, err = record.Decode(f.payload)
	case kindProgress:
		err = x.takeProgress(f)
	default:
		err = x.takeCheckpoint(f)
	}
	h.isDamaged = h.isDamaged || err != nil
}

func (x *openExecution) takeCheckpoint(f parsedFrame) error {
	cp, err := record.DecodeCheckpoint(f.payload)
	if err != nil {
		return err
	}
	if _, known := x.checkpoints[cp.Number]; !known || f.kind == kindOutcome {
		x.checkpoints[cp.Number] = *cp
	}
	return nil
}

func (x *openExecution) takeProgress(f parsedFrame) error {
	p, err := record.Decode(f.payload)
	if err == nil {
		x.progress[p.Duration] = p
	}
	return err
}

// unfinished returns the executions that have no end, in the order they started, as they are to be reported.
func (h *history) unfinished() []*record.Execution {
	status := record.StatusCrashed
	if h.isClosed || h.isDamaged {
		status = record.StatusInterrupted
	}
	var all []*record.Execution
	for id, x := range h.open {
		all = append(all, x.report(id, status))
	}
	slices.SortFunc(all, func(a, b *record.Execution) int {
		return cmp.Or(a.Start.Compare(b.Start), slices.Compare(a.ID[:], b.ID[:]))
	})
	return all
}

// reasons why a recovered execution cannot be replayed as a whole.
const (
	reasonUnfinished = "its process ended before it did: only what was journalled is here"
	reasonNoBegin    = "the beginning of its journal is missing"
)

// report returns the record of an execution that has not ended.
func (x *openExecution) report(id record.ID, status record.Status) *record.Execution {
	out := &record.Execution{ID: id, Replayable: record.Replayable{Reasons: []string{reasonNoBegin}}}
	if x.begun != nil {
		out = x.begun
		out.Replayable.Reasons = append(out.Replayable.Reasons, reasonUnfinished)
	}
	out.Replayable.Level = record.ReplayPartial
	out.Status = status
	out.Kept = cmp.Or(out.Kept, "failed")
	out.Checkpoints = x.merge(out.Checkpoints)
	for _, cp := range out.Checkpoints {
		out.Duration = max(out.Duration, cp.Start+cp.Duration)
	}
	x.proceed(out)
	renumber(out)
	return out
}

// proceed adds what the steps of progress say, in their order.
func (x *openExecution) proceed(out *record.Execution) {
	for _, at := range slices.Sorted(maps.Keys(x.progress)) {
		p := x.progress[at]
		out.Duration = max(out.Duration, at)
		out.Logs, out.Notes = append(out.Logs, p.Logs...), append(out.Notes, p.Notes...)
		for _, s := range p.Sources {
			addSource(out, s)
		}
	}
}

// addSource adds what a source gave. Values of a clock follow those before; others are given whole.
func addSource(out *record.Execution, s record.Source) {
	i := slices.IndexFunc(out.Sources, func(o record.Source) bool { return o.Kind == s.Kind && o.Lane == s.Lane && o.Name == s.Name })
	switch {
	case i < 0:
		out.Sources = append(out.Sources, s)
	case s.Kind == record.SourceClock:
		out.Sources[i].Values = append(out.Sources[i].Values, s.Values...)
	default:
		out.Sources[i].Values = s.Values
	}
}

// renumber makes the checkpoints follow each other, as they do in every record: those that changed nothing and had no outcome yet
// are not in the journal. They are counted as dropped.
func renumber(out *record.Execution) {
	missing := func(number uint32) uint32 { // before the one with that number
		there := sort.Search(len(out.Checkpoints), func(i int) bool { return out.Checkpoints[i].Number >= number })
		return number - uint32(there)
	}
	for i := range out.Logs {
		out.Logs[i].After -= missing(out.Logs[i].After)
	}
	if n := len(out.Checkpoints); n > 0 {
		out.Dropped.Checkpoints += int(missing(out.Checkpoints[n-1].Number))
	}
	for i := range out.Checkpoints {
		out.Checkpoints[i].Number = uint32(i)
	}
}

// merge returns the checkpoints of the begin and those that followed, by number. A write whose outcome is not known is in
// doubt; anything else without an outcome did no harm.
func (x *openExecution) merge(begun []record.Checkpoint) []record.Checkpoint {
	all := make(map[uint32]record.Checkpoint, len(begun)+len(x.checkpoints))
	for _, cp := range begun {
		all[cp.Number] = cp
	}
	maps.Copy(all, x.checkpoints)
	var out []record.Checkpoint
	for _, number := range slices.Sorted(maps.Keys(all)) {
		cp := all[number]
		if cp.State == record.StateIntent && cp.Effect.Writes() {
			cp.State = record.StateInDoubt
		}
		out = append(out, cp)
	}
	return out
}
