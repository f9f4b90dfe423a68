package execution

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/flux-go/flux/execution/record"
)

// Style is how a part of a report is to look.
type Style int

// The styles.
const (
	StylePlain Style = iota
	StyleBold
	StyleDim
	StyleGood
	StyleBad
)

// Text returns the report for a person, in lines. paint makes a text look like a style; nil leaves all plain.
func (r *Report) Text(paint func(Style, string) string) string {
	if paint == nil {
		paint = func(_ Style, text string) string { return text }
	}
	w := &reportWriter{r: r, paint: paint}
	w.operations()
	w.endings()
	w.stop()
	w.divergences()
	if r.Stop == nil { // what comes of the stop says nothing
		w.differences("Output", r.Output)
	}
	w.logs()
	w.outside()
	w.verdict()
	return w.b.String()
}

type reportWriter struct {
	r     *Report
	paint func(Style, string) string
	b     strings.Builder
}

func (w *reportWriter) linef(format string, args ...any) {
	fmt.Fprintf(&w.b, format, args...)
	w.b.WriteByte('\n')
}

// heading begins a part, after an empty line.
func (w *reportWriter) heading(text string) {
	if w.b.Len() > 0 {
		w.b.WriteByte('\n')
	}
	w.linef("%s", w.paint(StyleBold, text))
}

func (w *reportWriter) operations() {
	if len(w.r.Operations) == 0 {
		return
	}
	w.heading("Operations")
	for i := range w.r.Operations {
		o := &w.r.Operations[i]
		mark, source := w.paint(StyleBad, "■"), "not in the record"
		switch {
		case o.Source == record.ProvenanceLive:
			mark, source = w.paint(StyleBold, "→"), "live"
		case o.Recorded != nil:
			mark, source = w.paint(StyleGood, "✓"), "from op "+strconv.Itoa(int(*o.Recorded))
			if o.Level != LevelExact.String() && o.Level != LevelNone.String() {
				source += ", " + o.Level
			}
		case o.Operation.Effect == record.EffectNone:
			mark, source = w.paint(StyleDim, "·"), "nothing to do"
		}
		w.linef("  %s %s  %s", mark, o.Operation, w.paint(StyleDim, source))
	}
}

func (w *reportWriter) endings() {
	w.heading("End")
	w.linef("  recorded  %s", w.ending(w.r.Recorded))
	w.linef("  replayed  %s", w.ending(w.r.Replayed))
}

func (w *reportWriter) ending(e Ending) string {
	style := StyleGood
	if e.Status.Failed() || e.Status == record.StatusStopped {
		style = StyleBad
	}
	text := w.paint(style, string(e.Status))
	if e.HTTPStatus != 0 {
		text += " " + strconv.Itoa(e.HTTPStatus)
	}
	if e.Class != "" {
		text += "  " + string(e.Class) + ": " + firstLineOf(e.Message)
	}
	if e.Frame.File != "" {
		text += "  " + w.paint(StyleDim, e.Frame.File+":"+strconv.Itoa(e.Frame.Line))
	}
	return text
}

func firstLineOf(text string) string {
	first, rest, more := strings.Cut(text, "\n")
	if more && rest != "" {
		return first + " …"
	}
	return first
}

func (w *reportWriter) stop() {
	if refused := w.r.Refused; refused != nil {
		w.heading("Refused")
		w.linef("  %s  %s", w.paint(StyleBad, refused.Operation.String()), refused.Reason)
		w.linef("  %s", refused.Remedy)
	}
	stop := w.r.Stop
	if stop == nil {
		return
	}
	w.heading("Stopped")
	w.linef("  %s is not in the record", w.paint(StyleBad, stop.Operation.String()))
	w.at(stop.Operation.Call)
	if stop.Near == nil {
		w.linef("  it asked  %s", shorten(string(stop.Operation.Request.Data)))
		return
	}
	w.linef("  op %d of the record is like it, but for", *stop.Near)
	w.changes("    ", stop.Diff)
}

func (w *reportWriter) at(call record.Frame) {
	if call.File != "" {
		w.linef("  called at %s", w.paint(StyleDim, call.File+":"+strconv.Itoa(call.Line)))
	}
}

// divergenceText says in words what a kind of divergence is.
var divergenceText = map[DivergenceKind]string{
	DivergenceExtraCall:      "not in the record",
	DivergenceReordered:      "in another order",
	DivergenceRequestChanged: "asked otherwise",
	DivergenceRepeated:       "asked again",
	DivergenceUnused:         "not asked for any more",
	DivergenceOutcome:        "came out otherwise",
	DivergenceSource:         "gave values the record does not have",
}

func (w *reportWriter) divergences() {
	shown := 0
	for _, d := range w.r.Divergences {
		if w.r.Stop != nil && d.Operation != nil && d.Operation.Number == w.r.Stop.Operation.Number {
			continue // it was shown
		}
		if w.r.Stop != nil && d.Kind == DivergenceUnused {
			continue // it did not come that far
		}
		if shown++; shown == 1 {
			w.heading("Divergences")
		}
		what := d.Detail
		switch {
		case d.Operation != nil:
			what = strings.TrimSpace(d.Operation.String() + " " + d.Detail)
		case d.Recorded != nil:
			what = d.Recorded.String()
		}
		w.linef("  %s  %s", what, w.paint(StyleBad, divergenceText[d.Kind]))
		w.changes("    ", d.Diff)
	}
}

func (w *reportWriter) differences(title string, diff []Difference) {
	if len(diff) > 0 {
		w.heading(title)
		w.changes("  ", diff)
	}
}

func (w *reportWriter) changes(indent string, diff []Difference) {
	for _, d := range diff {
		switch d.Kind {
		case Added:
			w.linef("%s%s %s = %s", indent, w.paint(StyleGood, "+"), d.Path, value(d.Actual))
		case Removed:
			w.linef("%s%s %s = %s", indent, w.paint(StyleBad, "-"), d.Path, value(d.Expected))
		default:
			w.linef("%s%s %s = %s", indent, w.paint(StyleBad, "-"), d.Path, value(d.Expected))
			w.linef("%s%s %s = %s", indent, w.paint(StyleGood, "+"), d.Path, value(d.Actual))
		}
	}
}

func value(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return shorten(string(text))
}

// shorten keeps lines readable.
func shorten(text string) string {
	const most = 200
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "… (" + strconv.Itoa(len(text)) + " bytes)"
}

// logs shows the lines only when they differ.
func (w *reportWriter) logs() {
	differ := false
	for _, l := range w.r.Logs {
		differ = differ || l.Change != "="
	}
	if !differ {
		return
	}
	w.heading("Log")
	for _, l := range w.r.Logs {
		style := map[string]Style{"=": StyleDim, "+": StyleGood, "-": StyleBad}[l.Change]
		w.linef("  %s", w.paint(style, l.Change+" "+l.Line.Message+" "+shorten(string(l.Line.Attrs.Data))))
	}
}

func (w *reportWriter) outside() {
	if len(w.r.Violations) > 0 {
		w.heading("Kept from the network")
		for _, what := range w.r.Violations {
			w.linef("  %s", w.paint(StyleBad, what))
		}
	}
	if len(w.r.Outside) > 0 {
		w.heading("Refused outside of the replay")
		for _, operation := range w.r.Outside {
			w.linef("  %s", operation)
		}
	}
}

var outcomeText = map[Outcome]string{
	OutcomeSame:     "it did what was recorded and ended as it did",
	OutcomeDiverged: "it ended like the record, but is not the same",
	OutcomeStopped:  "it asked for something the record does not have",
	OutcomeFixed:    "the record failed, this did not",
	OutcomeFailed:   "it failed in another way than the record",
	OutcomeRefused:  "it needs a decision",
}

func (w *reportWriter) verdict() {
	style := StyleBad
	if w.r.Outcome == OutcomeSame || w.r.Outcome == OutcomeFixed {
		style = StyleGood
	}
	b := &w.b
	b.WriteByte('\n')
	w.linef("%s  %s  %s", w.paint(style, strings.ToUpper(string(w.r.Outcome))), outcomeText[w.r.Outcome],
		w.paint(StyleDim, fmt.Sprintf("(%d answered from the record, %d live, %s)", w.r.Served, len(w.r.Live), w.r.Duration.Round(10*time.Microsecond))))
}

// Meets says whether the replay came out as expected: "same", "ok", "error", or "status=404". The error is for any other word.
func (r *Report) Meets(expect string) (bool, error) {
	went := r.Stop == nil && r.Refused == nil
	switch expect {
	case "same":
		return r.Outcome == OutcomeSame, nil
	case "ok":
		return went && r.Replayed.Status == record.StatusOK, nil
	case "error":
		return went && r.Replayed.Status.Failed(), nil
	}
	if code, ok := strings.CutPrefix(expect, "status="); ok {
		if status, err := strconv.Atoi(code); err == nil && status >= 100 && status < 1000 {
			return went && r.Replayed.HTTPStatus == status, nil
		}
	}
	return false, fmt.Errorf("%q is no expectation: use same, ok, error or status=NNN", expect)
}
