package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// incidentOptions are the flags of incident replay.
type incidentOptions struct {
	filterOptions
	execution.ReplayOptions
	address string
	limit   int
}

func incidentCommand(p *program) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "incident",
		Short: "Look back at a window of time",
		Long:  "Look back at a window of time: what went wrong in it, and what your code makes of it now.",
		Args:  cobra.ArbitraryArgs,
		RunE:  subcommands,
	}
	cmd.AddCommand(incidentReplayCommand(p))
	return cmd
}

func incidentReplayCommand(p *program) *cobra.Command {
	var o incidentOptions
	cmd := &cobra.Command{
		Use:   "replay --since TIME [flags] -- COMMAND [ARG…]",
		Short: "Run all requests of a window again with your code, without touching anything",
		Long: "Replay all requests that were recorded in a window of time, one after the other, each in a program that the command starts, as flux " +
			"replay does, and count what they ended with then and now. Executions that are replays or resumes themselves are left out.\n\n" +
			conditionHelp + "\n\n" +
			"The exit code is 0 when none fails now, 4 when one fails, 3 when one asked for something that is not in its recording and none " +
			"fails, 64 for wrong usage.\n\n" +
			"With --json, a line {\"id\",\"was\",\"now\",\"outcome\",\"error\"} for each, and a last one {\"replayed\",\"passing\",\"failing\",\"stopped\"}.",
		Example: "  flux incident replay --since 2026-01-31T14:00 --until 2026-01-31T14:30 -- go run ./cmd/api\n" +
			"  flux incident replay --since 1h --failed --route 'POST /orders' -- ./api",
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.ArgsLenAtDash() != 0 || len(args) == 0 {
				return fmt.Errorf("needs -- and the command that starts your program")
			}
			return nil
		},
		RunE: p.run(func(ctx context.Context, args []string) error { return p.incidentReplay(ctx, args, o) }),
	}
	flags := cmd.Flags()
	o.register(flags)
	flags.StringVar(&o.address, "address", "", "`address` on which the program listens; defaults to the recorded port on 127.0.0.1")
	flags.BoolVar(&o.Loose, "loose", false, "answer reads from a like operation when none is the same")
	flags.IntVar(&o.limit, "limit", 100, "most executions to replay; 0 replays all")
	p.connection(flags)
	return cmd
}

// incidentRow is what came of one request.
type incidentRow struct {
	ID      string            `json:"id"`
	Was     string            `json:"was"`
	Now     string            `json:"now"`
	Outcome execution.Outcome `json:"outcome,omitempty"`
	Error   string            `json:"error,omitempty"`

	fails bool // now
}

// incidentTotals count them.
type incidentTotals struct {
	Replayed int `json:"replayed"`
	Passing  int `json:"passing"`
	Failing  int `json:"failing"`
	Stopped  int `json:"stopped"`
	changes  map[[2]string]int
}

func (p *program) incidentReplay(ctx context.Context, command []string, o incidentOptions) error {
	if o.since == "" {
		return usagef("add --since, as 1h or 2026-01-31T14:00", "nothing says when the window begins")
	}
	c, err := p.dial()
	if err != nil {
		return err
	}
	filter, err := o.filter(ctx, c, time.Now())
	if err != nil {
		return err
	}
	if filter.Kind == "" {
		filter.Kind = string(record.TriggerHTTP)
	}
	picked, err := p.pick(ctx, c, filter)
	if err != nil {
		return asUsage(err)
	}
	if o.limit > 0 && len(picked) > o.limit {
		if err := p.err.printf("%s of %s; --limit sets how many\n", plural(o.limit, "execution"), count(len(picked))); err != nil {
			return err
		}
		picked = picked[:o.limit]
	}
	totals := incidentTotals{changes: make(map[[2]string]int)}
	bar := newProgress(p.err, "replaying", int64(len(picked)), count[int64])
	for i, x := range picked {
		row := p.replayPicked(ctx, x.GetId(), command, o)
		totals.add(row)
		bar.set(int64(i + 1))
		if p.json {
			if err := p.out.printJSON(row); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	bar.end()
	return p.endIncident(totals)
}

// replayPicked replays one request.
func (p *program) replayPicked(ctx context.Context, id string, command []string, o incidentOptions) incidentRow {
	row := incidentRow{ID: id, Was: "?", Now: "?", fails: true}
	bundle, err := p.recording(ctx, id)
	if err == nil {
		row.Was = endingText(bundle.Execution.Status, bundle.Execution.HTTPStatus)
		var result *rerunResult
		run := &rerun{p: p, bundle: bundle, command: command, address: o.address}
		if result, err = run.run(ctx, execution.Control{Replay: &o.ReplayOptions}, false); err == nil {
			replayed := result.report.Replayed
			row.Now, row.Outcome = endingText(replayed.Status, replayed.HTTPStatus), result.report.Outcome
			row.fails = replayed.Status.Failed()
		}
	}
	if err != nil {
		row.Error, _ = p.explain(err)
	}
	return row
}

func endingText(status record.Status, http int) string {
	if http != 0 && status != record.StatusStopped {
		return fmt.Sprint(http)
	}
	return string(status)
}

func (t *incidentTotals) add(row incidentRow) {
	t.Replayed++
	t.changes[[2]string{row.Was, row.Now}]++
	switch {
	case row.Outcome == execution.OutcomeStopped:
		t.Stopped++
	case row.fails:
		t.Failing++
	default:
		t.Passing++
	}
}

func (p *program) endIncident(t incidentTotals) error {
	if p.json {
		if err := p.out.printJSON(t); err != nil {
			return err
		}
	} else if err := p.writeIncident(t); err != nil {
		return err
	}
	switch {
	case t.Failing > 0:
		return &verdict{4}
	case t.Stopped > 0:
		return &verdict{3}
	}
	return nil
}

func (p *program) writeIncident(t incidentTotals) error {
	if t.Replayed == 0 {
		return p.err.printf("No requests match.\n")
	}
	var keys [][2]string
	for key := range t.changes {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b [2]string) int { return t.changes[b] - t.changes[a] })
	table := newTable("was", "now", ">requests")
	for _, key := range keys {
		table.add(key[0], key[1], count(t.changes[key]))
	}
	if err := table.write(p.out); err != nil {
		return err
	}
	return p.out.printf("%s replayed · %s passing · %s failing · %s stopped\n",
		count(t.Replayed), count(t.Passing), count(t.Failing), count(t.Stopped))
}
