package wire

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonSource takes values from JSON.
type jsonSource struct{ input }

// The states of containers.
const (
	jsonStart  = iota // nothing was taken
	jsonBegun         // something was
	jsonSingle        // a lone value that stands for an array
	jsonTaken         // and was taken
)

const hexDigits16 = 4

// mismatch skips a value that is not what was expected.
func (r *jsonSource) mismatch(expected string) {
	start := r.at
	r.skip()
	r.reject("%.*s where %s is expected", badPreview, r.data[start:r.at], expected)
}

// peek returns the first byte of the next token, 0 at the end.
func (r *jsonSource) peek() byte {
	for ; r.at < len(r.data); r.at++ {
		switch c := r.data[r.at]; c {
		case ' ', '\n', '\t', '\r':
		default:
			return c
		}
	}
	return 0
}

// literal takes a word if it is next.
func (r *jsonSource) literal(word string) bool {
	if r.peek() != word[0] {
		return false
	}
	if !bytes.HasPrefix(r.data[r.at:], []byte(word)) {
		r.fail("unknown word")
		return false
	}
	r.at += len(word)
	return true
}

func (r *jsonSource) null() bool { return r.literal("null") }

func (r *jsonSource) isObject() bool { return r.peek() == '{' }

func (r *jsonSource) beginObject() (state int, ok bool) {
	if r.null() {
		return 0, false
	}
	if r.peek() != '{' {
		r.mismatch("an object")
		return 0, false
	}
	r.at++
	return jsonStart, true
}

func (r *jsonSource) nextMember(state int) (name []byte, next int, ok bool) {
	if !r.more(state, '}') {
		return nil, 0, false
	}
	if r.peek() != '"' {
		r.fail("a name is expected")
		return nil, 0, false
	}
	name = r.quoted()
	if r.peek() != ':' {
		r.fail("a colon is expected")
		return nil, 0, false
	}
	r.at++
	return name, jsonBegun, r.err == nil
}

// more takes what separates members or elements, or what ends them all.
func (r *jsonSource) more(state int, end byte) bool {
	c := r.peek()
	switch {
	case r.err != nil:
		return false
	case c == end:
		r.at++
		return false
	case state == jsonStart:
		return true
	case c != ',':
		r.fail("a comma is expected")
		return false
	}
	r.at++
	return true
}

func (r *jsonSource) beginArray() (state int, ok bool) {
	switch {
	case r.null():
		return 0, false
	case r.peek() != '[':
		return jsonSingle, true
	}
	r.at++
	return jsonStart, true
}

func (r *jsonSource) nextElement(state int) (next int, ok bool) {
	switch state {
	case jsonSingle:
		return jsonTaken, true
	case jsonTaken:
		return 0, false
	}
	return jsonBegun, r.more(state, ']')
}

// quoted takes a string without its quotes and with its escapes undone. It aliases data unless there were any.
func (r *jsonSource) quoted() []byte {
	r.at++
	rest := r.data[r.at:]
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		r.fail("a string does not end")
		return nil
	}
	if escape := bytes.IndexByte(rest[:end], '\\'); escape >= 0 {
		return r.escaped(r.at, r.at+escape)
	}
	r.at += end + 1
	return rest[:end]
}

// escaped is quoted for a string with an escape at the given place.
func (r *jsonSource) escaped(start, escape int) []byte {
	out := append(make([]byte, 0, 2*(escape-start)+16), r.data[start:escape]...)
	for r.at = escape; r.at < len(r.data); {
		switch c := r.data[r.at]; c {
		case '"':
			r.at++
			return out
		case '\\':
			out = r.unescape(out)
		default:
			out = append(out, c)
			r.at++
		}
	}
	r.fail("a string does not end")
	return nil
}

// unescape appends what the escape at the current place stands for.
func (r *jsonSource) unescape(out []byte) []byte {
	if r.at+1 >= len(r.data) {
		r.fail("an escape does not end")
		return out
	}
	c := r.data[r.at+1]
	r.at += 2
	switch c {
	case '"', '\\', '/':
		return append(out, c)
	case 'b':
		return append(out, '\b')
	case 'f':
		return append(out, '\f')
	case 'n':
		return append(out, '\n')
	case 'r':
		return append(out, '\r')
	case 't':
		return append(out, '\t')
	case 'u':
		return utf8.AppendRune(out, r.unicodeEscape())
	}
	r.fail("unknown escape")
	return out
}

// unicodeEscape reads the digits after \u, and those of the other half if it is half of a pair. A half without the other
// is the replacement character.
func (r *jsonSource) unicodeEscape() rune {
	first := r.hex16()
	if !utf16.IsSurrogate(first) || !bytes.HasPrefix(r.data[r.at:], []byte(`\u`)) {
		return first // AppendRune replaces a lone half
	}
	back := r.at
	r.at += 2
	if pair := utf16.DecodeRune(first, r.hex16()); pair != utf8.RuneError {
		return pair
	}
	if r.err == nil {
		r.at = back
	}
	return utf8.RuneError
}

func (r *jsonSource) hex16() rune {
	if r.at+hexDigits16 > len(r.data) {
		r.fail("an escape does not end")
		return 0
	}
	n, err := strconv.ParseUint(string(r.data[r.at:r.at+hexDigits16]), 16, 16)
	if err != nil {
		r.fail("an escape needs four hexadecimal digits")
		return 0
	}
	r.at += hexDigits16
	return rune(n)
}

func (r *jsonSource) scalar(expected string) (text []byte, ok bool) {
	switch c := r.peek(); {
	case c == '"':
		text = r.quoted()
		return text, r.err == nil
	case c == '{' || c == '[':
		r.mismatch(expected)
		return nil, false
	}
	if r.null() {
		return nil, false
	}
	start := r.at
	r.skip()
	return r.data[start:r.at], r.err == nil
}

func (r *jsonSource) integer(bits int) (n int64, ok bool) {
	b, ok := r.scalar("a number")
	if !ok {
		return 0, false
	}
	return r.parseInteger(b, bits)
}

func (r *jsonSource) boolean() bool {
	switch {
	case r.literal("true"):
		return true
	case r.literal("false"), r.null():
		return false
	}
	r.mismatch("true or false")
	return false
}

// blob decodes base64 in place.
func (r *jsonSource) blob() []byte {
	b, ok := r.scalar("base64")
	if !ok {
		return nil
	}
	encoding := base64.StdEncoding
	if len(b)%4 != 0 {
		encoding = base64.RawStdEncoding
	}
	n, err := encoding.Decode(b, b)
	if err != nil {
		r.reject("bad base64: %v", err)
		return nil
	}
	return b[:n:n]
}

func (r *jsonSource) anything() (text []byte, ok bool) {
	switch r.peek() {
	case 'n':
		return nil, !r.null() // false, unless it is a broken word
	case '{', '[':
		start := r.at
		r.skip()
		return r.data[start:r.at], r.err == nil
	}
	return r.scalar("text")
}

func (r *jsonSource) skip() { r.skipAt(0) }

func (r *jsonSource) skipAt(depth int) {
	switch c := r.peek(); {
	case r.err != nil:
	case depth > maxDepth:
		r.fail("nested too deeply")
	case c == '{':
		r.at++
		for _, state, ok := r.nextMember(jsonStart); ok; _, state, ok = r.nextMember(state) {
			r.skipAt(depth + 1)
		}
	case c == '[':
		r.at++
		for state, ok := r.nextElement(jsonStart); ok; state, ok = r.nextElement(state) {
			r.skipAt(depth + 1)
		}
	case c == '"':
		r.quoted()
	case c == '-' || '0' <= c && c <= '9':
		r.number()
	case !r.literal("true") && !r.literal("false") && !r.null():
		r.fail("a value is expected")
	}
}

func (r *jsonSource) number() {
	for ; r.at < len(r.data); r.at++ {
		switch c := r.data[r.at]; {
		case '0' <= c && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
		default:
			return
		}
	}
}

func (r *jsonSource) end() {
	if r.peek() != 0 || r.at < len(r.data) && r.err == nil {
		r.fail("text after the end")
	}
}
