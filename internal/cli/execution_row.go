package cli

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution/record"
)

// executionRow is an execution as --json writes it.
type executionRow struct {
	ID          string          `json:"id"`
	Start       string          `json:"start"`
	DurationMs  float64         `json:"durationMs"`
	Service     string          `json:"service,omitempty"`
	Instance    string          `json:"instance,omitempty"`
	Environment string          `json:"environment,omitempty"`
	Version     string          `json:"version,omitempty"`
	Commit      string          `json:"commit,omitempty"`
	Dirty       bool            `json:"dirty,omitempty"`
	Kind        string          `json:"kind"`
	Method      string          `json:"method,omitempty"`
	Route       string          `json:"route,omitempty"`
	Path        string          `json:"path,omitempty"`
	Status      string          `json:"status"`
	Failed      bool            `json:"failed,omitempty"`
	HTTPStatus  int32           `json:"httpStatus,omitempty"`
	Error       string          `json:"error,omitempty"`
	ErrorClass  string          `json:"errorClass,omitempty"`
	Issue       string          `json:"issue,omitempty"`
	RequestID   string          `json:"requestId,omitempty"`
	Attempt     int32           `json:"attempt,omitempty"`
	Parent      string          `json:"parent,omitempty"`
	Relation    string          `json:"relation,omitempty"`
	Root        string          `json:"root,omitempty"`
	Trace       string          `json:"trace,omitempty"`
	Links       []executionLink `json:"links,omitempty"`
	Operations  int64           `json:"operations"`
	InDoubt     int64           `json:"inDoubt,omitempty"`
	LogLines    int64           `json:"logLines"`
	Replayable  string          `json:"replayable"`
	Kept        string          `json:"kept,omitempty"`
	Pinned      bool            `json:"pinned,omitempty"`
	Bytes       int64           `json:"bytes"`
	Recorded    string          `json:"recorded"`
	Arrival     int64           `json:"arrival"`
}

type executionLink struct {
	Kind      string `json:"kind"`
	Execution string `json:"execution,omitempty"`
	Log       string `json:"log,omitempty"`
	Index     int64  `json:"index,omitempty"`
	MessageID string `json:"messageId,omitempty"`
}

// executionNote describes the JSON form of executions in lists.
const executionNote = `{"id","start","durationMs","service","instance","environment","version","commit","dirty","kind","method","route","path",` +
	`"status","failed","httpStatus","error","errorClass","issue","requestId","attempt","parent","relation","root","trace","links","operations","inDoubt",` +
	`"logLines","replayable","kept","pinned","bytes","recorded","arrival"}, without what is empty.`

func showExecution(x *fluxv1.ExecutionSummary) executionRow {
	row := executionRow{
		ID: x.GetId(), Start: milli(x.GetStart()), DurationMs: float64(x.GetDurationUs()) / 1000,
		Service: x.GetService(), Instance: x.GetInstance(), Environment: x.GetEnvironment(),
		Version: x.GetVersion(), Commit: x.GetCommit(), Dirty: x.GetDirty(),
		Kind: x.GetKind(), Method: x.GetMethod(), Route: x.GetRoute(), Path: x.GetPath(),
		Status: x.GetStatus(), Failed: x.GetFailed(), HTTPStatus: x.GetHttpStatus(),
		Error: x.GetError(), ErrorClass: x.GetErrorClass(), Issue: x.GetFingerprint(),
		RequestID: x.GetRequestId(), Attempt: x.GetAttempt(), Parent: x.GetParent(), Relation: x.GetRelation(), Root: x.GetRoot(), Trace: x.GetTrace(),
		Operations: x.GetCheckpoints(), InDoubt: x.GetInDoubt(), LogLines: x.GetLogs(),
		Replayable: x.GetReplayable(), Kept: x.GetKept(), Pinned: x.GetPinned(), Bytes: x.GetSize(),
		Recorded: milli(x.GetRecorded()), Arrival: x.GetArrival(),
	}
	for _, link := range x.GetLinks() {
		row.Links = append(row.Links, showLink(link))
	}
	return row
}

func showLink(l *fluxv1.ExecutionLink) executionLink {
	return executionLink{l.GetKind(), l.GetExecution(), l.GetLog(), l.GetIndex(), l.GetMessageId()}
}

// shortID is an id as lists show it.
func shortID(id string) string { return id[:min(8, len(id))] }

// The columns of a list of executions. Their widths are fixed, so that a row can be written as soon as it is there; the path gets
// what is left of the line.
const (
	timeColumn     = "2006-01-02 15:04:05"
	serviceWidth   = 12
	methodWidth    = 7
	statusWidth    = 13
	durationWidth  = 8
	idWidth        = 8
	minPathWidth   = 18
	maxPathWidth   = 60
	columnGaps     = 6 * 2
	slowerThan     = 500 * time.Millisecond // is shown as slow
	allFixedWidths = len(timeColumn) + serviceWidth + methodWidth + statusWidth + durationWidth + idWidth + columnGaps
)

// pathWidth is how wide the path of a row may be.
func (s *screen) pathWidth() int { return min(max(s.width-allFixedWidths, minPathWidth), maxPathWidth) }

// executionHeading is the heading of a list of executions.
func (s *screen) executionHeading() string {
	return s.bold(strings.TrimRight(fmt.Sprintf("%s  %s  %s  %s  %s  %*s  %s", fit("TIME (UTC)", len(timeColumn)), fit("SERVICE", serviceWidth),
		fit("METHOD", methodWidth), fit("PATH", s.pathWidth()), fit("STATUS", statusWidth), durationWidth, "DURATION", "ID"), " "))
}

// executionLine is a row of a list of executions.
func (s *screen) executionLine(x *fluxv1.ExecutionSummary) string {
	method, path := triggerColumns(x)
	duration := "-"
	if x.GetStatus() != string(record.StatusRunning) {
		duration = shortDuration(durationOf(x))
	}
	pin := ""
	if x.GetPinned() {
		pin = "  pinned"
	}
	return fmt.Sprintf("%s  %s  %s  %s  %s  %*s  %s%s", s.dim(time.UnixMilli(x.GetStart()).UTC().Format(timeColumn)),
		fit(x.GetService(), serviceWidth), s.bold(fit(method, methodWidth)), fit(path, s.pathWidth()),
		s.statusColumn(x), durationWidth, duration, s.dim(shortID(x.GetId())), s.dim(pin))
}

func durationOf(x *fluxv1.ExecutionSummary) time.Duration {
	return time.Duration(x.GetDurationUs()) * time.Microsecond
}

// triggerColumns names what set an execution off.
func triggerColumns(x *fluxv1.ExecutionSummary) (method, path string) {
	switch record.TriggerKind(x.GetKind()) {
	case record.TriggerHTTP:
		return x.GetMethod(), x.GetPath()
	case record.TriggerMessage:
		return x.GetKind(), strings.TrimSpace(x.GetPath() + " " + x.GetMethod())
	case record.TriggerBoot:
		return x.GetKind(), "start of the process"
	}
	return x.GetKind(), cmp.Or(x.GetPath(), x.GetMethod(), x.GetRoute())
}

// statusColumn is the status with a sign and in its colour, as wide as its column.
func (s *screen) statusColumn(x *fluxv1.ExecutionSummary) string {
	text := x.GetStatus()
	if x.GetHttpStatus() != 0 {
		text += fmt.Sprintf(" %d", x.GetHttpStatus())
	}
	switch {
	case x.GetFailed():
		return s.red(fit("✗ "+text, statusWidth))
	case x.GetStatus() != string(record.StatusOK):
		return s.yellow(fit("… "+text, statusWidth))
	case durationOf(x) > slowerThan:
		return s.yellow(fit("⚠ slow", statusWidth))
	}
	return s.green(fit("✓ "+text, statusWidth))
}

// plain is text from outside as a terminal may have it: what would control it is shown as a dot.
func plain(text string) string {
	return strings.Map(plainRune, text)
}

func plainRune(r rune) rune {
	if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
		return '·'
	}
	return r
}

// fit makes text exactly as wide as a column.
func fit(text string, width int) string {
	text = plain(text)
	n := utf8.RuneCountInString(text)
	if n <= width {
		return text + strings.Repeat(" ", width-n)
	}
	runes := []rune(text)
	return string(runes[:width-1]) + "…"
}
