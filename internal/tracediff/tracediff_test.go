package tracediff_test

import (
	"testing"
	"time"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/tracediff"
)

func run(status record.Status, cps ...record.Checkpoint) *record.Execution {
	x := &record.Execution{ID: record.NewID(), Status: status, Duration: time.Second, Checkpoints: cps}
	for i := range x.Checkpoints {
		x.Checkpoints[i].Number, x.Checkpoints[i].Lane = uint32(i), "root"
	}
	return x
}

func op(shape string, hash byte, response string) record.Checkpoint {
	return record.Checkpoint{
		Boundary: "http", Target: "https://card.example", Shape: shape, Hash: record.Hash{hash}, State: record.StateDone,
		Request: record.Payload{Data: []byte{'0' + hash}}, Response: record.Payload{Data: []byte(response)},
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	good, bad := run(record.StatusOK, op("GET /a", 1, "1")), run(record.StatusError, op("GET /a", 1, "1"))
	slow := op("GET /a", 1, "1")
	slow.Duration = time.Second
	for _, test := range []struct {
		a, b *record.Execution
		want tracediff.Verdict
	}{
		{good, good, tracediff.Identical},
		{bad, bad, tracediff.Identical},
		{bad, good, tracediff.Fixed},
		{good, bad, tracediff.Regressed},
		{good, run(record.StatusOK, op("GET /a", 1, "2")), tracediff.Changed},
		{good, run(record.StatusOK, op("GET /a", 1, "1"), op("GET /b", 2, "1")), tracediff.Changed},
		{good, run(record.StatusOK, slow), tracediff.Identical},
	} {
		if d := tracediff.Compare(test.a, test.b, nil); d.Verdict != test.want {
			t.Errorf("verdict is %s, want %s: %+v", d.Verdict, test.want, d)
		}
	}
}

func TestOperationsArePairedByRequestBeforeOrder(t *testing.T) {
	t.Parallel()
	a := run(record.StatusOK, op("GET /a", 1, "1"), op("GET /a", 2, "2"), op("GET /c", 3, "3"))
	b := run(record.StatusOK, op("GET /a", 2, "2"), op("GET /a", 1, "1"), op("GET /d", 4, "4"))
	d := tracediff.Compare(a, b, nil)
	if len(d.Operations) != 2 || d.Operations[0].Kind != tracediff.Missing || *d.Operations[0].A != 2 ||
		d.Operations[1].Kind != tracediff.New || *d.Operations[1].B != 2 {
		t.Errorf("operations: %+v", d.Operations)
	}
}

func TestChangedRequestsAndResponsesAreShown(t *testing.T) {
	t.Parallel()
	a, b := run(record.StatusOK, op("GET /a", 1, `{"n":1,"at":5}`)), run(record.StatusOK, op("GET /a", 2, `{"n":2,"at":6}`))
	d := tracediff.Compare(a, b, []string{"$.at"})
	if len(d.Operations) != 1 || len(d.Operations[0].Request) != 1 || len(d.Operations[0].Response) != 1 || d.Operations[0].Response[0].Path != "$.n" {
		t.Errorf("operations: %+v", d.Operations)
	}
}
