package idempotent

import (
	"encoding/json"
	"errors"
	"slices"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// resumeOf returns the id of the resume that runs, or whose record is replayed; "" for others.
func resumeOf(x *execution.Execution) string {
	switch of := x.Of(); {
	case of == nil:
		return ""
	case x.Mode() == execution.ModeResume:
		return x.ID().String()
	case of.Relation == record.RelationResume:
		return of.ID.String()
	}
	return ""
}

// ownerOf returns the execution that is resumed, however often, or this one; "" for none.
func ownerOf(x *execution.Execution) string {
	switch of := x.Of(); {
	case x == nil:
		return ""
	case of == nil:
		return x.ID().String()
	case !of.Root.IsZero():
		return of.Root.String()
	default:
		return of.ID.String()
	}
}

// recordedName returns the name of the entry in a record, "" when it has none. In the request that is run again key and caller may be
// hidden.
func recordedName(of *record.Execution) string {
	for i := range of.Checkpoints {
		cp := &of.Checkpoints[i]
		var in request
		if cp.Boundary == boundary && cp.Shape == shapeBegin && json.Unmarshal(cp.Request.Data, &in) == nil {
			return in.Entry
		}
	}
	return ""
}

// errUnknownEntry is why a resume is not carried out under a key that it cannot tell.
var errUnknownEntry = errors.New("the record ends before the request was begun, and does not tell its entry: let the client send it again")

// withoutEntry decides about a request that runs again and whose record has no entry. It was carried out by a handler without one, and
// is again; or it came to nothing.
func withoutEntry(x *execution.Execution) (*ticket, error) {
	of := x.Of()
	done := func(cp record.Checkpoint) bool { return cp.Effect.Writes() }
	if resumeOf(x) != "" && !slices.ContainsFunc(of.Checkpoints, done) {
		return nil, errUnknownEntry
	}
	return &ticket{verdict: verdict{Outcome: unkeyed}}, nil
}
