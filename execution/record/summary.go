package record

import (
	"strings"
	"time"
	"unicode/utf8"
)

// A Summary is what a list shows of an execution and what it is found by.
type Summary struct {
	ID       ID       `json:"id"`
	Parent   ID       `json:"parent,omitzero"`
	Root     ID       `json:"root,omitzero"`
	Relation Relation `json:"relation,omitzero"`

	RequestID string `json:"requestId,omitzero"`
	Attempt   int    `json:"attempt,omitzero"`

	Service     string `json:"service"`
	Instance    string `json:"instance,omitzero"`
	Environment string `json:"environment,omitzero"`
	Version     string `json:"version,omitzero"`
	Commit      string `json:"commit,omitzero"`
	Dirty       bool   `json:"dirty,omitzero"`

	Kind   TriggerKind `json:"kind"`
	Method string      `json:"method,omitzero"`
	Route  string      `json:"route,omitzero"`
	Path   string      `json:"path,omitzero"`

	Start       time.Time     `json:"start"`
	Duration    time.Duration `json:"duration,omitzero"` // ns
	Status      Status        `json:"status"`
	HTTPStatus  int           `json:"httpStatus,omitzero"`
	ErrorClass  ErrorClass    `json:"errorClass,omitzero"`
	ErrorType   string        `json:"errorType,omitzero"`
	Error       string        `json:"error,omitzero"`       // first line of the message, at most MaxErrorBytes
	Fingerprint string        `json:"fingerprint,omitzero"` // of the failure, see Fingerprint

	Checkpoints int         `json:"checkpoints,omitzero"` // how many
	InDoubt     int         `json:"inDoubt,omitzero"`     // how many of them are
	Logs        int         `json:"logs,omitzero"`        // lines
	Level       ReplayLevel `json:"level,omitzero"`       // "" means full
	Kept        string      `json:"kept,omitzero"`
	Links       []Link      `json:"links,omitzero"` // of the execution and its checkpoints, at most MaxSummaryLinks
	Trace       string      `json:"trace,omitzero"` // id of the trace that it came with, 32 hexadecimal digits
}

// Bounds of a summary.
const (
	MaxErrorBytes   = 200
	MaxSummaryLinks = 256
)

// Summarize returns the summary of an execution.
func Summarize(x *Execution) Summary {
	s := Summary{
		ID: x.ID, Parent: x.Parent, Root: x.Root, Relation: x.Relation,
		RequestID: x.RequestID, Attempt: x.Attempt,
		Service: x.Service, Instance: x.Instance, Environment: x.Environment,
		Version: x.Code.Version, Commit: x.Code.Commit, Dirty: x.Code.Dirty,
		Kind: x.Trigger.Kind, Method: x.Trigger.Method, Route: x.Trigger.Route, Path: x.Trigger.Path,
		Start: x.Start, Duration: x.Duration, Status: x.Status, HTTPStatus: x.HTTPStatus,
		Fingerprint: Fingerprint(x),
		Checkpoints: len(x.Checkpoints), Logs: len(x.Logs), Level: x.Replayable.Level, Kept: x.Kept,
		Links: collectLinks(x), Trace: x.Trigger.TraceID(),
	}
	if x.Error != nil {
		s.ErrorClass, s.ErrorType = x.Error.Class, x.Error.Type
		s.Error = firstLine(x.Error.Message, MaxErrorBytes)
	}
	for i := range x.Checkpoints {
		if x.Checkpoints[i].InDoubt() {
			s.InDoubt++
		}
	}
	return s
}

// TraceID returns the id of the trace that the trigger came with: 32 hexadecimal digits in lower case, "" for none.
func (t *Trigger) TraceID() string {
	id, _ := t.traceFields()
	return id
}

// TraceSpan returns the span of the caller in the trace that the trigger came with: 16 hexadecimal digits in lower case, "" for
// none.
func (t *Trigger) TraceSpan() string {
	_, span := t.traceFields()
	return span
}

// traceFields takes 00-<id>-<span>-<flags> apart.
func (t *Trigger) traceFields() (id, span string) {
	fields := strings.Split(strings.ToLower(t.Trace), "-")
	if len(fields) < 4 || !isHex(fields[1], 32) || !isHex(fields[2], 16) {
		return "", ""
	}
	return fields[1], fields[2]
}

func isHex(text string, digits int) bool {
	return len(text) == digits && strings.Trim(text, "0123456789abcdef") == ""
}

// collectLinks returns the links of the execution and those of its checkpoints, each once.
func collectLinks(x *Execution) []Link {
	var all []Link
	seen := map[Link]bool{}
	add := func(links []Link) {
		for _, link := range links {
			if !seen[link] && len(all) < MaxSummaryLinks {
				seen[link] = true
				all = append(all, link)
			}
		}
	}
	add(x.Links)
	for i := range x.Checkpoints {
		add(x.Checkpoints[i].Links)
	}
	return all
}

// firstLine returns the first line with something in it, of at most limit bytes.
func firstLine(text string, limit int) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	line = strings.TrimSpace(line)
	if len(line) <= limit {
		return line
	}
	const ellipsis = "…"
	cut := limit - len(ellipsis)
	for cut > 0 && !utf8.RuneStart(line[cut]) {
		cut--
	}
	return line[:cut] + ellipsis
}

// AppendSummary appends the encoded summary to dst, as [Append] does with an execution. It is not compressed.
func AppendSummary(dst []byte, s *Summary) []byte {
	return appendValue(dst, whatSummary, s, (*coder).summary)
}

// DecodeSummary returns the summary that [AppendSummary] has encoded. It returns [ErrCorrupt] or [ErrNewer], as [Decode] does.
func DecodeSummary(data []byte) (Summary, error) {
	var s Summary
	err := decodeValue(data, whatSummary, &s, (*coder).summary)
	if err != nil {
		return Summary{}, err
	}
	return s, nil
}

func (c *coder) summary(s *Summary) {
	fixed(c, 1, s.ID[:])
	fixed(c, 2, s.Parent[:])
	fixed(c, 3, s.Root[:])
	text(c, 4, &s.Relation)
	text(c, 5, &s.RequestID)
	signed(c, 6, &s.Attempt)
	text(c, 7, &s.Service)
	text(c, 8, &s.Instance)
	text(c, 9, &s.Environment)
	text(c, 10, &s.Version)
	text(c, 11, &s.Commit)
	boolean(c, 12, &s.Dirty)
	text(c, 13, &s.Kind)
	text(c, 14, &s.Method)
	text(c, 15, &s.Route)
	text(c, 16, &s.Path)
	moment(c, 17, &s.Start)
	signed(c, 18, &s.Duration)
	text(c, 19, &s.Status)
	signed(c, 20, &s.HTTPStatus)
	text(c, 21, &s.ErrorClass)
	text(c, 22, &s.ErrorType)
	text(c, 23, &s.Error)
	text(c, 24, &s.Fingerprint)
	signed(c, 25, &s.Checkpoints)
	signed(c, 26, &s.InDoubt)
	signed(c, 27, &s.Logs)
	text(c, 28, &s.Level)
	text(c, 29, &s.Kept)
	links(c, 30, &s.Links)
	text(c, 31, &s.Trace)
}
