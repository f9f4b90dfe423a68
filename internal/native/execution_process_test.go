package native

import (
	"fmt"
	"slices"
	"testing"
	"time"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

const shopSpace message.Namespace = "shop"

func processNumber(n int) *fluxv1.Process {
	return &fluxv1.Process{Instance: fmt.Sprintf("host-%04d", n), Service: "shop", Host: "host"}
}

// instances returns the processes that are listed, those that are silent with a question mark.
func instances(p *processes, service string, now time.Time) (names []string) {
	for _, process := range p.list(shopSpace, service, now) {
		name := process.GetInstance()
		if process.GetSilent() {
			name += "?"
		}
		names = append(names, name)
	}
	return names
}

// TestProcessesFallSilentAndAreForgotten lets time pass after a process told of itself last.
func TestProcessesFallSilentAndAreForgotten(t *testing.T) {
	t.Parallel()
	p, start := newProcesses(), time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	p.report(shopSpace, processNumber(1), start)
	for _, step := range []struct {
		after time.Duration
		want  []string
	}{
		{0, []string{"host-0001"}},
		{silentAfter, []string{"host-0001"}},
		{silentAfter + time.Millisecond, []string{"host-0001?"}},
		{forgetAfter, []string{"host-0001?"}},
		{forgetAfter + time.Millisecond, nil},
	} {
		if got := instances(p, "", start.Add(step.after)); !slices.Equal(got, step.want) {
			t.Errorf("after %s: %v, want %v", step.after, got, step.want)
		}
	}
	if len(p.known) != 0 {
		t.Errorf("what is forgotten takes memory: %v", p.known)
	}
	p.report(shopSpace, processNumber(1), start.Add(2*forgetAfter))
	p.report(shopSpace, processNumber(2), start.Add(2*forgetAfter))
	p.forget(shopSpace, "host-0001")
	if got := instances(p, "shop", start.Add(2*forgetAfter)); !slices.Equal(got, []string{"host-0002"}) {
		t.Errorf("after one has left: %v", got)
	}
	if got := instances(p, "other", start.Add(2*forgetAfter)); got != nil {
		t.Errorf("of another service: %v", got)
	}
}

// TestProcessesOfANamespaceAreBounded fills a namespace: what is there stays, unless it is silent.
func TestProcessesOfANamespaceAreBounded(t *testing.T) {
	t.Parallel()
	p, start := newProcesses(), time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	for n := range maxProcesses {
		if !p.report(shopSpace, processNumber(n), start.Add(time.Duration(n)*time.Millisecond)) {
			t.Fatalf("no room for process %d", n)
		}
	}
	later := start.Add(2 * time.Second)
	switch {
	case p.report(shopSpace, processNumber(maxProcesses), later):
		t.Error("there is room for one more than there may be")
	case !p.report(shopSpace, processNumber(7), later):
		t.Error("one that is there cannot tell again")
	case !p.report("other", processNumber(maxProcesses), later):
		t.Error("another namespace has no room")
	}
	later = later.Add(silentAfter)
	if !p.report(shopSpace, processNumber(maxProcesses), later) {
		t.Error("there is no room in place of one that is silent")
	}
	got := instances(p, "", later)
	if len(got) != maxProcesses || slices.Contains(got, "host-0000?") || !slices.Contains(got, fmt.Sprintf("host-%04d", maxProcesses)) {
		t.Errorf("%d processes, from %v", len(got), got[:3])
	}
}
