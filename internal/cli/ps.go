package cli

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

func psCommand(p *program) *cobra.Command {
	var service string
	cmd := &cobra.Command{
		Use:   "ps",
		Short: "List the processes that record executions",
		Long: "List the processes that record executions to the server, with what they kept and what of it was lost. A process tells the server " +
			"of itself every few seconds; one that stopped doing so is silent: it was killed, or cannot reach the server. It is listed for an hour.\n\n" +
			"KEPT counts executions that were worth keeping, WAITING those of them that the server has not got yet, and LOST those it will never get.\n\n" +
			"With --json, one line for each process: " + processNote,
		Example: "  flux ps\n  flux ps --service payments --json",
		Args:    cobra.NoArgs,
		RunE:    p.run(func(ctx context.Context, _ []string) error { return p.ps(ctx, service) }),
	}
	cmd.Flags().StringVar(&service, "service", "", "only those of the service of this `name`")
	p.connection(cmd.Flags())
	return cmd
}

// processRow is a process as --json writes it.
type processRow struct {
	Instance     string      `json:"instance"`
	Service      string      `json:"service"`
	Version      string      `json:"version,omitempty"`
	Commit       string      `json:"commit,omitempty"`
	Dirty        bool        `json:"dirty,omitempty"`
	Environment  string      `json:"environment,omitempty"`
	Host         string      `json:"host,omitempty"`
	Pid          int64       `json:"pid"`
	Started      string      `json:"started"`
	Seen         string      `json:"seen"`
	Silent       bool        `json:"silent"`
	Attends      bool        `json:"attends"`
	Executions   int64       `json:"executions"`
	Kept         int64       `json:"kept"`
	Stored       int64       `json:"stored"`
	Waiting      int64       `json:"waiting"`
	WaitingBytes int64       `json:"waitingBytes"`
	Lost         processLost `json:"lost"`
	DiskErrors   int64       `json:"diskErrors"`
	Outside      int64       `json:"outside"`
}

// processLost counts executions that were kept and are lost, by where that happened.
type processLost struct {
	Before  int64 `json:"before"`
	Full    int64 `json:"full"`
	Memory  int64 `json:"memory"`
	Damaged int64 `json:"damaged"`
	Refused int64 `json:"refused"`
}

func (l processLost) total() int64 { return l.Before + l.Full + l.Memory + l.Damaged + l.Refused }

// processNote describes the JSON form of a process.
const processNote = `{"instance","service","version","commit","dirty","environment","host","pid","started","seen","silent","attends","executions","kept",` +
	`"stored","waiting","waitingBytes","lost","diskErrors","outside"}, without what is empty. Executions are lost "before" they came to its folder, because ` +
	`that was "full", from "memory" while the disk was bad, "damaged" on the disk, or "refused" by the server; outside counts operations of no execution.`

func showProcess(in *fluxv1.Process) processRow {
	c := in.GetCounters()
	return processRow{
		Instance: in.GetInstance(), Service: in.GetService(), Version: in.GetVersion(), Commit: in.GetCommit(), Dirty: in.GetDirty(),
		Environment: in.GetEnvironment(), Host: in.GetHost(), Pid: in.GetPid(), Started: milli(in.GetStarted()), Seen: milli(in.GetSeen()),
		Silent: in.GetSilent(), Attends: in.GetAttends(),
		Executions: c.GetExecutions(), Kept: c.GetKept(), Stored: c.GetStored(), Waiting: c.GetWaiting(), WaitingBytes: c.GetWaitingBytes(),
		Lost:       processLost{c.GetLostBefore(), c.GetLostFull(), c.GetLostMemory(), c.GetLostDamaged(), c.GetRefused()},
		DiskErrors: c.GetDiskErrors(), Outside: c.GetOutside(),
	}
}

func (p *program) ps(ctx context.Context, service string) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	answer, err := c.executions.ListProcesses(ctx, connect.NewRequest(&fluxv1.ListProcessesRequest{Service: service}))
	if err != nil {
		return err
	}
	if p.json {
		for _, process := range answer.Msg.GetProcesses() {
			if err := p.out.printJSON(showProcess(process)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(answer.Msg.GetProcesses()) == 0 {
		return p.err.printf("No process records to this server. One does with package execution and the URL of the server, or when it is run by flux go run.\n")
	}
	return processTable(answer.Msg).write(p.out)
}

// processTable has a row for each process. State is in words, so that it needs no colour.
func processTable(in *fluxv1.ListProcessesResponse) *table {
	rows := newTable("service", "version", "host", ">pid", ">since", "seen", ">kept", ">waiting", ">lost")
	for _, process := range in.GetProcesses() {
		r := showProcess(process)
		seen := age(in.GetNow()-process.GetSeen()) + " ago"
		if r.Silent {
			seen = "silent for " + age(in.GetNow()-process.GetSeen())
		}
		rows.add(plain(serviceOf(r)), plain(cmp.Or(versionText(r.Version, r.Commit, r.Dirty), "-")), plain(cmp.Or(r.Host, "-")), fmt.Sprint(r.Pid), age(in.GetNow()-process.GetStarted()), seen,
			count(r.Kept), count(r.Waiting), count(r.Lost.total()))
	}
	return rows
}

// serviceOf names a service and where it is: "payments (production)".
func serviceOf(r processRow) string {
	if r.Environment == "" {
		return r.Service
	}
	return r.Service + " (" + r.Environment + ")"
}

// age shows how long something is ago, in the largest unit that it has one of. Clocks may differ, so nothing is in the future.
func age(milliseconds int64) string {
	d := max(time.Duration(milliseconds)*time.Millisecond, 0)
	for _, unit := range []struct {
		name string
		of   time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}} {
		if d >= unit.of {
			return fmt.Sprintf("%d%s", d/unit.of, unit.name)
		}
	}
	return fmt.Sprintf("%ds", d/time.Second)
}
