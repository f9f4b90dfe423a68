package cli

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/why"
)

// pageSource is the page of an execution: one file without scripts, which loads nothing. What a record says gets into it through
// html/template alone, which escapes it for where it stands.
//
//go:embed trace_page.html
var pageSource string

var pageTemplate = template.Must(template.New("trace").Parse(pageSource))

// writePage writes an execution as a page to a file, - for the standard output.
func (p *program) writePage(path string, x *record.Execution, a *why.Analysis) error {
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, newPage(x, a)); err != nil {
		return err
	}
	page := plainLines(out.Bytes())
	if path == "-" {
		_, err := p.out.Write(page)
		return err
	}
	if err := os.WriteFile(path, page, 0o600); err != nil { // it may hold what customers sent
		return err
	}
	return p.out.printf("Wrote execution %s to %s, %s.\n", x.ID.Short(), path, size(len(page)))
}

// plainLines is plain for text of many lines.
func plainLines(text []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return plainRune(r)
	}, text)
}

// pageView is what the template shows.
type pageView struct {
	Title, Code, Duration, Start string
	Status                       pageStatus
	Execution                    *record.Execution
	Error                        string
	From                         []string // where it comes from
	Findings                     []pageFinding
	Changes                      []why.Change
	Notes                        []string
	Ticks                        []pageTick
	Lanes                        []pageLane
	Entries                      []pageEntry
	Input, Output                *pagePayload
}

type pageStatus struct{ Sign, Text, Class string }

type pageFinding struct {
	Kind, Title, Confidence, Where, Suggestion string
	Operations                                 []uint32
	Evidence                                   []why.Fact
	Logs                                       []string
}

// pageTick is a mark of the axis of time.
type pageTick struct {
	Left float64 // per cent
	Text string
}

// pageLane is a lane of concurrent work. What overlaps in it is on tracks below each other.
type pageLane struct {
	Name   string
	Tracks [][]pageBar
}

// pageBar is when an operation ran, in per cent of the whole time.
type pageBar struct {
	Number      uint32
	Left, Width float64
	Class, Text string
}

// pageEntry is an operation or a line of the log.
type pageEntry struct {
	Operation *pageOperation
	Log       *pageLog
}

type pageOperation struct {
	pageBar
	Boundary, What, Duration, Result, Lane, Marks, Call, Error string
	Request, Response                                          *pagePayload
}

type pageLog struct {
	Left                             float64
	At, Level, Class, Message, Attrs string
}

// pagePayload is a payload, and how much of it is not on the page.
type pagePayload struct {
	Text    string
	Omitted string
}

// maxPagePayload bounds what is on the page of each payload.
const maxPagePayload = 64 << 10

func newPage(x *record.Execution, a *why.Analysis) *pageView {
	b := pageBuilder{x: x, whole: wholeTime(x)}
	p := &pageView{
		Title: titleOf(x), Code: codeOf(x), Start: x.Start.UTC().Format(timeFormat), Duration: shortDuration(x.Duration),
		Status: statusOnPage(x), Execution: x, From: lineageOf(x),
		Changes: a.Changes, Notes: a.Notes, Ticks: b.ticks(), Lanes: b.lanes(), Entries: b.entries(),
		Input: onPage(x.Input), Output: onPage(x.Output),
	}
	if x.Error != nil {
		p.Error = x.Error.Message
	}
	for i := range a.Findings {
		p.Findings = append(p.Findings, findingOnPage(x, &a.Findings[i], i == 0 && x.Status.Failed()))
	}
	return p
}

// wholeTime is the time that the axis spans.
func wholeTime(x *record.Execution) time.Duration {
	whole := max(x.Duration, 1)
	for i := range x.Checkpoints {
		whole = max(whole, x.Checkpoints[i].Start+x.Checkpoints[i].Duration)
	}
	for i := range x.Logs {
		whole = max(whole, x.Logs[i].At)
	}
	return whole
}

func statusOnPage(x *record.Execution) pageStatus {
	text := string(x.Status)
	if x.HTTPStatus != 0 {
		text += fmt.Sprintf(" %d", x.HTTPStatus)
	}
	switch {
	case x.Status.Failed():
		return pageStatus{"✗", text, "bad"}
	case x.Status == record.StatusOK:
		return pageStatus{"✓", text, "good"}
	}
	return pageStatus{"…", text, "open"}
}

func findingOnPage(x *record.Execution, f *why.Finding, cause bool) pageFinding {
	out := pageFinding{
		Kind: "also", Title: f.Title, Suggestion: f.Suggestion, Operations: f.Operations, Evidence: f.Evidence,
	}
	if cause {
		out.Kind = "cause"
	}
	if f.Confidence != why.Certain {
		out.Confidence = string(f.Confidence)
	}
	if f.Frame.File != "" {
		out.Where = placeOf(f.Frame)
	}
	for _, i := range f.Logs {
		out.Logs = append(out.Logs, x.Logs[i].Message+attributes(x.Logs[i].Attrs))
	}
	return out
}

// pageBuilder makes what has a place in time.
type pageBuilder struct {
	x     *record.Execution
	whole time.Duration
}

// percent is a time as a part of the whole, with two digits after the point.
func (b *pageBuilder) percent(d time.Duration) float64 {
	return float64(int64(min(max(float64(d)/float64(b.whole), 0), 1)*10000)) / 100
}

func (b *pageBuilder) ticks() (ticks []pageTick) {
	const steps = 5
	for i := range time.Duration(steps) {
		at := b.whole * i / steps
		ticks = append(ticks, pageTick{b.percent(at), shortDuration(at)})
	}
	return ticks
}

func (b *pageBuilder) bar(cp *record.Checkpoint) pageBar {
	left := b.percent(cp.Start)
	bar := pageBar{Number: cp.Number, Left: left, Width: max(b.percent(cp.Start+cp.Duration)-left, 0), Class: "good"}
	if !cp.Succeeded() {
		bar.Class = "bad"
	}
	bar.Text = fmt.Sprintf("op %d %s %s, %s", cp.Number, cp.Boundary, askedFor(cp), shortDuration(cp.Duration))
	return bar
}

// lanes puts operations on the tracks of their lanes, each on the first one that is free when it begins.
func (b *pageBuilder) lanes() (lanes []pageLane) {
	place := map[string]int{}
	var free [][]time.Duration // by lane and track
	inTime := make([]*record.Checkpoint, len(b.x.Checkpoints))
	for i := range b.x.Checkpoints {
		inTime[i] = &b.x.Checkpoints[i]
	}
	slices.SortStableFunc(inTime, func(a, b *record.Checkpoint) int { return cmp.Compare(a.Start, b.Start) })
	for _, cp := range inTime {
		at, ok := place[cp.Lane]
		if !ok {
			at = len(lanes)
			place[cp.Lane] = at
			lanes, free = append(lanes, pageLane{Name: cp.Lane}), append(free, nil)
		}
		track := slices.IndexFunc(free[at], func(end time.Duration) bool { return end <= cp.Start })
		if track < 0 {
			track = len(free[at])
			free[at] = append(free[at], 0)
			lanes[at].Tracks = append(lanes[at].Tracks, nil)
		}
		free[at][track] = cp.Start + cp.Duration
		lanes[at].Tracks[track] = append(lanes[at].Tracks[track], b.bar(cp))
	}
	return lanes
}

// entries are operations and log lines in the order they happened.
func (b *pageBuilder) entries() (entries []pageEntry) {
	lines := b.x.Logs
	for i := range b.x.Checkpoints {
		for len(lines) > 0 && lines[0].After <= uint32(i) {
			entries = append(entries, pageEntry{Log: b.log(&lines[0])})
			lines = lines[1:]
		}
		entries = append(entries, pageEntry{Operation: b.operation(&b.x.Checkpoints[i])})
	}
	for i := range lines {
		entries = append(entries, pageEntry{Log: b.log(&lines[i])})
	}
	return entries
}

func (b *pageBuilder) operation(cp *record.Checkpoint) *pageOperation {
	o := &pageOperation{
		pageBar: b.bar(cp), Boundary: cp.Boundary, What: askedFor(cp), Duration: shortDuration(cp.Duration),
		Result: resultOf(cp), Lane: strings.TrimSpace(laneText(cp)), Marks: strings.TrimSpace(marks(cp)),
		Request: onPage(cp.Request), Response: onPage(cp.Response),
	}
	if cp.Call.File != "" {
		o.Call = placeOf(cp.Call)
	}
	if cp.Error != nil {
		o.Error = fmt.Sprintf("%s (%s, %s)", cp.Error.Message, string(cp.Error.Class), cp.Error.Type)
	}
	return o
}

func (b *pageBuilder) log(l *record.LogLine) *pageLog {
	level := slog.Level(l.Level)
	out := &pageLog{
		Left: b.percent(l.At), At: shortDuration(l.At), Level: level.String(), Message: l.Message, Attrs: attributes(l.Attrs),
	}
	switch {
	case level >= slog.LevelError:
		out.Class = "bad"
	case level >= slog.LevelWarn:
		out.Class = "open"
	}
	return out
}

// onPage is a payload with indentation, as far as the page has it. Nil when there is none.
func onPage(p record.Payload) *pagePayload {
	if len(p.Data) == 0 {
		return nil
	}
	var text bytes.Buffer
	if json.Indent(&text, p.Data, "", "  ") != nil {
		text.Reset()
		text.Write(p.Data)
	}
	shown := &pagePayload{}
	data := bytes.ToValidUTF8(text.Bytes(), []byte("\uFFFD"))
	if len(data) > maxPagePayload {
		end := maxPagePayload
		for !utf8.RuneStart(data[end]) {
			end--
		}
		shown.Omitted = size(len(data) - end)
		data = data[:end]
	}
	shown.Text = string(data)
	return shown
}
