package redact

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
)

// A form is how a value is written that has more in it than a secret.
type form uint8

const (
	formWhole         form = iota
	formAuthorization      // a scheme before it
	formCookie             // name=value; name=value
	formSetCookie          // name=value; attributes
)

func formOf(folded string) form {
	switch folded {
	case "authorization", "proxyauthorization":
		return formAuthorization
	case "cookie":
		return formCookie
	case "setcookie":
		return formSetCookie
	}
	return formWhole
}

// hideForm hides the secret in a value and leaves its form, so that code that takes it apart can go on doing so. It returns
// nil when the value is to be left out.
func (s *Session) hideForm(c *compiled, by string, f form, text []byte) []byte {
	if c.do.Name == Drop || c.do.Name == Keep {
		return s.hide(c, by, text)
	}
	switch f {
	case formAuthorization:
		return s.hideAuthorization(c, by, text)
	case formCookie, formSetCookie:
		return s.hideCookies(c, by, f, text)
	}
	return s.hide(c, by, text)
}

func (s *Session) hideAuthorization(c *compiled, by string, text []byte) []byte {
	scheme, rest, ok := bytes.Cut(text, []byte(" "))
	if !ok || len(scheme) == 0 || len(rest) == 0 || !isAll(scheme, jwtPart) {
		return s.hide(c, by, text)
	}
	out := append(bytes.Clone(scheme), ' ')
	if bytes.EqualFold(scheme, []byte("basic")) {
		if data, err := base64.StdEncoding.DecodeString(string(rest)); err == nil && bytes.IndexByte(data, ':') >= 0 {
			user, password, _ := bytes.Cut(data, []byte(":"))
			pair := append(append(bytes.Clone(user), ':'), s.hide(c, by, password)...)
			return base64.StdEncoding.AppendEncode(out, pair)
		}
	}
	return append(out, s.hide(c, by, rest)...)
}

func (s *Session) hideCookies(c *compiled, by string, f form, text []byte) []byte {
	parts := bytes.Split(text, []byte(";"))
	for i, part := range parts {
		if f == formSetCookie && i > 0 {
			break
		}
		name, value, ok := bytes.Cut(part, []byte("="))
		if !ok {
			name, value = nil, part
		}
		stand := s.hide(c, by, bytes.TrimSpace(value))
		if ok {
			stand = append(append(bytes.Clone(name), '='), stand...)
		}
		parts[i] = stand
	}
	return bytes.Join(parts, []byte(";"))
}

// text redacts a text that stands alone.
func (s *Session) text(c context, text []byte) []byte { return s.textIn(c, text, nil) }

// textIn redacts a text, which may be a document or a form itself. It returns text when nothing is hidden.
func (s *Session) textIn(c context, text []byte, way []pathPart) []byte {
	has, digits := contents(text)
	if has&hasBrace != 0 && c.depth < maxDepth && looksJSON(text) {
		c.depth++
		if out, ok := s.document(c, text, way, false); ok {
			return out
		}
	}
	if c.name.secret && c.p.found&(1<<detectEntropy) != 0 && isEntropic(text) {
		return s.hideSpans(text, []span{{0, len(text), c.p.detect[detectEntropy], detectorNames[detectEntropy], formWhole}})
	}
	if has&hasEquals != 0 && isForm(text) {
		return s.formValues(c, text)
	}
	var room [8]span
	spans := c.p.find(room[:0], text, has, digits)
	if has&hasColon != 0 {
		spans = findConnections(spans, text)
	}
	if has&(hasEquals|hasColon) != 0 {
		spans = c.p.findAssignments(spans, text)
	}
	return s.hideSpans(text, spans)
}

// hideSpans hides parts of a text. Where they overlap, they are hidden as one.
func (s *Session) hideSpans(text []byte, spans []span) []byte {
	if len(spans) == 0 {
		return text
	}
	slices.SortFunc(spans, func(a, b span) int {
		if a.start != b.start {
			return a.start - b.start
		}
		return b.end - a.end
	})
	var out []byte
	copied := 0
	for i := 0; i < len(spans); {
		one := spans[i]
		for i++; i < len(spans) && spans[i].start < one.end; i++ {
			one.end = max(one.end, spans[i].end)
		}
		if one.rule.do.Name == Keep {
			continue
		}
		value := text[one.start:one.end]
		stand := s.hideForm(one.rule, one.by, one.form, value)
		out = append(append(out, text[copied:one.start]...), stand...)
		copied = one.end
	}
	return append(out, text[copied:]...)
}

// isForm says that a text is a form, or the query of a URL: name=value&name=value.
func isForm(text []byte) bool {
	for i := 0; ; {
		end := run(text, i, formName)
		if end == i || end-i > 64 || end >= len(text) || text[end] != '=' || end+1 < len(text) && text[end+1] == '=' {
			return false
		}
		value := end + 1
		for end = value; end < len(text) && text[end] != '&'; end++ {
			if b := text[end]; b <= ' ' || b == '"' || b == ';' || b == '{' {
				return false
			}
		}
		if end == value && end == len(text) && i == 0 {
			return false // padding of base64
		}
		if end == len(text) {
			return true
		}
		i = end + 1
	}
}

// formValues redacts the values of a form.
func (s *Session) formValues(c context, text []byte) []byte {
	var out []byte
	copied := 0
	for start := 0; start < len(text); {
		end := bytes.IndexByte(text[start:], '&')
		if end < 0 {
			end = len(text)
		} else {
			end += start
		}
		if name, value, ok := bytes.Cut(text[start:end], []byte("=")); ok {
			if after := s.formValue(c, name, value); !bytes.Equal(after, value) {
				out = append(append(out, text[copied:end-len(value)]...), after...)
				copied = end
			}
		}
		start = end + 1
	}
	if copied == 0 {
		return text
	}
	return append(out, text[copied:]...)
}

func (s *Session) formValue(c context, name, value []byte) []byte {
	name = unescapeQuery(name)
	before := unescapeQuery(value)
	c.name = c.p.name(lastPart(name))
	c.depth++
	var after []byte
	switch {
	case c.name.rule != nil:
		after = s.hideForm(c.name.rule, "name", c.name.form, before)
	case c.depth < maxDepth:
		after = s.text(c, before)
	}
	if bytes.Equal(after, before) {
		return value
	}
	if c.name.rule != nil && c.name.form == formWhole {
		s.remember(value, string(after)) // a text that only looks like a form has it as it is
	}
	return []byte(url.QueryEscape(string(after)))
}

func unescapeQuery(text []byte) []byte {
	if !bytes.ContainsAny(text, "%+") {
		return text
	}
	plain, err := url.QueryUnescape(string(text))
	if err != nil {
		return text
	}
	return []byte(plain)
}

// lastPart returns what is after the last dot of a name.
func lastPart(name []byte) []byte {
	return name[bytes.LastIndexByte(name, '.')+1:]
}

// url redacts a URL, or the path of one: the query by names, the rest as text.
func (s *Session) url(c context, text []byte) []byte {
	mark := bytes.IndexByte(text, '?')
	if mark < 0 {
		return s.text(c, text)
	}
	end := len(text)
	if i := bytes.IndexByte(text[mark:], '#'); i >= 0 {
		end = mark + i
	}
	path, query, fragment := s.text(c, text[:mark]), s.formValues(c, text[mark+1:end]), text[end:]
	if len(fragment) > 1 {
		fragment = append([]byte("#"), s.text(c, fragment[1:])...)
	}
	if same(path, text[:mark]) && same(query, text[mark+1:end]) && same(fragment, text[end:]) {
		return text
	}
	return slices.Concat(path, []byte("?"), query, fragment)
}

// same says that nothing was replaced: functions return what they were given then.
func same(after, before []byte) bool {
	return len(after) == len(before) && (len(after) == 0 || &after[0] == &before[0])
}

// findConnections finds passwords in URLs of connections and in those of drivers for MySQL.
func findConnections(spans []span, text []byte) []span {
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte("://"))
		if i < 0 {
			break
		}
		at += i + len("://")
		if start, end, ok := passwordIn(text, at); ok && !isStandIn(text[start:end]) {
			spans = append(spans, span{start, end, connectionRule, "connection string", formWhole})
			at = end
		}
	}
	for _, network := range []string{"@tcp(", "@unix("} {
		if i := bytes.Index(text, []byte(network)); i > 0 {
			start := bytes.LastIndexAny(text[:i], " \t\r\n\"'=<>") + 1
			if colon := bytes.IndexByte(text[start:i], ':'); colon >= 0 && start+colon+1 < i && !isStandIn(text[start+colon+1:i]) {
				spans = append(spans, span{start + colon + 1, i, connectionRule, "connection string", formWhole})
			}
		}
	}
	return spans
}

// passwordIn returns where the password is in the authority of a URL that begins at start. A password that was not escaped
// may have slashes; then the authority ends at the last @ of the word.
func passwordIn(text []byte, start int) (from, to int, ok bool) {
	word := run(text, start, urlWord)
	end := start + len(text[start:word])
	if i := bytes.IndexAny(text[start:word], "/?#"); i >= 0 {
		end = start + i
	}
	if bytes.IndexByte(text[start:end], '@') < 0 {
		colon := bytes.IndexByte(text[start:end], ':')
		if colon < 0 || run(text, start+colon+1, digit) == end {
			return 0, 0, false // no password, but a port
		}
		end = word
	}
	at := bytes.LastIndexByte(text[start:end], '@')
	if at < 0 {
		return 0, 0, false
	}
	at += start
	colon := bytes.IndexByte(text[start:at], ':')
	if colon >= 0 {
		from = start + colon + 1
		return from, at, from < at
	}
	return start, at, at-start >= 16 && looksRandom(text[start:at]) // a token in place of a user
}

// findAssignments finds values that a text gives to names: password=x, "token": "x", Authorization: Bearer x.
func (p *plan) findAssignments(spans []span, text []byte) []span {
	for i := 0; i < len(text); i++ {
		b := text[i]
		if b != '=' && b != ':' {
			continue
		}
		name, quoted := nameBefore(text, i)
		if len(name) == 0 || len(name) > 64 {
			continue
		}
		verdict := p.name(lastPart(name))
		if verdict.rule == nil {
			continue
		}
		start, end, sure := valueAfter(text, i, verdict.form)
		if start >= end || isStandIn(text[start:end]) || isPlaceholder(text[start:end]) {
			continue
		}
		if !sure && (p.place == "sql.text" || b == ':' && !quoted && !looksRandom(text[start:end])) {
			continue // "token: expected" is a sentence
		}
		spans = append(spans, span{start, end, verdict.rule, "name", verdict.form})
		i = end - 1
	}
	return spans
}

// nameBefore returns the name that ends before a place, and whether it is in quotes.
func nameBefore(text []byte, at int) (name []byte, quoted bool) {
	end := at
	for end > 0 && text[end-1] == ' ' {
		end--
	}
	if end > 0 && text[end-1] == '\\' {
		end--
	}
	if end > 0 && (text[end-1] == '"' || text[end-1] == '\'') {
		quoted = true
		end--
		for end > 0 && text[end-1] == '\\' {
			end--
		}
	}
	start := end
	for start > 0 && (word.has(text[start-1]) || text[start-1] == '-' || text[start-1] == '.') {
		start--
	}
	return text[start:end], quoted
}

// valueAfter returns where the value is that follows a place, and whether its end is sure: it is in quotes, or a header.
func valueAfter(text []byte, at int, f form) (start, end int, sure bool) {
	for start = at + 1; start < len(text) && (text[start] == ' ' || text[start] == '['); {
		start++
	}
	escapes := 0
	for ; start < len(text) && text[start] == '\\'; start++ {
		escapes++
	}
	if start == len(text) {
		return start, start, false
	}
	if quote := text[start]; quote == '"' || quote == '\'' {
		return start + 1, quotedEnd(text, start+1, quote, escapes), true
	}
	if f != formWhole {
		end = start
		if length := bytes.IndexAny(text[start:], "\r\n\"']"); length >= 0 {
			end += length
		} else {
			end = len(text)
		}
		return start, end, f == formAuthorization && bytes.IndexByte(text[start:end], ' ') > 0
	}
	end = run(text, start, bareValue)
	for end > start && bytes.IndexByte([]byte(",.)}]\\"), text[end-1]) >= 0 {
		end--
	}
	return start, end, false
}

// quotedEnd returns where a quoted value ends, which begins at start after a quote with so many backslashes before it: none in
// JSON, one in JSON within JSON, three a level deeper. The closing quote has as many, but for pairs that stand for backslashes of
// the value; a quote with others belongs to the value. A value without an end goes to the end of the text.
func quotedEnd(text []byte, start int, quote byte, escapes int) int {
	run := 0
	for at := start; at < len(text); at++ {
		switch {
		case text[at] == '\\':
			run++
		case text[at] == quote && run&(2*escapes+1) == escapes:
			return at - escapes
		default:
			run = 0
		}
	}
	return len(text)
}

// isPlaceholder says that a value is a parameter of a statement or of a template.
func isPlaceholder(value []byte) bool {
	return value[0] == '$' || value[0] == '?' || value[0] == '%' || value[0] == ':' || value[0] == '@' && len(value) > 1 ||
		strings.HasPrefix(string(value), "{{")
}
