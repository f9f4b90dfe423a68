package execution

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// Handler returns a handler that records the lines that executions log, and hands every line to next as it is. What next does
// not want is not recorded either. next defaults to that of slog.Default, and may be the one with which slog starts: what that
// would write through package log is written to where package log writes now.
func (r *Recorder) Handler(next slog.Handler) slog.Handler {
	if next == nil {
		next = slog.Default().Handler()
	}
	if _, ok := next.(*logHandler); ok || r == nil {
		return next
	}
	if isDefault(next) {
		next = newPlainHandler(next)
	}
	return &logHandler{next: next}
}

type logHandler struct {
	next   slog.Handler
	scopes []logScope
}

// A logScope is what one call of WithGroup or WithAttrs added.
type logScope struct {
	group string // "" for attributes
	attrs []slog.Attr
}

// Unwrap returns the handler that gets every line.
func (h *logHandler) Unwrap() slog.Handler { return h.next }

// Enabled implements slog.Handler.
func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *logHandler) Handle(ctx context.Context, line slog.Record) error {
	if l := laneOf(ctx); l != nil {
		var room [8]slog.Attr
		attrs := room[:0]
		line.Attrs(func(a slog.Attr) bool {
			attrs = append(attrs, settled(a))
			return true
		})
		at := time.Duration(0)
		if !line.Time.IsZero() {
			at = line.Time.Sub(l.x.started)
		}
		l.log(logLine{at: at, level: line.Level, message: line.Message, by: h, pc: line.PC}, attrs)
	}
	return h.next.Handle(ctx, line)
}

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	own := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		own[i] = settled(a)
	}
	return &logHandler{h.next.WithAttrs(attrs), append(slices.Clip(h.scopes), logScope{attrs: own})}
}

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &logHandler{h.next.WithGroup(name), append(slices.Clip(h.scopes), logScope{group: name})}
}

// A logLine is a line as it is kept until it is encoded.
type logLine struct {
	lane    *lane
	at      time.Duration
	message string
	by      *logHandler // nil for a line of package log, which has no attributes
	attrs   []slog.Attr
	pc      uintptr
	level   slog.Level
	after   uint32
}

// log adds a line with a copy of its attributes to the execution, unless that has as many as it may.
func (l *lane) log(line logLine, attrs []slog.Attr) {
	x := l.x
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.ended:
		return
	case len(x.logs) >= x.rec.config.Limits.Logs:
		x.dropped.Logs++
		return
	case x.logs == nil:
		x.logs = make([]logLine, 0, usualLogs)
	}
	line.lane, line.after, line.attrs = l, uint32(len(x.calls)), x.keepAttrs(attrs)
	x.logs = append(x.logs, line)
}

// keepAttrs copies attributes into the room of the execution, which is locked.
func (x *Execution) keepAttrs(attrs []slog.Attr) []slog.Attr {
	if len(attrs) == 0 {
		return nil
	}
	if len(attrs) > cap(x.attrs)-len(x.attrs) {
		x.attrs = make([]slog.Attr, 0, max(usualLogs, len(attrs)))
	}
	from := len(x.attrs)
	x.attrs = append(x.attrs, attrs...)
	return x.attrs[from:len(x.attrs):len(x.attrs)]
}

// usualLogs is how many lines, and how many attributes, an execution has room for at first.
const usualLogs = 8

// encode returns the line as it is recorded, without redaction.
func (l *logLine) encode() record.LogLine {
	attrs := record.Payload{Data: []byte("null")}
	if l.by != nil {
		attrs = payload(&logAttrs{l.by.scopes, l.attrs})
	}
	return record.LogLine{
		After: l.after, Lane: l.lane.name, At: l.at, Level: int(l.level), Message: l.message, Attrs: attrs, Source: fault.Line(l.pc),
	}
}

// settled returns an attribute that no later change of the program can touch: values that log themselves are asked now, and
// values of other types become JSON.
func settled(a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	switch a.Value.Kind() {
	case slog.KindAny:
		a.Value = slog.AnyValue(settledJSON(a.Value.Any()))
	case slog.KindGroup:
		group := slices.Clone(a.Value.Group())
		for i := range group {
			group[i] = settled(group[i])
		}
		a.Value = slog.GroupValue(group...)
	}
	return a
}

func settledJSON(v any) json.RawMessage {
	if err, ok := v.(error); ok && err != nil {
		if _, ok := v.(json.Marshaler); !ok {
			return marshal(err.Error())
		}
	}
	return marshal(v)
}

// logAttrs marshals as the object of the attributes of a line: groups are objects in it, and of two attributes with one name
// the last counts.
type logAttrs struct {
	scopes []logScope
	attrs  []slog.Attr
}

// appendJSON appends the object.
func (a *logAttrs) appendJSON(b []byte) []byte {
	if out, ok := a.appendFlat(b); ok {
		return out
	}
	root := make(map[string]any)
	into := root
	for _, scope := range a.scopes {
		if scope.group != "" {
			into = subgroup(into, scope.group)
		}
		addAttrs(into, scope.attrs)
	}
	addAttrs(into, a.attrs)
	return append(b, reflected(root)...)
}

// appendFlat appends an object of few attributes of simple types with different names, as most are.
func (a *logAttrs) appendFlat(b []byte) ([]byte, bool) {
	var room [8]slog.Attr
	if len(a.scopes) > 0 || len(a.attrs) > len(room) {
		return b, false
	}
	attrs := room[:copy(room[:], a.attrs)]
	slices.SortFunc(attrs, func(x, y slog.Attr) int { return strings.Compare(x.Key, y.Key) })
	out := append(b, '{')
	for i, attr := range attrs {
		if attr.Key == "" || i > 0 && attrs[i-1].Key == attr.Key {
			return b, false
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(appendText(out, attr.Key), ':')
		switch v := attr.Value; v.Kind() {
		case slog.KindString:
			out = appendText(out, v.String())
		case slog.KindInt64:
			out = strconv.AppendInt(out, v.Int64(), 10)
		case slog.KindUint64:
			out = strconv.AppendUint(out, v.Uint64(), 10)
		case slog.KindBool:
			out = strconv.AppendBool(out, v.Bool())
		case slog.KindDuration:
			out = appendText(out, v.Duration().String())
		default:
			return b, false
		}
	}
	return append(out, '}'), true
}

func subgroup(of map[string]any, name string) map[string]any {
	if group, ok := of[name].(map[string]any); ok {
		return group
	}
	group := make(map[string]any)
	of[name] = group
	return group
}

func addAttrs(into map[string]any, attrs []slog.Attr) {
	for _, a := range attrs {
		switch {
		case a.Value.Kind() != slog.KindGroup:
			if a.Key != "" {
				into[a.Key] = attrValue(a.Value)
			}
		case a.Key == "":
			addAttrs(into, a.Value.Group())
		case len(a.Value.Group()) > 0:
			addAttrs(subgroup(into, a.Key), a.Value.Group())
		}
	}
}

func attrValue(v slog.Value) any {
	switch v.Kind() {
	case slog.KindDuration:
		return v.Duration().String()
	case slog.KindTime:
		return v.Time()
	}
	return v.Any()
}

// LogWriter returns a writer for log.SetOutput and log.New that records the lines that executions print, and hands all of them
// to next. Package log has no contexts: the execution is that of the goroutine, which is known in programs built by flux go.
// In others, use slog.
func (r *Recorder) LogWriter(next io.Writer) io.Writer {
	if r == nil {
		return next
	}
	return &logWriter{next}
}

type logWriter struct{ next io.Writer }

// Write implements io.Writer.
func (w *logWriter) Write(text []byte) (int, error) {
	if l := laneOf(context.Background()); l != nil {
		l.log(logLine{at: time.Since(l.x.started), message: strings.TrimSuffix(string(text), "\n"), pc: callerOfLog()}, nil)
	}
	return w.next.Write(text)
}

// callerOfLog returns where the program called package log.
func callerOfLog() uintptr {
	var pcs [8]uintptr
	n := runtime.Callers(3, pcs[:])
	for i, pc := range pcs[:n] {
		frames := runtime.CallersFrames(pcs[i : i+1])
		if frame, _ := frames.Next(); !strings.HasPrefix(frame.Function, "log.") {
			return pc
		}
	}
	return 0
}
