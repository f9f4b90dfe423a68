package record

import (
	"encoding/binary"
	"fmt"
	"time"
)

// A coder writes the fields of a value, or reads them. Which of the two is decided once, so that a structure names its
// fields in one place for both directions:
//
//	func (c *coder) frame(f *Frame) {
//		text(c, 1, &f.Function)
//		text(c, 2, &f.File)
//		signed(c, 3, &f.Line)
//	}
//
// Fields are named in ascending order, and that is the order in which they are stored. A field with the zero value is not
// stored. A reader skips fields that it does not know, so fields can be added without a new version; a field that is not
// used any more leaves its number unused.
type coder struct {
	reading bool
	buf     []byte            // writing: what was written so far. Reading: the rest of the innermost message
	table   []string          // strings of this value's own
	numbers map[string]uint64 // writing: places of what is in table
	budget  int               // reading: bytes that may still be allocated for elements of lists
	err     error             // reading: the first thing that was wrong
}

// A kind is the form of a field's value, so that a reader can skip a field it does not know. Kind and number of a field make
// up its tag.
type kind uint64

const (
	kindNumber kind = iota // uvarint
	kindBytes              // uvarint length, then as many bytes; also of messages
	kindText               // uvarint: place among the words and, after these, in the string table
	numKinds
)

const kindBits = 2

func (c *coder) corrupt(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
	}
	c.buf = nil
}

// put begins a field.
func (c *coder) put(n int, k kind) {
	c.buf = binary.AppendUvarint(c.buf, uint64(n)<<kindBits|uint64(k))
}

// find skips to field n of the innermost message and says whether it is there.
func (c *coder) find(n int, k kind) bool {
	for len(c.buf) > 0 {
		tag, size := binary.Uvarint(c.buf)
		if size <= 0 {
			c.corrupt("bad tag of a field")
			return false
		}
		if tag>>kindBits > uint64(n) {
			return false
		}
		c.buf = c.buf[size:]
		got := kind(tag & (1<<kindBits - 1))
		if tag>>kindBits == uint64(n) {
			if got != k {
				c.corrupt("field %d has kind %d, want %d", n, got, k)
			}
			return got == k
		}
		c.skip(got)
	}
	return false
}

func (c *coder) skip(k kind) {
	switch {
	case k >= numKinds:
		c.corrupt("unknown kind %d of a field", k)
	case k == kindBytes:
		c.take()
	default:
		c.uvarint()
	}
}

func (c *coder) uvarint() uint64 {
	v, size := binary.Uvarint(c.buf)
	if size <= 0 {
		c.corrupt("bad number")
		return 0
	}
	c.buf = c.buf[size:]
	return v
}

// take reads a length and as many bytes, which alias what is decoded.
func (c *coder) take() []byte {
	n := c.uvarint()
	if n > uint64(len(c.buf)) {
		c.corrupt("%d bytes are announced, %d are left", n, len(c.buf))
		return nil
	}
	taken := c.buf[:n:n]
	c.buf = c.buf[n:]
	return taken
}

// spend takes n bytes from what may be allocated, and says whether they were left.
func (c *coder) spend(n int) bool {
	if c.budget -= n; c.budget < 0 {
		c.corrupt("more elements than are sensible for its length")
	}
	return c.err == nil
}

func unsigned[T ~uint32 | ~uint64](c *coder, n int, v *T) {
	if !c.reading {
		if *v != 0 {
			c.put(n, kindNumber)
			c.buf = binary.AppendUvarint(c.buf, uint64(*v))
		}
		return
	}
	if c.find(n, kindNumber) {
		number := c.uvarint()
		if *v = T(number); uint64(*v) != number {
			c.corrupt("field %d is too large", n)
		}
	}
}

// signed stores 0, -1, 1, -2 as 0, 1, 2, 3 and so on.
func signed[T ~int | ~int64](c *coder, n int, v *T) {
	x := int64(*v)
	u := uint64(x)<<1 ^ uint64(x>>63)
	unsigned(c, n, &u)
	if c.reading {
		x = int64(u>>1) ^ -int64(u&1)
		if *v = T(x); int64(*v) != x {
			c.corrupt("field %d is too large", n)
		}
	}
}

func boolean(c *coder, n int, v *bool) {
	var u uint64
	if *v {
		u = 1
	}
	unsigned(c, n, &u)
	*v = u != 0
}

// moment stores the nanoseconds since the Unix epoch, and unlike other numbers also when they are 0: only the zero time
// is not stored.
func moment(c *coder, n int, v *time.Time) {
	switch {
	case c.reading && c.find(n, kindNumber):
		*v = time.Unix(0, int64(c.uvarint())).UTC()
	case !c.reading && !v.IsZero():
		c.put(n, kindNumber)
		c.buf = binary.AppendUvarint(c.buf, uint64(v.UnixNano()))
	}
}

func text[T ~string](c *coder, n int, v *T) {
	if !c.reading {
		if *v != "" {
			c.put(n, kindText)
			c.buf = binary.AppendUvarint(c.buf, c.place(string(*v)))
		}
		return
	}
	if c.find(n, kindText) {
		*v = T(c.entry())
	}
}

// place returns where the string is: among the words, or in the table, which it adds it to if needed.
func (c *coder) place(s string) uint64 {
	if place, ok := wordPlaces[s]; ok {
		return place
	}
	place, ok := c.numbers[s]
	if !ok {
		place = uint64(firstOwnPlace + len(c.table))
		c.numbers[s] = place
		c.table = append(c.table, s)
	}
	return place
}

// entry reads the place of a string and returns what is there.
func (c *coder) entry() string {
	place := c.uvarint()
	switch {
	case c.err != nil:
		return ""
	case place < uint64(firstOwnPlace):
		return words[place]
	case place-uint64(firstOwnPlace) < uint64(len(c.table)):
		return c.table[place-uint64(firstOwnPlace)]
	}
	c.corrupt("string %d of %d", place, firstOwnPlace+len(c.table))
	return ""
}

func blob(c *coder, n int, v *[]byte) {
	if !c.reading {
		if len(*v) > 0 {
			c.put(n, kindBytes)
			c.buf = binary.AppendUvarint(c.buf, uint64(len(*v)))
			c.buf = append(c.buf, *v...)
		}
		return
	}
	if c.find(n, kindBytes) {
		*v = c.take()
	}
}

// fixed is for arrays of bytes.
func fixed(c *coder, n int, v []byte) {
	if !c.reading {
		for _, b := range v {
			if b != 0 {
				blob(c, n, &v)
				return
			}
		}
		return
	}
	if c.find(n, kindBytes) {
		data := c.take()
		if c.err == nil && len(data) != len(v) {
			c.corrupt("field %d has %d bytes, want %d", n, len(data), len(v))
		}
		copy(v, data)
	}
}

// message is for a structure. Without any field that is set it is not stored.
func message[T any](c *coder, n int, v *T, fields func(*coder, *T)) {
	if c.reading {
		if c.find(n, kindBytes) {
			c.within(func() { fields(c, v) })
		}
		return
	}
	start := len(c.buf)
	if !c.wrap(n, func() { fields(c, v) }) {
		c.buf = c.buf[:start]
	}
}

// optional is for a structure that may be absent, which is something else than having no field that is set.
func optional[T any](c *coder, n int, v **T, fields func(*coder, *T)) {
	if c.reading {
		if c.find(n, kindBytes) {
			*v = new(T)
			c.within(func() { fields(c, *v) })
		}
		return
	}
	if *v != nil {
		c.wrap(n, func() { fields(c, *v) })
	}
}

// list is for structures. An empty list and none are the same.
func list[T any](c *coder, n int, v *[]T, size int, fields func(*coder, *T)) {
	if c.reading {
		for c.find(n, kindBytes) && c.spend(size) {
			*v = append(*v, *new(T))
			element := &(*v)[len(*v)-1]
			c.within(func() { fields(c, element) })
		}
		return
	}
	for i := range *v {
		c.wrap(n, func() { fields(c, &(*v)[i]) })
	}
}

// texts is a list of strings. Unlike elsewhere, empty ones are stored.
func texts(c *coder, n int, v *[]string) {
	if c.reading {
		for c.find(n, kindText) && c.spend(16) {
			*v = append(*v, c.entry())
		}
		return
	}
	for _, s := range *v {
		c.put(n, kindText)
		c.buf = binary.AppendUvarint(c.buf, c.place(s))
	}
}

// wrap writes a field that holds what f writes, and says whether that was anything.
func (c *coder) wrap(n int, f func()) bool {
	c.put(n, kindBytes)
	start := len(c.buf)
	c.buf = append(c.buf, 0) // enough for most lengths
	f()
	length := len(c.buf) - start - 1
	var prefix [binary.MaxVarintLen64]byte
	size := binary.PutUvarint(prefix[:], uint64(length))
	if size > 1 {
		c.buf = append(c.buf, prefix[1:size]...)
		copy(c.buf[start+size:], c.buf[start+1:start+1+length])
	}
	copy(c.buf[start:], prefix[:size])
	return length > 0
}

// within reads what is in a field with f, and goes on after it.
func (c *coder) within(f func()) {
	inner := c.take()
	after := c.buf
	c.buf = inner
	if c.rest(f); c.err == nil {
		c.buf = after
	}
}

// rest reads a structure with f up to its end, where a later version may have put more fields.
func (c *coder) rest(f func()) {
	f()
	for len(c.buf) > 0 {
		c.skip(kind(c.uvarint() & (1<<kindBits - 1)))
	}
}
