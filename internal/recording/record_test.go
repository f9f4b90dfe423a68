package recording

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
)

func TestRecordIsIdempotentAndFinal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	running := request(1, "/orders/7")
	running.Status, running.HTTPStatus, running.Duration = record.StatusRunning, 0, 0
	ended := failing(request(1, "/orders/7"), "out of stock")
	other := request(1, "/orders/7")
	for _, step := range []struct {
		x    *record.Execution
		want Outcome
		kept *record.Execution
	}{
		{running, Stored, running},
		{running, Replaced, running},
		{ended, Replaced, ended},
		{ended, Known, ended},
		{running, Known, ended},
		{other, Known, ended},
	} {
		op := newRecord(t, step.x)
		propose(t, w.e, op)
		if op.Outcome != step.want {
			t.Errorf("%s is %s, want %s", step.x.Status, op.Outcome, step.want)
		}
		found, err := w.x.Get(ns, step.x.ID.String(), false)
		if err != nil || !bytes.Equal(found.Record, record.Append(nil, step.kept)) {
			t.Errorf("after %s the record is another than that of %s (%v)", step.x.Status, step.kept.Status, err)
		}
	}
	w.wantList(&Filter{Status: record.StatusRunning})
	w.wantList(&Filter{Failed: true}, 1)
	if issue, _, err := w.x.Issue(ns, record.Fingerprint(ended)); err != nil || issue.Count != 1 {
		t.Errorf("issue is %v (%v), want one occurrence", issue, err)
	}
}

func TestRecordKeepsThePinOfARunningExecution(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := request(1, "/")
	x.Status = record.StatusRunning
	w.record(x)
	propose(t, w.e, &Pin{ID: x.ID})
	w.record(request(1, "/"))
	w.wantList(&Filter{Pinned: true, Status: record.StatusOK}, 1)
}

func TestRecordRefusesWhatItCannotList(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*record.Execution){
		"no id":          func(x *record.Execution) { x.ID = record.ID{} },
		"no status":      func(x *record.Execution) { x.Status = "" },
		"unknown status": func(x *record.Execution) { x.Status = "fine" },
		"no start":       func(x *record.Execution) { x.Start = time.Unix(-1, 0) },
		"late start":     func(x *record.Execution) { x.Start = time.UnixMilli(maxMilli + 1) },
		"long path":      func(x *record.Execution) { x.Trigger.Path = string(make([]byte, maxSummaryText+1)) },
	} {
		x := request(1, "/")
		change(x)
		if _, err := NewRecord(record.Append(nil, x)); !errors.Is(err, ErrBadExecution) {
			t.Errorf("%s: %v, want ErrBadExecution", name, err)
		}
	}
	whole := record.Append(nil, request(1, "/"))
	for n := range whole {
		if _, err := NewRecord(whole[:n]); !errors.Is(err, ErrBadExecution) {
			t.Errorf("%d bytes of %d: %v, want ErrBadExecution", n, len(whole), err)
		}
	}
}

// TestExecutionsOfOneMillisecondHaveTheirOwnPlaces records executions that want the same place.
func TestExecutionsOfOneMillisecondHaveTheirOwnPlaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range byte(5) {
		x := request(9, "/")
		x.ID[15] = i
		w.record(x)
	}
	if got := w.list(&Filter{}); len(got) != 5 {
		t.Errorf("list has %d of 5", len(got))
	}
}

func TestGetByPrefixTellsCandidates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := request(0x7c, "/"), request(0x7c, "/")
	a.ID[1], b.ID[1], b.ID[2] = 0x1e, 0x1e, 0x09
	w.record(a, b, request(0x7d, "/"))
	if _, err := w.x.Get(ns, "7c1e", false); !errors.Is(err, ErrAmbiguous) ||
		!bytes.Contains([]byte(err.Error()), []byte(a.ID.String()+", "+b.ID.String())) {
		t.Errorf("7c1e: %v, want both candidates (G-203)", err)
	}
	for text, want := range map[string]record.ID{"7c1e00": a.ID, "7C1E-09": b.ID, a.ID.String(): a.ID} {
		if found, err := w.x.Get(ns, text, false); err != nil || found.ID != want {
			t.Errorf("%s is %v (%v), want %s", text, found.Item, err, want)
		}
	}
	for text, want := range map[string]error{
		"7c1": record.ErrBadID, "7c%_": record.ErrBadID, "ffff": ErrNotFound, record.NewID().String(): ErrNotFound,
	} {
		if _, err := w.x.Get(ns, text, false); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
}

func TestGetFindsTheBootOfTheProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	boot := request(1, "/")
	boot.Trigger = record.Trigger{Kind: record.TriggerBoot}
	x := request(2, "/")
	x.Boot = boot.ID
	w.record(x)
	if found, err := w.x.Get(ns, x.ID.String(), true); err != nil || found.Boot != nil {
		t.Errorf("boot before it came is %x (%v)", found.Boot, err)
	}
	w.record(boot)
	if found, err := w.x.Get(ns, x.ID.String(), true); err != nil || !bytes.Equal(found.Boot, record.Append(nil, boot)) {
		t.Errorf("boot is %x (%v)", found.Boot, err)
	}
}

func TestRemoveLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := failing(request(1, "/orders/7"), "out of stock")
	x.Input = payload(t, map[string]any{"body": `{"orderId":1009}`})
	w.record(x)
	propose(t, w.e, &Acquire{Execution: x.ID, Holder: "h", TTL: time.Minute}, &Pin{ID: x.ID})
	remove := newRemove(t, w.x, x.ID)
	propose(t, w.e, remove)
	if remove.Removed || !remove.Pinned {
		t.Fatal("what is pinned was removed (X6)")
	}
	propose(t, w.e, &Pin{ID: x.ID, Unpin: true})
	remove = newRemove(t, w.x, x.ID)
	propose(t, w.e, remove)
	if !remove.Removed {
		t.Error("it was not removed")
	}
	view := w.e.View()
	defer view.Close()
	figures, err := view.Verify(t.Context(), []engine.Check{NewCheck()}, nil)
	if err != nil || len(figures.Families) != 3 { // the issue stays, and the totals
		t.Errorf("left behind are %v (%v)", figures.Families, err)
	}
	if op, err := w.x.NewRemove(ns, x.ID); op != nil || err != nil {
		t.Errorf("a second removal is %v (%v)", op, err)
	}
}

func newRemove(t failer, x *Executions, id record.ID) *Remove {
	t.Helper()
	op, err := x.NewRemove(ns, id)
	if err != nil || op == nil {
		t.Fatalf("removal of %s: %v (%v)", id, op, err)
	}
	return op
}

func TestRemoveIsRefusedWhenTheRecordHasChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	x := request(1, "/")
	x.Status = record.StatusRunning
	w.record(x)
	op := newRemove(t, w.x, x.ID)
	w.record(request(1, "/"))
	if err := try(t, w.e, op); !errors.Is(err, engine.ErrConflict) {
		t.Errorf("removal of another record: %v, want ErrConflict", err)
	}
}
