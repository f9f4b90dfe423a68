package execution

import (
	"context"
	"os"
	"testing"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/server"
)

// processes returns what the server knows of processes.
func (s *slowServer) processes(t *testing.T) []*fluxv1.Process {
	t.Helper()
	answer, err := s.client.ListProcesses(t.Context(), connect.NewRequest(&fluxv1.ListProcessesRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	return answer.Msg.GetProcesses()
}

// TestAProcessTellsTheServerWhatItIsAndLost is F-54.
func TestAProcessTellsTheServerWhatItIsAndLost(t *testing.T) {
	t.Parallel()
	s := newSlowServer(t, server.Config{})
	rec, err := Connect(Config{
		Service: "shop", Version: "1.2", Environment: "test", URL: s.url, Dir: t.TempDir(), Keep: Keep{All: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	for len(s.processes(t)) == 0 { // it tells of itself when it connects
	}
	p := s.processes(t)[0]
	if p.GetService() != "shop" || p.GetVersion() != "1.2" || p.GetEnvironment() != "test" || p.GetPid() != int64(os.Getpid()) ||
		p.GetInstance() != rec.instance || p.GetStarted() == 0 || p.GetSeen() == 0 || p.GetSilent() || p.GetAttends() {
		t.Errorf("process %v", p)
	}
	for _, output := range []any{"fine", panics{}, "fine"} {
		_, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerJob, Method: "count"}, nil)
		x.SetOutput(output)
		x.End(nil)
	}
	var c *fluxv1.ProcessCounters
	for c.GetKept() < 3 { // they are encoded by another goroutine
		if _, err := rec.store.(*delivery).presence.report(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		c = s.processes(t)[0].GetCounters()
	}
	if c.GetExecutions() != 3 || c.GetKept() != 3 || c.GetLostBefore() != 1 || c.GetLostFull() != 0 {
		t.Errorf("counters %v", c)
	}
	if err := rec.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := s.processes(t); len(left) != 0 {
		t.Errorf("after it has closed: %v", left)
	}
}

// panics is a value of the program that cannot be recorded.
type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("no") }

// TestAProcessThatNobodyHearsClosesAtOnce shuts the server's door.
func TestAProcessThatNobodyHearsClosesAtOnce(t *testing.T) {
	t.Parallel()
	s := newSlowServer(t, server.Config{})
	s.shut.Store(true)
	rec, err := Connect(Config{Service: "shop", URL: s.url, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	<-s.knocks
	if err := rec.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.shut.Store(false)
	if all := s.processes(t); len(all) != 0 {
		t.Errorf("processes %v", all)
	}
}
