package why

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/flux-go/flux/execution/record"
)

func newInquiry(x, good *record.Execution) *inquiry {
	q := &inquiry{x: x, good: good}
	if x.Error != nil {
		parts := []string{x.Error.Message}
		for _, p := range x.Error.Chain {
			parts = append(parts, p.Message)
		}
		q.text = strings.Join(parts, "\n")
	}
	q.suspects = suspects(x, q.text)
	return q
}

// suspects returns the operations a failure may have come from, the likeliest first: those whose error is in the error of the
// execution, those in doubt, those whose answer is in it, then the others that did not succeed, the last first.
func suspects(x *record.Execution, text string) []*record.Checkpoint {
	type scored struct {
		cp    *record.Checkpoint
		score int
	}
	var all []scored
	for i := range x.Checkpoints {
		cp := &x.Checkpoints[i]
		if score := suspicion(x, cp, text); score > 0 {
			all = append(all, scored{cp, score})
		}
	}
	slices.SortStableFunc(all, func(a, b scored) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.cp.Number, a.cp.Number))
	})
	out := make([]*record.Checkpoint, len(all))
	for i, s := range all {
		out[i] = s.cp
	}
	return out
}

func suspicion(x *record.Execution, cp *record.Checkpoint, text string) int {
	score := 0
	switch {
	case cp.Effect == record.EffectNone && cp.Succeeded():
		return 0
	case cp.State == record.StateInDoubt || cp.State == record.StateIntent && x.Status == record.StatusCrashed:
		score = 90
	case cp.Error != nil && cp.Error.Message != "" && strings.Contains(text, cp.Error.Message):
		score = 100
	case cp.Error != nil && x.Error != nil && cp.Error.Class == x.Error.Class && cp.Error.Class != record.ClassApp:
		score = 70
	case cp.Failure && mentions(text, cp):
		score = 80
	case !cp.Succeeded():
		score = 40
	case mentions(text, cp):
		score = 20
	}
	return score
}

// mentions says that a text speaks of the system an operation called, or of the status it answered.
func mentions(text string, cp *record.Checkpoint) bool {
	if text == "" {
		return false
	}
	if host := hostOf(cp.Target); host != "" && strings.Contains(text, host) {
		return true
	}
	status := statusOf(cp)
	return status >= 400 && strings.Contains(text, fmt.Sprint(status))
}

// hostOf returns the host of a target as "https://card.example:443".
func hostOf(target string) string {
	if _, rest, ok := strings.Cut(target, "://"); ok {
		target = rest
	}
	host, _, _ := strings.Cut(target, "/")
	return host
}

// suspect returns the first suspect that a condition holds for, nil when there is none.
func (q *inquiry) suspect(holds func(*record.Checkpoint) bool) *record.Checkpoint {
	if i := slices.IndexFunc(q.suspects, holds); i >= 0 {
		return q.suspects[i]
	}
	return nil
}

// frame returns the place in the user's code that the failure came from, the zero Frame when it is not known.
func (q *inquiry) frame() record.Frame {
	if q.x.Error != nil && len(q.x.Error.Frames) > 0 {
		return q.x.Error.Frames[0]
	}
	if len(q.suspects) > 0 {
		return q.suspects[0].Call
	}
	return record.Frame{}
}

// headline is the failure in a line.
func (q *inquiry) headline() string {
	switch e := q.x.Error; {
	case e != nil:
		line, _, _ := strings.Cut(e.Message, "\n")
		return line
	case q.x.HTTPStatus != 0:
		return fmt.Sprintf("answered %d", q.x.HTTPStatus)
	}
	return "ended as " + string(q.x.Status)
}

// warnings returns the log lines of warnings and errors, the last ones, at most three.
func (q *inquiry) warnings() []int {
	var lines []int
	for i, l := range q.x.Logs {
		if slog.Level(l.Level) >= slog.LevelWarn {
			lines = append(lines, i)
		}
	}
	return lines[max(0, len(lines)-3):]
}

// about returns a finding about an operation.
func about(cp *record.Checkpoint, rule, category string, confidence Confidence, title, suggestion string) Finding {
	f := Finding{
		Rule: rule, Category: category, Confidence: confidence, Title: title, Operations: []uint32{cp.Number}, Frame: cp.Call,
		Suggestion: suggestion,
	}
	f.Evidence = append(f.Evidence, Fact{"operation", describe(cp)})
	if cp.Error != nil {
		f.Evidence = append(f.Evidence, Fact{"error", cp.Error.Message})
	}
	return f
}

// describe returns "POST https://card.example /v1/charges" for people.
func describe(cp *record.Checkpoint) string {
	switch cp.Boundary {
	case "http":
		method, path, _ := strings.Cut(cp.Shape, " ")
		return method + " " + cp.Target + path
	}
	return strings.Join(strings.Fields(cp.Boundary+" "+cp.Target+" "+cp.Shape), " ")
}
