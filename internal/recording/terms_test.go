package recording

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/flux-go/flux/execution/record"
)

func TestPathsAreFoundByTheirBeginnings(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"":               "",
		"/":              "",
		"//":             "",
		"/a":             "/a",
		"/a/":            "/a",
		"/a/b/c":         "/a /a/b /a/b/c",
		"/1/2/3/4/5/6/7": "/1 /1/2 /1/2/3 /1/2/3/4 /1/2/3/4/5 /1/2/3/4/5/6 /1/2/3/4/5/6/7",
		"/1/2/3/4/5/6/7/8/9/10": "/1 /1/2 /1/2/3 /1/2/3/4 /1/2/3/4/5 /1/2/3/4/5/6 /1/2/3/4/5/6/7 " +
			"/1/2/3/4/5/6/7/8",
		"custom/prices": "custom/prices",
	} {
		if got := strings.Join(pathBeginnings(path), " "); got != want {
			t.Errorf("beginnings of %q are %q, want %q", path, got, want)
		}
	}
}

// TestIndexAgreesWithFilters draws executions and filters: what a filter picks by the summary has all terms of the filter.
func TestIndexAgreesWithFilters(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		i := Item{Summary: record.Summarize(drawExecution(t))}
		f := drawFilter(t)
		has := summaryTerms(&i.Summary)
		if i.Pinned = rapid.Bool().Draw(t, "pinned"); i.Pinned {
			has = append(has, newTerm(termPinned, ""))
		}
		for _, want := range f.summaryTerms() {
			if f.picks(&i) && !slices.Contains(has, want) {
				t.Fatalf("%+v picks %+v, which has not the term %q but %q", f, i, want, has)
			}
		}
	})
}

func TestTermsAreKeys(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.String().Draw(t, "value")
		got := newTerm(termPath, value+strings.Repeat("ä\x00", rapid.IntRange(0, 200).Draw(t, "more")))
		if len(got) > maxTermBytes || strings.IndexByte(string(got), 0) >= 0 || !utf8.ValidString(string(got)) {
			t.Fatalf("term %q of %d bytes", got, len(got))
		}
	})
}

func TestWordsComeFromWhereThePurposeIs(t *testing.T) {
	t.Parallel()
	x := failing(request(1, "/orders/o-1009"), `insert "Order": Duplicate key`)
	x.Checkpoints = []record.Checkpoint{
		{Shape: "select fine"},
		{Shape: "POST /charge", Error: &record.Error{Message: "card declined"}},
	}
	x.Logs = []record.LogLine{{Message: "Größe ÄNDERN 東京"}}
	x.Input = payload(t, map[string]any{"headers": map[string]any{"a": "secretheader"}, "body": `{"user":{"mail":"ann@example.org"},"n":[17,true]}`})
	want := "insert order duplicate key post orders 1009 id card declined charge größe ändern 東京 17 ann example org"
	if got := strings.Join(wordsOf(x), " "); got != want {
		t.Errorf("words are\n%s, want\n%s", got, want)
	}
}

func TestWordsAreBounded(t *testing.T) {
	t.Parallel()
	x := request(1, "/")
	for i := range 300 {
		x.Logs = append(x.Logs, record.LogLine{Message: fmt.Sprintf("line%d %s", i, strings.Repeat("x", 10_000))})
	}
	all, complete := words(x)
	if len(all) != maxWords || complete {
		t.Errorf("%d words, complete %v, want %d and more", len(all), complete, maxWords)
	}
	for _, word := range all {
		if len(word) > maxWordRunes {
			t.Errorf("word of %d bytes", len(word))
		}
	}
	if f := (&Filter{Text: strings.Repeat("x", 10_000)}); !slices.Contains(all, f.words()[0]) {
		t.Error("a long word is not found by itself")
	}
}

// manyWords are more than are found.
var manyWords = func() string {
	var all strings.Builder
	for i := range maxWords + 1 {
		fmt.Fprintf(&all, "w%d ", i)
	}
	return all.String()
}()

func wordsOf(x *record.Execution) []string {
	all, _ := words(x)
	return all
}

var (
	someText = rapid.SampledFrom([]string{"", "a", "b", "A", "/a", "/a/b", "GET /a", "x/y"})
	someID   = rapid.Custom(func(t *rapid.T) record.ID { return record.ID{0: rapid.Byte().Draw(t, "id") % 4} })
)

func drawDuration(t *rapid.T) time.Duration {
	return rapid.SampledFrom([]time.Duration{0, time.Millisecond, 99 * time.Millisecond, 400 * time.Millisecond, 3 * time.Second}).Draw(t, "duration")
}

// drawFilter draws a filter of the same words, most of which it leaves out.
func drawFilter(t *rapid.T) *Filter {
	f := &Filter{}
	set := func(name string, draw func()) {
		if rapid.IntRange(0, 7).Draw(t, name) == 0 {
			draw()
		}
	}
	set("status", func() { f.Status = rapid.SampledFrom(record.Statuses).Draw(t, "status") })
	set("failed", func() { f.Failed = true })
	set("service", func() { f.Service = someText.Draw(t, "service") })
	set("route", func() { f.Route = someText.Draw(t, "route") })
	set("path", func() { f.Path = someText.Draw(t, "path") })
	set("method", func() { f.Method = someText.Draw(t, "method") })
	set("since", func() { f.Since = start.Add(drawDuration(t)) })
	set("until", func() { f.Until = start.Add(drawDuration(t)) })
	set("slow", func() { f.MinDuration = drawDuration(t) })
	set("text", func() { f.Text = rapid.SampledFrom([]string{"one", "two ONE", "three"}).Draw(t, "text") })
	set("where", func() {
		f.Where = conditions(t, rapid.SampledFrom([]string{
			"error.class=app", "req.n=17", "req.n=17.0", "req.s=17", "req.s=one two", "req.s!=one", "req.headers.a=xx", "req.body.s=True",
			"req.body.s=true", "res.text=x", "req.big=900719925474099300", "req.list=zz",
		}).Draw(t, "condition"))
	})
	set("request", func() { f.RequestID = someText.Draw(t, "request") })
	set("instance", func() { f.Instance = someText.Draw(t, "instance") })
	set("parent", func() { f.Parent = someID.Draw(t, "parent") })
	set("relation", func() { f.Relation = record.RelationRetry })
	set("message", func() { f.MessageID = "m" })
	set("linked", func() { f.Linked = someID.Draw(t, "linked") })
	set("pinned", func() { f.Pinned = true })
	return f
}

// drawExecution draws an execution that may fail, of few words.
func drawExecution(t *rapid.T) *record.Execution {
	x := request(rapid.Byte().Draw(t, "id")%16, someText.Draw(t, "path"))
	x.Status = rapid.SampledFrom(record.Statuses).Draw(t, "status")
	if x.Status.Failed() {
		failing(x, someText.Draw(t, "error")).Status = record.StatusCrashed
	}
	x.Service, x.RequestID, x.Instance = someText.Draw(t, "service"), someText.Draw(t, "request"), someText.Draw(t, "instance")
	x.Trigger.Method, x.Trigger.Route = someText.Draw(t, "method"), someText.Draw(t, "route")
	x.Parent, x.Root = someID.Draw(t, "parent"), someID.Draw(t, "root")
	x.Relation = rapid.SampledFrom([]record.Relation{"", record.RelationReplay, record.RelationRetry}).Draw(t, "relation")
	x.Start = start.Add(drawDuration(t))
	x.Duration = drawDuration(t)
	x.Logs = []record.LogLine{{Message: rapid.SampledFrom([]string{"", "one", "one two", "three"}).Draw(t, "log")}}
	x.Input.Data = []byte(rapid.SampledFrom([]string{
		"", `{"n":17}`, `{"n":1.7e1,"s":"one two"}`, `{"n":17.000,"headers":{"a":["xx"]}}`, `{"s":"17","list":["yy","zz"]}`, `{"s":"One, two"}`,
		`{"body":"{\"s\":\"True\"}"}`, `{"body":{"text":"{\"s\":true}","bytes":9}}`, `{"big":900719925474099301}`, `{"n":"17"}`, `nonsense`,
		`{"a":"` + manyWords + `","n":17,"s":"one two"}`, `{"a":"` + strings.Repeat("x ", maxPayloadBytes) + `","n":17}`,
	}).Draw(t, "input"))
	if rapid.Bool().Draw(t, "linked") {
		x.Links = []record.Link{{Kind: record.LinkCause, MessageID: "m", Execution: someID.Draw(t, "link")}}
	}
	return x
}
