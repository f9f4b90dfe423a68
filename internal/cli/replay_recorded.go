package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// recordedResult is what --recorded writes with --json.
type recordedResult struct {
	Version  int                         `json:"version"`
	Executed bool                        `json:"executed"` // always false
	Steps    []execution.OperationReport `json:"steps"`
	Status   record.Status               `json:"status"` // in which it ended
	HTTP     int                         `json:"httpStatus,omitempty"`
	Error    *record.Error               `json:"error,omitempty"`
}

// showRecorded shows the steps of a recording as a replay of the same code would, and says that there was none.
func (p *program) showRecorded(ctx context.Context, arg string, o replayOptions) error {
	bundle, err := p.recording(ctx, arg)
	if err != nil {
		return err
	}
	x := bundle.Execution
	report := &execution.Report{Of: x.ID, Operations: recordedSteps(x)}
	if p.json {
		return p.out.printJSON(recordedResult{1, false, report.Operations, x.Status, x.HTTPStatus, x.Error})
	}
	v := &replayView{p: p, out: p.out, bundle: bundle, report: report}
	v.heading("Not executed, recorded steps of")
	if o.explain {
		v.explain()
	} else {
		v.steps()
	}
	v.linef("%s\n  recorded  %s", v.out.bold("End"), p.out.status(x))
	if x.Error != nil {
		v.linef("            %s", plain(x.Error.Message))
	}
	v.linef("\n%s  nothing was run: this is what was recorded", v.out.bold("NOT EXECUTED"))
	v.linef("%s  flux replay %s -- COMMAND", v.out.dim("next"), arg)
	return v.err
}

// recordedSteps are the operations of a recording, each as it was.
func recordedSteps(x *record.Execution) []execution.OperationReport {
	steps := make([]execution.OperationReport, len(x.Checkpoints))
	for i := range x.Checkpoints {
		cp := &x.Checkpoints[i]
		steps[i] = execution.OperationReport{
			Operation: execution.Operation{
				Number: cp.Number, Lane: cp.Lane, Boundary: cp.Boundary, Target: cp.Target, Shape: cp.Shape, Effect: cp.Effect,
				Request: cp.Request, Call: cp.Call,
			},
			Recorded: &cp.Number, Level: execution.LevelExact.String(), Source: record.ProvenanceRecorded,
		}
	}
	return steps
}

// steps writes the recorded operations, each with its outcome.
func (v *replayView) steps() {
	v.linef("%s", v.out.bold("Operations"))
	for i := range v.report.Operations {
		cp := &v.bundle.Execution.Checkpoints[i]
		result := v.out.dim("→ " + plain(resultOf(cp)))
		if !cp.Succeeded() {
			result = v.out.red("→ " + plain(resultOf(cp)))
		}
		v.linef("  · %s  %s %s", plain(v.report.Operations[i].Operation.String()), v.out.dim("recorded"), result)
	}
	v.linef("")
}

// hideIgnored leaves out of a report the differences at ignored paths, and returns how many. A path is ignored when it is one of those
// given, or below one, or a part of it between dots is one.
func hideIgnored(r *execution.Report, ignore []string) (hidden int) {
	if len(ignore) == 0 {
		return 0
	}
	ignored := func(d execution.Difference) bool {
		return slices.ContainsFunc(ignore, func(path string) bool {
			return d.Path == path || strings.HasPrefix(d.Path, path+".") || strings.HasPrefix(d.Path, path+"[") ||
				slices.Contains(strings.FieldsFunc(d.Path, isPathMark), path)
		})
	}
	hide := func(diff []execution.Difference) []execution.Difference {
		shown := slices.DeleteFunc(slices.Clone(diff), ignored)
		hidden += len(diff) - len(shown)
		return shown
	}
	r.Output = hide(r.Output)
	r.Divergences = slices.Clone(r.Divergences)
	for i := range r.Divergences {
		r.Divergences[i].Diff = hide(r.Divergences[i].Diff)
	}
	if r.Stop != nil {
		stop := *r.Stop
		stop.Diff = hide(stop.Diff)
		r.Stop = &stop
	}
	return hidden
}

// isPathMark says that a character stands between the parts of a path such as $.items[0].price.
func isPathMark(r rune) bool { return strings.ContainsRune(".[]\"", r) }
