package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// exitRefused is the verdict on a resume that must not be, or needs a decision.
const exitRefused = 6

// resumeOptions are the flags of resume.
type resumeOptions struct {
	filterOptions
	plan, yes   bool
	abandon     bool
	from        string
	assume      []string
	freshReads  bool
	probe       bool
	address     string
	concurrency int
}

func resumeCommand(p *program) *cobra.Command {
	var o resumeOptions
	cmd := &cobra.Command{
		Use:   "resume [ID|FILE.fluxrec] [flags] [-- COMMAND [ARG…]]",
		Short: "Finish a failed execution after a fix, without repeating what was done",
		Long: "Run a recorded execution again for real: what was completed is answered from the recording, and only the rest is done. The plan is " +
			"shown first: reuse is answered from the recording, redo and live are done, ask needs a decision with --assume. Nothing is done " +
			"without --yes, or a yes on a terminal.\n\n" +
			"Without a command it runs in a process of the service that is connected to the server and has the fix; with one, in the program that " +
			"the command starts here. Only one at a time may resume an execution. One whose resume failed goes on from there. " + recordingNote + "\n\n" +
			"A resume that began, and whose end never came because its machine is lost, keeps others away: --abandon gives it up. What it may have " +
			"done is in doubt then.\n\n" +
			"Without an ID, the flags pick executions, which are resumed one by one in the service.\n\n" + conditionHelp + "\n\n" +
			"The exit code is 0 when it went well, 4 when it failed again, 6 when it was refused, 1 when something else went wrong, 64 for wrong usage.\n\n" +
			"With --json, one document: {\"version\",\"execution\",\"steps\",\"report\",\"exitCode\"}; for many, a line {\"id\",\"resumed\",\"outcome\",\"error\"} " +
			"for each and a last one with the totals.",
		Example: "  flux resume 7c1e9a04 --plan\n  flux resume 7c1e9a04 --yes -- go run ./cmd/api",
		Args:    resumeArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.run(func(ctx context.Context, args []string) error {
				at := cmd.ArgsLenAtDash()
				if at < 0 {
					at = len(args)
				}
				return p.resume(ctx, args[:at], args[at:], o)
			})(cmd, args)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.plan, "plan", false, "show what would be done, and do nothing")
	flags.BoolVar(&o.yes, "yes", false, "do it without asking")
	flags.BoolVar(&o.abandon, "abandon", false, "give up a resume that began, and whose end never came: what it may have done is in doubt then")
	flags.StringVar(&o.from, "from", "", "`operation` from which on nothing is answered from the recording but completed writes: its number, or what it asked of whom, as \"POST /charge\"")
	flags.StringArrayVar(&o.assume, "assume", nil, "`done=N` or notdone=N: whether the write N, which is in doubt, took effect; may be repeated")
	flags.BoolVar(&o.freshReads, "fresh-reads", false, "do reads again")
	flags.BoolVar(&o.probe, "probe", false, "let the service find out about writes in doubt, with the Probe of its configuration")
	flags.StringVar(&o.address, "address", "", "`address` on which the program of the command listens; defaults to the recorded port on 127.0.0.1")
	flags.IntVar(&o.concurrency, "concurrency", 4, "how many are resumed at a time")
	o.register(flags)
	p.connection(flags)
	return cmd
}

// resumeArgs wants at most one execution before the dashes.
func resumeArgs(cmd *cobra.Command, args []string) error {
	at := cmd.ArgsLenAtDash()
	if at < 0 {
		at = len(args)
	}
	if at > 1 {
		return fmt.Errorf("takes one execution, and after -- a command")
	}
	if at == 0 && len(args) > 0 {
		return fmt.Errorf("a command resumes one execution: give its ID before --")
	}
	return nil
}

func (p *program) resume(ctx context.Context, args, command []string, o resumeOptions) error {
	opts, err := o.options()
	if err != nil {
		return err
	}
	switch {
	case len(args) == 0 && o.empty():
		return usagef("give an ID, or flags such as --issue 3fa2", "nothing says what to resume")
	case len(args) == 1 && !o.empty():
		return usagef("leave out the ID, or the flags", "an ID and flags that pick executions")
	case len(args) == 0 && (o.from != "" || len(o.assume) > 0):
		return usagef("give the ID of one", "--from and --assume are about one execution")
	case o.abandon && (len(args) == 0 || len(command) > 0):
		return usagef("give the ID of one, and no command", "--abandon gives up the resume of one execution")
	case o.abandon:
		return p.abandon(ctx, args[0], o)
	case len(args) == 0:
		return p.resumeMany(ctx, opts, o)
	}
	return p.resumeOne(ctx, args[0], command, opts, o)
}

// options returns what the flags say.
func (o *resumeOptions) options() (*execution.ResumeOptions, error) {
	opts := &execution.ResumeOptions{FreshReads: o.freshReads, Assume: make(map[uint32]bool)}
	if o.probe {
		opts.Probe = func(context.Context, *record.Checkpoint) (bool, error) { return false, execution.ErrRefused } // for the plan alone
	}
	for _, text := range o.assume {
		word, number, _ := strings.Cut(text, "=")
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil || word != "done" && word != "notdone" {
			return nil, usagef("use done=N or notdone=N with the number of an operation, as flux resume --plan shows it", "--assume %s", text)
		}
		opts.Assume[uint32(n)] = word == "done"
	}
	if o.concurrency < 1 {
		return nil, usagef("use 1 or more", "--concurrency %d", o.concurrency)
	}
	return opts, nil
}

// resumeOne shows the plan for an execution and carries it out.
func (p *program) resumeOne(ctx context.Context, arg string, command []string, opts *execution.ResumeOptions, o resumeOptions) error {
	bundle, watched, err := p.resumable(ctx, arg)
	if err != nil {
		return p.refusal(err)
	}
	wide := *p.out
	wide.width += barWidth // the plan has no bars
	v := &resumeView{traceView: traceView{s: &wide, x: bundle.Execution}, arg: arg, watched: watched, command: command}
	if opts.From, err = parseFrom(o.from, bundle.Execution); err != nil {
		return err
	}
	if v.steps, err = execution.Plan(bundle.Execution, opts); err != nil {
		return p.refusal(err)
	}
	switch {
	case !p.json:
		v.write()
	case o.plan:
		return p.out.printJSON(resumeResult{Version: 1, Execution: bundle.Execution.ID, Steps: v.steps})
	}
	if v.err != nil || o.plan {
		return v.err
	}
	if open := v.open(); len(open) > 0 {
		v.decide(open)
		return &verdict{exitRefused}
	}
	if err := p.confirm(o.yes, "Do it?"); err != nil {
		return err
	}
	run := &resumption{p: p, bundle: bundle, watched: watched, command: command, address: o.address, opts: opts}
	report, err := run.run(ctx)
	if err != nil {
		return p.refusal(err)
	}
	return p.judgeResume(v, report)
}

// resumable returns what is to be resumed, and whether the server watches that nobody else does it.
func (p *program) resumable(ctx context.Context, arg string) (bundle *record.Bundle, watched bool, err error) {
	id := arg
	if isRecordingFile(arg) {
		if bundle, err = readRecording(arg); err != nil {
			return nil, false, err
		}
		id = bundle.Execution.ID.String()
	} else if _, _, err := record.ParsePrefix(arg); err != nil {
		return nil, false, usagef("take an id from flux logs, or the path of a .fluxrec file", "%w", err)
	}
	c, err := p.dial()
	if err != nil {
		return nil, false, err
	}
	known, err := execution.Resumable(ctx, c.executions, id)
	switch {
	case err == nil:
		return known, true, nil
	case bundle != nil && !errors.Is(err, execution.ErrResumed):
		return bundle, false, nil // of a file that the server does not know, or without a server
	}
	return nil, false, err
}

// confirm returns an error unless a person says yes, here or by the flag.
func (p *program) confirm(yes bool, question string) error {
	if yes {
		return nil
	}
	if !p.err.terminal {
		return usagef("look at the plan, then add --yes", "this changes things for real, and nobody is here to be asked")
	}
	fmt.Fprintf(p.err, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(p.in).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer == "y" || answer == "yes" {
		return nil
	}
	fmt.Fprintln(p.err, "Nothing was done.")
	return &verdict{exitRefused}
}

// refusal tells why an execution must not be resumed. Other errors stay what they are.
func (p *program) refusal(err error) error {
	for _, known := range []error{execution.ErrLeased, execution.ErrResumed, execution.ErrRefused, execution.ErrNotReplayable} {
		if errors.Is(err, known) {
			p.fail(err)
			return &verdict{exitRefused}
		}
	}
	return err
}

// resumeResult is what --json writes.
type resumeResult struct {
	Version   int               `json:"version"`
	Execution record.ID         `json:"execution"`
	Steps     []execution.Step  `json:"steps"`
	Report    *execution.Report `json:"report,omitempty"`
	ExitCode  int               `json:"exitCode"`
}

// resumeCode is the exit code for a report: a resume has to end well, however the recording ended.
func resumeCode(report *execution.Report) int {
	switch {
	case report.Refused != nil:
		return exitRefused
	case report.Replayed.Status != record.StatusOK:
		return 4
	}
	return exitDone
}

func (p *program) judgeResume(v *resumeView, report *execution.Report) error {
	code := resumeCode(report)
	if p.json {
		v.err = p.out.printJSON(resumeResult{1, v.x.ID, v.steps, report, code})
	} else {
		v.ending(report)
	}
	if v.err == nil && code != exitDone {
		return &verdict{code}
	}
	return v.err
}
