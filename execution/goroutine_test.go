package execution

import (
	"runtime"
	"testing"
	"unsafe"

	"github.com/flux-go/flux/execution/record"
)

// startHere is what the runtime calls at a go statement, here with this place as that of the statement.
func (p *place) startHere(t *testing.T) *place {
	t.Helper()
	pc, _, _, _ := runtime.Caller(0)
	return (*place)(inherit(unsafe.Pointer(p), pc))
}

func rootPlace(t *testing.T) (*Execution, *place) {
	t.Helper()
	rec, err := New(Config{Service: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerJob}, nil)
	p := &place{stay: &stay{x: x}, name: "root"}
	p.stay.settle(p, laneOf(ctx))
	return x, p
}

func TestGoroutinesOfOneStatementHaveLanesInTheOrderTheyWereStarted(t *testing.T) {
	t.Parallel()
	_, root := rootPlace(t)
	first, second := root.startHere(t), root.startHere(t)
	// The second one does something first.
	if got, want := second.current().name, "root/github.com/flux-go/flux/execution.(*place).startHere#2"; got != want {
		t.Errorf("lane of the second goroutine: %s, want %s", got, want)
	}
	if got, want := first.current().name, "root/github.com/flux-go/flux/execution.(*place).startHere"; got != want {
		t.Errorf("lane of the first goroutine: %s, want %s", got, want)
	}
}

func TestGoroutinesThatDoNothingLeaveNoLane(t *testing.T) {
	t.Parallel()
	x, root := rootPlace(t)
	root.startHere(t)
	if lanes := x.allLanes(); len(lanes) != 1 {
		t.Errorf("lanes: %v", lanes)
	}
}

func TestGoroutinesForgetAnExecutionThatEnded(t *testing.T) {
	t.Parallel()
	_, root := rootPlace(t)
	busy, idle := root.startHere(t), root.startHere(t)
	busy.current()
	root.stay.end()
	for name, p := range map[string]*place{"root": root, "busy": busy, "idle": idle} {
		if l := p.current(); l != nil {
			t.Errorf("the %s goroutine is still in lane %s", name, l.name)
		}
	}
	if p := busy.startHere(t); p != nil {
		t.Errorf("a goroutine that is started afterwards has the place %s", p.name)
	}
}

func TestLaneOfAGoroutineWinsOnlyBelowThatOfTheContext(t *testing.T) {
	t.Parallel()
	x, _ := rootPlace(t)
	y, _ := rootPlace(t)
	root, child, sibling := x.addLane("root"), x.addLane("root/a"), x.addLane("root/ab")
	for _, c := range []struct {
		here, of *lane
		want     bool
	}{
		{child, root, true},
		{root, child, false},
		{root, root, false},
		{sibling, child, false},
		{child, y.addLane("root"), false},
	} {
		if got := c.here.isBelow(c.of); got != c.want {
			t.Errorf("%s below %s: %v", c.here.name, c.of.name, got)
		}
	}
}
