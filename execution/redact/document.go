package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"unicode/utf8"
)

// maxDepth is how deep a document may be nested, those in strings of it included. Deeper ones are redacted as text.
const maxDepth = 200

// A context is what is known of a value from what is around it.
type context struct {
	p     *plan
	rule  *compiled // hides all below; nil when none does
	by    string    // what found that
	name  nameVerdict
	shape shape
	base  int // the part of the way at which the innermost document begins
	depth int
}

// A walker goes through a document and copies it from the first value on that is replaced.
type walker struct {
	s      *Session
	in     []byte
	pos    int
	out    []byte // of in[:copied], once something is replaced
	copied int
	spread bool // replace only what the session knows
	way    []pathPart
	side   side
}

// document redacts a JSON document. It returns false when data is not one, nothing being changed then.
func (s *Session) document(c context, data []byte, way []pathPart, spread bool) ([]byte, bool) {
	if !json.Valid(data) {
		return data, false
	}
	w := walker{s: s, in: data, spread: spread, way: way}
	if w.way == nil {
		w.way = make([]pathPart, 0, 16)
	}
	c.base = len(w.way)
	w.space()
	w.value(c)
	return w.result(), true
}

func (w *walker) result() []byte {
	if w.out == nil {
		return w.in
	}
	return append(w.out, w.in[w.copied:]...)
}

// replace puts text in the place of in[start:end].
func (w *walker) replace(start, end int, text []byte) {
	if w.out == nil {
		w.out = make([]byte, 0, len(w.in)+len(text))
	}
	w.out = append(append(w.out, w.in[w.copied:start]...), text...)
	w.copied = end
}

func (w *walker) space() {
	for w.pos < len(w.in) {
		switch w.in[w.pos] {
		case ' ', '\t', '\n', '\r', ',', ':':
			w.pos++
		default:
			return
		}
	}
}

// value redacts the value at pos and goes to its end.
func (w *walker) value(c context) {
	if !w.spread && c.rule == nil && len(c.p.paths) > 0 {
		if rule := c.p.path(w.way[c.base:]); rule != nil {
			c.rule, c.by = rule, "path"
		}
	}
	switch b := w.in[w.pos]; {
	case b == '{':
		w.object(c)
	case b == '[':
		w.array(c)
	case b == '"':
		w.text(c)
	case b == '-' || isDigit(b):
		w.number(c)
	default:
		w.literal(c)
	}
}

// skip goes to the end of the value at pos.
func (w *walker) skip() {
	depth := 0
	for {
		switch w.in[w.pos] {
		case '"':
			w.pos = endOfString(w.in, w.pos)
		case '{', '[':
			depth++
			w.pos++
		case '}', ']':
			depth--
			w.pos++
		default:
			w.pos++
			if depth == 0 {
				w.pos = run(w.in, w.pos, func(b byte) bool { return isWord(b) || b == '.' || b == '-' || b == '+' })
			}
		}
		if depth == 0 {
			return
		}
	}
}

// endOfString returns the place after the string that begins at start.
func endOfString(in []byte, start int) int {
	for i := start + 1; ; i++ {
		switch in[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
}

func (w *walker) object(c context) {
	w.pos++
	outer := w.side
	for {
		before := w.pos
		w.space()
		if w.in[w.pos] == '}' {
			w.pos++
			break
		}
		start := w.pos
		w.pos = endOfString(w.in, start)
		raw := w.in[start+1 : w.pos-1]
		keyEnd := w.pos
		w.space()
		w.member(c, raw, start, keyEnd, before)
	}
	w.side = outer
}

// member redacts a member of an object. Its key is in[start:keyEnd], with quotes; before is the end of what comes before it.
func (w *walker) member(c context, raw []byte, start, keyEnd, before int) {
	key := raw
	if bytes.IndexByte(raw, '\\') >= 0 {
		key = unquote(w.in[start:keyEnd])
	}
	w.way = append(w.way, pathPart{name: key})
	defer func() { w.way = w.way[:len(w.way)-1] }()
	child := w.child(c, key)
	if !w.spread && child.rule != nil && child.rule.do.Name == Drop {
		w.drop(child, before)
		return
	}
	if len(key) >= minKnownBytes {
		w.key(c, key, start, keyEnd)
	}
	w.value(child)
}

// drop leaves a member out, with the comma before or after it. What comes before it ends at before.
func (w *walker) drop(c context, before int) {
	start := w.pos
	w.skip()
	value := w.in[start:w.pos]
	if value[0] == '"' {
		value = unquote(value)
	}
	w.locate()
	w.s.hide(c.rule, c.by, value)
	if comma := run(w.in, before, isSpace); w.in[comma] != ',' { // the first of its object: the comma after it goes
		w.pos = run(w.in, w.pos, isSpace)
		if w.in[w.pos] == ',' {
			w.pos++
		}
	}
	w.replace(before, w.pos, nil)
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }

// key redacts a key, which is data in documents that are maps.
func (w *walker) key(c context, key []byte, start, end int) {
	after := key
	if w.spread {
		after = w.s.replaceKnown(key)
	} else if has, digits := contents(key); digits >= 12 || len(key) >= 16 {
		after = w.s.hideSpans(key, c.p.find(nil, key, has, digits))
	}
	if !bytes.Equal(after, key) {
		w.replace(start, end, quote(after))
	}
}

func (w *walker) array(c context) {
	w.pos++
	for i := 0; ; i++ {
		w.space()
		if w.in[w.pos] == ']' {
			w.pos++
			return
		}
		w.way = append(w.way, pathPart{index: i})
		w.value(w.element(c, i))
		w.way = w.way[:len(w.way)-1]
	}
}

func (w *walker) text(c context) {
	start := w.pos
	w.pos = endOfString(w.in, start)
	before := w.in[start+1 : w.pos-1]
	if len(before) == 0 {
		return
	}
	if bytes.IndexByte(before, '\\') >= 0 {
		before = unquote(w.in[start:w.pos])
	}
	w.locate()
	after := w.newText(c, before)
	switch {
	case after == nil:
		w.replace(start, w.pos, []byte("null"))
	case !bytes.Equal(after, before):
		w.replace(start, w.pos, quote(after))
	}
}

// newText returns what takes the place of a string, nil when it is dropped.
func (w *walker) newText(c context, text []byte) []byte {
	switch {
	case c.shape == shapeBase64:
		return w.base64(c, text)
	case w.spread:
		return w.spreadText(c, text)
	case c.rule != nil:
		return w.s.hideForm(c.rule, c.by, c.name.form, text)
	case c.shape == shapeURL:
		return w.s.url(c, text)
	}
	return w.s.textIn(c, text, w.way)
}

func (w *walker) spreadText(c context, text []byte) []byte {
	if looksJSON(text) && c.depth < maxDepth {
		c.depth++
		if out, ok := w.s.document(c, text, w.way, true); ok {
			return out
		}
	}
	return w.s.replaceKnown(text)
}

// base64 redacts bytes that are no text.
func (w *walker) base64(c context, text []byte) []byte {
	data, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return text
	}
	c.shape = shapePlain
	after := w.newText(c, data)
	if after == nil || bytes.Equal(after, data) {
		return text[:len(text):len(text)]
	}
	return base64.StdEncoding.AppendEncode(nil, after)
}

func (w *walker) number(c context) {
	start := w.pos
	w.pos = run(w.in, start, func(b byte) bool { return isDigit(b) || bytes.IndexByte([]byte("+-.eE"), b) >= 0 })
	number := w.in[start:w.pos]
	after := number
	switch {
	case w.spread:
		after = w.s.knownNumber(number)
	case c.rule != nil:
		w.locate()
		after = w.s.hideNumber(c.rule, c.by, number)
	case len(number) >= 13 && c.p.detect[detectCard] != nil && isCard(number):
		w.locate()
		after = w.s.hideNumber(c.p.detect[detectCard], detectorNames[detectCard], number)
	}
	if !bytes.Equal(after, number) {
		w.replace(start, w.pos, after)
	}
}

// literal hides true as false: the other way it would tell as much.
func (w *walker) literal(c context) {
	start := w.pos
	w.pos = run(w.in, start, isWord)
	if c.rule != nil && c.rule.do.Name != Keep && w.in[start] == 't' {
		w.locate()
		w.s.found(c.rule, c.by, "false")
		w.replace(start, w.pos, []byte("false"))
	}
}

// locate tells the session where the walker is, for findings.
func (w *walker) locate() {
	if w.s.observe != nil {
		w.s.at = wayText(w.way)
	}
}

// looksJSON says that a text may be a JSON object or array.
func looksJSON(text []byte) bool {
	i := run(text, 0, isSpace)
	if len(text)-i < 4 || text[i] != '{' && text[i] != '[' {
		return false
	}
	last := len(text) - 1
	for last > i && isSpace(text[last]) {
		last--
	}
	return text[last] == text[i]+2 // in ASCII, brackets are two apart
}

// unquote returns the text of a JSON string.
func unquote(quoted []byte) []byte {
	var text string
	if json.Unmarshal(quoted, &text) != nil {
		return quoted
	}
	return []byte(text)
}

// quote returns a text as a JSON string.
func quote(text []byte) []byte {
	out := append(make([]byte, 0, len(text)+8), '"')
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case r == '\n':
			out = append(out, '\\', 'n')
		case r == '\r':
			out = append(out, '\\', 'r')
		case r == '\t':
			out = append(out, '\\', 't')
		case r < ' ':
			out = append(out, '\\', 'u', '0', '0', "0123456789abcdef"[r>>4], "0123456789abcdef"[r&15])
		default:
			out = utf8.AppendRune(out, r)
		}
		text = text[n:]
	}
	return append(out, '"')
}
