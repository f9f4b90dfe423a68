package message

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
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

	blockHeaderBytes = 68
)

// maxGapBytes is what a filter adds to a body at most: one byte for each row, and more only for gaps of 128 or more.
const maxGapBytes = 2 * MaxBlockMessages

// The flags of a block: a compression in the low bits, then whether rows tell their ordinals.
const (
	compressionMask = 0x0f
	flagSparse      = 0x10
)

// checkBlockStart checks magic, version, and that the header is complete, in the order in which they can be trusted.
func checkBlockStart(data []byte) error {
	n := min(len(data), len(blockMagic))
	switch {
	case string(data[:n]) != blockMagic[:n]:
		return fmt.Errorf("%w: starts with %q, want %q", ErrNotBlock, data[:n], blockMagic)
	case len(data) > versionAt && data[versionAt] > blockVersion:
		return fmt.Errorf("%w: version %d, this program reads up to %d", ErrVersion, data[versionAt], blockVersion)
	case len(data) < blockHeaderBytes:
		return fmt.Errorf("%w: %d bytes of a header of %d", ErrCorrupt, len(data), blockHeaderBytes)
	case data[versionAt] == 0:
		return fmt.Errorf("%w: version 0", ErrCorrupt)
	case data[reservedAt] != 0 || data[reservedAt+1] != 0:
		return fmt.Errorf("%w: reserved bytes are set", ErrCorrupt)
	}
	return nil
}

// blockHeader is the header of a block, less what is the same in all of them and the checksum.
type blockHeader struct {
	compression                                  Compression
	sparse                                       bool
	count, span, rawBytes, rowBytes, storedBytes uint32
	id                                           BlockID
	timestamp                                    int64 // to which those of the rows are relative
	segments                                     SegmentSet
}

// parseBlockHeader reads and checks the header at the start of data.
func parseBlockHeader(data []byte) (blockHeader, error) {
	if err := checkBlockStart(data); err != nil {
		return blockHeader{}, err
	}
	flags := data[flagsAt]
	if flags&^(compressionMask|flagSparse) != 0 || Compression(flags&compressionMask) >= numCompressions {
		return blockHeader{}, fmt.Errorf("%w: unknown flags %#02x", ErrCorrupt, flags)
	}
	le := binary.LittleEndian
	h := blockHeader{
		compression: Compression(flags & compressionMask),
		sparse:      flags&flagSparse != 0,
		count:       le.Uint32(data[countAt:]),
		span:        le.Uint32(data[spanAt:]),
		rawBytes:    le.Uint32(data[rawBytesAt:]),
		rowBytes:    le.Uint32(data[rowBytesAt:]),
		storedBytes: le.Uint32(data[storedBytesAt:]),
		id:          BlockID(data[blockIDAt:timestampAt]),
		timestamp:   int64(le.Uint64(data[timestampAt:])),
		segments:    SegmentSet{le.Uint64(data[segmentsAt:]), le.Uint64(data[segmentsAt+8:])},
	}
	return h, h.check()
}

// check refuses figures that no writer produces, so that the ones that remain bound what a reader allocates.
func (h *blockHeader) check() error {
	maxRawBytes := uint32(MaxBlockBytes)
	if h.sparse {
		maxRawBytes += maxGapBytes
	}
	isStored := h.compression == NoCompression
	switch {
	case h.span == 0 || h.span > MaxBlockMessages || h.count > h.span || (!h.sparse && h.count != h.span):
		return fmt.Errorf("%w: %d messages in a span of %d", ErrCorrupt, h.count, h.span)
	case h.rawBytes > maxRawBytes || h.rowBytes > h.rawBytes || h.rowBytes < h.count*minRowBytes:
		return fmt.Errorf("%w: %d messages in %d of %d bytes", ErrCorrupt, h.count, h.rowBytes, h.rawBytes)
	case isStored && h.storedBytes != h.rawBytes, !isStored && h.storedBytes >= h.rawBytes:
		return fmt.Errorf("%w: %d bytes stored as %d, compression %s", ErrCorrupt, h.rawBytes, h.storedBytes, h.compression)
	}
	return nil
}

// put writes the header at the start of the block, whose body is there already.
func (h *blockHeader) put(block []byte) {
	copy(block, blockMagic)
	block[versionAt] = blockVersion
	block[flagsAt] = uint8(h.compression)
	if h.sparse {
		block[flagsAt] |= flagSparse
	}
	le := binary.LittleEndian
	le.PutUint32(block[countAt:], h.count)
	le.PutUint32(block[spanAt:], h.span)
	le.PutUint32(block[rawBytesAt:], h.rawBytes)
	le.PutUint32(block[rowBytesAt:], h.rowBytes)
	le.PutUint32(block[storedBytesAt:], h.storedBytes)
	copy(block[blockIDAt:], h.id[:])
	le.PutUint64(block[timestampAt:], uint64(h.timestamp))
	le.PutUint64(block[segmentsAt:], h.segments[0])
	le.PutUint64(block[segmentsAt+8:], h.segments[1])
	le.PutUint32(block[checksumAt:], blockChecksum(block))
}

// appendBlock appends the block of a header, whose sizes and compression need not be set, and of rows and a string table.
// It is compressed with c unless that does not pay.
func appendBlock(dst []byte, h blockHeader, body []byte, rowBytes int, c Compression) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, blockHeaderBytes)...)
	dst, h.compression = appendCompressed(dst, body, c)
	block := dst[start:]
	h.rawBytes, h.rowBytes, h.storedBytes = uint32(len(body)), uint32(rowBytes), uint32(len(block)-blockHeaderBytes)
	h.put(block)
	return dst
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// blockChecksum covers everything but itself.
func blockChecksum(block []byte) uint32 {
	return crc32.Update(crc32.Checksum(block[:checksumAt], castagnoli), castagnoli, block[blockHeaderBytes:])
}
