package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/why"
)

// traceOptions are the flags of trace.
type traceOptions struct {
	verbose bool
	op      int
	logs    bool
	tree    bool
	html    string
}

func traceCommand(p *program) *cobra.Command {
	o := traceOptions{op: -1}
	cmd := &cobra.Command{
		Use:   "trace ID|FILE.fluxrec",
		Short: "Show what an execution did, in time",
		Long: "Show what an execution did: its operations and log lines in the order in which they happened, each with its place in time. " +
			"Operations of concurrent work have the name of their lane. " + recordingNote + "\n\n" +
			"With --tree, show instead what caused it and what it caused, in all services that record, with the operations between them. What is " +
			"not kept is shown as such.\n\n" +
			"With --html, one page that needs no server, loads nothing and runs no script: why it failed, its lanes side by side, operations with " +
			"what they sent and got, as it is stored, and log lines.\n\n" +
			"With --json, one document: the record, as docs/format/recording.md describes it. " + treeNote,
		Example: "  flux trace 7f3a --tree\n  flux trace failure.fluxrec --html failure.html",
		Args:    cobra.ExactArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.trace(ctx, args[0], o) }),
	}
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "show requests, responses and errors whole")
	cmd.Flags().IntVar(&o.op, "op", -1, "show only the operation of this `number`, whole")
	cmd.Flags().BoolVar(&o.logs, "logs", true, "show log lines")
	cmd.Flags().BoolVar(&o.tree, "tree", false, "show the executions that caused it and that it caused")
	cmd.Flags().StringVar(&o.html, "html", "", "`file` to write it to as a page; - is the standard output")
	cmd.MarkFlagsMutuallyExclusive("tree", "html", "op")
	cmd.MarkFlagsMutuallyExclusive("tree", "html", "verbose")
	p.connection(cmd.Flags())
	cmd.AddCommand(traceDiffCommand(p))
	return cmd
}

func (p *program) trace(ctx context.Context, arg string, o traceOptions) error {
	if o.html != "" && p.json {
		return usagef("leave one of them out", "--json and --html are two forms of the same")
	}
	if o.tree {
		return p.traceTree(ctx, arg)
	}
	b, err := p.recording(ctx, arg)
	if err != nil {
		return err
	}
	x := b.Execution
	if o.op >= len(x.Checkpoints) {
		return usagef("leave out --op to see them all", "there is no op %d: the record has %d operations", o.op, len(x.Checkpoints))
	}
	if o.html != "" {
		return p.tracePage(ctx, arg, o.html, x)
	}
	if p.json {
		if o.op >= 0 {
			return p.out.printJSON(x.Checkpoints[o.op])
		}
		return p.out.printJSON(x)
	}
	v := traceView{s: p.out, x: x, verbose: o.verbose, logs: o.logs}
	if o.op >= 0 {
		v.operation(&x.Checkpoints[o.op], true)
		return v.err
	}
	v.write()
	if x.Status.Failed() {
		v.printf("\n%s flux why %s\n", p.out.dim("next"), v.name(arg))
	}
	return v.err
}

// tracePage writes an execution as a page, with what flux why finds.
func (p *program) tracePage(ctx context.Context, arg, path string, x *record.Execution) error {
	good, err := p.comparedWith(ctx, arg, x, "")
	if err != nil {
		return err
	}
	return p.writePage(path, x, why.Explain(x, good))
}

// name is how the next command names the recording.
func (v *traceView) name(arg string) string {
	if isRecordingFile(arg) {
		return arg
	}
	return v.x.ID.Short()
}

// headline is the first line of everything that shows one execution.
func (s *screen) headline(x *record.Execution) string {
	text := s.bold(plain(titleOf(x))) + "  " + s.status(x)
	if x.Duration > 0 {
		text += "  " + shortDuration(x.Duration)
	}
	return text + s.dim(fmt.Sprintf("  %s  %s  %s", x.ID.Short(), plain(codeOf(x)), x.Start.Local().Format("2006-01-02 15:04:05.000")))
}

// titleOf names what set an execution off: "POST /orders", "command PlaceOrder".
func titleOf(x *record.Execution) string {
	t := x.Trigger
	switch {
	case t.Kind == record.TriggerBoot:
		return "start of the process"
	case t.Kind == record.TriggerMessage:
		return t.Path + " " + t.Method
	case t.Path == "":
		return string(t.Kind) + " " + t.Method
	case t.Query != "":
		return t.Method + " " + t.Path + "?" + t.Query
	}
	return t.Method + " " + t.Path
}

// codeOf names the program: "payments 1.8.2 (a1b2c3d)".
func codeOf(x *record.Execution) string {
	return strings.TrimSpace(x.Service + " " + versionText(x.Code.Version, x.Code.Commit, x.Code.Dirty))
}

// versionText names a version of a program, with a plus when it had changes beyond the commit: "1.8.2 (a1b2c3d+)".
func versionText(version, commit string, dirty bool) string {
	if version == "(devel)" {
		version = ""
	}
	switch {
	case commit != "" && dirty:
		version += fmt.Sprintf(" (%.7s+)", commit)
	case commit != "":
		version += fmt.Sprintf(" (%.7s)", commit)
	}
	return strings.TrimSpace(version)
}

// status shows the status of an execution in its colour.
func (s *screen) status(x *record.Execution) string { return s.statusText(x.Status, x.HTTPStatus) }

func (s *screen) statusText(status record.Status, http int) string {
	text := plain(string(status))
	if http != 0 {
		text += fmt.Sprintf(" %d", http)
	}
	switch {
	case status.Failed():
		return s.red("✗ " + text)
	case status == record.StatusOK:
		return s.green("✓ " + text)
	}
	return s.yellow("… " + text)
}
