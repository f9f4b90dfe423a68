package wire

import (
	"encoding/binary"
	"math"
	"strconv"
)

// cborSource takes values from CBOR, RFC 8949. A value begins with a byte of its major type and of what is known of its
// length, and the number that this says may follow:
//
//	| major, 3 bits | info, 5 bits | argument, 0, 1, 2, 4 or 8 bytes big-endian |
//
// Texts, bytes, arrays and maps may have an indefinite length. Tags are passed over: none changes what an object of the
// protocol means, except the references of tag 25, which are refused.
type cborSource struct{ input }

// The major types.
const (
	cborUnsigned = iota
	cborNegative
	cborBytes
	cborText
	cborArray
	cborMap
	cborTag
	cborSimple
	cborEnd = -1 // the input has ended
)

// What the info says that is not a small argument.
const (
	cborUint8      = 24
	cborUint64     = 27
	cborIndefinite = 31
)

// Values of one byte, and those of the major type of simple values with more.
const (
	cborFalse     = 0xf4
	cborTrue      = 0xf5
	cborNull      = 0xf6
	cborUndefined = 0xf7
	cborFloat16   = 0xf9
	cborFloat32   = 0xfa
	cborFloat64   = 0xfb
	cborBreak     = 0xff
)

const cborReference = 25 // to a text that was there before

// The states of containers are the number of members or elements that are left, or one of these.
const (
	cborUntilBreak = -1
	cborSingle     = -2 // a lone value that stands for an array
)

// cborKinds are what errors call the major types.
var cborKinds = [...]string{"a number", "a number", "bytes", "a text", "an array", "a map", "a tag", "a simple value"}

// major returns the major type of the next value, passing over tags.
func (r *cborSource) major() int {
	for r.at < len(r.data) {
		major := int(r.data[r.at] >> 5)
		if major != cborTag {
			return major
		}
		if _, tag, _ := r.head(); tag == cborReference {
			r.fail("a reference to a text")
		}
	}
	return cborEnd
}

// first returns the first byte of the next value, and the one for null at the end.
func (r *cborSource) first() byte {
	if r.major() == cborEnd {
		return cborNull
	}
	return r.data[r.at]
}

// head takes the first byte of a value and the argument.
func (r *cborSource) head() (major int, argument uint64, indefinite bool) {
	if r.at >= len(r.data) {
		r.fail("a value is expected")
		return cborEnd, 0, false
	}
	first := r.data[r.at]
	r.at++
	major, info := int(first>>5), first&31
	switch {
	case info < cborUint8:
		return major, uint64(info), false
	case info <= cborUint64:
		return major, r.argument(1 << (info - cborUint8)), false
	case info == cborIndefinite:
		return major, 0, true
	}
	r.fail("unknown length")
	return major, 0, false
}

// argument takes a number of 1, 2, 4 or 8 bytes.
func (r *cborSource) argument(size int) uint64 {
	if size > len(r.data)-r.at {
		r.fail("a number does not end")
		return 0
	}
	var n [8]byte
	copy(n[8-size:], r.data[r.at:])
	r.at += size
	return binary.BigEndian.Uint64(n[:])
}

// mismatch skips a value that is not what was expected.
func (r *cborSource) mismatch(expected string) {
	major := r.major()
	if r.skip(); major != cborEnd {
		r.reject("%s where %s is expected", cborKinds[major], expected)
	}
}

func (r *cborSource) isObject() bool { return r.major() == cborMap }

func (r *cborSource) null() bool {
	if major := r.major(); major == cborEnd || r.data[r.at] != cborNull && r.data[r.at] != cborUndefined {
		return false
	}
	r.at++
	return true
}

func (r *cborSource) beginObject() (state int, ok bool) {
	if r.null() {
		return 0, false
	}
	if r.major() != cborMap {
		r.mismatch("an object")
		return 0, false
	}
	return r.open(), true
}

// open takes the head of a container and returns its state.
func (r *cborSource) open() int {
	_, n, indefinite := r.head()
	switch {
	case indefinite:
		return cborUntilBreak
	case n > uint64(len(r.data)-r.at): // each of them has a byte at least
		r.fail("a container does not end")
		return 0
	}
	return int(n)
}

// more takes the end of a container if it is next.
func (r *cborSource) more(state int) (next int, ok bool) {
	switch {
	case r.err != nil || state == 0:
		return 0, false
	case state != cborUntilBreak:
		return state - 1, true
	case r.at < len(r.data) && r.data[r.at] == cborBreak:
		r.at++
		return 0, false
	}
	return state, true
}

func (r *cborSource) nextMember(state int) (name []byte, next int, ok bool) {
	if next, ok = r.more(state); !ok {
		return nil, 0, false
	}
	if r.major() != cborText {
		r.fail("a name is expected")
		return nil, 0, false
	}
	name = r.take()
	return name, next, r.err == nil
}

func (r *cborSource) beginArray() (state int, ok bool) {
	switch {
	case r.null():
		return 0, false
	case r.major() != cborArray:
		return cborSingle, true
	}
	return r.open(), true
}

func (r *cborSource) nextElement(state int) (next int, ok bool) {
	if state == cborSingle {
		return 0, true
	}
	return r.more(state)
}

// take takes bytes or a text. What it returns aliases the input, unless it came in pieces.
func (r *cborSource) take() []byte {
	major, n, indefinite := r.head()
	if !indefinite {
		return r.piece(n)
	}
	all := []byte{}
	for r.err == nil && r.first() != cborBreak {
		kind, n, nested := r.head()
		if kind != major || nested {
			r.fail("a piece of another type")
		}
		all = append(all, r.piece(n)...)
	}
	r.at = min(r.at+1, len(r.data))
	return all
}

func (r *cborSource) piece(n uint64) []byte {
	if n > uint64(len(r.data)-r.at) {
		r.fail("a text or bytes do not end")
		return nil
	}
	start := r.at
	r.at += int(n)
	return r.data[start:r.at:r.at]
}

func (r *cborSource) scalar(expected string) (text []byte, ok bool) {
	switch r.major() {
	case cborText:
		text = r.take()
		return text, r.err == nil
	case cborUnsigned, cborNegative:
		n, ok := r.integer(64)
		return strconv.AppendInt(nil, n, 10), ok
	case cborSimple:
		return r.simple(expected)
	}
	r.mismatch(expected)
	return nil, false
}

// simple is scalar for what is written as a simple value.
func (r *cborSource) simple(expected string) (text []byte, ok bool) {
	switch first := r.first(); first {
	case cborFalse, cborTrue:
		r.at++
		return strconv.AppendBool(nil, first == cborTrue), true
	case cborFloat16, cborFloat32, cborFloat64:
		return strconv.AppendFloat(nil, r.float(), 'g', -1, 64), r.err == nil
	}
	if !r.null() {
		r.mismatch(expected)
	}
	return nil, false
}

func (r *cborSource) integer(bits int) (n int64, ok bool) {
	switch r.major() {
	case cborUnsigned, cborNegative:
		return r.whole(bits)
	case cborSimple:
		if first := r.first(); cborFloat16 <= first && first <= cborFloat64 {
			if n, ok = truncate(r.float(), bits); !ok {
				r.reject("a number where an integer of %d bits is expected", bits)
			}
			return n, ok
		}
	}
	text, ok := r.scalar("a number")
	if !ok {
		return 0, false
	}
	return r.parseInteger(text, bits)
}

// whole takes an integer.
func (r *cborSource) whole(bits int) (n int64, ok bool) {
	major, argument, indefinite := r.head()
	if indefinite {
		r.fail("a number without a length")
	}
	if r.err != nil {
		return 0, false
	}
	if argument > uint64(1)<<(bits-1)-1 {
		r.reject("a number where an integer of %d bits is expected", bits)
		return 0, false
	}
	if major == cborNegative {
		return -1 - int64(argument), true
	}
	return int64(argument), true
}

// float takes a floating-point number.
func (r *cborSource) float() float64 {
	first := r.first()
	_, raw, _ := r.head()
	switch first {
	case cborFloat16:
		return halfFloat(uint16(raw))
	case cborFloat32:
		return float64(math.Float32frombits(uint32(raw)))
	}
	return math.Float64frombits(raw)
}

// halfFloat returns a number of 1 bit of sign, 5 bits of exponent and 10 of fraction.
func halfFloat(raw uint16) float64 {
	fraction, exponent := float64(raw&0x3ff), int(raw>>10&0x1f)
	f := math.Ldexp(fraction+1024, exponent-25)
	switch exponent {
	case 0:
		f = math.Ldexp(fraction, -24)
	case 31:
		if f = math.Inf(1); fraction != 0 {
			f = math.NaN()
		}
	}
	if raw&0x8000 != 0 {
		return -f
	}
	return f
}

func (r *cborSource) boolean() bool {
	switch first := r.first(); first {
	case cborFalse, cborTrue:
		r.at++
		return first == cborTrue
	}
	if !r.null() {
		r.mismatch("true or false")
	}
	return false
}

func (r *cborSource) blob() []byte {
	if r.null() {
		return nil
	}
	if r.major() != cborBytes {
		r.mismatch("bytes")
		return nil
	}
	return r.take()
}

// anything takes texts, numbers and booleans only: nobody has said what others are as a text.
func (r *cborSource) anything() (text []byte, ok bool) { return r.scalar("text") }

func (r *cborSource) skip() { r.skipAt(0) }

func (r *cborSource) skipAt(depth int) {
	if depth > maxDepth {
		r.fail("nested too deeply")
		return
	}
	switch r.major() {
	case cborBytes, cborText:
		r.take()
	case cborArray:
		for state, ok := r.more(r.open()); ok; state, ok = r.more(state) {
			r.skipAt(depth + 1)
		}
	case cborMap:
		for _, state, ok := r.nextMember(r.open()); ok; _, state, ok = r.nextMember(state) {
			r.skipAt(depth + 1)
		}
	default:
		if _, _, indefinite := r.head(); indefinite {
			r.fail("a value is expected")
		}
	}
}

func (r *cborSource) end() {
	if r.at < len(r.data) && r.err == nil {
		r.fail("bytes after the end")
	}
}
