// Package tracediff compares two records of executions: how they ended, which operations only one of them did, which went
// another way, and what came out.
//
// Operations are paired lane by lane: first those with the same request, then, in their order, those with the same boundary,
// target and shape. What is left was done by one of the two only. Times count only when they differ so much that a person would
// call it slower.
package tracediff

import (
	"fmt"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// Verdict is the comparison in a word.
type Verdict string

// The verdicts.
const (
	Fixed     Verdict = "FIXED"     // the first failed, the second did not
	Regressed Verdict = "REGRESSED" // the second failed, the first did not
	Changed   Verdict = "CHANGED"
	Identical Verdict = "IDENTICAL"
)

// A Diff is how two executions differ.
type Diff struct {
	Verdict    Verdict                `json:"verdict"`
	A          Side                   `json:"a"`
	B          Side                   `json:"b"`
	Slower     int                    `json:"slower"` // by how many percent B took longer
	Operations []Operation            `json:"operations,omitempty"`
	Input      []execution.Difference `json:"input,omitempty"`
	Output     []execution.Difference `json:"output,omitempty"`
}

// Side is one of the executions.
type Side struct {
	ID         record.ID     `json:"id"`
	Status     record.Status `json:"status"`
	HTTPStatus int           `json:"httpStatus,omitempty"`
	Error      string        `json:"error,omitempty"`
	Duration   time.Duration `json:"duration"`
	Commit     string        `json:"commit,omitempty"`
	Operations int           `json:"operations"`
}

// Kind is how an operation differs.
type Kind string

// The kinds.
const (
	New     Kind = "new"     // only B did it
	Missing Kind = "missing" // only A did it
	Other   Kind = "other"   // both did it, with another request or outcome
	Slower  Kind = "slower"  // both did it, and one took much longer
)

// An Operation is an operation that differs.
type Operation struct {
	Kind     Kind                   `json:"kind"`
	A        *uint32                `json:"a,omitempty"` // number in A
	B        *uint32                `json:"b,omitempty"`
	What     string                 `json:"what"`
	Detail   string                 `json:"detail,omitempty"`
	Request  []execution.Difference `json:"request,omitempty"`
	Response []execution.Difference `json:"response,omitempty"`
}

// Compare compares two executions. Paths of volatile, and those the records declare, may differ.
func Compare(a, b *record.Execution, volatile []string) *Diff {
	volatile = append(append(volatile[:len(volatile):len(volatile)], a.Volatile...), b.Volatile...)
	d := &Diff{
		A: side(a), B: side(b), Slower: percent(a.Duration, b.Duration),
		Input:  execution.Diff(a.Input.Data, b.Input.Data, volatile),
		Output: execution.Diff(a.Output.Data, b.Output.Data, volatile),
	}
	for _, p := range pairs(a, b) {
		if op, differs := p.compare(volatile); differs {
			d.Operations = append(d.Operations, op)
		}
	}
	d.Verdict = verdict(a, b, d)
	return d
}

func side(x *record.Execution) Side {
	s := Side{ID: x.ID, Status: x.Status, HTTPStatus: x.HTTPStatus, Duration: x.Duration, Commit: x.Code.Commit, Operations: len(x.Checkpoints)}
	if x.Error != nil {
		s.Error = x.Error.Message
	}
	return s
}

func percent(a, b time.Duration) int {
	if a <= 0 {
		return 0
	}
	return int(100 * (b - a) / a)
}

func verdict(a, b *record.Execution, d *Diff) Verdict {
	different := a.Status != b.Status || a.HTTPStatus != b.HTTPStatus || d.A.Error != d.B.Error || len(d.Input)+len(d.Output) > 0
	for _, op := range d.Operations {
		different = different || op.Kind != Slower
	}
	switch {
	case a.Status.Failed() && !b.Status.Failed():
		return Fixed
	case !a.Status.Failed() && b.Status.Failed():
		return Regressed
	case different:
		return Changed
	}
	return Identical
}

// A pair is an operation of A and the same one of B; one may be nil.
type pair struct{ a, b *record.Checkpoint }

// A matching pairs operations of two executions.
type matching struct {
	partner []*record.Checkpoint // of each operation of A, in B
	taken   []bool               // of B
}

// match pairs the operations that are left and have the same key, in their order.
func (m *matching) match(a, b *record.Execution, key func(*record.Checkpoint) string) {
	waiting := make(map[string][]int)
	for j := range b.Checkpoints {
		if !m.taken[j] {
			k := key(&b.Checkpoints[j])
			waiting[k] = append(waiting[k], j)
		}
	}
	for i := range a.Checkpoints {
		k := key(&a.Checkpoints[i])
		if m.partner[i] != nil || len(waiting[k]) == 0 {
			continue
		}
		j := waiting[k][0]
		waiting[k] = waiting[k][1:]
		m.partner[i], m.taken[j] = &b.Checkpoints[j], true
	}
}

// pairs pairs the operations of two executions, in the order of A, then those that only B did.
func pairs(a, b *record.Execution) []pair {
	m := matching{make([]*record.Checkpoint, len(a.Checkpoints)), make([]bool, len(b.Checkpoints))}
	m.match(a, b, func(cp *record.Checkpoint) string { return kind(cp) + "\x00" + string(cp.Hash[:]) })
	m.match(a, b, kind)
	var out []pair
	for i := range a.Checkpoints {
		out = append(out, pair{&a.Checkpoints[i], m.partner[i]})
	}
	for j := range b.Checkpoints {
		if !m.taken[j] {
			out = append(out, pair{nil, &b.Checkpoints[j]})
		}
	}
	return out
}

// kind is what two operations must have in common to be taken for the same.
func kind(cp *record.Checkpoint) string {
	return cp.Lane + "\x00" + cp.Boundary + "\x00" + cp.Target + "\x00" + cp.Shape
}

func (p pair) compare(volatile []string) (Operation, bool) {
	switch {
	case p.b == nil:
		return Operation{Kind: Missing, A: &p.a.Number, What: what(p.a)}, true
	case p.a == nil:
		return Operation{Kind: New, B: &p.b.Number, What: what(p.b)}, true
	}
	op := Operation{Kind: Other, A: &p.a.Number, B: &p.b.Number, What: what(p.a)}
	op.Request = execution.Diff(p.a.Request.Data, p.b.Request.Data, volatile)
	op.Response = execution.Diff(p.a.Response.Data, p.b.Response.Data, volatile)
	if before, after := outcome(p.a), outcome(p.b); before != after {
		op.Detail = before + " → " + after
	}
	if len(op.Request)+len(op.Response) > 0 || op.Detail != "" {
		return op, true
	}
	if change := (p.b.Duration - p.a.Duration).Abs(); change >= 100*time.Millisecond {
		op.Kind = Slower
		op.Detail = fmt.Sprintf("%v → %v", p.a.Duration.Round(time.Millisecond), p.b.Duration.Round(time.Millisecond))
		return op, true
	}
	return op, false
}

func outcome(cp *record.Checkpoint) string {
	if cp.Error != nil {
		return string(cp.State) + ": " + cp.Error.Message
	}
	return string(cp.State)
}

func what(cp *record.Checkpoint) string { return cp.Boundary + " " + cp.Target + " " + cp.Shape }
