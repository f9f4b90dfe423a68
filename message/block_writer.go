package message

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"
)

// BlockWriter packs messages into blocks. The zero value is ready for use; it must not be used concurrently. It may be used
// for any number of blocks, one after the other, and keeps its memory.
type BlockWriter struct {
	// Now returns the time for messages without a timestamp. Defaults to [time.Now].
	Now func() time.Time

	id       BlockID
	hash     idHash
	base     int64
	count    int
	segments SegmentSet
	rows     []byte
	fields   []byte   // of the row being added, up to its payload
	keys     []string // of the metadata added last, sorted
	entries  []byte   // of the metadata being added
	now      int64
	nowUses  int
	strings  stringTable
}

// nowUsesMax is how many messages share one reading of the clock, which costs as much as packing a message.
const nowUsesMax = 16

// Len returns the number of messages in the block so far.
func (w *BlockWriter) Len() int { return w.count }

// SizeBytes returns the length of the body so far, before compression.
func (w *BlockWriter) SizeBytes() int { return len(w.rows) + len(w.strings.data) }

// ID returns the id that the block will have.
func (w *BlockWriter) ID() BlockID {
	if w.id == (BlockID{}) {
		w.id = newBlockID()
	}
	return w.id
}

// Reset drops the messages packed so far and gives the next block an id; the zero id means a random one.
func (w *BlockWriter) Reset(id BlockID) {
	const keepBytes = 4 << 20 // a rare large block must not hold on to its memory
	if cap(w.rows) > keepBytes {
		w.rows = nil
	}
	w.id, w.base, w.count, w.segments = id, 0, 0, SegmentSet{}
	w.rows, w.nowUses = w.rows[:0], 0
	clear(w.keys)
	w.keys = w.keys[:0]
	w.strings.reset()
}

// Add packs a message. It copies what it needs, except that it refers to the strings of the message until the block is
// sealed. Index is ignored; a message that was read from a block keeps its id. Add returns [ErrBlockFull], after which the
// block can be sealed and the message added again, or [ErrTooLarge] if it fits into no block; then the block is unchanged.
func (w *BlockWriter) Add(m *Message) error {
	timestamp := m.Timestamp
	if timestamp == 0 {
		timestamp = w.nowMilli()
	}
	if w.count == 0 {
		w.base, w.hash = timestamp, w.ID().hash()
	}
	names, data := len(w.strings.names), len(w.strings.data)
	segment := w.setFields(m, timestamp-w.base)
	length := len(w.fields) + len(m.Payload)
	if w.count == MaxBlockMessages || len(w.strings.names) > maxBlockStrings ||
		length+binary.MaxVarintLen64+w.SizeBytes() > MaxBlockBytes {
		w.strings.truncate(names, data)
		return w.noRoom(length)
	}
	w.segments.Add(segment)
	w.rows = binary.AppendUvarint(w.rows, uint64(length))
	w.rows = append(w.rows, w.fields...)
	w.rows = append(w.rows, m.Payload...)
	w.count++
	return nil
}

func (w *BlockWriter) noRoom(length int) error {
	if w.count > 0 {
		return ErrBlockFull
	}
	return fmt.Errorf("%w: message of %d bytes, at most %d", ErrTooLarge, length, MaxBlockBytes)
}

// nowMilli returns the current time; calls for nearby messages share one reading of the clock.
func (w *BlockWriter) nowMilli() int64 {
	if w.nowUses == 0 {
		now := time.Now
		if w.Now != nil {
			now = w.Now
		}
		w.now = now().UnixMilli()
	}
	w.nowUses = (w.nowUses + 1) % nowUsesMax
	return w.now
}

// setFields sets w.fields to the row of the message without length and payload, and returns the resolved segment.
func (w *BlockWriter) setFields(m *Message, timestamp int64) (segment int) {
	id, isBinary := m.binaryID()
	flags := rowFlags(m)
	switch {
	case isBinary:
		flags |= rowBinaryID
	case m.ID != "":
		flags |= rowTextID
	}
	if flags&(rowBinaryID|rowTextID|rowRouted) == 0 {
		segment = w.hash.segment(w.count)
	} else {
		segment = m.RoutingSegment()
	}
	dst := append(w.fields[:0], flags, uint8(segment))
	dst = binary.AppendUvarint(dst, w.strings.number(m.Type))
	dst = binary.AppendVarint(dst, timestamp)
	if flags&^(rowNoPayload|rowRouted) != 0 {
		dst = w.appendOptional(dst, m, flags, id)
	}
	w.fields = dst
	return segment
}

// rowFlags returns the flags of the row of a message, but those of its id.
func rowFlags(m *Message) (flags uint8) {
	if m.Payload == nil {
		flags |= rowNoPayload
	}
	if m.Routed {
		flags |= rowRouted
		if uint32(m.Segment) >= Segments {
			flags |= rowRawSegment
		}
	}
	if m.Format != "" || m.Revision != 0 {
		flags |= rowDescribed
	}
	if m.Source != "" || m.Target != "" || m.Request.Valid {
		flags |= rowRequest
	}
	if len(m.Metadata) > 0 {
		flags |= rowMetadata
	}
	return flags
}

// appendOptional is the counterpart of row.parseOptional.
func (w *BlockWriter) appendOptional(dst []byte, m *Message, flags uint8, id binaryID) []byte {
	switch flags & (rowBinaryID | rowTextID) {
	case rowBinaryID:
		dst = id.append(dst)
	case rowTextID:
		dst = appendString(dst, m.ID)
	}
	if flags&rowRawSegment != 0 {
		dst = binary.AppendVarint(dst, int64(m.Segment))
	}
	if flags&rowDescribed != 0 {
		dst = binary.AppendUvarint(dst, w.strings.number(m.Format))
		dst = binary.AppendVarint(dst, int64(m.Revision))
	}
	if flags&rowRequest != 0 {
		dst = binary.AppendUvarint(dst, w.strings.number(m.Source))
		dst = binary.AppendUvarint(dst, w.strings.number(m.Target))
		dst = appendRequestID(dst, m.Request)
	}
	if flags&rowMetadata != 0 {
		dst = w.appendMetadata(dst, m.Metadata)
	}
	return dst
}

// appendMetadata sorts the keys, so that equal messages have equal bytes, which also compress better. It first tries the keys
// of the message before, for they rarely change.
func (w *BlockWriter) appendMetadata(dst []byte, metadata map[string]string) []byte {
	entries, ok := w.appendEntries(w.entries[:0], metadata)
	if !ok {
		w.keys = slices.AppendSeq(w.keys[:0], maps.Keys(metadata))
		slices.Sort(w.keys)
		entries, _ = w.appendEntries(w.entries[:0], metadata)
	}
	w.entries = entries
	dst = binary.AppendUvarint(dst, uint64(len(entries)))
	return append(dst, entries...)
}

// appendEntries appends the metadata in the order of w.keys, and returns false if those are not its keys.
func (w *BlockWriter) appendEntries(dst []byte, metadata map[string]string) ([]byte, bool) {
	if len(w.keys) != len(metadata) {
		return dst, false
	}
	dst = binary.AppendUvarint(dst, uint64(len(w.keys)))
	for _, key := range w.keys {
		value, ok := metadata[key]
		if !ok {
			return dst, false
		}
		dst = binary.AppendUvarint(dst, w.strings.number(key))
		dst = appendString(dst, value)
	}
	return dst, true
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendRequestID is the counterpart of cursor.requestID.
func appendRequestID(dst []byte, id RequestID) []byte {
	if !id.Valid {
		return append(dst, 0)
	}
	n := int64(id.N)
	return binary.AppendUvarint(dst, uint64(n<<1^n>>63)+1)
}

// Seal appends the finished block to dst, compressed with c if that pays, and empties the writer; the next block gets a
// random id. It appends nothing when no message was added.
func (w *BlockWriter) Seal(dst []byte, c Compression) []byte {
	if w.count > 0 {
		h := blockHeader{
			count: uint32(w.count), span: uint32(w.count), id: w.ID(), timestamp: w.base, segments: w.segments,
		}
		rowBytes := len(w.rows)
		w.rows = append(w.rows, w.strings.data...)
		dst = appendBlock(dst, h, w.rows, rowBytes, c)
	}
	w.Reset(BlockID{})
	return dst
}

// stringTable numbers the strings of a block in the order in which they turn up, from 1. The empty string is number 0.
type stringTable struct {
	data    []byte // the table as it is written
	names   []string
	numbers map[string]uint64

	last       string // most messages of a block have the type of the one before
	lastNumber uint64
}

func (t *stringTable) number(s string) uint64 {
	if s == t.last {
		return t.lastNumber
	}
	n, found := t.numbers[s]
	if !found && s != "" {
		n = t.add(s)
	}
	t.last, t.lastNumber = s, n
	return n
}

func (t *stringTable) add(s string) uint64 {
	if t.numbers == nil {
		t.numbers = make(map[string]uint64)
	}
	t.names = append(t.names, s)
	t.numbers[s] = uint64(len(t.names))
	t.data = appendString(t.data, s)
	return uint64(len(t.names))
}

func (t *stringTable) reset() {
	clear(t.names)
	clear(t.numbers)
	t.names, t.data = t.names[:0], t.data[:0]
	t.last, t.lastNumber = "", 0
}

// truncate forgets all but the first strings, which take up the given bytes of data.
func (t *stringTable) truncate(names, data int) {
	for _, s := range t.names[names:] {
		delete(t.numbers, s)
	}
	clear(t.names[names:])
	t.names, t.data = t.names[:names], t.data[:data]
	t.last, t.lastNumber = "", 0
}
