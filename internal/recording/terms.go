package recording

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flux-go/flux/execution/record"
)

// A term is what an execution is found by: a letter for the kind, then a value. It has no NUL, and at most maxTermBytes.
//
// Terms are never stored with an execution but computed again when it is removed. What this file and words.go make of a record
// must stay as it is, or get a version in the summary.
type term string

// The kinds of terms.
const (
	termStatus      = 's'
	termFailed      = 'f'
	termService     = 'v'
	termRoute       = 'r' // without the method
	termPath        = 'p' // and each beginning of it that ends before a slash
	termMethod      = 'm' // lower case
	termRequest     = 'q'
	termFingerprint = 'g'
	termParent      = 'a'
	termRoot        = 'o'
	termRelation    = 'e'
	termMessage     = 'c' // linked
	termLinked      = 'l' // linked execution
	termKind        = 'k'
	termInstance    = 'i'
	termSlow        = 'd' // each of slowSteps that it took
	termPinned      = 'n'
	termWord        = 't'
	termMoreWords   = 'u' // it has words that are no terms
	termTrace       = 'x'
)

const (
	maxTermBytes = 256
	// maxPathTerms is how many beginnings of a path are terms.
	maxPathTerms = 8
	// maxLinkTerms is how many links are terms.
	maxLinkTerms = 64
)

// slowSteps are durations that executions are found by that took as long.
var slowSteps = []time.Duration{
	100 * time.Millisecond, 300 * time.Millisecond, time.Second, 3 * time.Second, 10 * time.Second, 30 * time.Second, 100 * time.Second,
}

// newTerm returns the term of a value: the same for different values when these are very long, so that readers must compare
// what they find.
func newTerm(kind byte, value string) term {
	if len(value) >= maxTermBytes {
		cut := maxTermBytes - 1
		for cut > 0 && !utf8.RuneStart(value[cut]) {
			cut--
		}
		value = value[:cut]
	}
	return term(kind) + term(strings.ReplaceAll(value, "\x00", " "))
}

func slowTerm(step time.Duration) term {
	return newTerm(termSlow, strconv.FormatInt(step.Milliseconds(), 10))
}

// terms collects terms, each once.
type terms struct {
	all  []term
	seen map[term]struct{}
}

func (t *terms) add(new term) bool {
	if _, ok := t.seen[new]; ok {
		return false
	}
	if t.seen == nil {
		t.seen = make(map[term]struct{})
	}
	t.seen[new] = struct{}{}
	t.all = append(t.all, new)
	return true
}

func (t *terms) addText(kind byte, value string) {
	if value != "" {
		t.add(newTerm(kind, value))
	}
}

// summaryTerms returns the terms of a summary, without the one for what is pinned.
func summaryTerms(s *record.Summary) []term {
	var t terms
	t.addText(termStatus, string(s.Status))
	if s.Status.Failed() {
		t.add(newTerm(termFailed, ""))
	}
	if s.Status == record.StatusRunning {
		t.add(newTerm(termMoreWords, ""))
	}
	t.addText(termService, s.Service)
	t.addText(termRoute, routePattern(s.Route))
	for _, path := range pathBeginnings(s.Path) {
		t.add(newTerm(termPath, path))
	}
	t.addText(termMethod, strings.ToLower(s.Method))
	t.addText(termRequest, s.RequestID)
	t.addText(termFingerprint, s.Fingerprint)
	t.addText(termParent, s.Parent.String())
	t.addText(termRoot, s.Root.String())
	t.addText(termRelation, string(s.Relation))
	t.addText(termKind, string(s.Kind))
	t.addText(termInstance, s.Instance)
	t.addText(termTrace, s.Trace)
	for _, link := range s.Links[:min(len(s.Links), maxLinkTerms)] {
		t.addText(termMessage, link.MessageID)
		t.addText(termLinked, link.Execution.String())
	}
	for _, step := range slowSteps {
		if s.Duration >= step {
			t.add(slowTerm(step))
		}
	}
	return t.all
}

// wordTerms returns the terms of a record that its summary does not tell. One that still runs has none, so that it can be
// replaced without being read.
func wordTerms(x *record.Execution) []term {
	if x.Status == record.StatusRunning {
		return nil
	}
	all, complete := words(x)
	terms := make([]term, 0, len(all)+1)
	for _, word := range all {
		terms = append(terms, newTerm(termWord, word))
	}
	if !complete {
		terms = append(terms, newTerm(termMoreWords, ""))
	}
	return terms
}

// routePattern returns a route without the method that it may begin with: "POST /orders/{id}" is the route "/orders/{id}".
func routePattern(route string) string {
	if method, pattern, ok := strings.Cut(route, " "); ok && !strings.Contains(method, "/") {
		return strings.TrimLeft(pattern, " ")
	}
	return route
}

// pathBeginnings returns a path and the paths above it, shortest first: /a, /a/b for /a/b. Paths that do not begin with a slash
// have none but themselves.
func pathBeginnings(path string) []string {
	if path == "" || path == "/" {
		return nil
	}
	if path[0] != '/' {
		return []string{path}
	}
	path = strings.TrimRight(path, "/")
	var all []string
	for i := 1; i < len(path) && len(all) < maxPathTerms; i++ {
		if path[i] == '/' {
			all = append(all, path[:i])
		}
	}
	if len(all) < maxPathTerms && path != "" {
		all = append(all, path)
	}
	return all
}
