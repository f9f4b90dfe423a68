package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/internal/tracediff"
)

func traceDiffCommand(p *program) *cobra.Command {
	var volatile []string
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare two executions",
		Long: "Compare two executions, the older one first: how they ended, what they did, and what came out. " + recordingNote + "\n\n" +
			"The verdict is FIXED, REGRESSED, CHANGED or IDENTICAL. The exit code is 0 for FIXED and IDENTICAL, and 2 for the others.\n\n" +
			"With --json, one document: {\"verdict\",\"a\",\"b\",\"operations\",\"input\",\"output\"}.",
		Example: "  flux trace diff 7e11 7f3a\n  flux trace diff before.fluxrec after.fluxrec --volatile '$.body.time'",
		Args:    cobra.ExactArgs(2),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.traceDiff(ctx, args[0], args[1], volatile) }),
	}
	cmd.Flags().StringArrayVar(&volatile, "volatile", nil, "`path` that may differ, as $.body.time")
	p.connection(cmd.Flags())
	return cmd
}

func (p *program) traceDiff(ctx context.Context, a, b string, volatile []string) error {
	before, err := p.recording(ctx, a)
	if err != nil {
		return err
	}
	after, err := p.recording(ctx, b)
	if err != nil {
		return err
	}
	d := tracediff.Compare(before.Execution, after.Execution, volatile)
	if p.json {
		err = p.out.printJSON(d)
	} else {
		err = p.writeTraceDiff(before.Execution.ID.Short(), after.Execution.ID.Short(), d)
	}
	if err == nil && (d.Verdict == tracediff.Regressed || d.Verdict == tracediff.Changed) {
		return &verdict{2}
	}
	return err
}

func (p *program) writeTraceDiff(a, b string, d *tracediff.Diff) error {
	s := p.out
	v := traceView{s: s}
	paint := map[tracediff.Verdict]func(string) string{tracediff.Fixed: s.green, tracediff.Identical: s.green, tracediff.Regressed: s.red, tracediff.Changed: s.yellow}
	v.printf("%s  %s → %s\n", paint[d.Verdict](s.bold(string(d.Verdict))), a, b)
	v.printf("  %s %s → %s  %s → %s (%+d %%)\n", s.dim("ended    "), d.A.Status, d.B.Status, shortDuration(d.A.Duration), shortDuration(d.B.Duration), d.Slower)
	if d.A.Error != d.B.Error {
		v.printf("  %s %s → %s\n", s.dim("error    "), plain(orNone(d.A.Error)), plain(orNone(d.B.Error)))
	}
	for _, op := range d.Operations {
		v.printf("  %s %s %s", s.dim("operation"), mark(s, op.Kind), cut(plain(op.What), 70))
		if op.Detail != "" {
			v.printf("  %s", s.dim(plain(op.Detail)))
		}
		v.printf("\n")
		v.differences("           ", op.Request)
		v.differences("           ", op.Response)
	}
	if len(d.Input) > 0 {
		v.printf("  %s\n", s.dim("input"))
		v.differences("    ", d.Input)
	}
	if len(d.Output) > 0 {
		v.printf("  %s\n", s.dim("output"))
		v.differences("    ", d.Output)
	}
	return v.err
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

func mark(s *screen, kind tracediff.Kind) string {
	switch kind {
	case tracediff.Missing:
		return s.red("-")
	case tracediff.New:
		return s.green("+")
	}
	return s.yellow("~")
}

// differences writes where two documents differ, as a diff.
func (v *traceView) differences(indent string, found []execution.Difference) {
	for _, d := range found {
		if d.Kind != execution.Added {
			v.printf("%s%s\n", indent, v.s.red(plain(fmt.Sprintf("- %s = %v", d.Path, d.Expected))))
		}
		if d.Kind != execution.Removed {
			v.printf("%s%s\n", indent, v.s.green(plain(fmt.Sprintf("+ %s = %v", d.Path, d.Actual))))
		}
	}
}
