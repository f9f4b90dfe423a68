package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// The limits of a block. They keep a reader from allocating what a hostile header promises.
const (
	// MaxBlockBytes is the largest body of a block before compression, and so more than the largest message.
	MaxBlockBytes = 128 << 20
	// MaxBlockMessages is the largest number of messages packed into a block.
	MaxBlockMessages = 1 << 16
	// maxBlockStrings is the largest number of entries in the string table of a block.
	maxBlockStrings = 1 << 16
)

// Errors of reading blocks.
var (
	// ErrNotBlock is returned when data does not start as a block does.
	ErrNotBlock = errors.New("not a message block")
	// ErrVersion is returned when a block was written in a version of the format newer than this package.
	ErrVersion = errors.New("message block of a newer version")
	// ErrCorrupt is returned when a block is damaged or malformed.
	ErrCorrupt = errors.New("corrupt message block")
)

// Errors of writing blocks.
var (
	// ErrBlockFull is returned when a message does not fit into a block that already has messages: seal it and try again.
	ErrBlockFull = errors.New("message block is full")
	// ErrTooLarge is returned when a message, or a block, is larger than a limit.
	ErrTooLarge = errors.New("too large for a message block")
)

// Block is messages stored and sent together, compressed as one. Its messages have consecutive ordinals from 0 to Span-1,
// and index first+ordinal once the server has given the block its first index, which is not part of the block. In a filtered
// block ordinals are missing, and Count is less than Span.
//
// A Block is a checked header with a view of the bytes it was parsed from. It is safe for concurrent use as long as nobody
// changes those. The zero value is an empty block without bytes.
type Block struct {
	header blockHeader
	data   []byte
}

// ParseBlock returns the block at the start of data, and what follows it; several blocks may lie back to back. It checks
// the header and that the block is complete, in constant time and without allocating, and nothing else: see [Block.Validate].
// It returns [ErrNotBlock], [ErrVersion], or [ErrCorrupt].
func ParseBlock(data []byte) (b Block, rest []byte, err error) {
	h, err := parseBlockHeader(data)
	if err != nil {
		return Block{}, data, err
	}
	size := blockHeaderBytes + int64(h.storedBytes)
	if size > int64(len(data)) {
		return Block{}, data, fmt.Errorf("%w: %d bytes of a block of %d", ErrCorrupt, len(data), size)
	}
	return Block{h, data[:size:size]}, data[size:], nil
}

// ID returns the identity that the publisher gave the block.
func (b Block) ID() BlockID { return b.header.id }

// Count returns the number of messages in the block.
func (b Block) Count() int { return int(b.header.count) }

// Span returns the number of indexes the block covers, including those of messages that a filter dropped.
func (b Block) Span() int { return int(b.header.span) }

// Sparse reports whether the block went through a filter.
func (b Block) Sparse() bool { return b.header.sparse }

// Segments returns the segments of the messages in the block.
func (b Block) Segments() SegmentSet { return b.header.segments }

// RawLen returns the length of the body before compression, in bytes.
func (b Block) RawLen() int { return int(b.header.rawBytes) }

// Compression returns how the body is compressed.
func (b Block) Compression() Compression { return b.header.compression }

// Bytes returns the whole block as it is stored and sent. The caller must not change it.
func (b Block) Bytes() []byte { return b.data }

// decompress fills body, which has the length RawLen.
func (b Block) decompress(body []byte) error {
	return decompress(body, b.data[blockHeaderBytes:], b.header.compression)
}

// VerifyChecksum returns [ErrCorrupt] if the block changed since it was sealed.
func (b Block) VerifyChecksum() error {
	if len(b.data) == 0 {
		return nil
	}
	if got, want := blockChecksum(b.data), binary.LittleEndian.Uint32(b.data[checksumAt:]); got != want {
		return fmt.Errorf("%w: checksum %08x, want %08x", ErrCorrupt, got, want)
	}
	return nil
}

// Blocks returns the blocks that lie back to back in data. The first error, one of [ParseBlock], ends the sequence.
func Blocks(data []byte) iter.Seq2[Block, error] {
	return func(yield func(Block, error) bool) {
		for len(data) > 0 {
			b, rest, err := ParseBlock(data)
			if !yield(b, err) || err != nil {
				return
			}
			data = rest
		}
	}
}

// BlockSummary adds up the blocks that lie back to back in a stored or sent value.
type BlockSummary struct {
	Blocks   int
	Count    int // messages present
	Span     int // indexes covered
	RawBytes int // length of the bodies before compression
	Segments SegmentSet
}

// SummarizeBlocks adds up the blocks in data by their headers. It returns the errors of [ParseBlock].
func SummarizeBlocks(data []byte) (BlockSummary, error) {
	var s BlockSummary
	for b, err := range Blocks(data) {
		if err != nil {
			return BlockSummary{}, err
		}
		s.Blocks++
		s.Count += b.Count()
		s.Span += b.Span()
		s.RawBytes += b.RawLen()
		s.Segments = s.Segments.Union(b.Segments())
	}
	return s, nil
}
