package flux

import (
	"context"
	"testing"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/message"
)

// What is not recorded costs no memory, except for the context that says so.
func TestNotRecordingAllocatesNothing(t *testing.T) {
	rec, err := execution.New(execution.Config{Service: "quiet", Record: func(x record.Trigger) bool { return x.Kind != record.TriggerMessage }})
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close(context.Background())
	_, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil) // ends the start of the process
	x.End(nil)
	for most, rec := range []*execution.Recorder{nil, rec} {
		app := newApp(Config{Recorder: rec}.WithDefaults(), false)
		table := &handlerTable{log: message.Log{Type: message.Event}}
		s := &session{tracker: newTracker(app, &Handlers{name: "c"}, table), ctx: t.Context()}
		inv := &Invocation{Context: t.Context(), session: s, batch: &batch{}, message: &message.Message{Type: "t", Index: 7}}
		var ctx context.Context = inv
		if allocs := testing.AllocsPerRun(100, func() { inv = inv.record(0) }); allocs > float64(most) || inv.execution != nil {
			t.Errorf("a call of a handler: %v allocations, at most %d; execution %v", allocs, most, inv.execution)
		}
		recorded := false
		if allocs := testing.AllocsPerRun(100, func() { recorded = app.records(ctx) }); allocs != 0 || recorded {
			t.Errorf("an operation: %v allocations, recorded %t", allocs, recorded)
		}
	}
}
