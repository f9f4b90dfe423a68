package why

import (
	"cmp"
	"slices"

	"github.com/flux-go/flux/execution/record"
)

// Confidence says how sure a finding is.
type Confidence string

// The confidences, from the surest.
const (
	Certain  Confidence = "certain"  // the record proves it
	Likely   Confidence = "likely"   // the record fits it, and little else
	Possible Confidence = "possible" // worth a look
)

// A Finding is something that a rule found.
type Finding struct {
	Rule       string       `json:"rule"` // stable id, as "http.server-error"
	Category   string       `json:"category"`
	Confidence Confidence   `json:"confidence"`
	Title      string       `json:"title"`                // one line
	Operations []uint32     `json:"operations,omitempty"` // numbers of checkpoints
	Logs       []int        `json:"logs,omitempty"`       // indexes of log lines
	Frame      record.Frame `json:"frame,omitzero"`       // place in the source of the program
	Evidence   []Fact       `json:"evidence,omitempty"`
	Suggestion string       `json:"suggestion,omitempty"`
}

// A Fact is a piece of evidence.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// An Analysis is what a record says about its execution.
type Analysis struct {
	Execution record.ID     `json:"execution"`
	Status    record.Status `json:"status"`
	Findings  []Finding     `json:"findings"`          // the cause first, when the execution failed
	Changes   []Change      `json:"changes,omitempty"` // what it did to other systems
	Compared  *Comparison   `json:"compared,omitempty"`
	Notes     []string      `json:"notes,omitempty"` // what limits the analysis
}

// Cause returns the finding that names the cause of a failure, nil when the execution did not fail.
func (a *Analysis) Cause() *Finding {
	if len(a.Findings) == 0 || !a.Status.Failed() {
		return nil
	}
	return &a.Findings[0]
}

// A Change is what an operation did to another system.
type Change struct {
	Operation uint32      `json:"operation"`
	State     ChangeState `json:"state"`
	What      string      `json:"what"`
}

// ChangeState is what became of a change.
type ChangeState string

// The states of changes.
const (
	Committed  ChangeState = "committed"
	RolledBack ChangeState = "rolled-back"
	InDoubt    ChangeState = "in-doubt"
)

// Explain analyses a record. good is a record of a run of the same route that went well, for comparison, or nil.
func Explain(x, good *record.Execution) *Analysis {
	c := newInquiry(x, good)
	a := &Analysis{Execution: x.ID, Status: x.Status, Changes: changes(x)}
	if x.Status.Failed() {
		a.Findings = append(a.Findings, c.cause()...)
	}
	a.Findings = append(a.Findings, c.observations()...)
	a.Findings = distinct(a.Findings)
	if good != nil {
		a.Compared = compare(x, good)
	}
	a.Notes = limits(x)
	return a
}

// distinct leaves out findings of a rule about operations that an earlier finding of that rule was about.
func distinct(findings []Finding) []Finding {
	var out []Finding
	for _, f := range findings {
		if !slices.ContainsFunc(out, func(o Finding) bool {
			return o.Rule == f.Rule && slices.Equal(o.Operations, f.Operations)
		}) {
			out = append(out, f)
		}
	}
	return out
}

// limits says what the record does not have.
func limits(x *record.Execution) []string {
	var notes []string
	if x.Status == record.StatusInterrupted {
		notes = append(notes, "the end of this execution was not recorded")
	}
	notes = append(notes, x.Replayable.Reasons...)
	if d := x.Dropped; d.Checkpoints > 0 || d.Logs > 0 || d.Bytes > 0 {
		notes = append(notes, "limits were reached: some operations, log lines or bodies are missing")
	}
	return notes
}

// An inquiry is the record with what rules ask for often.
type inquiry struct {
	x, good  *record.Execution
	text     string // of the error, all of its chain
	suspects []*record.Checkpoint
}

// cause returns findings about the failure, the best first.
func (q *inquiry) cause() []Finding {
	var found []Finding
	for _, rule := range failureRules {
		found = append(found, rule(q)...)
	}
	slices.SortStableFunc(found, func(a, b Finding) int { return cmp.Compare(q.rank(a), q.rank(b)) })
	if len(found) == 0 {
		found = append(found, q.unexplained())
	}
	if len(found) > maxCauses {
		found = found[:maxCauses]
	}
	return found
}

// maxCauses is how many findings about a failure are worth reading.
const maxCauses = 4

// rank orders findings: surer ones first, then those about better suspects, then in the order of the rules.
func (q *inquiry) rank(f Finding) int {
	confidence := slices.Index([]Confidence{Certain, Likely, Possible}, f.Confidence)
	suspect := len(q.suspects)
	if len(f.Operations) > 0 {
		suspect = slices.IndexFunc(q.suspects, func(cp *record.Checkpoint) bool { return cp.Number == f.Operations[0] })
		if suspect < 0 {
			suspect = len(q.suspects)
		}
	} else if f.Confidence == Certain {
		suspect = -1 // the error itself proves it
	}
	return confidence*1000 + suspect
}

// unexplained is the finding when no rule applies: where it came from, and what was said.
func (q *inquiry) unexplained() Finding {
	f := Finding{
		Rule: "error.unhandled", Category: "program", Confidence: Certain, Title: q.headline(), Frame: q.frame(),
		Suggestion: "handle this error where it comes from, or answer it with a status of its own",
	}
	if q.x.Error == nil {
		f.Rule, f.Confidence = "error.silent", Possible
		f.Suggestion = "return or log the error that led to this answer: the record does not show one"
	}
	if lines := q.warnings(); len(lines) > 0 {
		f.Logs = lines
	}
	return f
}

func (q *inquiry) observations() []Finding {
	var found []Finding
	for _, rule := range observationRules {
		found = append(found, rule(q)...)
	}
	return found
}
