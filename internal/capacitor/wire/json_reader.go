package wire

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"hash/maphash"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonReader reads one JSON text from the front to the end. Callers say what they expect next and get its zero value when
// it is something else:
//
//	for o := r.object(); o.next(); {
//		switch string(o.name) {
//		case "key":
//			key = r.text()
//		default:
//			r.skip()
//		}
//	}
//
// What is not JSON sets err and ends all reading. A value of another type than expected is skipped and sets bad, unless it
// can be taken for what was expected, as Jackson does.
type jsonReader struct {
	data []byte
	at   int
	err  error // the text is not JSON
	bad  error // a value is not what its place demands
	// names has texts that occur often, so that they need not be made again. It is kept from frame to frame.
	names map[string]string
	// ids hashes the ids of the messages of the current request. hasIDs says that there are any.
	ids    maphash.Hash
	hasIDs bool
}

const (
	maxDepth    = 1000 // of objects and arrays that are skipped; Jackson's limit
	maxNames    = 4096
	maxNameLen  = 128
	badPreview  = 40 // bytes of a value that errors show
	hexDigits16 = 4
)

func (r *jsonReader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s at byte %d", ErrMalformed, what, r.at)
	}
	r.at = len(r.data)
}

// mismatch skips a value that is not what was expected.
func (r *jsonReader) mismatch(expected string) {
	start := r.at
	r.skip()
	if r.bad == nil && r.err == nil {
		r.bad = fmt.Errorf("%w: %.*s where %s is expected", ErrMalformed, badPreview, r.data[start:r.at], expected)
	}
}

// peek returns the first byte of the next token, 0 at the end.
func (r *jsonReader) peek() byte {
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
func (r *jsonReader) literal(word string) bool {
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

func (r *jsonReader) null() bool { return r.literal("null") }

// object is an object that is being read.
type object struct {
	r     *jsonReader // nil for null and for what is no object
	name  []byte      // of the current member
	began bool
}

// object begins an object. Null has no members.
func (r *jsonReader) object() object {
	if r.null() {
		return object{}
	}
	if r.peek() != '{' {
		r.mismatch("an object")
		return object{}
	}
	r.at++
	return object{r: r}
}

// next goes to the next member and reports whether there is one. Its value must be read or skipped before the next call.
func (o *object) next() bool {
	r := o.r
	if r == nil || !r.more(&o.began, '}') {
		return false
	}
	if r.peek() != '"' {
		r.fail("a name is expected")
		return false
	}
	o.name = r.quoted()
	if r.peek() != ':' {
		r.fail("a colon is expected")
		return false
	}
	r.at++
	return r.err == nil
}

// more takes what separates members or elements, or what ends them all.
func (r *jsonReader) more(began *bool, end byte) bool {
	c := r.peek()
	switch {
	case r.err != nil:
		return false
	case c == end:
		r.at++
		return false
	case !*began:
		*began = true
		return true
	case c != ',':
		r.fail("a comma is expected")
		return false
	}
	r.at++
	return true
}

// array is an array that is being read.
type array struct {
	r      *jsonReader // nil for null
	began  bool
	single bool // a lone value that stands for an array
}

// array begins an array. Null has no elements, and any other value is an array of its own.
func (r *jsonReader) array() array {
	switch {
	case r.null():
		return array{}
	case r.peek() != '[':
		return array{r: r, single: true}
	}
	r.at++
	return array{r: r}
}

// next reports whether there is another element, which must be read or skipped before the next call.
func (a *array) next() bool {
	switch {
	case a.r == nil || a.r.err != nil:
		return false
	case a.single:
		more := !a.began
		a.began = true
		return more
	}
	return a.r.more(&a.began, ']')
}

// quoted takes a string without its quotes and with its escapes undone. It aliases data unless there were any.
func (r *jsonReader) quoted() []byte {
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
func (r *jsonReader) escaped(start, escape int) []byte {
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
func (r *jsonReader) unescape(out []byte) []byte {
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
func (r *jsonReader) unicodeEscape() rune {
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

func (r *jsonReader) hex16() rune {
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

// scalar takes a string, number or boolean as the bytes of its text; ok is false for null, and for anything else, which is
// a mismatch.
func (r *jsonReader) scalar(expected string) (text []byte, ok bool) {
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

// text takes a text. Null is empty.
func (r *jsonReader) text() string {
	b, _ := r.scalar("text")
	return validText(b)
}

// validText replaces what is not UTF-8, which would make unreadable what is sent on to others.
func validText(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return string(bytes.ToValidUTF8(b, []byte("\uFFFD")))
}

// name takes a text that is likely to occur again.
func (r *jsonReader) name() string {
	b, _ := r.scalar("text")
	return r.intern(b)
}

func (r *jsonReader) intern(b []byte) string {
	if len(b) == 0 || len(b) > maxNameLen {
		return validText(b)
	}
	if s, ok := r.names[string(b)]; ok {
		return s
	}
	if r.names == nil || len(r.names) >= maxNames {
		r.names = make(map[string]string)
	}
	s := validText(b)
	r.names[s] = s
	return s
}

// integer takes an integer; null is 0 and not ok. Fractions are cut off.
func (r *jsonReader) integer(bits int) (n int64, ok bool) {
	start := r.at
	b, ok := r.scalar("a number")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(string(b), 10, bits)
	if err == nil {
		return n, true
	}
	limit := math.Ldexp(1, bits-1)
	if f, err := strconv.ParseFloat(string(b), 64); err == nil && -limit <= f && f < limit {
		return int64(f), true
	}
	if r.bad == nil {
		r.bad = fmt.Errorf("%w: %.*s where an integer of %d bits is expected", ErrMalformed, badPreview, r.data[start:r.at], bits)
	}
	return 0, false
}

func (r *jsonReader) int64() int64 {
	n, _ := r.integer(64)
	return n
}

func (r *jsonReader) int32() int32 {
	n, _ := r.integer(32)
	return int32(n)
}

// boolean takes a boolean. Null is false.
func (r *jsonReader) boolean() bool {
	switch {
	case r.literal("true"):
		return true
	case r.literal("false"), r.null():
		return false
	}
	r.mismatch("true or false")
	return false
}

// blob takes bytes in base64, decoding them in place: they alias data. Null is nil, and no bytes are not.
func (r *jsonReader) blob() []byte {
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
		if r.bad == nil {
			r.bad = fmt.Errorf("%w: bad base64: %w", ErrMalformed, err)
		}
		return nil
	}
	return b[:n:n]
}

// skip takes a value of any kind.
func (r *jsonReader) skip() { r.skipAt(0) }

func (r *jsonReader) skipAt(depth int) {
	switch c := r.peek(); {
	case r.err != nil:
	case depth > maxDepth:
		r.fail("nested too deeply")
	case c == '{':
		for o := r.object(); o.next(); {
			r.skipAt(depth + 1)
		}
	case c == '[':
		for a := r.array(); a.next(); {
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

func (r *jsonReader) number() {
	for ; r.at < len(r.data); r.at++ {
		switch c := r.data[r.at]; {
		case '0' <= c && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
		default:
			return
		}
	}
}

// end checks that nothing follows.
func (r *jsonReader) end() {
	if r.peek() != 0 || r.at < len(r.data) && r.err == nil {
		r.fail("text after the end")
	}
}
