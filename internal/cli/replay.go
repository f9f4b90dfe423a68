package cli

import (
	"context"
	"fmt"
	"strings"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// The exit codes of verdicts that Report.ExitCode does not know.
const exitUnexpected = 5

// replayOptions are the flags of replay.
type replayOptions struct {
	execution.ReplayOptions
	expect, address     string
	diff, explain, save bool
	recorded            bool
	ignore              []string
	order               string
	sweep               int
}

func replayCommand(p *program) *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:   "replay ID|FILE.fluxrec [flags] [-- COMMAND [ARG…]]",
		Short: "Run a recorded execution again with your code, without touching anything",
		Long: "Start a program and run a recorded execution again in it: it gets the recorded request, and what it asks of others is " +
			"answered from the recording. Nothing outside of the program is touched, so that this is safe on a laptop, in a debugger and " +
			"in CI. The program must use package execution, or be built by flux go. It is waited for without a limit, and ended in the end.\n\n" +
			recordingNote + "\n\n" +
			"The exit code is 0 when the program did what was recorded, or does not fail any more; 2 when it did otherwise; 3 when it asked " +
			"for something that is not in the recording; 4 when it failed in another way than recorded; 5 when --expect is not met; 1 when " +
			"there was no replay; 64 for wrong usage.\n\n" +
			"With --recorded there is no command: the recorded steps are shown as a replay shows them, and nothing is run.\n\n" +
			"With --json, one document: {\"version\",\"report\",\"expect\",\"met\",\"exitCode\"}; with --recorded {\"version\",\"executed\",\"steps\",\"status\"}.",
		Example: "  flux replay 7c1e9a04 -- go run ./cmd/api --port 8080\n  flux replay incident.fluxrec --expect status=201 -- ./api",
		Args: func(cmd *cobra.Command, args []string) error {
			if o.recorded {
				return recordedArgs(cmd, args)
			}
			return replayArgs(cmd, args)
		},
		RunE: p.run(func(ctx context.Context, args []string) error {
			if o.recorded {
				return p.showRecorded(ctx, args[0], o)
			}
			return p.replay(ctx, args[0], args[1:], o)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.expect, "expect", "", "what is to come of it: same, ok, error or status=`NNN`")
	flags.BoolVar(&o.diff, "diff", false, "show all of the output and the log that differs, also when nothing does")
	flags.BoolVar(&o.explain, "explain", false, "show what each operation asked and what answered it")
	flags.BoolVar(&o.Loose, "loose", false, "answer reads from a like operation when none is the same")
	flags.BoolVar(&o.ReuseReads, "reuse-reads", false, "answer a read as often as it is asked")
	flags.BoolVar(&o.Validate, "validate", false, "do reads for real and compare their answers")
	flags.BoolVar(&o.AllowEffects, "allow-effects", false, "with --validate, do writes for real too")
	flags.StringArrayVar(&o.Volatile, "volatile", nil, "`path` such as $.body.time that may differ; may be repeated")
	flags.StringArrayVar(&o.ignore, "ignore", nil, "`path` or a part of one, as updatedAt, that is not shown where something differs; the verdict counts it; may be repeated")
	flags.StringVar(&o.order, "order", "fast", "`order` of answers to what runs side by side: fast, strict as recorded, or random by --seed")
	flags.Uint64Var(&o.Seed, "seed", 0, "`number` of a random order")
	flags.IntVar(&o.sweep, "sweep", 0, "run it in `N` random orders more, until it does not come out well in one")
	flags.BoolVar(&o.recorded, "recorded", false, "show the recorded steps, without a command; nothing is run")
	flags.BoolVar(&o.save, "save", false, "put the replay on the server, as a replay of the execution")
	flags.StringVar(&o.address, "address", "", "`address` on which the program listens; defaults to the recorded port on 127.0.0.1")
	p.connection(flags)
	return cmd
}

// replayArgs wants an execution before the dashes and a command after them.
func replayArgs(cmd *cobra.Command, args []string) error {
	if cmd.ArgsLenAtDash() != 1 || len(args) < 2 {
		return fmt.Errorf("needs an execution, then -- and the command that starts your program")
	}
	return nil
}

// recordedArgs wants an execution alone.
func recordedArgs(cmd *cobra.Command, args []string) error {
	if cmd.ArgsLenAtDash() >= 0 || len(args) != 1 {
		return fmt.Errorf("--recorded needs an execution and no command: nothing is run")
	}
	return nil
}

func (p *program) replay(ctx context.Context, arg string, command []string, o replayOptions) error {
	if o.AllowEffects && !o.Validate {
		return usagef("add --validate", "--allow-effects is about --validate")
	}
	if o.expect != "" {
		if _, err := new(execution.Report).Meets(o.expect); err != nil {
			return usagef("see flux replay --help", "%w", err)
		}
	}
	if err := o.checkOrder(); err != nil {
		return err
	}
	bundle, err := p.recording(ctx, arg)
	if err != nil {
		return err
	}
	result, err := p.inOrders(ctx, bundle, command, &o)
	if err != nil {
		return err
	}
	if o.save && result.record != nil {
		if err := p.saveReplay(ctx, result.record); err != nil {
			return err
		}
	}
	return p.judgeReplay(arg, bundle, result.report, o, command)
}

// saveReplay puts the record of a replay on the server.
func (p *program) saveReplay(ctx context.Context, bundle *record.Bundle) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	request := &fluxv1.RecordExecutionsRequest{Executions: [][]byte{record.Append(nil, bundle.Execution)}}
	answer, err := c.executions.RecordExecutions(ctx, connect.NewRequest(request))
	if err != nil {
		return err
	}
	for _, outcome := range answer.Msg.GetOutcomes() {
		if outcome.GetOutcome() == "refused" {
			return failf("", "the server refused the replay: %s", outcome.GetReason())
		}
	}
	return nil
}

// replayResult is what --json writes.
type replayResult struct {
	Version  int               `json:"version"`
	Report   *execution.Report `json:"report"`
	Expect   string            `json:"expect,omitempty"`
	Met      *bool             `json:"met,omitempty"`
	ExitCode int               `json:"exitCode"`
}

// verdictOf is the verdict of a report, by its outcome or by what is expected unless that is empty.
func verdictOf(report *execution.Report, expect string) (replayResult, error) {
	result := replayResult{Version: 1, Report: report, Expect: expect, ExitCode: report.ExitCode()}
	if expect == "" {
		return result, nil
	}
	met, err := report.Meets(expect)
	if result.Met, result.ExitCode = &met, exitDone; !met {
		result.ExitCode = exitUnexpected
	}
	return result, err
}

// judgeReplay shows a report and returns its verdict.
func (p *program) judgeReplay(arg string, bundle *record.Bundle, report *execution.Report, o replayOptions, command []string) error {
	result, err := verdictOf(report, o.expect)
	if err != nil {
		return err
	}
	show := p.showReplay
	if p.json {
		show = func(string, *record.Bundle, replayResult, replayOptions, []string) error {
			return p.out.printJSON(result)
		}
	}
	if err := show(arg, bundle, result, o, command); err != nil {
		return err
	}
	if result.ExitCode != exitDone {
		return &verdict{result.ExitCode}
	}
	return nil
}

func (p *program) showReplay(arg string, bundle *record.Bundle, result replayResult, o replayOptions, command []string) error {
	v := &replayView{p: p, out: p.out, bundle: bundle, report: result.Report}
	v.heading("Replay of")
	v.body(o)
	if result.Met != nil {
		word := p.out.green("met")
		if !*result.Met {
			word = p.out.red("not met")
		}
		v.linef("expected %s: %s", o.expect, word)
	}
	v.next(arg, strings.Join(command, " "))
	return v.err
}
