package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flux-go/flux/execution/record"
)

// A traceView writes an execution as a waterfall. The first error of writing stays.
type traceView struct {
	s       *screen
	x       *record.Execution
	verbose bool
	logs    bool
	err     error
}

func (v *traceView) printf(format string, args ...any) {
	if v.err == nil {
		v.err = v.s.printf(format, args...)
	}
}

// barWidth is how many characters stand for the time of the whole execution.
const barWidth = 24

func (v *traceView) write() {
	v.printf("%s\n", v.s.headline(v.x))
	if e := v.x.Error; e != nil {
		v.printf("%s  %s\n", v.s.red("error"), plain(e.Message))
		if len(e.Frames) > 0 {
			v.printf("       %s\n", v.s.dim("at "+placeOf(e.Frames[0])))
		}
	}
	v.lineage()
	if v.verbose {
		v.payload("input", v.x.Input)
	}
	if len(v.x.Checkpoints)+len(v.x.Logs) > 0 {
		v.printf("\n")
	} else {
		v.printf("\nIt did nothing outside its own memory, and said nothing in its log.\n")
	}
	v.timeline()
	if v.verbose {
		v.printf("\n")
		v.payload("output", v.x.Output)
	}
}

// lineage tells where an execution comes from.
func (v *traceView) lineage() {
	for _, line := range lineageOf(v.x) {
		name, text, _ := strings.Cut(line, " ")
		v.printf("%s  %s\n", v.s.dim(fmt.Sprintf("%-5s", name)), text)
	}
}

// lineageOf tells where an execution comes from: "from child of 7f3a0102", "cause execution 7f3a0102".
func lineageOf(x *record.Execution) (lines []string) {
	if !x.Parent.IsZero() {
		lines = append(lines, "from "+plain(string(x.Relation))+" of "+x.Parent.Short())
	}
	for _, l := range x.Links {
		if l.Kind == record.LinkCause {
			lines = append(lines, "cause "+linkText(l))
		}
	}
	return lines
}

func linkText(l record.Link) string {
	var parts []string
	if !l.Execution.IsZero() {
		parts = append(parts, "execution "+l.Execution.Short())
	}
	if l.Log != "" || l.MessageID != "" {
		parts = append(parts, strings.TrimSpace("message "+cmp.Or(l.MessageID, fmt.Sprint(l.Index))+" of "+l.Log))
	}
	return plain(strings.Join(parts, ", "))
}

// timeline writes operations and log lines in the order they happened.
func (v *traceView) timeline() {
	lines := v.x.Logs
	if !v.logs {
		lines = nil
	}
	for i := range v.x.Checkpoints {
		for len(lines) > 0 && lines[0].After <= uint32(i) {
			v.logLine(&lines[0])
			lines = lines[1:]
		}
		v.operation(&v.x.Checkpoints[i], v.verbose)
	}
	for i := range lines {
		v.logLine(&lines[i])
	}
}

// operation writes one operation on a line, and what it sent and got when whole is set.
func (v *traceView) operation(cp *record.Checkpoint, whole bool) {
	result, paint := resultOf(cp), v.s.dim
	if !cp.Succeeded() {
		paint = v.s.red
	}
	v.printf("%s %s %s  %s %s%s\n", v.s.dim(fmt.Sprintf("%3d", cp.Number)), v.bar(cp), v.s.dim(fmt.Sprintf("%8s", shortDuration(cp.Duration))),
		v.what(cp), paint("→ "+plain(result)), v.s.dim(laneText(cp)+marks(cp)))
	if !whole {
		return
	}
	if cp.Call.File != "" {
		v.printf("      %s %s\n", v.s.dim("at"), placeOf(cp.Call))
	}
	v.payload("request", cp.Request)
	v.payload("response", cp.Response)
	if cp.Error != nil {
		v.printf("      %s %s (%s, %s)\n", v.s.red("error"), plain(cp.Error.Message), cp.Error.Class, cp.Error.Type)
	}
}

// bar shows when an operation ran, as its part of the whole time.
func (v *traceView) bar(cp *record.Checkpoint) string {
	whole := max(v.x.Duration, cp.Start+cp.Duration, 1)
	from := min(int(int64(barWidth)*int64(cp.Start)/int64(whole)), barWidth-1)
	to := min(max(int(int64(barWidth)*int64(cp.Start+cp.Duration)/int64(whole)), from+1), barWidth)
	filled := strings.Repeat("█", to-from)
	if !cp.Succeeded() {
		filled = v.s.red(filled)
	} else {
		filled = v.s.green(filled)
	}
	return v.s.dim(strings.Repeat("·", from)) + filled + v.s.dim(strings.Repeat("·", barWidth-to))
}

// what shows what an operation asked for, as much as fits on the line.
func (v *traceView) what(cp *record.Checkpoint) string {
	text := askedFor(cp)
	room := max(v.s.width-barWidth-45, 30)
	if utf8.RuneCountInString(text) > room {
		text = string([]rune(text)[:room-1]) + "…"
	}
	return v.s.bold(plain(cp.Boundary)) + " " + text
}

// askedFor is what an operation asked for, and of whom where the shape does not tell.
func askedFor(cp *record.Checkpoint) string {
	if cp.Boundary == "http" {
		method, path, _ := strings.Cut(cp.Shape, " ")
		return plain(method + " " + cp.Target + path)
	}
	return plain(cp.Shape)
}

func laneText(cp *record.Checkpoint) string {
	if cp.Lane == "root" {
		return ""
	}
	return "  " + plain(strings.TrimPrefix(cp.Lane, "root/"))
}

// marks are what else there is to know of an operation.
func marks(cp *record.Checkpoint) string {
	var out []string
	if cp.Transaction != "" {
		out = append(out, cp.Transaction)
	}
	if cp.Provenance != "" && cp.Provenance != record.ProvenanceLive {
		out = append(out, string(cp.Provenance))
	}
	if cp.Request.Truncated || cp.Response.Truncated {
		out = append(out, "shortened")
	}
	if len(out) == 0 {
		return ""
	}
	return "  [" + strings.Join(out, ", ") + "]"
}

// resultOf is what came of an operation, in a few words.
func resultOf(cp *record.Checkpoint) string {
	switch {
	case cp.State == record.StateInDoubt:
		return "in doubt"
	case cp.Error != nil:
		message, _, _ := strings.Cut(cp.Error.Message, "\n")
		return cut(message, 60)
	case cp.State == record.StateIntent:
		return "no end seen"
	}
	var r struct {
		Status       int               `json:"status"`
		Rows         []json.RawMessage `json:"rows"`
		RowsAffected *int64            `json:"rowsAffected"`
		Tag          string            `json:"tag"`
		Reply        json.RawMessage   `json:"reply"`
	}
	_ = json.Unmarshal(cp.Response.Data, &r) // a boundary with another form of response shows what is left
	switch {
	case r.Status != 0:
		return fmt.Sprint(r.Status)
	case len(r.Rows) > 0:
		return plural(len(r.Rows), "row")
	case r.Tag != "":
		return r.Tag
	case r.RowsAffected != nil:
		return plural(int(*r.RowsAffected), "row") + " affected"
	case r.Reply != nil:
		return cut(string(r.Reply), 40)
	}
	return string(cp.State)
}

func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}

func (v *traceView) logLine(l *record.LogLine) {
	level := slog.Level(l.Level)
	paint := v.s.dim
	switch {
	case level >= slog.LevelError:
		paint = v.s.red
	case level >= slog.LevelWarn:
		paint = v.s.yellow
	}
	at := strings.Repeat(" ", barWidth)
	v.printf("    %s %s  %s %s%s\n", at, v.s.dim(fmt.Sprintf("%8s", shortDuration(l.At))), paint(fmt.Sprintf("%-5s", level)), plain(l.Message), v.s.dim(attributes(l.Attrs)))
}

// attributes shows the attributes of a log line as key=value.
func attributes(p record.Payload) string {
	var object map[string]json.RawMessage
	if json.Unmarshal(p.Data, &object) != nil {
		return ""
	}
	var out strings.Builder
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		fmt.Fprintf(&out, " %s=%s", plain(key), plain(string(object[key])))
	}
	return out.String()
}

// payload writes a payload under its name.
func (v *traceView) payload(name string, p record.Payload) {
	if len(p.Data) == 0 {
		return
	}
	var out bytes.Buffer
	if json.Indent(&out, p.Data, "        ", "  ") != nil {
		out.Reset()
		out.Write(p.Data)
	}
	v.printf("      %s\n        %s\n", v.s.dim(name), out.String())
}

// placeOf is a place in the source as editors take it: "charge.go:88 shop.charge".
func placeOf(f record.Frame) string {
	return plain(strings.TrimSpace(fmt.Sprintf("%s:%d %s", f.File, f.Line, f.Function)))
}

// shortDuration shows a duration with three digits.
func shortDuration(d time.Duration) string {
	switch {
	case d < time.Microsecond:
		return fmt.Sprintf("%dns", d)
	case d < time.Millisecond:
		return fmt.Sprintf("%.3gµs", float64(d)/float64(time.Microsecond))
	case d < time.Second:
		return fmt.Sprintf("%.3gms", float64(d)/float64(time.Millisecond))
	case d < time.Minute:
		return fmt.Sprintf("%.3gs", d.Seconds())
	}
	return d.Round(time.Second).String()
}
