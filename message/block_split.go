package message

import "encoding/binary"

// Split divides the messages of the block at one go. Part says to which part a message belongs, counted from 0, or is negative
// for none. Each part is the block that [Block.Filter] would make of its messages, compressed with c if that pays; a part
// without messages is nil, and a part with all of them is the block itself. It returns [ErrCorrupt] if b is malformed.
func (b Block) Split(part func(MessageInfo) int, c Compression) (parts [][]byte, err error) {
	if len(b.data) == 0 {
		return nil, nil
	}
	s := blockScratches.Get().(*blockScratch)
	defer blockScratches.Put(s)
	if err := s.open(b); err != nil {
		return nil, err
	}
	s.parts = s.parts[:0]
	var r row
	for data := s.rows.next(&r); data != nil; data = s.rows.next(&r) {
		n := part(s.info(&r))
		for n >= len(s.parts) {
			s.addPart()
		}
		if n >= 0 {
			s.parts[n].add(s.rows.ordinal, data, int(r.segment))
		}
	}
	if err := s.rows.err(); err != nil {
		return nil, err
	}
	parts = make([][]byte, len(s.parts))
	for i := range s.parts {
		parts[i] = s.parts[i].seal(b, s.body[b.header.rowBytes:], c)
	}
	return parts, nil
}

// addPart adds an empty part, in the memory of one that was used before if there is any.
func (s *blockScratch) addPart() {
	n := len(s.parts)
	if n == cap(s.parts) {
		s.parts = append(s.parts, partRows{previous: -1})
		return
	}
	s.parts = s.parts[:n+1]
	s.parts[n] = partRows{data: s.parts[n].data[:0], previous: -1}
	if cap(s.parts[n].data) > keepPartBytes {
		s.parts[n].data = nil
	}
}

// keepPartBytes bounds the memory that is kept for a part: there may be many.
const keepPartBytes = 64 << 10

// partRows are the rows of one part of a block.
type partRows struct {
	data     []byte
	count    uint32
	segments SegmentSet
	previous int // ordinal of the last row
}

func (p *partRows) add(ordinal int, row []byte, segment int) {
	p.data = binary.AppendUvarint(p.data, uint64(ordinal-p.previous-1))
	p.data = append(p.data, row...)
	p.previous = ordinal
	p.count++
	p.segments.Add(segment)
}

// seal returns the block of the rows, which were taken from b.
func (p *partRows) seal(b Block, strings []byte, c Compression) []byte {
	switch int(p.count) {
	case 0:
		return nil
	case b.Count():
		return b.Bytes()
	}
	h := blockHeader{
		sparse: true, count: p.count, span: b.header.span, id: b.ID(), timestamp: b.header.timestamp, segments: p.segments,
	}
	rowBytes := len(p.data)
	p.data = append(p.data, strings...)
	return appendBlock(nil, h, p.data, rowBytes, c)
}
