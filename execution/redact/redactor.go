package redact

import (
	"bytes"
	"strconv"
	"strings"
	"sync"
)

// A Redactor applies rules. It is safe for concurrent use.
type Redactor struct {
	rules *Rules
	key   []byte
}

// Redactor returns a redactor whose stand-ins depend on the key: under the same key, equal values have equal stand-ins. Who
// does not have the key cannot find out what a stand-in stands for by trying.
func (r *Rules) Redactor(key []byte) *Redactor {
	return &Redactor{rules: r, key: bytes.Clone(key)}
}

// Rules returns the rules that are applied.
func (r *Redactor) Rules() *Rules { return r.rules }

// Payload redacts a JSON document from a place, as "http.request", on its own. It returns data when there is nothing to hide,
// and does not change it otherwise. Data that is not JSON is redacted as text.
func (r *Redactor) Payload(where string, data []byte) []byte {
	s := sessions.Get().(*Session)
	*s = Session{r: r, scratch: s.scratch[:0]}
	redacted := s.Payload(where, data)
	*s = Session{scratch: s.scratch}
	if cap(s.scratch) <= maxScratchBytes {
		sessions.Put(s)
	}
	return redacted
}

// Text redacts a text from a place, as "log.message", on its own.
func (r *Redactor) Text(where, text string) string {
	s := Session{r: r}
	return s.Text(where, text)
}

// sessions are used again: most payloads have nothing to remember.
var sessions = sync.Pool{New: func() any { return new(Session) }}

// maxScratchBytes is the most that a session may hold on to when it waits to be used again.
const maxScratchBytes = 64 << 10

// Session returns a session for the parts of one execution.
func (r *Redactor) Session() *Session { return &Session{r: r} }

// A Session redacts what belongs together. It remembers what it has hidden: a value hidden in one place is hidden wherever
// the session meets it later, with the same stand-in. It is not safe for concurrent use.
type Session struct {
	r       *Redactor
	known   map[string]string // value → stand-in
	size    int               // bytes of known
	count   int
	needles *finder // of known; nil when it is to be built
	anchors *finder

	tables   []string       // of the statement whose answer is redacted
	commands []redisCommand // whose answers are redacted

	observe func(Finding) // nil when nobody looks
	way     [12]pathPart  // room for the way of a document
	scratch []byte        // room for texts without their quotes
	part    part          // of the execution that is redacted, for findings
	at      string        // where in it
}

// Count is how many values were hidden.
func (s *Session) Count() int { return s.count }

// Payload redacts a JSON document as Redactor.Payload does, and what the session knows.
func (s *Session) Payload(where string, data []byte) []byte {
	data = s.hidePayload(where, data)
	return s.spreadPayload(where, data)
}

// Text redacts a text as Redactor.Text does, and what the session knows.
func (s *Session) Text(where, text string) string {
	return s.spreadText(s.hideText(where, text))
}

func (s *Session) hidePayload(where string, data []byte) []byte {
	if len(data) == 0 {
		return data
	}
	p := s.r.rules.plan(where)
	c := context{p: p, shape: shapeOf(where), rule: p.all, by: "place"}
	if out, ok := s.document(c, data, nil, false); ok {
		return out
	}
	return s.text(c, data)
}

// spreadPayload replaces what the session knows.
func (s *Session) spreadPayload(where string, data []byte) []byte {
	if len(s.known) == 0 || !s.mayKnow(data) {
		return data
	}
	c := context{p: s.r.rules.plan(where)}
	if out, ok := s.document(c, data, nil, true); ok {
		return out
	}
	return s.replaceKnown(data)
}

func (s *Session) hideText(where, text string) string {
	if text == "" {
		return text
	}
	p := s.r.rules.plan(where)
	if p.all != nil {
		return string(s.hide(p.all, "place", []byte(text)))
	}
	if isHarmless(text) {
		return text
	}
	before := []byte(text)
	after := s.text(context{p: p}, before)
	if bytes.Equal(before, after) {
		return text
	}
	return string(after)
}

func (s *Session) spreadText(text string) string {
	if len(s.known) == 0 || text == "" {
		return text
	}
	before := []byte(text)
	after := s.replaceKnown(before)
	if bytes.Equal(before, after) {
		return text
	}
	return string(after)
}

// maxKnownBytes bounds what a session remembers, values and stand-ins together.
const maxKnownBytes = 1 << 20

// hide returns the stand-in of a value under a rule, nil when it is to be left out.
func (s *Session) hide(c *compiled, by string, value []byte) []byte {
	switch {
	case c.do.Name == Keep || len(value) == 0 || isStandIn(value):
		return value
	case c.do.Name == Drop:
		s.found(c, by, "")
		s.remember(value, maskText)
		return nil
	}
	stand, ok := s.known[string(value)]
	if !ok {
		stand = string(s.r.standIn(c.do, value))
		s.remember(value, stand)
	}
	s.found(c, by, stand)
	return []byte(stand)
}

func (s *Session) remember(value []byte, stand string) {
	if _, ok := s.known[string(value)]; ok || s.size+len(value)+len(stand) > maxKnownBytes {
		return
	}
	if s.known == nil {
		s.known = make(map[string]string)
	}
	s.known[string(value)] = stand
	s.size += len(value) + len(stand)
	s.needles, s.anchors = nil, nil
	if bytes.IndexByte(value, '\\') >= 0 { // it may be from JSON within a text, and stands elsewhere as it is
		quoted := append(append([]byte{'"'}, value...), '"')
		if text := unquote(quoted); !bytes.Equal(text, quoted) && !bytes.Equal(text, value) {
			s.remember(text, stand)
		}
	}
}

// hideNumber is hide for a number of JSON.
func (s *Session) hideNumber(c *compiled, by string, number []byte) []byte {
	if c.do.Name == Keep {
		return number
	}
	stand := s.r.numberStandIn(c.do, number)
	if bytes.Equal(stand, number) {
		return number
	}
	s.remember(number, string(stand))
	s.found(c, by, string(stand))
	return stand
}

func (s *Session) found(c *compiled, by, stand string) {
	s.count++
	if s.observe != nil {
		s.observe(Finding{Place: s.place(), Rule: c.name, By: by, StandIn: stand})
	}
}

// A part is a part of an execution: its kind, its number or name, and what of it.
type part struct {
	kind   string
	number int // -1 when it has none
	of     string
}

func (p part) String() string {
	text := p.kind
	if p.number >= 0 {
		text += " " + strconv.Itoa(p.number)
	}
	return strings.TrimSpace(text + " " + p.of)
}

// place returns where the session is.
func (s *Session) place() string {
	if s.part == (part{}) {
		return s.at
	}
	return strings.TrimSpace(s.part.String() + " " + s.at)
}

// A Finding is a value that was hidden.
type Finding struct {
	Place   string `json:"place"`             // in the record, as "op 2 request $.header.Authorization[0]"
	Rule    string `json:"rule"`              // that decided
	By      string `json:"by"`                // what found it: name, path, column, key, place, or the name of a detector
	StandIn string `json:"standIn,omitempty"` // what took its place; empty when it was left out
}
