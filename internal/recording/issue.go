package recording

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
)

// IssueStatus is how an issue stands.
type IssueStatus string

// The statuses of issues.
const (
	IssueOpen      IssueStatus = "open"
	IssueResolved  IssueStatus = "resolved"
	IssueRegressed IssueStatus = "regressed" // seen after it was resolved
)

// IssueStatuses are all of them; their places are part of the stored format.
var IssueStatuses = []IssueStatus{IssueOpen, IssueResolved, IssueRegressed}

// Issue is a failure that was seen once or many times: executions whose failures have the same fingerprint.
type Issue struct {
	Fingerprint string
	Status      IssueStatus
	Count       uint64
	FirstSeen   int64 // start of the first execution that failed so, in milliseconds since the Unix epoch
	LastSeen    int64 // start of the last one
	Resolved    int64 // when it was resolved; 0 for never
	Class       record.ErrorClass
	Title       string
	Location    string   // place in the source
	Services    []string // in which it was seen, sorted, at most maxIssueServices
}

const (
	issueVersion     = 1
	maxIssueServices = 8
)

// issueOf returns the issue that an execution is an occurrence of, nil when it is none: it did not fail, or it only repeated
// what had failed before.
func issueOf(x *record.Execution, s *record.Summary) *Issue {
	if s.Fingerprint == "" || !s.Status.Failed() || !counts(s) {
		return nil
	}
	milli := s.Start.UnixMilli()
	i := &Issue{
		Fingerprint: s.Fingerprint, Status: IssueOpen, Count: 1, FirstSeen: milli, LastSeen: milli,
		Class: s.ErrorClass, Title: issueTitle(s),
	}
	if s.Service != "" {
		i.Services = []string{s.Service}
	}
	if x.Error != nil && len(x.Error.Frames) > 0 {
		frame := x.Error.Frames[0]
		i.Location = fmt.Sprintf("%s:%d", frame.File, frame.Line)
	}
	return i
}

// counts says that a failure happened, rather than was made to happen again.
func counts(s *record.Summary) bool {
	switch s.Relation {
	case record.RelationReplay, record.RelationBisect, record.RelationIncident:
		return false
	}
	return s.Kind != record.TriggerTest
}

func issueTitle(s *record.Summary) string {
	what := cmp.Or(s.Route, strings.TrimSpace(s.Path+" "+s.Method), string(s.Kind))
	switch {
	case s.Error != "":
		return s.Error
	case s.HTTPStatus != 0:
		return fmt.Sprintf("HTTP %d from %s", s.HTTPStatus, what)
	}
	return fmt.Sprintf("%s in %s", s.Status, what)
}

// occur counts one occurrence. It does nothing for nil.
func (i *Issue) occur(tx *engine.Tx) error {
	if i == nil {
		return nil
	}
	known, err := readIssue(tx, i.Fingerprint)
	if err != nil {
		return err
	}
	now := *i
	if known != nil {
		tx.Delete(issueOrderKey(tx.Namespace(), known.LastSeen, i.Fingerprint))
		now = known.with(i)
	}
	now.write(tx)
	return nil
}

// with returns the issue after one more occurrence. What it is called is what it was called first; where it is, is where it was
// last.
func (i *Issue) with(o *Issue) Issue {
	sum := *i
	sum.Count++
	sum.FirstSeen = min(i.FirstSeen, o.FirstSeen)
	if o.LastSeen >= i.LastSeen {
		sum.LastSeen, sum.Location = o.LastSeen, o.Location
	}
	if i.Status == IssueResolved && o.LastSeen > i.Resolved {
		sum.Status = IssueRegressed
	}
	for _, service := range o.Services {
		if at, ok := slices.BinarySearch(i.Services, service); !ok && len(i.Services) < maxIssueServices {
			sum.Services = slices.Insert(slices.Clone(i.Services), at, service)
		}
	}
	return sum
}

func (i *Issue) write(tx *engine.Tx) {
	tx.Set(issueKey(tx.Namespace(), i.Fingerprint), i.encode())
	tx.Set(issueOrderKey(tx.Namespace(), i.LastSeen, i.Fingerprint), nil)
}

// Resolve is the operation that says that an issue is dealt with, or not.
type Resolve struct {
	Fingerprint string
	// Reopen takes it back.
	Reopen bool
	// Issue is the issue after that, nil when there is none. Set by Apply.
	Issue *Issue
}

// SizeBytes implements engine.Operation.
func (r *Resolve) SizeBytes() int { return maxSummaryText }

// Apply implements engine.Operation.
func (r *Resolve) Apply(tx *engine.Tx) (err error) {
	if r.Issue, err = readIssue(tx, r.Fingerprint); err != nil || r.Issue == nil {
		return err
	}
	r.Issue.Status, r.Issue.Resolved = IssueResolved, tx.Milli()
	if r.Reopen {
		r.Issue.Status, r.Issue.Resolved = IssueOpen, 0
	}
	r.Issue.write(tx)
	return nil
}

func readIssue(tx *engine.Tx, fingerprint string) (*Issue, error) {
	raw, err := tx.Get(issueKey(tx.Namespace(), fingerprint))
	if err != nil || raw == nil {
		return nil, err
	}
	return decodeIssue(fingerprint, raw)
}

// encode writes what is under family issue; docs/format/keys.md, issues.
func (i *Issue) encode() []byte {
	status := slices.Index(IssueStatuses, i.Status)
	b := append(make([]byte, 0, 256), issueVersion, byte(status))
	b = binary.AppendUvarint(b, i.Count)
	for _, n := range []int64{i.FirstSeen, i.LastSeen, i.Resolved} {
		b = binary.AppendVarint(b, n)
	}
	for _, text := range append([]string{string(i.Class), i.Title, i.Location}, i.Services...) {
		b = appendText(b, text)
	}
	return b
}

// decodeIssue is the counterpart of encode. It returns engine.ErrCorrupt.
func decodeIssue(fingerprint string, raw []byte) (*Issue, error) {
	if len(raw) < 2 || raw[0] != issueVersion || int(raw[1]) >= len(IssueStatuses) {
		return nil, corrupt("issue", raw)
	}
	i := &Issue{Fingerprint: fingerprint, Status: IssueStatuses[raw[1]]}
	n := numbers{raw: raw[2:]}
	i.Count = n.unsigned()
	i.FirstSeen, i.LastSeen, i.Resolved = n.signed(), n.signed(), n.signed()
	i.Class = record.ErrorClass(n.text())
	i.Title, i.Location = n.text(), n.text()
	for len(n.raw) > 0 && !n.bad {
		i.Services = append(i.Services, n.text())
	}
	if n.bad || len(i.Services) > maxIssueServices {
		return nil, corrupt("issue", raw)
	}
	return i, nil
}
