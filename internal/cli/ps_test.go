package cli

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/server"
)

// TestPsListsWhatRecords is F-54.
func TestPsListsWhatRecords(t *testing.T) {
	t.Parallel()
	s, err := server.Start(context.WithoutCancel(t.Context()), server.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if out := runFlux(t, exitDone, "ps", "--url", s.URL()); out != "" {
		t.Errorf("without processes: %s", out)
	}
	rec, err := execution.Connect(execution.Config{Service: "payments", Version: "1.8.2", Environment: "test", URL: s.URL(), Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	out := ""
	for out == "" {
		out = runFlux(t, exitDone, "ps", "--service", "payments", "--json", "--url", s.URL())
	}
	var row processRow
	if err := json.Unmarshal([]byte(out), &row); err != nil || row.Service != "payments" || row.Pid != int64(os.Getpid()) || row.Silent || row.Seen == "" {
		t.Errorf("%s(%v)", out, err)
	}
	if out := runFlux(t, exitDone, "ps", "--url", s.URL()); !strings.Contains(out, "payments (test)  1.8.2") {
		t.Errorf("%s", out)
	}
	if err := rec.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out := runFlux(t, exitDone, "ps", "--url", s.URL()); out != "" {
		t.Errorf("after it has closed: %s", out)
	}
}

func TestPsShowsSilenceAndLosses(t *testing.T) {
	t.Parallel()
	const now = 1_756_900_800_000
	ago := func(d time.Duration) int64 { return now - d.Milliseconds() }
	in := &fluxv1.ListProcessesResponse{Now: now, Processes: []*fluxv1.Process{
		{
			Service: "payments", Environment: "prod", Version: "1.8.2", Commit: "a1b2c3d4e5", Dirty: true, Host: "web-1", Pid: 4711,
			Started: ago(50 * time.Hour), Seen: ago(3 * time.Second), Counters: &fluxv1.ProcessCounters{Kept: 12345, Waiting: 2},
		},
		{
			Service: "stock\x1b[2J", Version: "(devel)", Host: "web-2", Pid: 9, Started: ago(-time.Second), Seen: ago(5 * time.Minute), Silent: true,
			Counters: &fluxv1.ProcessCounters{Kept: 16, LostBefore: 1, LostFull: 2, LostMemory: 3, LostDamaged: 4, Refused: 5},
		},
	}}
	var out strings.Builder
	err := processTable(in).write(&screen{Writer: &out, width: 100})
	want := `SERVICE          VERSION           HOST    PID  SINCE  SEEN             KEPT  WAITING  LOST
payments (prod)  1.8.2 (a1b2c3d+)  web-1  4711     2d  3s ago         12,345        2     0
stock·[2J        -                 web-2     9     0s  silent for 5m      16        0    15
`
	if err != nil || out.String() != want {
		t.Errorf("table\n%s\nwant\n%s(%v)", &out, want, err)
	}
}
