package execution_test

import (
	"context"
	"os"
	"testing"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/journal"
	"github.com/flux-go/flux/execution/record"
)

// TestRecordsWaitInTheFolderForTheNextProcess keeps executions while there is no server, and finds them in the folder.
func TestRecordsWaitInTheFolderForTheNextProcess(t *testing.T) {
	t.Parallel()
	config := execution.Config{
		Service: "shop", Dir: t.TempDir(), URL: "http://127.0.0.1:1", Journal: func(t record.Trigger) bool { return t.Method == "journalled" },
	}
	rec, err := execution.Connect(config)
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[record.ID]bool)
	for _, method := range []string{"journalled", "other"} {
		ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest, Method: method}, nil)
		w := newWorld()
		x.End(order(ctx, w))
		want[x.ID()] = true
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := rec.Close(gone); err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(config.Dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for _, x := range waiting(t, j, len(want)+1) { // and the start of the process
		delete(want, x.ID)
	}
	if len(want) != 0 {
		t.Errorf("not found: %v", want)
	}
}

func waiting(t *testing.T, j *journal.Journal, n int) []*record.Execution {
	t.Helper()
	var all []*record.Execution
	for len(all) < n {
		batch, err := j.Next(t.Context())
		if err != nil {
			t.Fatalf("%d of %d executions: %v", len(all), n, err)
		}
		for _, data := range batch {
			x, err := record.Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, x)
		}
		if err := j.Acknowledge(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestConnectRefusesAFolderItCannotUse(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := execution.Connect(execution.Config{Service: "shop", Dir: file + "/below"}); err == nil {
		t.Error("no error")
	}
}
