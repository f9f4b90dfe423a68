package message

import (
	"fmt"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Compression is how the body of a block is compressed. The numbers are part of the format and never change.
type Compression uint8

// The compressions of blocks.
const (
	// Snappy compresses twice as fast as LZ4. Being the zero value, it is the default.
	Snappy Compression = iota
	// NoCompression stores bodies as they are.
	NoCompression
	// LZ4 saves up to 7 % more than Snappy and decompresses faster, for logs that are read by many.
	LZ4
	// Zstd saves a third more than the others, for three times the work.
	Zstd
	numCompressions
)

var compressionNames = [numCompressions]string{"snappy", "none", "lz4", "zstd"}

func (c Compression) String() string {
	if c < numCompressions {
		return compressionNames[c]
	}
	return fmt.Sprintf("compression(%d)", uint8(c))
}

// minCompressedBytes is the length below which a body is stored as it is, for too little would be saved.
const minCompressedBytes = 192

// appendCompressed appends body to dst and returns how it was compressed in the end: like c, or not at all when the body is
// short or does not shrink.
func appendCompressed(dst, body []byte, c Compression) ([]byte, Compression) {
	if c == NoCompression || len(body) < minCompressedBytes {
		return append(dst, body...), NoCompression
	}
	start := len(dst)
	dst = compress(slices.Grow(dst, maxCompressedBytes(len(body))), body, c)
	if n := len(dst) - start; n == 0 || n >= len(body) {
		return append(dst[:start], body...), NoCompression
	}
	return dst, c
}

// maxCompressedBytes is the space that every compressor is content with.
func maxCompressedBytes(n int) int { return max(s2.MaxEncodedLen(n), lz4.CompressBlockBound(n)) }

// compress appends the compressed body to dst, which has space for it, or nothing when the compressor gives up.
func compress(dst, body []byte, c Compression) []byte {
	free := dst[len(dst):cap(dst)]
	switch c {
	case LZ4:
		lz := lz4Compressors.Get().(*lz4.Compressor)
		defer lz4Compressors.Put(lz)
		n, err := lz.CompressBlock(body, free)
		if err != nil {
			return dst
		}
		return dst[:len(dst)+n]
	case Zstd:
		return zstdEncoder().EncodeAll(body, dst)
	default:
		return dst[:len(dst)+len(s2.EncodeSnappy(free, body))]
	}
}

// decompress fills body, whose length was promised by the header, from the stored form.
func decompress(body, stored []byte, c Compression) error {
	var n int
	var err error
	switch c {
	case NoCompression:
		n = copy(body, stored)
	case LZ4:
		n, err = lz4.UncompressBlock(stored, body)
	case Zstd:
		var out []byte
		out, err = zstdDecoder().DecodeAll(stored, body[:0:len(body)])
		n = copy(body, out) // onto itself, unless the decoder wanted more room
	default:
		n, err = decompressSnappy(body, stored)
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrCorrupt, c, err)
	}
	if n != len(body) {
		return fmt.Errorf("%w: %s: %d bytes, want %d", ErrCorrupt, c, n, len(body))
	}
	return nil
}

// decompressSnappy looks at the length that the compressed form claims before s2 allocates it.
func decompressSnappy(body, stored []byte) (int, error) {
	n, err := s2.DecodedLen(stored)
	if err != nil || n != len(body) {
		return n, err
	}
	_, err = s2.Decode(body, stored)
	return n, err
}

// Compressors with large tables are shared by all blocks of the process. They keep nothing between blocks.
var (
	lz4Compressors = sync.Pool{New: func() any { return new(lz4.Compressor) }}
	zstdEncoder    = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false))
		return mustCodec(e, err)
	})
	zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(MaxBlockBytes+maxGapBytes),
			zstd.WithDecodeAllCapLimit(true))
		return mustCodec(d, err)
	})
)

// mustCodec panics on errors that depend on nothing but the constant options above.
func mustCodec[T any](codec T, err error) T {
	if err != nil {
		panic(err)
	}
	return codec
}
