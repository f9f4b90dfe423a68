package cli

import (
	"fmt"
	"strings"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// resumeView writes the plan of a resume, and what came of it.
type resumeView struct {
	traceView
	arg     string
	command []string
	watched bool
	steps   []execution.Step
}

// write writes the plan.
func (v *resumeView) write() {
	v.printf("%s\n", v.s.headline(v.x))
	if v.x.Relation == record.RelationResume {
		v.printf("%s  it goes on where this resume of %s ended\n", v.s.dim("from "), v.x.Parent.Short())
	}
	if !v.watched {
		v.printf("%s no server watches that nobody else resumes it\n", v.s.yellow("!"))
	}
	v.printf("\n")
	if len(v.steps) == 0 {
		v.printf("  It did nothing outside its own memory: everything is done now.\n")
	}
	for i := range v.steps {
		v.step(&v.steps[i])
	}
	v.printf("\n")
	v.totals()
}

// step writes one operation: its number, the decision, what it is, and why.
func (v *resumeView) step(s *execution.Step) {
	paint := map[execution.Decision]func(string) string{
		execution.DecisionReuse: v.s.green, execution.DecisionRedo: v.s.bold, execution.DecisionLive: v.s.bold,
		execution.DecisionProbe: v.s.yellow, execution.DecisionAsk: v.s.red,
	}[s.Decision]
	cp := s.Checkpoint
	result := resultOf(cp)
	if !cp.Succeeded() {
		result = v.s.red(result)
	}
	v.printf("%s  %s  %s %s\n", v.s.dim(fmt.Sprintf("%3d", cp.Number)), paint(fmt.Sprintf("%-5s", s.Decision)), v.what(cp), v.s.dim("→ ")+result)
	v.printf("            %s\n", v.s.dim(s.Reason))
}

func (v *resumeView) totals() {
	counts := make(map[execution.Decision]int)
	for i := range v.steps {
		counts[v.steps[i].Decision]++
	}
	var parts []string
	for _, total := range []struct {
		decision execution.Decision
		text     string
	}{
		{execution.DecisionReuse, "from the recording"},
		{execution.DecisionRedo, "done again"},
		{execution.DecisionLive, "done"},
		{execution.DecisionProbe, "found out"},
		{execution.DecisionAsk, "to be decided"},
	} {
		if n := counts[total.decision]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, total.text))
		}
	}
	if len(parts) > 0 {
		v.printf("%s; what the recording does not have is done\n", strings.Join(parts, ", "))
	}
}

// open returns the numbers of writes that nobody has decided about.
func (v *resumeView) open() (numbers []uint32) {
	seen := make(map[string]bool)
	for i := range v.steps {
		cp := v.steps[i].Checkpoint
		if v.steps[i].Decision != execution.DecisionAsk {
			continue
		}
		if cp.Transaction != "" {
			if cp.Shape != execution.ShapeCommit || seen[cp.Transaction] {
				continue
			}
			seen[cp.Transaction] = true
		}
		numbers = append(numbers, cp.Number)
	}
	return numbers
}

// decide tells what a person has to find out.
func (v *resumeView) decide(open []uint32) {
	s := v.s
	for _, number := range open {
		cp := v.steps[number].Checkpoint
		v.printf("%s op %d may have taken effect or not. Look at %s, then say --assume done=%d or --assume notdone=%d, or --probe\n",
			s.red("refused"), number, cp.Target, number, number)
	}
}

// ending writes what came of the resume.
func (v *resumeView) ending(report *execution.Report) {
	live := len(report.Live)
	v.printf("%d from the recording, %s done:\n", report.Served, plural(live, "operation"))
	for i := range report.Live {
		o := &report.Live[i]
		v.printf("  %s %s %s\n", v.s.bold("→"), o.Boundary, strings.TrimSpace(o.Target+" "+o.Shape))
	}
	now := string(report.Replayed.Status)
	if report.Replayed.HTTPStatus != 0 {
		now = fmt.Sprint(report.Replayed.HTTPStatus)
	}
	switch {
	case report.Refused != nil:
		v.printf("%s op %d: %s\n%s %s\n", v.s.red("refused"), report.Refused.Operation.Number, report.Refused.Reason,
			v.s.bold("Try:"), report.Refused.Remedy)
	case report.Replayed.Status == record.StatusOK:
		v.printf("%s it was %s, now it is %s\n", v.s.green("done"), report.Recorded.Status, now)
	default:
		v.printf("%s it was %s, now it is %s %s\n", v.s.red("failed"), report.Recorded.Status, now, report.Replayed.Message)
	}
	if next := "flux trace "; v.watched && !report.Execution.IsZero() {
		if report.Replayed.Status != record.StatusOK {
			next = "flux why "
		}
		v.printf("%s %s%s\n", v.s.dim("next"), next, report.Execution.Short())
	}
}
