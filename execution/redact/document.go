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
	broken bool // it is no JSON after all
	way    []pathPart
	side   side
	last   []byte // the text before the one at pos
}

// document redacts a JSON document. It returns false when data is not one. It is not strict: what is taken for JSON has its
// strings, brackets and keys in place.
func (s *Session) document(c context, data []byte, way []pathPart, spread bool) ([]byte, bool) {
	w := walker{s: s, in: data, spread: spread, way: way}
	if way == nil {
		w.way = s.way[:0]
	}
	c.base = len(w.way)
	w.value(c)
	w.space()
	if w.broken || w.pos < len(w.in) {
		return data, false
	}
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

// space goes to the next byte that is not white.
func (w *walker) space() { w.pos = run(w.in, w.pos, space) }

// next returns the next byte that is not white and stays at it; 0 at the end.
func (w *walker) next() byte {
	if w.space(); w.pos < len(w.in) {
		return w.in[w.pos]
	}
	return 0
}

// more goes to the next member of an object or element of an array, and says whether there is one. The first is after the
// bracket, others are after commas.
func (w *walker) more(first bool, closing byte) bool {
	switch b := w.next(); {
	case b == closing:
		w.pos++
		return false
	case first && b != 0:
		return !w.broken
	case b == ',':
		w.pos++
		return !w.broken && w.next() != 0
	}
	w.broken = true
	return false
}

// value redacts the value at pos and goes to its end.
func (w *walker) value(c context) {
	if !w.spread && c.rule == nil && len(c.p.paths) > 0 {
		if rule := c.p.path(w.way[c.base:]); rule != nil {
			c.rule, c.by = rule, "path"
		}
	}
	switch b := w.next(); {
	case w.broken || c.depth > maxDepth:
		w.broken = true
	case b == '{':
		c.depth++
		w.object(c)
	case b == '[':
		c.depth++
		w.array(c)
	case b == '"':
		w.text(c)
	case b == '-' || isDigit(b):
		w.number(c)
	default:
		w.literal(c)
	}
}

// skip goes to the end of the value that comes next.
func (w *walker) skip() {
	for depth := 0; !w.broken; {
		switch b := w.next(); b {
		case 0:
			w.broken = true
		case '"':
			w.string()
		case '{', '[':
			depth++
			w.pos++
		case '}', ']':
			depth--
			w.pos++
		case ',', ':':
			w.pos++
			continue
		default:
			w.pos = max(run(w.in, w.pos, word|number), w.pos+1)
		}
		if depth <= 0 {
			return
		}
	}
}

// string goes to the end of the string that begins at pos, and returns what is in its quotes.
func (w *walker) string() (raw []byte) {
	start := w.pos + 1
	for i := start; i < len(w.in); i++ {
		switch w.in[i] {
		case '"':
			w.pos = i + 1
			return w.in[start:i]
		case '\\':
			i++
		}
	}
	w.broken, w.pos = true, len(w.in)
	return nil
}

// key goes to the value of a member, and returns its key as it is in the document.
func (w *walker) key() (raw []byte) {
	if w.next() != '"' {
		w.broken = true
		return nil
	}
	raw = w.string()
	if w.next() != ':' {
		w.broken = true
		return nil
	}
	w.pos++
	w.space()
	return raw
}

func (w *walker) object(c context) {
	outer := w.side
	w.side = side{start: w.pos}
	w.pos++
	kept := false // a member before this one
	for first := true; ; first = false {
		before := w.pos
		if !w.more(first, '}') {
			break
		}
		w.space()
		start := w.pos
		raw := w.key()
		if w.broken {
			break
		}
		if w.member(c, raw, start) {
			kept = true
		} else {
			w.drop(before, kept)
		}
	}
	w.side = outer
}

// member redacts a member of an object, whose key begins at start, with a quote. It returns false for one that is to be left
// out.
func (w *walker) member(c context, raw []byte, start int) (kept bool) {
	key, end := raw, start+len(raw)+2
	if bytes.IndexByte(raw, '\\') >= 0 {
		key = w.s.unquote(w.in[start:end])
	}
	w.way = append(w.way, pathPart{name: key})
	child := w.child(c, key)
	if kept = w.spread || child.rule == nil || child.rule.do.Name != Drop; kept {
		if len(key) >= minKnownBytes {
			w.name(c, key, start, end)
		}
		w.value(child)
	} else {
		w.dropped(child)
	}
	w.way = w.way[:len(w.way)-1]
	return kept
}

// dropped goes over a value that is left out, and has it remembered.
func (w *walker) dropped(c context) {
	start := w.pos
	w.skip()
	if w.broken {
		return
	}
	value := w.in[start:w.pos]
	if value[0] == '"' {
		value = w.s.unquote(value)
	}
	w.locate()
	w.s.hide(c.rule, c.by, value)
}

// drop leaves out the member that ends at pos: with the comma before it, or, where no member is kept before it, with the one
// after it. What comes before it ends at before.
func (w *walker) drop(before int, kept bool) {
	end := w.pos
	if !kept && w.next() == ',' {
		end = w.pos + 1
	}
	w.replace(max(before, w.copied), end, nil)
}

// name redacts a key, which is data in documents that are maps.
func (w *walker) name(c context, key []byte, start, end int) {
	after := key
	if w.spread {
		after = w.s.replaceKnown(key)
	} else if has, digits := contents(key); digits >= 12 || len(key) >= 20 {
		w.locate()
		after = w.s.hideSpans(key, c.p.find(nil, key, has, digits))
	}
	if !bytes.Equal(after, key) {
		w.replace(start, end, quote(after))
	}
}

func (w *walker) array(c context) {
	w.pos++
	for i := 0; w.more(i == 0, ']'); i++ {
		w.way = append(w.way, pathPart{index: i})
		w.space()
		element := w.element(c, i)
		if start := w.pos; !w.spread && element.rule != nil && element.rule.do.Name == Drop {
			w.dropped(element)
			w.replace(start, w.pos, []byte("null"))
		} else {
			w.value(element)
		}
		w.way = w.way[:len(w.way)-1]
	}
}

func (w *walker) text(c context) {
	start := w.pos
	before := w.string()
	if len(before) == 0 {
		return
	}
	if bytes.IndexByte(before, '\\') >= 0 {
		before = w.s.unquote(w.in[start:w.pos])
	}
	w.locate()
	after := w.newText(c, before)
	w.last = before
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
	case c.rule != nil && c.shape == shapeTime:
		return w.hideTime(c, text)
	case c.rule != nil && c.shape == shapeNumber:
		return w.s.hideNumber(c.rule, c.by, text)
	case c.rule != nil && c.shape == shapeVerbatim && len(text) > 4:
		return append(bytes.Clone(text[:4]), w.s.hide(c.rule, c.by, text[4:])...)
	case c.rule != nil:
		return w.s.hideForm(c.rule, c.by, c.name.form, text)
	case c.shape == shapeURL:
		return w.s.url(c, text)
	}
	return w.s.textIn(c, text, w.way)
}

// hideTime hides a time. The stand-in is one, or a replay could not read the value.
func (w *walker) hideTime(c context, text []byte) []byte {
	if c.rule.do.Name == Keep || string(text) == timeText {
		return text
	}
	w.s.found(c.rule, c.by, timeText)
	return []byte(timeText)
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
	w.pos = run(w.in, start, number)
	before := w.in[start:w.pos]
	after := before
	switch {
	case w.spread:
		after = w.s.knownNumber(before)
	case c.rule != nil:
		w.locate()
		after = w.s.hideNumber(c.rule, c.by, before)
	case len(before) >= 13 && c.p.detect[detectCard] != nil && isAll(before, digit) && isCard(before):
		w.locate()
		after = w.s.hideNumber(c.p.detect[detectCard], detectorNames[detectCard], before)
	}
	if !bytes.Equal(after, before) {
		w.replace(start, w.pos, after)
	}
}

// literal hides true as false: the other way it would tell as much.
func (w *walker) literal(c context) {
	start := w.pos
	w.pos = run(w.in, start, word)
	switch string(w.in[start:w.pos]) {
	case "true", "false", "null":
	default:
		w.broken = true
		return
	}
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
	i := run(text, 0, space)
	if len(text)-i < 4 || text[i] != '{' && text[i] != '[' {
		return false
	}
	last := len(text) - 1
	for last > i && space.has(text[last]) {
		last--
	}
	return text[last] == text[i]+2 // in ASCII, brackets are two apart
}

// unquote returns the text of a JSON string. It stays valid as long as the session.
func (s *Session) unquote(quoted []byte) []byte {
	start := len(s.scratch)
	out := s.scratch
	for i := 1; i < len(quoted)-1; i++ {
		b := quoted[i]
		if b != '\\' {
			out = append(out, b)
			continue
		}
		i++
		if quoted[i] == 'u' {
			return unquote(quoted) // rare, and not simple
		}
		out = append(out, unescaped[quoted[i]])
	}
	s.scratch = out
	return out[start:len(out):len(out)]
}

var unescaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

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
