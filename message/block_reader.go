package message

import "slices"

// BlockReader reads the messages of blocks. The zero value is ready for use; it must not be used concurrently.
//
// The payloads of the messages lie in memory of the reader. They stay valid until [BlockReader.Reset], and for ever if that
// is never called. Everything else in a message stands alone.
type BlockReader struct {
	rows  rowReader
	row   row
	arena arena
}

// Reset makes the reader use its memory again: the payloads of all messages read so far become invalid.
func (r *BlockReader) Reset() { r.arena.reset() }

// AppendMessages appends the messages of a block to dst; index first belongs to ordinal 0. Their payloads are valid until
// [BlockReader.Reset]. It returns [ErrCorrupt], and dst as it was, if the block is malformed. It does not verify the checksum.
func (r *BlockReader) AppendMessages(dst []Message, b Block, first Index) ([]Message, error) {
	if b.Count() == 0 {
		return dst, nil
	}
	body := r.arena.alloc(b.RawLen())
	if err := b.decompress(body); err != nil {
		return dst, err
	}
	if err := r.rows.open(b, body); err != nil {
		return dst, err
	}
	out := slices.Grow(dst, b.Count())
	id, base := b.ID().binary(0), b.header.timestamp
	for r.rows.next(&r.row) != nil {
		out = out[:len(out)+1]
		m := &out[len(out)-1]
		r.fill(m)
		m.Timestamp += base
		m.Index = first + Index(r.rows.ordinal)
		if !m.hasID && m.ID == "" {
			m.id, m.hasID = binaryID{id.high, id.low + uint64(r.rows.ordinal)}, true
		}
	}
	if err := r.rows.err(); err != nil {
		return dst, err
	}
	return out, nil
}

// fill makes a message of the parsed row.
func (r *BlockReader) fill(m *Message) {
	row := &r.row
	*m = Message{
		Type:      r.rows.string(row.typ),
		Revision:  row.revision,
		Format:    r.rows.string(row.format),
		Payload:   row.payload,
		Timestamp: row.timestamp,
		Routed:    row.flags&rowRouted != 0,
		Segment:   int32(row.segment),
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
		m.ID = string(row.id)
	case rowBinaryID:
		m.id, m.hasID = readBinaryID(row.id), true
	}
	if row.flags&rowMetadata != 0 {
		m.Metadata = r.metadata()
	}
}

// metadata makes a map of the metadata of the parsed row, all of whose values share one string.
func (r *BlockReader) metadata() map[string]string {
	c := cursor{r.row.metadata, 0}
	text := string(r.row.metadata)
	count := c.uvarint()
	metadata := make(map[string]string, min(int(count), len(r.rows.strings)+1)) // there are no more different keys
	for range count {
		key := c.uint32()
		n := c.uvarint()
		start := c.at
		c.take(n)
		metadata[r.rows.string(key)] = text[start:c.at]
	}
	return metadata
}

// AppendMessages appends the messages of the block to dst; index first belongs to ordinal 0. Their payloads stay valid for
// ever, at the price of fresh memory for each block; see [BlockReader.AppendMessages].
func (b Block) AppendMessages(dst []Message, first Index) ([]Message, error) {
	var r BlockReader
	return r.AppendMessages(dst, b, first)
}

// arena hands out memory in order and takes it back all at once.
type arena struct {
	chunks [][]byte
	chunk  int // the chunk in use
	used   int // of that chunk
}

// minChunkBytes is the least that is allocated for a second block and later, so that small blocks share.
const minChunkBytes = 16 << 10

func (a *arena) alloc(n int) []byte {
	for ; a.chunk < len(a.chunks); a.chunk++ {
		if free := a.chunks[a.chunk][a.used:]; n <= len(free) {
			a.used += n
			return free[:n:n]
		}
		a.used = 0
	}
	size := n
	if a.chunk > 0 {
		size = max(n, minChunkBytes)
	}
	chunk := make([]byte, size)
	a.chunks, a.used = append(a.chunks, chunk), n
	return chunk[:n:n]
}

func (a *arena) reset() {
	a.chunks = slices.DeleteFunc(a.chunks, func(chunk []byte) bool { return len(chunk) > keepBytes })
	a.chunk, a.used = 0, 0
}
