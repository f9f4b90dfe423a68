package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/why"
)

// whyOptions are the flags of why.
type whyOptions struct {
	good string
	all  bool
}

func whyCommand(p *program) *cobra.Command {
	var o whyOptions
	cmd := &cobra.Command{
		Use:   "why ID|FILE.fluxrec",
		Short: "Explain why an execution failed, or was slow",
		Long: "Explain why an execution failed: the operation it came from, the line that asked for it, what had been changed by then, and in what " +
			"it differs from the last run that went well. " + recordingNote + " It says no more than the record proves: a finding is certain, " +
			"likely or possible.\n\n" +
			"With --json, one document: {\"execution\",\"status\",\"findings\",\"changes\",\"compared\",\"notes\"}. A finding is " +
			"{\"rule\",\"category\",\"confidence\",\"title\",\"operations\",\"logs\",\"frame\",\"evidence\",\"suggestion\"}; the cause of a failure comes first.",
		Example: "  flux why 7f3a\n  flux why failure.fluxrec --json",
		Args:    cobra.ExactArgs(1),
		RunE:    p.run(func(ctx context.Context, args []string) error { return p.why(ctx, args[0], o) }),
	}
	cmd.Flags().StringVar(&o.good, "good", "", "`ID` or file of a run to compare with, instead of the last good one")
	cmd.Flags().BoolVar(&o.all, "all", false, "show all findings, not only the likeliest")
	p.connection(cmd.Flags())
	return cmd
}

func (p *program) why(ctx context.Context, arg string, o whyOptions) error {
	b, err := p.recording(ctx, arg)
	if err != nil {
		return err
	}
	good, err := p.comparedWith(ctx, arg, b.Execution, o.good)
	if err != nil {
		return err
	}
	a := why.Explain(b.Execution, good)
	if p.json {
		return p.out.printJSON(a)
	}
	v := whyView{traceView{s: p.out, x: b.Execution}, a}
	v.write(o.all)
	v.next(arg)
	return v.err
}

// comparedWith returns the run to compare with: the one that was named, or the last good one of the server. Files are explained
// without a server, so they are compared only with what is named.
func (p *program) comparedWith(ctx context.Context, arg string, x *record.Execution, good string) (*record.Execution, error) {
	switch {
	case good != "":
		b, err := p.recording(ctx, good)
		if err != nil {
			return nil, err
		}
		return b.Execution, nil
	case isRecordingFile(arg):
		return nil, nil
	}
	return p.goodRun(ctx, x)
}

// A whyView writes an analysis.
type whyView struct {
	traceView
	a *why.Analysis
}

func (v *whyView) write(all bool) {
	v.printf("%s\n", v.s.headline(v.x))
	findings := v.a.Findings
	if len(findings) == 0 {
		v.printf("  %s\n", "nothing stands out: no operation failed, and none took long")
	}
	for i, f := range findings {
		if i > 0 && f.Confidence == why.Possible && !all {
			v.printf("  %s\n", v.s.dim(fmt.Sprintf("and %s that is only possible; --all shows it", plural(len(findings)-i, "finding"))))
			break
		}
		v.finding(&f, i == 0 && v.x.Status.Failed())
	}
	v.changes()
	v.compared()
	for _, note := range v.a.Notes {
		v.row("note", note)
	}
}

// row writes a line with its name in the left column.
func (v *whyView) row(name, text string) {
	v.printf("  %s %s\n", v.s.dim(fmt.Sprintf("%-10s", name)), text)
}

func (v *whyView) finding(f *why.Finding, cause bool) {
	name, title := "also", plain(f.Title)
	if cause {
		name, title = "cause", v.s.red(title)
	}
	if f.Confidence != why.Certain {
		title += v.s.dim(" (" + string(f.Confidence) + ")")
	}
	v.row(name, title)
	if where := v.where(f); where != "" {
		v.row("", v.s.dim(where))
	}
	for _, fact := range f.Evidence {
		v.row("", v.s.dim(fact.Name+": ")+plain(fact.Value))
	}
	for _, i := range f.Logs {
		v.row("", v.s.dim("log: ")+plain(v.x.Logs[i].Message)+v.s.dim(attributes(v.x.Logs[i].Attrs)))
	}
	if f.Suggestion != "" {
		v.row("suggest", f.Suggestion)
	}
}

// where tells operation and line of a finding.
func (v *whyView) where(f *why.Finding) string {
	var parts []string
	if len(f.Operations) > 0 {
		cp := &v.x.Checkpoints[f.Operations[0]]
		parts = append(parts, fmt.Sprintf("op %d", cp.Number), cp.Boundary)
	}
	if f.Frame.File != "" {
		parts = append(parts, placeOf(f.Frame))
	}
	return strings.Join(parts, " · ")
}

func (v *whyView) changes() {
	for i, c := range v.a.Changes {
		name := ""
		if i == 0 {
			name = "changed"
		}
		state := v.s.green(string(c.State))
		if c.State != why.Committed {
			state = v.s.yellow(string(c.State))
		}
		v.row(name, fmt.Sprintf("op %d %s  %s", c.Operation, cut(plain(c.What), max(v.s.width-40, 30)), state))
	}
}

func (v *whyView) compared() {
	c := v.a.Compared
	if c == nil {
		return
	}
	code := "same code"
	if !c.SameCode {
		code = "other code"
	}
	v.row("differs", v.s.dim(fmt.Sprintf("from %s, the last good run, %s", c.Good.Short(), code)))
	if c.First != nil {
		v.row("", fmt.Sprintf("op %d: %s", c.First.Operation, plain(c.First.What)))
	}
	for _, d := range c.Input {
		v.row("", fmt.Sprintf("input %s %s: %s → %s", d.Path, d.Kind, cut(plain(fmt.Sprint(d.Expected)), 40), cut(plain(fmt.Sprint(d.Actual)), 40)))
	}
	if len(c.Settings) > 0 {
		v.row("", "settings "+strings.Join(c.Settings, ", "))
	}
}

// next writes the command one would type next.
func (v *whyView) next(arg string) {
	command := "go run ."
	if v.x.Code.Package != "" && v.x.Code.Package != "command-line-arguments" {
		command = "go run " + v.x.Code.Package
	}
	if v.x.Status.Failed() {
		v.row("next", fmt.Sprintf("flux replay %s -- %s", v.name(arg), command))
	} else {
		v.row("next", "flux trace "+v.name(arg))
	}
}
