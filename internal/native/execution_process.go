package native

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

const (
	// reportEvery is how often a process tells of itself. One that missed two reports is silent.
	reportEvery = 10 * time.Second
	silentAfter = 3 * reportEvery
	// forgetAfter is how long a silent process is listed.
	forgetAfter = time.Hour
	// maxProcesses bounds those of a namespace.
	maxProcesses = 1000
)

// processes are those that have told that they record, by namespace and instance. It is in memory alone: after a restart they tell
// again within reportEvery. When a namespace is full, a new process takes the place of the one that has been silent for longest, and
// is refused when none is.
type processes struct {
	mu    sync.Mutex
	known map[message.Namespace]map[string]*fluxv1.Process
}

func newProcesses() *processes {
	return &processes{known: make(map[message.Namespace]map[string]*fluxv1.Process)}
}

// report notes what a process tells of itself, and returns false when there is no room for it.
func (p *processes) report(ns message.Namespace, process *fluxv1.Process, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expireLocked(ns, now)
	known := p.known[ns]
	if known == nil {
		known = make(map[string]*fluxv1.Process)
		p.known[ns] = known
	}
	if known[process.GetInstance()] == nil && len(known) >= maxProcesses {
		oldest := ""
		for instance, other := range known {
			if oldest == "" || other.GetSeen() < known[oldest].GetSeen() {
				oldest = instance
			}
		}
		if !isSilent(known[oldest], now) {
			return false
		}
		delete(known, oldest)
	}
	process.Seen = now.UnixMilli()
	known[process.GetInstance()] = process
	return true
}

func isSilent(process *fluxv1.Process, now time.Time) bool {
	return now.UnixMilli()-process.GetSeen() > silentAfter.Milliseconds()
}

// expireLocked forgets processes that have been silent for long.
func (p *processes) expireLocked(ns message.Namespace, now time.Time) {
	for instance, process := range p.known[ns] {
		if now.UnixMilli()-process.GetSeen() > forgetAfter.Milliseconds() {
			p.forgetLocked(ns, instance)
		}
	}
}

func (p *processes) forget(ns message.Namespace, instance string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetLocked(ns, instance)
}

func (p *processes) forgetLocked(ns message.Namespace, instance string) {
	if delete(p.known[ns], instance); len(p.known[ns]) == 0 {
		delete(p.known, ns)
	}
}

// list returns the processes of a service, or all, as they are now.
func (p *processes) list(ns message.Namespace, service string, now time.Time) (all []*fluxv1.Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expireLocked(ns, now)
	for _, process := range p.known[ns] {
		if service == "" || process.GetService() == service {
			shown := proto.CloneOf(process)
			shown.Silent = isSilent(process, now)
			all = append(all, shown)
		}
	}
	slices.SortFunc(all, func(a, b *fluxv1.Process) int {
		return cmp.Or(
			cmp.Compare(a.GetService(), b.GetService()), cmp.Compare(a.GetHost(), b.GetHost()),
			cmp.Compare(a.GetStarted(), b.GetStarted()), cmp.Compare(a.GetInstance(), b.GetInstance()),
		)
	})
	return all
}

// ReportProcess serves the procedure of this name.
func (s executionService) ReportProcess(
	ctx context.Context, r *connect.Request[fluxv1.ReportProcessRequest],
) (*connect.Response[fluxv1.ReportProcessResponse], error) {
	process := r.Msg.GetProcess()
	for _, name := range []string{process.GetService(), process.GetInstance()} {
		if len(name) == 0 || len(name) > maxNameLen {
			return nil, invalid("the name of service or instance has %d bytes: use 1 to %d", len(name), maxNameLen)
		}
	}
	for _, text := range []string{process.GetVersion(), process.GetCommit(), process.GetEnvironment(), process.GetHost()} {
		if len(text) > maxNameLen {
			return nil, invalid("version, commit, environment or host has %d bytes: use up to %d", len(text), maxNameLen)
		}
	}
	out := &fluxv1.ReportProcessResponse{AgainMs: reportEvery.Milliseconds()}
	if r.Msg.GetLeaving() {
		s.processes.forget(namespaceOf(ctx), process.GetInstance())
	} else if !s.processes.report(namespaceOf(ctx), process, s.clock()) {
		out.AgainMs = silentAfter.Milliseconds() // the list has no room for it; nothing else depends on that
	}
	return connect.NewResponse(out), nil
}

// ListProcesses serves the procedure of this name.
func (s executionService) ListProcesses(
	ctx context.Context, r *connect.Request[fluxv1.ListProcessesRequest],
) (*connect.Response[fluxv1.ListProcessesResponse], error) {
	ns, now := namespaceOf(ctx), s.clock()
	out := &fluxv1.ListProcessesResponse{Processes: s.processes.list(ns, r.Msg.GetService(), now), Now: now.UnixMilli()}
	attending := make(map[string]bool)
	for _, instance := range s.attendance.list(ns, r.Msg.GetService()) {
		attending[instance.GetInstance()] = true
	}
	for _, process := range out.GetProcesses() {
		process.Attends = attending[process.GetInstance()]
	}
	return connect.NewResponse(out), nil
}
