package message

import (
	"encoding/binary"
	"fmt"
	"sync"
)

// BlockFilter selects messages of a block. Nil functions accept everything.
type BlockFilter struct {
	// Type is asked once for each type name that occurs in the block, and not for messages without a type, which pass.
	Type func(name string) bool
	// Message is asked once for each message whose type passed, in the order of the block.
	Message func(MessageInfo) bool
}

// MessageInfo is what a filter may know of a message without decoding it.
type MessageInfo struct {
	Ordinal int // place in the block; the index of the message is the first index of the block plus this
	Segment int // resolved routing segment
	Type    string
	Target  string
}

// Filter appends to dst a block with the messages that f accepts, compressed with c if that pays, and returns how many there
// are. They keep their ordinals, and so their indexes and ids, and the new block keeps the id and the span of b, even when no
// message is left. It returns [ErrCorrupt], and dst as it was, if b is malformed. It does not verify the checksum.
func (b Block) Filter(dst []byte, f BlockFilter, c Compression) (out []byte, kept int, err error) {
	if len(b.data) == 0 {
		return dst, 0, nil
	}
	s := blockScratches.Get().(*blockScratch)
	defer blockScratches.Put(s)
	if err := s.open(b); err != nil {
		return dst, 0, err
	}
	h := blockHeader{span: b.header.span, sparse: true, id: b.ID(), timestamp: b.header.timestamp}
	s.keepRows(f, &h)
	if err := s.rows.err(); err != nil {
		return dst, 0, err
	}
	kept, rowBytes := int(h.count), len(s.out)
	if kept == b.Count() {
		return append(dst, b.data...), kept, nil
	}
	if kept > 0 {
		s.out = append(s.out, s.body[b.header.rowBytes:]...)
	}
	return appendBlock(dst, h, s.out, rowBytes, c), kept, nil
}

// Validate returns [ErrCorrupt] unless the checksum is right and every row is well formed, so that whoever reads the block
// later meets no error. It decompresses the block but allocates next to nothing.
func (b Block) Validate() error {
	if err := b.VerifyChecksum(); err != nil || len(b.data) == 0 {
		return err
	}
	s := blockScratches.Get().(*blockScratch)
	defer blockScratches.Put(s)
	if err := s.open(b); err != nil {
		return err
	}
	var r row
	var segments SegmentSet
	for s.rows.next(&r) != nil {
		segments.Add(int(r.segment))
	}
	if err := s.rows.err(); err != nil {
		return err
	}
	if segments != b.Segments() {
		return fmt.Errorf("%w: rows have segments %x, header %x", ErrCorrupt, segments, b.Segments())
	}
	return nil
}

// blockScratch is the memory for looking at a block without keeping anything of it.
type blockScratch struct {
	body  []byte
	out   []byte
	types []typeVerdict
	rows  rowReader
	parts []partRows
}

type typeVerdict uint8

const (
	typeUnknown typeVerdict = iota
	typePasses
	typeFails
)

var blockScratches = sync.Pool{New: func() any { return new(blockScratch) }}

func (s *blockScratch) open(b Block) error {
	if max(cap(s.body), cap(s.out)) > keepBytes {
		s.body, s.out = nil, nil
	}
	if cap(s.body) < b.RawLen() {
		s.body = make([]byte, b.RawLen())
	}
	s.body, s.out = s.body[:b.RawLen()], s.out[:0]
	if err := b.decompress(s.body); err != nil {
		return err
	}
	return s.rows.open(b, s.body)
}

// keepRows copies the rows that f accepts to s.out and notes them in h.
func (s *blockScratch) keepRows(f BlockFilter, h *blockHeader) {
	s.types = append(s.types[:0], make([]typeVerdict, len(s.rows.strings)+1)...)
	previous := -1
	var r row
	for data := s.rows.next(&r); data != nil; data = s.rows.next(&r) {
		if !s.typePasses(f, r.typ) || !s.messagePasses(f, &r) {
			continue
		}
		s.out = binary.AppendUvarint(s.out, uint64(s.rows.ordinal-previous-1))
		s.out = append(s.out, data...)
		previous = s.rows.ordinal
		h.count++
		h.segments.Add(int(r.segment))
	}
}

func (s *blockScratch) typePasses(f BlockFilter, number uint32) bool {
	if number == 0 || f.Type == nil {
		return true
	}
	if s.types[number] == typeUnknown {
		s.types[number] = typeFails
		if f.Type(s.rows.string(number)) {
			s.types[number] = typePasses
		}
	}
	return s.types[number] == typePasses
}

func (s *blockScratch) messagePasses(f BlockFilter, r *row) bool {
	return f.Message == nil || f.Message(s.info(r))
}

// info describes the row that was read last.
func (s *blockScratch) info(r *row) MessageInfo {
	return MessageInfo{
		Ordinal: s.rows.ordinal, Segment: int(r.segment), Type: s.rows.string(r.typ), Target: s.rows.string(r.target),
	}
}
