package message

import (
	"encoding/binary"
	"fmt"
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
	fields   []byte           // of the row being added, up to its payload
	keys     []numberedString // of the metadata added last, sorted
	entries  []byte           // of the metadata being added
	now      int64
	nowUses  int
	strings  stringTable
}

// keepBytes is the largest buffer that is kept for the next block; a rare large one must not hold on to its memory.
const keepBytes = 4 << 20

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
	if max(cap(w.rows), cap(w.fields), cap(w.entries)) > keepBytes {
		w.rows, w.fields, w.entries = nil, nil, nil
	}
	w.id, w.base, w.count, w.segments = id, 0, 0, SegmentSet{}
	w.rows, w.nowUses = w.rows[:0], 0
	w.forgetKeys()
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
		w.forgetKeys()
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
