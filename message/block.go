package message

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
)

// A block starts with this header; docs/format/block.md describes it and the body byte by byte. Little-endian.
//
//	+------+---+-----+------+-------+------+----------+----------+------------+----------+-----------+----------+-----+
//	| FlxB | v | flg | zero | count | span | rawBytes | rowBytes | storedBytes| block id | timestamp | segments | crc |
//	+------+---+-----+------+-------+------+----------+----------+------------+----------+-----------+----------+-----+
//	0      4   5     6      8       12     16         20         24           28         40          48         64    68
const (
	blockMagic   = "FlxB"
	blockVersion = 1

	versionAt     = 4
	flagsAt       = 5
	reservedAt    = 6
	countAt       = 8
	spanAt        = 12
	rawBytesAt    = 16
	rowBytesAt    = 20
	storedBytesAt = 24
	blockIDAt     = 28
	timestampAt   = 40
	segmentsAt    = 48
	checksumAt    = 64

	// BlockHeaderBytes is the length of the header of a block.
	BlockHeaderBytes = 68
)

// The flags of a block: a compression in the low bits, then whether rows tell their ordinals.
const (
	compressionMask = 0x0f
	flagSparse      = 0x10
)

// The limits of a block. They keep a reader from allocating what a hostile header promises.
const (
	// MaxBlockBytes is the largest body of a block before compression.
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

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Block is messages stored and sent together, compressed as one. Its messages have consecutive ordinals from 0 to Span-1,
// and index first+ordinal once the server has given the block its first index, which is not part of the block. In a filtered
// block ordinals are missing, and Count is less than Span.
//
// A Block is a checked header with a view of the bytes it was parsed from. It is safe for concurrent use as long as nobody
// changes those. The zero value is an empty block without bytes.
type Block struct {
	data     []byte
	count    uint32
	span     uint32
	rawBytes uint32
	rowBytes uint32
	flags    uint8
}

// ParseBlock returns the block at the start of data, and what follows it; several blocks may lie back to back. It checks
// the header and that the block is complete, in constant time and without allocating, and nothing else: see [Block.Validate].
// It returns [ErrNotBlock], [ErrVersion], or [ErrCorrupt].
func ParseBlock(data []byte) (b Block, rest []byte, err error) {
	if err := checkBlockStart(data); err != nil {
		return Block{}, data, err
	}
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(data[at:]) }
	b = Block{
		count: u32(countAt), span: u32(spanAt), rawBytes: u32(rawBytesAt), rowBytes: u32(rowBytesAt), flags: data[flagsAt],
	}
	size := BlockHeaderBytes + int64(u32(storedBytesAt))
	if err := b.checkHeader(size - BlockHeaderBytes); err != nil {
		return Block{}, data, err
	}
	if size > int64(len(data)) {
		return Block{}, data, fmt.Errorf("%w: %d bytes of a block of %d", ErrCorrupt, len(data), size)
	}
	b.data = data[:size:size]
	return b, data[size:], nil
}

// checkBlockStart checks magic, version, and that the header is complete, in the order in which they can be trusted.
func checkBlockStart(data []byte) error {
	n := min(len(data), len(blockMagic))
	switch {
	case string(data[:n]) != blockMagic[:n]:
		return fmt.Errorf("%w: starts with %q, want %q", ErrNotBlock, data[:n], blockMagic)
	case len(data) > versionAt && data[versionAt] > blockVersion:
		return fmt.Errorf("%w: version %d, this program reads up to %d", ErrVersion, data[versionAt], blockVersion)
	case len(data) < BlockHeaderBytes:
		return fmt.Errorf("%w: %d bytes of a header of %d", ErrCorrupt, len(data), BlockHeaderBytes)
	case data[versionAt] == 0:
		return fmt.Errorf("%w: version 0", ErrCorrupt)
	case data[reservedAt] != 0 || data[reservedAt+1] != 0:
		return fmt.Errorf("%w: reserved bytes are set", ErrCorrupt)
	}
	return nil
}

// checkHeader refuses figures that no writer produces, so that the ones that remain bound what a reader allocates.
func (b Block) checkHeader(storedBytes int64) error {
	sparse := b.Sparse()
	switch {
	case b.flags&^(compressionMask|flagSparse) != 0 || b.Compression() >= numCompressions:
		return fmt.Errorf("%w: unknown flags %#02x", ErrCorrupt, b.flags)
	case b.span == 0 || b.span > MaxBlockMessages || b.count > b.span || (!sparse && b.count != b.span):
		return fmt.Errorf("%w: %d messages in a span of %d", ErrCorrupt, b.count, b.span)
	case b.rawBytes > MaxBlockBytes || b.rowBytes > b.rawBytes || int64(b.rowBytes) < int64(b.count)*minRowBytes:
		return fmt.Errorf("%w: %d messages in %d of %d bytes", ErrCorrupt, b.count, b.rowBytes, b.rawBytes)
	case b.Compression() == NoCompression && storedBytes != int64(b.rawBytes),
		b.Compression() != NoCompression && storedBytes >= int64(b.rawBytes):
		return fmt.Errorf("%w: %d bytes stored as %d with compression %s", ErrCorrupt, b.rawBytes, storedBytes, b.Compression())
	}
	return nil
}

// Count returns the number of messages in the block.
func (b Block) Count() int { return int(b.count) }

// Span returns the number of indexes the block covers, including those of messages that a filter dropped.
func (b Block) Span() int { return int(b.span) }

// RawLen returns the length of the body before compression, in bytes.
func (b Block) RawLen() int { return int(b.rawBytes) }

// Sparse reports whether the block went through a filter.
func (b Block) Sparse() bool { return b.flags&flagSparse != 0 }

// Compression returns how the body is compressed.
func (b Block) Compression() Compression { return Compression(b.flags & compressionMask) }

// Bytes returns the whole block as it is stored and sent. The caller must not change it.
func (b Block) Bytes() []byte { return b.data }

// ID returns the identity that the publisher gave the block.
func (b Block) ID() BlockID {
	if len(b.data) == 0 {
		return BlockID{}
	}
	return BlockID(b.data[blockIDAt:timestampAt])
}

// Segments returns the segments of the messages in the block.
func (b Block) Segments() SegmentSet {
	if len(b.data) == 0 {
		return SegmentSet{}
	}
	return SegmentSet{
		binary.LittleEndian.Uint64(b.data[segmentsAt:]), binary.LittleEndian.Uint64(b.data[segmentsAt+8:]),
	}
}

// timestamp returns what the timestamps of the rows are relative to, in milliseconds since the Unix epoch.
func (b Block) timestamp() int64 { return int64(binary.LittleEndian.Uint64(b.data[timestampAt:])) }

// checksum covers everything but itself.
func blockChecksum(block []byte) uint32 {
	return crc32.Update(crc32.Checksum(block[:checksumAt], castagnoli), castagnoli, block[BlockHeaderBytes:])
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

// blockHeader is what a writer knows about a block when it seals it.
type blockHeader struct {
	count, span, rowBytes int
	sparse                bool
	id                    BlockID
	timestamp             int64
	segments              SegmentSet
}

// appendBlock appends the block of a header and a body, compressed with c unless that does not pay.
func appendBlock(dst []byte, h blockHeader, body []byte, c Compression) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, BlockHeaderBytes)...)
	dst, c = appendCompressed(dst, body, c)
	block := dst[start:]

	copy(block, blockMagic)
	block[versionAt] = blockVersion
	block[flagsAt] = uint8(c)
	if h.sparse {
		block[flagsAt] |= flagSparse
	}
	binary.LittleEndian.PutUint32(block[countAt:], uint32(h.count))
	binary.LittleEndian.PutUint32(block[spanAt:], uint32(h.span))
	binary.LittleEndian.PutUint32(block[rawBytesAt:], uint32(len(body)))
	binary.LittleEndian.PutUint32(block[rowBytesAt:], uint32(h.rowBytes))
	binary.LittleEndian.PutUint32(block[storedBytesAt:], uint32(len(block)-BlockHeaderBytes))
	copy(block[blockIDAt:], h.id[:])
	binary.LittleEndian.PutUint64(block[timestampAt:], uint64(h.timestamp))
	binary.LittleEndian.PutUint64(block[segmentsAt:], h.segments[0])
	binary.LittleEndian.PutUint64(block[segmentsAt+8:], h.segments[1])
	binary.LittleEndian.PutUint32(block[checksumAt:], blockChecksum(block))
	return dst
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
