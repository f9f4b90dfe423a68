package execution

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/flux-go/flux/execution/record"
)

// Inherit returns what is known when a resume is to be resumed: the record of the resume, x, and what it did not come to ask again
// of the record it resumed, parent. Without that, a resume that ended early would hide what was completed before it. When parent is
// a resume itself, it must be what Inherit returned for it. The result has the id of x; it is to be resumed, not to be kept.
func Inherit(x, parent *record.Execution) *record.Execution {
	later := x.Start.Sub(parent.Start)
	out := *x
	out.Start = parent.Start
	out.Checkpoints = inheritCheckpoints(x.Checkpoints, namedUnits(parent), later)
	out.Sources = inheritSources(x.Sources, parent.Sources, later)
	if len(out.Input.Data) == 0 {
		out.Input = parent.Input
	}
	if parent.Replayable.Level == record.ReplayNone {
		out.Replayable = parent.Replayable
	}
	return &out
}

// question is what makes two checkpoints the same.
type question struct {
	shape
	effect record.Effect
	hash   record.Hash
}

func questionOf(cp *record.Checkpoint) question {
	return question{shape{cp.Boundary, cp.Target, cp.Shape}, cp.Effect, cp.Hash}
}

// inheritCheckpoints puts those of a resume, which started later by a time, in the places of those they repeat, and new ones at
// the end. What is left of a transaction that the resume did again is gone.
func inheritCheckpoints(own, inherited []record.Checkpoint, later time.Duration) []record.Checkpoint {
	out := slices.Clone(inherited)
	places := make(map[question][]int, len(out))
	for i := range out {
		key := questionOf(&out[i])
		places[key] = append(places[key], i)
	}
	redone := make(map[string]bool) // transactions of the parent
	for _, cp := range own {
		key := questionOf(&cp)
		same := places[key]
		cp.Start += later
		if len(same) == 0 {
			out = append(out, cp)
			continue
		}
		places[key] = same[1:]
		before := &out[same[0]]
		switch cp.Provenance {
		case record.ProvenanceRecorded:
		case record.ProvenanceProbed, record.ProvenanceAssumed:
			cp.Transaction = before.Transaction
			*before = cp
		default:
			redone[before.Transaction] = true
			*before = cp
		}
	}
	delete(redone, "")
	out = slices.DeleteFunc(out, func(cp record.Checkpoint) bool { return redone[cp.Transaction] })
	for i := range out {
		out[i].Number = uint32(i)
	}
	return out
}

// namedUnits returns the checkpoints of an execution with its id before the names of their transactions, which are names only
// within one execution: "7c1e…/tx1".
func namedUnits(x *record.Execution) []record.Checkpoint {
	out := slices.Clone(x.Checkpoints)
	for i := range out {
		if unit := out[i].Transaction; unit != "" && !strings.Contains(unit, "/") {
			out[i].Transaction = x.ID.String() + "/" + unit
		}
	}
	return out
}

// unitOf returns the execution that a transaction of a record belongs to, and its name there.
func unitOf(x record.ID, unit string) (record.ID, string) {
	of, name, inherited := strings.Cut(unit, "/")
	if id, err := record.ParseID(of); inherited && err == nil {
		return id, name
	}
	return x, unit
}

// inheritSources returns the sources of the parent, which the resume got too, and what it got beyond.
func inheritSources(own, inherited []record.Source, later time.Duration) []record.Source {
	out := slices.Clone(inherited)
	for _, s := range own {
		i := slices.IndexFunc(out, func(o record.Source) bool { return o.Kind == s.Kind && o.Lane == s.Lane && o.Name == s.Name })
		var before []byte
		if i >= 0 {
			before = out[i].Values
		}
		if s.Kind == record.SourceClock {
			s.Values = inheritClock(s.Values, before, later)
		}
		switch {
		case i < 0:
			out = append(out, s)
		case s.Kind == record.SourceClock:
			out[i] = s
		}
	}
	return out
}

// inheritClock returns all values of the parent's clock, and those of the resume after as many.
func inheritClock(own, inherited []byte, later time.Duration) []byte {
	known := clockValues(inherited)
	given := clock{values: slices.Clone(inherited)}
	if len(known) > 0 {
		given.last = known[len(known)-1]
	}
	for i, since := range clockValues(own) {
		if i >= len(known) {
			given.give(since + later)
		}
	}
	return given.values
}

// clockValues returns the values of a clock, each since the start of its execution.
func clockValues(encoded []byte) (all []time.Duration) {
	at := time.Duration(0)
	for len(encoded) > 0 {
		step, n := binary.Varint(encoded)
		if n <= 0 {
			return all
		}
		encoded = encoded[n:]
		at += time.Duration(step)
		all = append(all, at)
	}
	return all
}
