package wire

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/flux-go/flux/message"
)

// reader reads one object, in JSON or in CBOR, from the front to the end. Callers say what they expect next and get its
// zero value when it is something else:
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
// What is not in the format sets err and ends all reading. A value of another type than expected is skipped and sets bad,
// unless it can be taken for what was expected, as Jackson does.
type reader struct {
	source
	*input
	names names
	ids   idPrint
}

// source takes values from an input, as they are written in one format. Each takes what comes next.
//
// Containers are taken by their members or elements: a state, which is the source's own, goes from one call to the next.
type source interface {
	// isObject reports whether an object is next, and takes nothing.
	isObject() bool
	null() bool
	// beginObject is not ok for null, which has no members, and for what is no object.
	beginObject() (state int, ok bool)
	// nextMember takes the name of the next member, or the end. The value must be taken before the next call.
	nextMember(state int) (name []byte, next int, ok bool)
	// beginArray is not ok for null. Any other value that is no array is an array of its own.
	beginArray() (state int, ok bool)
	nextElement(state int) (next int, ok bool)
	// scalar takes a text, number or boolean as the bytes of its text. It is not ok for null, nor for anything else, which is
	// a mismatch.
	scalar(expected string) (text []byte, ok bool)
	// integer takes an integer; null is 0 and not ok. Fractions are cut off.
	integer(bits int) (n int64, ok bool)
	// boolean takes a boolean. Null is false.
	boolean() bool
	// blob takes bytes, which alias the input. Null is nil, and no bytes are not.
	blob() []byte
	// anything takes a value of any kind as a text. It is not ok for null.
	anything() (text []byte, ok bool)
	// skip takes a value of any kind.
	skip()
	// end checks that nothing follows.
	end()
}

func newReader(f Format, data []byte, known names) *reader {
	if f == JSON {
		s := &jsonSource{input{data: data}}
		return &reader{source: s, input: &s.input, names: known}
	}
	s := &cborSource{input{data: data}}
	return &reader{source: s, input: &s.input, names: known}
}

// input is what is read, how far that got, and what was wrong.
type input struct {
	data []byte
	at   int
	err  error // it cannot be read any further
	bad  error // a value is not what its place demands
}

const (
	maxDepth   = 1000 // of objects and arrays that are skipped; Jackson's limit
	badPreview = 40   // bytes of a value that errors show
)

func (in *input) fail(what string) {
	if in.err == nil {
		in.err = fmt.Errorf("%w: %s at byte %d", ErrMalformed, what, in.at)
	}
	in.at = len(in.data)
}

// reject notes that a value makes no sense.
func (in *input) reject(format string, args ...any) {
	if in.bad == nil && in.err == nil {
		in.bad = fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
	}
}

// parseInteger reads the text of an integer. Fractions are cut off.
func (in *input) parseInteger(text []byte, bits int) (n int64, ok bool) {
	n, err := strconv.ParseInt(string(text), 10, bits)
	if err == nil {
		return n, true
	}
	if f, err := strconv.ParseFloat(string(text), 64); err == nil {
		if n, ok := truncate(f, bits); ok {
			return n, true
		}
	}
	in.reject("%.*s where an integer of %d bits is expected", badPreview, text, bits)
	return 0, false
}

// truncate cuts off the fraction of a number that fits into an integer.
func truncate(f float64, bits int) (n int64, ok bool) {
	if limit := math.Ldexp(1, bits-1); -limit <= f && f < limit {
		return int64(f), true
	}
	return 0, false
}

// object is an object that is being read.
type object struct {
	r     *reader // nil for null and for what is no object
	name  []byte  // of the current member
	state int
}

// object begins an object. Null has no members.
func (r *reader) object() object {
	state, ok := r.beginObject()
	if !ok {
		return object{}
	}
	return object{r: r, state: state}
}

// next goes to the next member and reports whether there is one. Its value must be read or skipped before the next call.
func (o *object) next() (ok bool) {
	if o.r == nil || o.r.err != nil {
		return false
	}
	o.name, o.state, ok = o.r.nextMember(o.state)
	return ok
}

// array is an array that is being read.
type array struct {
	r     *reader // nil for null
	state int
}

// array begins an array. Null has no elements, and any other value is an array of its own.
func (r *reader) array() array {
	state, ok := r.beginArray()
	if !ok {
		return array{}
	}
	return array{r, state}
}

// next reports whether there is another element, which must be read or skipped before the next call.
func (a *array) next() (ok bool) {
	if a.r == nil || a.r.err != nil {
		return false
	}
	a.state, ok = a.r.nextElement(a.state)
	return ok
}

// text takes a text. Null is empty.
func (r *reader) text() string {
	b, _ := r.scalar("text")
	return validText(b)
}

// name takes a text that is likely to occur again.
func (r *reader) name() string {
	b, _ := r.scalar("text")
	return r.names.intern(b)
}

func (r *reader) int64() int64 {
	n, _ := r.integer(64)
	return n
}

func (r *reader) int32() int32 {
	n, _ := r.integer(32)
	return int32(n)
}

func (r *reader) optionalInt64() *int64 {
	n, ok := r.integer(64)
	if !ok {
		return nil
	}
	return &n
}

func (r *reader) index() message.Index { return message.Index(r.int64()) }

// nameInto reads a member of type text if it has that name.
func (r *reader) nameInto(name []byte, wanted string, into *string) bool {
	if string(name) != wanted {
		return false
	}
	*into = r.name()
	return true
}

// validText replaces what is not UTF-8, which would make unreadable what is sent on to others.
func validText(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return string(bytes.ToValidUTF8(b, []byte("\uFFFD")))
}

// names has texts that occur often, so that they need not be made again. It is kept from frame to frame.
type names map[string]string

const (
	maxNames   = 4096
	maxNameLen = 128
)

func (n names) intern(b []byte) string {
	if len(b) == 0 || len(b) > maxNameLen {
		return validText(b)
	}
	if s, ok := n[string(b)]; ok {
		return s
	}
	if len(n) >= maxNames {
		clear(n)
	}
	s := validText(b)
	n[s] = s
	return s
}

// idPrint hashes the ids of the messages of a request.
type idPrint struct {
	hash maphash.Hash
	any  bool // whether there are any
}

// printSeed makes prints comparable within this process.
var printSeed = maphash.MakeSeed()

func (p *idPrint) reset() {
	p.any = false
	p.hash.SetSeed(printSeed)
}

func (p *idPrint) add(id string) {
	if id != "" {
		p.hash.WriteString(id)
		p.any = true
	}
}

// set sets the print of a request that was read from raw.
func (p *idPrint) set(b *Base, raw []byte) {
	switch {
	case p.any:
		b.Print = p.hash.Sum64()
	case b.Stored():
		b.Print = maphash.Bytes(printSeed, raw)
	}
}
