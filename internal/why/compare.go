package why

import (
	"bytes"
	"fmt"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// A Comparison tells in what a run differs from a good one.
type Comparison struct {
	Good     record.ID              `json:"good"`
	SameCode bool                   `json:"sameCode"`
	Input    []execution.Difference `json:"input,omitempty"`
	First    *OperationChange       `json:"first,omitempty"` // first operation that went another way
	Settings []string               `json:"settings,omitempty"`
}

// OperationChange is an operation that went another way than in the good run.
type OperationChange struct {
	Operation uint32 `json:"operation"`
	What      string `json:"what"`
}

// maxInput is how many differences of inputs are worth reading.
const maxInput = 8

// compare compares a run with a good one.
func compare(x, good *record.Execution) *Comparison {
	c := &Comparison{Good: good.ID, SameCode: sameCode(x.Code, good.Code)}
	c.Input = execution.Diff(good.Input.Data, x.Input.Data, append([]string{"$.header"}, x.Volatile...))
	c.Input = c.Input[:min(len(c.Input), maxInput)]
	c.First = firstChange(x, good)
	c.Settings = settings(x, good)
	return c
}

func sameCode(a, b record.Code) bool {
	return a.Version == b.Version && a.Commit == b.Commit && a.Dirty == b.Dirty
}

// firstChange returns the first operation that went another way: operations are compared by boundary, target and shape, in
// order, lane by lane.
func firstChange(x, good *record.Execution) *OperationChange {
	byLane := make(map[string][]*record.Checkpoint)
	for i := range good.Checkpoints {
		cp := &good.Checkpoints[i]
		byLane[cp.Lane] = append(byLane[cp.Lane], cp)
	}
	for i := range x.Checkpoints {
		cp := &x.Checkpoints[i]
		rest := byLane[cp.Lane]
		if len(rest) == 0 {
			return &OperationChange{cp.Number, describe(cp) + " was not called then"}
		}
		before := rest[0]
		byLane[cp.Lane] = rest[1:]
		switch {
		case before.Boundary != cp.Boundary || before.Target != cp.Target || before.Shape != cp.Shape:
			return &OperationChange{cp.Number, fmt.Sprintf("%s was called then", describe(before))}
		case before.Succeeded() && !cp.Succeeded():
			return &OperationChange{cp.Number, "it " + outcome(before) + " then, and " + outcome(cp) + " now"}
		}
	}
	return nil
}

func outcome(cp *record.Checkpoint) string {
	switch {
	case statusOf(cp) != 0:
		return fmt.Sprintf("answered %d", statusOf(cp))
	case cp.Error != nil:
		return "failed"
	case cp.Succeeded():
		return "succeeded"
	}
	return "did not end"
}

// settings returns the variables of the environment that differ. Their values stay out of the analysis.
func settings(x, good *record.Execution) []string {
	before := make(map[string][]byte)
	for _, s := range good.Sources {
		if s.Kind == record.SourceEnv {
			before[s.Name] = s.Values
		}
	}
	var names []string
	for _, s := range x.Sources {
		if old, ok := before[s.Name]; ok && s.Kind == record.SourceEnv && !bytes.Equal(old, s.Values) {
			names = append(names, s.Name)
		}
	}
	return names
}
