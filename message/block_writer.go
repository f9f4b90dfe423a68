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
	base     int64
	count    int
	segments SegmentSet
	rows     []byte
	fields   []byte // of the row being added, up to its payload
	keys     []string
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
	w.strings.reset()
}

// Add packs a message. It copies what it needs, except that it refers to the strings of the message until the block is
// sealed. Index is ignored; a message that was read from a block keeps its id. Add returns [ErrBlockFull], after which the
// block can be sealed and the message added again, or [ErrTooLarge] if it fits into no block; then the block is unchanged.
func (w *BlockWriter) Add(m *Message) error {
	if err := w.checkRoom(m); err != nil {
		return err
	}
	timestamp := m.Timestamp
	if timestamp == 0 {
		timestamp = w.nowMilli()
	}
	if w.count == 0 {
		w.base = timestamp
	}
	fields, segment := w.appendFields(w.fields[:0], m, timestamp-w.base)
	w.fields = fields
	w.segments.Add(segment)
	w.rows = binary.AppendUvarint(w.rows, uint64(len(fields)+len(m.Payload)))
	w.rows = append(w.rows, fields...)
	w.rows = append(w.rows, m.Payload...)
	w.count++
	return nil
}

// checkRoom uses an upper bound of what the message takes.
func (w *BlockWriter) checkRoom(m *Message) error {
	const perField = 10 // the longest number before a string or between fields
	size := 16*perField + len(m.Type) + len(m.Format) + len(m.ID) + len(m.Source) + len(m.Target) + len(m.Payload)
	for key, value := range m.Metadata {
		size += 3*perField + len(key) + len(value)
	}
	if w.count < MaxBlockMessages && size+w.SizeBytes() <= MaxBlockBytes && w.strings.hasRoom(len(m.Metadata)+4) {
		return nil
	}
	if w.count > 0 {
		return ErrBlockFull
	}
	return fmt.Errorf("%w: message of %d bytes with %d metadata entries", ErrTooLarge, size, len(m.Metadata))
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

// appendFields appends the row of the message without length and payload, and returns the resolved segment.
func (w *BlockWriter) appendFields(dst []byte, m *Message, timestamp int64) (fields []byte, segment int) {
	flags, segment := w.flagsAndSegment(m)
	dst = append(dst, flags, uint8(segment))
	dst = binary.AppendUvarint(dst, w.strings.number(m.Type))
	dst = binary.AppendVarint(dst, timestamp)
	if flags&^(rowNoPayload|rowRouted) == 0 {
		return dst, segment
	}
	switch flags & (rowBinaryID | rowTextID) {
	case rowBinaryID:
		id, _ := m.binaryID()
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
	return dst, segment
}

func (w *BlockWriter) flagsAndSegment(m *Message) (flags uint8, segment int) {
	if m.Payload == nil {
		flags |= rowNoPayload
	}
	if _, ok := m.binaryID(); ok {
		flags |= rowBinaryID
	} else if m.ID != "" {
		flags |= rowTextID
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
	if !m.Routed && flags&(rowBinaryID|rowTextID) == 0 {
		return flags, w.ID().binary(uint32(w.count)).segment()
	}
	return flags, m.RoutingSegment()
}

// appendMetadata sorts the keys, so that equal messages have equal bytes, which also compress better.
func (w *BlockWriter) appendMetadata(dst []byte, metadata map[string]string) []byte {
	w.keys = slices.AppendSeq(w.keys[:0], maps.Keys(metadata))
	slices.Sort(w.keys)
	section := binary.AppendUvarint(nil, uint64(len(w.keys)))
	for _, key := range w.keys {
		section = binary.AppendUvarint(section, w.strings.number(key))
		section = appendString(section, metadata[key])
	}
	clear(w.keys)
	return append(binary.AppendUvarint(dst, uint64(len(section))), section...)
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
			count: w.count, span: w.count, rowBytes: len(w.rows), id: w.ID(), timestamp: w.base, segments: w.segments,
		}
		w.rows = append(w.rows, w.strings.data...)
		dst = appendBlock(dst, h, w.rows, c)
	}
	w.Reset(BlockID{})
	return dst
}

// stringTable numbers the strings of a block in the order in which they turn up, from 1. The empty string is number 0.
type stringTable struct {
	data    []byte // the table as it is written
	numbers map[string]uint64

	last       string // most messages of a block have the type of the one before
	lastNumber uint64
}

func (t *stringTable) hasRoom(n int) bool { return len(t.numbers)+n <= maxBlockStrings }

func (t *stringTable) number(s string) uint64 {
	if s == t.last {
		return t.lastNumber
	}
	n, found := t.numbers[s]
	if !found && s != "" {
		if t.numbers == nil {
			t.numbers = make(map[string]uint64)
		}
		n = uint64(len(t.numbers)) + 1
		t.numbers[s] = n
		t.data = appendString(t.data, s)
	}
	t.last, t.lastNumber = s, n
	return n
}

func (t *stringTable) reset() {
	t.data, t.last, t.lastNumber = t.data[:0], "", 0
	clear(t.numbers)
}
