package why

import "github.com/flux-go/flux/execution/record"

// changes returns what an execution did to other systems.
func changes(x *record.Execution) []Change {
	ends := make(map[string]ChangeState)
	for i := range x.Checkpoints {
		cp := &x.Checkpoints[i]
		switch {
		case cp.Transaction == "":
		case cp.Shape == record.ShapeCommit && cp.Succeeded():
			ends[cp.Transaction] = Committed
		case cp.Shape == record.ShapeCommit && cp.InDoubt():
			ends[cp.Transaction] = InDoubt
		case ends[cp.Transaction] == "":
			ends[cp.Transaction] = RolledBack
		}
	}
	var out []Change
	for i := range x.Checkpoints {
		cp := &x.Checkpoints[i]
		if !cp.Effect.Writes() || isBracket(cp.Shape) {
			continue
		}
		state, ok := stateOf(cp)
		if !ok {
			continue
		}
		if end, inUnit := ends[cp.Transaction]; inUnit && cp.Transaction != "" {
			state = end
		}
		out = append(out, Change{cp.Number, state, describe(cp)})
	}
	return out
}

// isBracket says that a shape begins or ends a transaction and changes nothing itself.
func isBracket(shape string) bool {
	return shape == record.ShapeBegin || shape == record.ShapeCommit || shape == record.ShapeRollback
}

// stateOf says what became of a write outside a transaction, false when it changed nothing.
func stateOf(cp *record.Checkpoint) (ChangeState, bool) {
	if cp.Succeeded() {
		return Committed, true
	}
	return InDoubt, cp.InDoubt()
}
