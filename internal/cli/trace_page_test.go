package cli

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flux-go/flux/execution/record"
)

// crowdedRecording has two lanes, operations that overlap, and log lines of all levels.
func crowdedRecording() *record.Execution {
	x := chargeFailed()
	lane := func(n uint32, name string, start, duration int) {
		cp := x.Checkpoints[1]
		cp.Number, cp.Lane, cp.Transaction = n, name, ""
		cp.Start, cp.Duration = time.Duration(start)*time.Millisecond, time.Duration(duration)*time.Millisecond
		x.Checkpoints = append(x.Checkpoints, cp)
	}
	lane(4, "root/stock", 5, 20)
	lane(5, "root/stock", 10, 30)
	lane(6, "root/stock", 25, 5)
	x.Logs = append(x.Logs, record.LogLine{After: 4, Lane: "root", Level: 8, Message: "gave up", At: 45 * time.Millisecond})
	x.Input = record.Payload{Data: []byte(`{"body":"{\"amount\":7,\"card\":\"[redacted]\"}"}`)}
	return x
}

// hostileRecording is the crowded one with markup wherever a record has text.
func hostileRecording(evil string) *record.Execution {
	x := crowdedRecording()
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(evil)
	payload := record.Payload{Data: []byte(`{"` + quoted + `":"` + quoted + `","body":"</pre><script>alert(1)</script>"}`)}
	x.Service, x.Environment, x.Code.Version, x.Code.Commit = evil, evil, evil, evil
	x.Trigger.Method, x.Trigger.Path, x.Trigger.Query = evil, evil, evil
	x.Status, x.Relation, x.Parent = record.Status(evil), record.Relation(evil), x.ID
	x.Links = []record.Link{{Kind: record.LinkCause, Log: evil, MessageID: evil}}
	x.Input, x.Output = payload, record.Payload{Data: []byte(evil)}
	x.Error = &record.Error{Message: evil, Type: evil, Class: record.ErrorClass(evil), Frames: []record.Frame{{Function: evil, File: evil}}}
	x.Replayable.Reasons = []string{evil}
	for i := range x.Checkpoints {
		cp := &x.Checkpoints[i]
		cp.Boundary, cp.Target, cp.Shape, cp.Lane, cp.Transaction, cp.Error = evil, evil, evil, evil, evil, x.Error
		cp.Request, cp.Response, cp.Call, cp.Provenance = payload, payload, x.Error.Frames[0], record.Provenance(evil)
	}
	for i := range x.Logs {
		x.Logs[i].Message, x.Logs[i].Attrs = evil, payload
	}
	return x
}

// element is an element of a page, with the text that is in it.
type element struct {
	name       string
	attributes map[string]string
	text       string
	inside     []*element
}

// elements returns all elements of a page, which must be balanced.
func elements(t *testing.T, page string) (all []*element) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(page))
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var open []*element
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) && len(open) == 0 {
			return all
		}
		if err != nil {
			t.Fatalf("%v, with %d elements open", err, len(open))
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local, attributes: map[string]string{}}
			for _, a := range token.Attr {
				e.attributes[a.Name.Local] = a.Value
			}
			for _, around := range open {
				around.inside = append(around.inside, e)
			}
			all, open = append(all, e), append(open, e)
		case xml.EndElement:
			if last := open[len(open)-1]; last.name != token.Name.Local {
				t.Fatalf("<%s> ends with </%s>", last.name, token.Name.Local)
			}
			open = open[:len(open)-1]
		case xml.CharData:
			for _, around := range open {
				around.text += string(token)
			}
		}
	}
}

// words is text with one space between words.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }

// TestTracePageShowsTheExecution is F-44.
func TestTracePageShowsTheExecution(t *testing.T) {
	t.Parallel()
	file := recordingFile(t, crowdedRecording())
	page := runFlux(t, exitDone, "trace", file, "--html", "-")
	all := elements(t, page)
	body := words(all[slices.IndexFunc(all, func(e *element) bool { return e.name == "body" })].text)
	for _, want := range []string{
		"POST /charge ✗ error 500", "✗ cause", "card.example answered 502", "charge.go:88 main.charge", "op 1 committed", "root/stock",
		"http POST https://card.example/v1 → 502", `"status": 502`, "WARN slow card n=1", "ERROR gave up", `\"card\":\"[redacted]\"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q:\n%s", want, body)
		}
	}
	if cause, trace := strings.Index(body, "✗ cause"), strings.Index(body, "Lanes"); cause < 0 || cause > trace {
		t.Errorf("the cause is at %d, the lanes at %d", cause, trace)
	}
	tracks, ids, targets := map[string]int{}, map[string]bool{}, []string{}
	for _, e := range all {
		ids["#"+e.attributes["id"]] = true
		if e.name == "a" {
			targets = append(targets, e.attributes["href"])
		}
		if style := e.attributes["style"]; !regexp.MustCompile(`^(left: \d+(\.\d+)?%(; width: \d+(\.\d+)?%)?)?$`).MatchString(style) {
			t.Errorf("style %q", style)
		}
		if e.attributes["class"] != "lane" {
			continue
		}
		for _, inner := range e.inside {
			if inner.attributes["class"] == "track" {
				tracks[words(e.inside[0].text)]++
			}
		}
	}
	if tracks["root"] != 1 || tracks["root/stock"] != 2 { // op 6 begins when op 4 has ended
		t.Errorf("tracks by lane: %v", tracks)
	}
	for _, target := range targets {
		if !ids[target] {
			t.Errorf("a link goes to %s, which is not there", target)
		}
	}
}

// TestTracePageIsSafeWhateverARecordSays has markup, attributes, styles and addresses where a record has text.
func TestTracePageIsSafeWhateverARecordSays(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{
		`<script>alert(1)</script>`, `" onmouseover="alert(1)`, `' onload='alert(1)`, `</style><script src=//evil.example></script>`,
		`</title></pre></details><img src=x onerror=alert(1)>`, `javascript:alert(1)`, `{{.}}`, "<!-- ", `]]><svg/onload=alert(1)>`,
		"%; background: url(//evil.example/x)", "\x1b[2J\u202e\x00",
	} {
		page := runFlux(t, exitDone, "trace", recordingFile(t, hostileRecording(evil)), "--html", "-")
		shape := map[string]int{}
		for _, e := range elements(t, page) {
			shape[e.name]++
			for name, value := range e.attributes {
				remote := strings.Contains(value, "//") && name != "title" && name != "aria-label"
				address := (name == "href" || name == "src") && !strings.HasPrefix(value, "#op-")
				if strings.HasPrefix(name, "on") || remote || address {
					t.Errorf("%q makes <%s %s=%q>", evil, e.name, name, value)
				}
			}
		}
		for _, never := range []string{"script", "img", "svg", "link", "iframe", "object", "form", "base"} {
			if shape[never] > 0 {
				t.Errorf("%q makes %d <%s>", evil, shape[never], never)
			}
		}
		if want := len(hostileRecording(evil).Checkpoints) + 2; shape["details"] != want || shape["style"] != 1 || shape["title"] != 1 {
			t.Errorf("%q changes the page: %v, want %d details", evil, shape, want)
		}
		if strings.ContainsAny(page, "\x1b\u202e\x00") {
			t.Errorf("%q reaches the page as it is", evil)
		}
	}
}

func TestTracePageIsAFile(t *testing.T) {
	t.Parallel()
	x := crowdedRecording()
	x.Checkpoints[3].Response.Data = []byte(`{"body":"` + strings.Repeat("ä", maxPagePayload) + `"}`)
	path := filepath.Join(t.TempDir(), "page.html")
	out := runFlux(t, exitDone, "trace", recordingFile(t, x), "--html", path)
	page, err := os.ReadFile(path)
	if err != nil || !strings.Contains(out, "Wrote execution 7f3a0102 to "+path) || !strings.HasSuffix(strings.TrimSpace(string(page)), "</html>") {
		t.Errorf("%s%d bytes (%v)", out, len(page), err)
	}
	if len(page) > 2*maxPagePayload || !strings.Contains(string(page), "and 64.0 KiB more, which are in the record") || strings.Contains(string(page), "\uFFFD") {
		t.Errorf("a large payload makes a page of %d bytes", len(page))
	}
	runFlux(t, exitUsage, "trace", "7f3a", "--html", "-", "--json")
	runFlux(t, exitUsage, "trace", "7f3a", "--html", "-", "--tree")
}
