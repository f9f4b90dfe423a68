package execution

import (
	"strings"
	"testing"

	"github.com/flux-go/flux/execution/record"
)

// TestWhatAnAbandonedResumeMayHaveDoneIsAskedAbout gives up a resume that was to do a transaction and a write again: nothing of that is
// done without a decision, and what was completed before it is not done at all (X6).
func TestWhatAnAbandonedResumeMayHaveDoneIsAskedAbout(t *testing.T) {
	t.Parallel()
	write := func(n int, shape, unit string, state record.State) record.Checkpoint {
		cp := record.Checkpoint{Number: uint32(n), Lane: "root", Shape: shape, Transaction: unit, State: state, Effect: record.EffectWrite, Hash: record.Hash{byte(n)}}
		if state == record.StateFailed {
			cp.Error = &record.Error{Class: record.ClassApp}
		}
		return cp
	}
	of := &record.Execution{ID: record.ID{1}, Checkpoints: []record.Checkpoint{
		write(0, "charge", "", record.StateDone), write(1, record.ShapeBegin, "tx1", record.StateDone), write(2, "INSERT", "tx1", record.StateDone),
		write(3, "keyed", "", record.StateFailed), write(4, "mail", "", record.StateFailed),
	}}
	of.Checkpoints[3].IdempotencyKey = "k1"
	given, err := abandoned(&record.Execution{ID: record.ID{2}, Parent: of.ID, Status: record.StatusRunning}, of)
	if err != nil || given.Status != record.StatusInterrupted || !didSomething(given) {
		t.Fatalf("%+v, %v", given, err)
	}
	known := Inherit(given, of)
	decisions := func(opts *ResumeOptions) string {
		steps, err := Plan(known, opts)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, step := range steps {
			out = append(out, step.Checkpoint.Shape+" "+string(step.Decision))
		}
		return strings.Join(out, ", ")
	}
	const undecided = "charge reuse, BEGIN ask, INSERT ask, keyed live, mail ask, COMMIT ask"
	if got := decisions(&ResumeOptions{}); got != undecided {
		t.Errorf("decisions %s\nwant %s", got, undecided)
	}
	const decided = "charge reuse, BEGIN live, INSERT live, keyed live, mail reuse, COMMIT live"
	if got := decisions(&ResumeOptions{Assume: map[uint32]bool{4: true, 5: false}}); got != decided {
		t.Errorf("decisions %s\nwant %s", got, decided)
	}
}
