package journal

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/flux-go/flux/execution/record"
)

// TestProgressIsPutTogetherInOrder cuts the journal of an execution whose sources gave values between two writes, and whose frames
// were carried to another segment, so that they come twice.
func TestProgressIsPutTogetherInOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := open(t, dir, &Config{SegmentBytes: 1})
	x := execution(1, record.StatusRunning)
	must(t, j.Begin(x))
	for i := range 3 {
		must(t, j.Progress(&record.Execution{
			ID: x.ID, Duration: time.Duration(100 * (i + 1)),
			Sources: []record.Source{
				{Kind: record.SourceClock, Lane: "root", Values: binary.AppendVarint(nil, int64(i+7))},
				{Kind: record.SourceRandom, Lane: "root", Values: []byte("seed")},
			},
			Logs: []record.LogLine{{After: uint32(2 * i), Message: string(rune('a' + i))}},
		}))
		must(t, j.Intent(x.ID, write(uint32(2*i), record.StateIntent)))
		must(t, j.Outcome(x.ID, write(uint32(2*i), record.StateDone)))
	}
	must(t, j.Begin(execution(2, record.StatusRunning)))
	must(t, j.End(execution(2, record.StatusOK)))
	drain(t, j)

	recovered := open(t, crashImage(t, dir), nil).Recovered()
	if len(recovered) != 1 {
		t.Fatalf("recovered %d", len(recovered))
	}
	got := recovered[0]
	clock, seed := got.Sources[0], got.Sources[1]
	if string(clock.Values) != string([]byte{14, 16, 18}) || string(seed.Values) != "seed" || len(got.Sources) != 2 {
		t.Errorf("sources %+v", got.Sources)
	}
	for i, l := range got.Logs {
		if l.Message != string(rune('a'+i)) || l.After != uint32(i) {
			t.Errorf("line %d: %+v", i, l)
		}
	}
	if len(got.Logs) != 3 || len(got.Checkpoints) != 3 || got.Duration != 300 || got.Dropped.Checkpoints != 2 {
		t.Errorf("recovered %+v", got)
	}
}
