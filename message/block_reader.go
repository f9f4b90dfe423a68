package message

import (
	"encoding/binary"
	"slices"
	"unsafe"
)

// BlockReader reads the messages of blocks one after the other. The zero value is ready for [BlockReader.Reset]; it must
// not be used concurrently.
//
// The messages of a block share one buffer that belongs to them alone: neither the reader nor the bytes of the block are
// needed any longer, and nothing is ever overwritten. A message keeps that whole buffer in memory; [Message.Clone] it to
// keep it for long.
type BlockReader struct {
	rows    rowReader
	row     row
	id      BlockID
	base    int64
	first   Index
	message Message
	err     error
}

// Reset starts reading a block whose ordinal 0 has index first. It returns [ErrCorrupt] if the block cannot be decompressed.
// It does not verify the checksum.
func (r *BlockReader) Reset(b Block, first Index) error {
	*r = BlockReader{rows: rowReader{strings: r.rows.strings}}
	if b.Count() == 0 {
		return nil
	}
	body := make([]byte, b.RawLen())
	r.err = decompress(body, b.data[BlockHeaderBytes:], b.Compression())
	if r.err == nil {
		r.err = r.rows.open(b, body, aliasString)
	}
	r.id, r.base, r.first = b.ID(), b.timestamp(), first
	return r.err
}

// Next reads the next message. It returns false at the end of the block, and when the block turns out to be malformed; see
// [BlockReader.Err].
func (r *BlockReader) Next() bool {
	return r.err == nil && r.read(&r.message)
}

// Message returns the message that [BlockReader.Next] read. It is overwritten by the next call, except for what it points to.
func (r *BlockReader) Message() *Message { return &r.message }

// Err returns [ErrCorrupt] if the block is malformed.
func (r *BlockReader) Err() error { return r.err }

func (r *BlockReader) read(m *Message) bool {
	if r.rows.next(&r.row) == nil || !r.fill(m) {
		r.err = r.rows.err()
		return false
	}
	return true
}

// fill makes a message of the parsed row. It returns false if the metadata is malformed.
func (r *BlockReader) fill(m *Message) bool {
	row, ordinal := &r.row, uint32(r.rows.ordinal)
	*m = Message{
		Type:      r.rows.string(row.typ),
		Revision:  row.revision,
		Format:    r.rows.string(row.format),
		Payload:   row.payload,
		Timestamp: r.base + row.timestamp,
		Routed:    row.flags&rowRouted != 0,
		Segment:   int32(row.segment),
		Index:     r.first + Index(ordinal),
		Source:    r.rows.string(row.source),
		Target:    r.rows.string(row.target),
		Request:   row.request,
		read:      true,
	}
	if row.flags&rowRawSegment != 0 {
		m.Segment = row.rawSegment
	}
	switch row.flags & (rowBinaryID | rowTextID) {
	case rowTextID:
		m.ID = aliasString(row.id)
	case rowBinaryID:
		m.id, m.hasID = [16]byte(row.id), true
	default:
		m.id, m.hasID = r.id.binary(ordinal), true
	}
	return row.flags&rowMetadata == 0 || r.fillMetadata(m)
}

func (r *BlockReader) fillMetadata(m *Message) bool {
	ok := parseMetadata(r.row.metadata, len(r.rows.strings), func(count int, key uint32, value []byte) {
		if m.Metadata == nil {
			m.Metadata = make(map[string]string, count)
		}
		m.Metadata[r.rows.string(key)] = aliasString(value)
	})
	if !ok {
		r.rows.rows.fail()
	}
	return ok
}

// aliasString returns the bytes as a string without copying them. It is used on buffers that are never written again.
func aliasString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// AppendMessages appends the messages of a block whose ordinal 0 has index first. The messages share one buffer that
// belongs to them alone; see [BlockReader]. It returns [ErrCorrupt], and dst as it was, if the block is malformed. It does
// not verify the checksum.
func (b Block) AppendMessages(dst []Message, first Index) ([]Message, error) {
	var r BlockReader
	if err := r.Reset(b, first); err != nil {
		return dst, err
	}
	start := len(dst)
	dst = slices.Grow(dst, b.Count())
	for len(dst) < start+b.Count() {
		dst = dst[:len(dst)+1]
		if !r.read(&dst[len(dst)-1]) {
			return dst[:start], r.err
		}
	}
	return dst, r.rows.err()
}

// binary returns the id of the message at place ordinal as 16 bytes; see [BlockID.MessageID].
func (id BlockID) binary(ordinal uint32) (b [16]byte) {
	copy(b[:], id[:])
	binary.BigEndian.PutUint32(b[len(id):], ordinal)
	return b
}
