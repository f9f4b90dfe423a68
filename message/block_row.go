package message

import (
	"encoding/binary"
	"fmt"
)

// A row is one message in the body of a block; docs/format/block.md describes it. A row depends on no other row, so that a
// filter can copy it as it is.
//
//	gap | length | flags | segment | type | timestamp | id | raw segment | format, revision | request | metadata | payload
//
// The gap is there in sparse blocks only, the fields from id to metadata as flags tell. The payload is the rest.
const (
	rowNoPayload  = 0x01 // the payload is nil
	rowBinaryID   = 0x02 // 16 bytes, shown as 32 lower-case hexadecimal digits
	rowTextID     = 0x04 // any other id
	rowRouted     = 0x08 // the publisher chose the segment
	rowRawSegment = 0x10 // ... and chose one that is not in 0 to 127
	rowDescribed  = 0x20 // format and revision
	rowRequest    = 0x40 // source, target and request id
	rowMetadata   = 0x80
)

// minRowBytes is the length of the shortest row: length, flags, segment, type, timestamp.
const minRowBytes = 5

// row is a parsed row. Strings are numbers of entries in the string table, from 1; 0 is the empty string.
type row struct {
	flags      uint8
	segment    uint8
	typ        uint32
	format     uint32
	source     uint32
	target     uint32
	revision   int32
	rawSegment int32
	request    RequestID
	timestamp  int64 // relative to the block
	id         []byte
	metadata   []byte // count, then a key and a value each
	payload    []byte
}

// parse reads a row, without its length, of a block with the given number of strings. It reports whether the row is well
// formed in every respect.
func (r *row) parse(data []byte, numStrings int) bool {
	if len(data) < 2 {
		return false
	}
	*r = row{flags: data[0], segment: data[1]}
	c := cursor{data, 2}
	r.typ = c.uint32()
	r.timestamp = c.varint()
	if r.flags&^(rowNoPayload|rowRouted) != 0 {
		r.parseOptional(&c)
	}
	if c.failed() || max(r.typ, r.format, r.source, r.target) > uint32(numStrings) || !r.consistent() {
		return false
	}
	if r.flags&rowMetadata != 0 && !checkMetadata(r.metadata, numStrings) {
		return false
	}
	if r.flags&rowNoPayload == 0 {
		r.payload = data[c.at:len(data):len(data)]
		return true
	}
	return c.at == len(data)
}

func (r *row) parseOptional(c *cursor) {
	switch r.flags & (rowBinaryID | rowTextID) {
	case rowBinaryID:
		r.id = c.take(binaryIDBytes)
	case rowTextID:
		r.id = c.take(c.uvarint())
	}
	if r.flags&rowRawSegment != 0 {
		r.rawSegment = c.int32()
	}
	if r.flags&rowDescribed != 0 {
		r.format, r.revision = c.uint32(), c.int32()
	}
	if r.flags&rowRequest != 0 {
		r.source, r.target, r.request = c.uint32(), c.uint32(), c.requestID()
	}
	if r.flags&rowMetadata != 0 {
		r.metadata = c.take(c.uvarint())
	}
}

// consistent reports whether fields that depend on each other agree.
func (r *row) consistent() bool {
	const bothIDs = rowBinaryID | rowTextID
	switch {
	case r.segment >= Segments || r.flags&bothIDs == bothIDs || r.flags&bothIDs == rowTextID && len(r.id) == 0:
		return false
	case r.flags&rowRawSegment != 0:
		return r.flags&rowRouted != 0 && uint8(r.rawSegment&(Segments-1)) == r.segment
	}
	return true
}

// checkMetadata reports whether a metadata section is well formed: a count, then the number of a string and a value each.
func checkMetadata(section []byte, numStrings int) bool {
	c := cursor{section, 0}
	count := c.uvarint()
	if count == 0 || count > uint64(len(section))/2 {
		return false
	}
	for range count {
		if key := c.uint32(); key > uint32(numStrings) {
			return false
		}
		c.take(c.uvarint())
	}
	return c.at == len(section)
}

// cursor reads numbers and bytes from a buffer. After a failure it reads zeros, and failed returns true.
type cursor struct {
	buf []byte
	at  int
}

func (c *cursor) fail()        { c.at = len(c.buf) + 1 }
func (c *cursor) failed() bool { return c.at > len(c.buf) }

func (c *cursor) uvarint() uint64 {
	if c.at < len(c.buf) && c.buf[c.at] < 0x80 {
		c.at++
		return uint64(c.buf[c.at-1])
	}
	return c.longUvarint()
}

func (c *cursor) longUvarint() uint64 {
	if c.failed() {
		return 0
	}
	v, n := binary.Uvarint(c.buf[c.at:])
	if n <= 0 {
		c.fail()
		return 0
	}
	c.at += n
	return v
}

func (c *cursor) varint() int64 {
	u := c.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (c *cursor) uint32() uint32 {
	v := c.uvarint()
	if v > 1<<32-1 {
		c.fail()
	}
	return uint32(v)
}

func (c *cursor) int32() int32 {
	v := c.varint()
	if v != int64(int32(v)) {
		c.fail()
	}
	return int32(v)
}

// requestID reads 0 for none, or else the number plus one, doubled like a signed number to keep small ones short.
func (c *cursor) requestID() RequestID {
	v := c.uvarint()
	if v == 0 {
		return RequestID{}
	}
	v--
	n := int64(v>>1) ^ -int64(v&1)
	if n != int64(int32(n)) {
		c.fail()
	}
	return NewRequestID(int32(n))
}

func (c *cursor) take(n uint64) []byte {
	if c.failed() || n > uint64(len(c.buf)-c.at) {
		c.fail()
		return nil
	}
	start := c.at
	c.at += int(n)
	return c.buf[start:c.at:c.at]
}

// rowReader reads the rows of a body in order.
type rowReader struct {
	rows    cursor
	left    int
	sparse  bool
	ordinal int // of the row read last
	span    int
	table   string   // the string table as it is written
	strings []string // its entries
}

// open starts reading the rows of a block from its uncompressed body.
func (rr *rowReader) open(b Block, body []byte) error {
	rowBytes := b.header.rowBytes
	rr.rows = cursor{body[:rowBytes], 0}
	rr.left, rr.sparse, rr.ordinal, rr.span = b.Count(), b.Sparse(), -1, b.Span()
	return rr.openTable(body[rowBytes:])
}

// openTable copies the string table, because strings may outlive the body, unless it is that of the block before, as it
// mostly is when one publisher wrote both.
func (rr *rowReader) openTable(data []byte) error {
	if string(data) == rr.table {
		return nil
	}
	rr.table = string(data)
	var ok bool
	if rr.strings, ok = splitStrings(rr.strings[:0], rr.table, data); !ok {
		rr.table, rr.strings = "", rr.strings[:0]
		return fmt.Errorf("%w: malformed string table", ErrCorrupt)
	}
	return nil
}

// splitStrings appends the entries of a string table, which is given as text and as bytes.
func splitStrings(dst []string, table string, data []byte) (entries []string, ok bool) {
	for c := (cursor{data, 0}); c.at < len(data); {
		n := c.uvarint()
		start := c.at
		c.take(n)
		if c.failed() || len(dst) == maxBlockStrings {
			return dst, false
		}
		dst = append(dst, table[start:c.at])
	}
	return dst, true
}

// next reads the next row into r and returns its bytes, without gap but with length. It returns nil at the end of the rows
// and when they are malformed; see err.
func (rr *rowReader) next(r *row) []byte {
	if rr.left == 0 {
		return nil
	}
	gap := uint64(0)
	if rr.sparse {
		gap = rr.rows.uvarint()
	}
	start := rr.rows.at
	data := rr.rows.take(rr.rows.uvarint())
	if gap >= uint64(rr.span) || rr.ordinal+1+int(gap) >= rr.span || !r.parse(data, len(rr.strings)) {
		rr.rows.fail()
		rr.left = 0
		return nil
	}
	rr.ordinal += 1 + int(gap)
	rr.left--
	return rr.rows.buf[start:rr.rows.at]
}

// err returns ErrCorrupt unless next read every row.
func (rr *rowReader) err() error {
	switch {
	case rr.rows.failed():
		return fmt.Errorf("%w: malformed row after ordinal %d", ErrCorrupt, rr.ordinal)
	case rr.left == 0 && rr.rows.at != len(rr.rows.buf):
		return fmt.Errorf("%w: %d bytes after the last row", ErrCorrupt, len(rr.rows.buf)-rr.rows.at)
	}
	return nil
}

// string returns the entry of the string table with a number that parse has checked.
func (rr *rowReader) string(number uint32) string {
	if number == 0 {
		return ""
	}
	return rr.strings[number-1]
}
