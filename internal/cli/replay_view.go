package cli

import (
	"slices"
	"strconv"
	"strings"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// replayView writes a report for a person.
type replayView struct {
	p      *program
	out    *screen
	bundle *record.Bundle
	report *execution.Report
	err    error
}

func (v *replayView) linef(format string, args ...any) {
	if v.err == nil {
		v.err = v.out.printf(format+"\n", args...)
	}
}

// heading says what was replayed, or only shown.
func (v *replayView) heading(title string) {
	of := v.bundle.Execution
	what := strings.TrimSpace(of.Trigger.Method + " " + of.Trigger.Path)
	if of.Trigger.Query != "" {
		what += "?" + of.Trigger.Query
	}
	v.linef("%s  %s  %s  %s", v.out.bold(title+" "+of.ID.Short()), of.Service, what, v.out.dim(of.Start.UTC().Format(timeFormat)))
	if of.Replayable.Level == record.ReplayPartial {
		v.linef("%s it can be replayed only in part: %s", v.out.yellow("!"), strings.Join(of.Replayable.Reasons, "; "))
	}
	v.linef("")
}

func (v *replayView) body(o replayOptions) {
	report := *v.report
	if o.explain {
		v.explain()
		report.Operations = nil
	}
	if !o.diff {
		report.Logs = nil
	}
	hidden := hideIgnored(&report, o.ignore)
	text := report.Text(v.style)
	if o.diff && len(report.Output) == 0 {
		text = "The output is unchanged.\n\n" + text
	}
	v.linef("%s", strings.TrimRight(text, "\n"))
	if hidden > 0 {
		v.linef("%s", v.out.dim(plural(hidden, "difference")+" hidden by --ignore, which the verdict counts; --volatile is for what may differ"))
	}
}

func (v *replayView) style(style execution.Style, text string) string {
	switch style {
	case execution.StyleBold:
		return v.out.bold(text)
	case execution.StyleDim:
		return v.out.dim(text)
	case execution.StyleGood:
		return v.out.green(text)
	case execution.StyleBad:
		return v.out.red(text)
	}
	return text
}

// explain tells the story of each operation.
func (v *replayView) explain() {
	v.linef("%s", v.out.bold("Operations"))
	for i := range v.report.Operations {
		o := &v.report.Operations[i]
		v.linef("  %s", v.out.bold(o.Operation.String()))
		if at := o.Operation.Call; at.File != "" {
			v.linef("    called at  %s:%d %s", at.File, at.Line, v.out.dim(at.Function))
		}
		v.linef("    asked      %s", v.clip(o.Operation.Request.Data))
		v.answer(o)
	}
	v.linef("")
}

func (v *replayView) answer(o *execution.OperationReport) {
	switch {
	case o.Recorded != nil && int(*o.Recorded) < len(v.bundle.Execution.Checkpoints):
		cp := &v.bundle.Execution.Checkpoints[*o.Recorded]
		outcome := v.clip(cp.Response.Data)
		if cp.Error != nil {
			outcome = v.out.red(string(cp.Error.Class) + ": " + cp.Error.Message)
		}
		v.linef("    answered   by op %d of the recording (%s)", cp.Number, o.Level)
		v.linef("               %s", outcome)
	case o.Source == record.ProvenanceLive:
		v.linef("    done       for real")
	case o.Operation.Effect == record.EffectNone:
		v.linef("    passed     at once: it has no effect")
	default:
		v.linef("    %s", v.out.red("stopped    nothing in the recording answers it"))
	}
}

// clip shows a payload in a line.
func (v *replayView) clip(data []byte) string {
	width := max(v.out.width-16, 40)
	text := []rune(strings.ToValidUTF8(string(data), "\uFFFD"))
	if len(text) <= width {
		return string(text)
	}
	return string(text[:width-1]) + "…"
}

// next writes the command one would type next.
func (v *replayView) next(arg, command string) {
	next := ""
	switch v.report.Outcome {
	case execution.OutcomeSame:
		if v.bundle.Execution.Status.Failed() {
			next = "flux why " + arg
		}
	case execution.OutcomeFixed:
		next = "flux resume " + arg + " -- " + command
	case execution.OutcomeStopped:
		if stop := v.report.Stop; stop != nil && stop.Near != nil && !stop.Operation.Effect.Writes() {
			next = "flux replay " + arg + " --loose -- " + command
		} else {
			next = "flux resume " + arg + " --plan -- " + command
		}
	case execution.OutcomeDiverged:
		if paths := v.volatile(); paths != "" {
			next = "flux replay " + arg + paths + " -- " + command
		}
	case execution.OutcomeFailed:
		next = "flux replay " + arg + " --explain -- " + command
	}
	if next != "" {
		v.linef("%s  %s", v.out.dim("next"), next)
	}
}

// volatile returns the flags with which a replay that differs only in a few places of its output would be the same.
func (v *replayView) volatile() string {
	const few = 3
	if len(v.report.Divergences) > 0 || len(v.report.Output) == 0 || len(v.report.Output) > few {
		return ""
	}
	var flags []string
	for _, d := range v.report.Output {
		flags = append(flags, " --volatile "+strconv.Quote(d.Path))
	}
	return strings.Join(slices.Compact(flags), "")
}
