package record

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// The length of a body decides how it is compressed. Below the first, compressing does not pay. Below the second, s2 takes a
// tenth of the time of zstd for 5 % more bytes; above it, zstd has warmed up and there are bodies to make much smaller.
const (
	minCompressBytes = 192
	minZstdBytes     = 16 << 10
)

// appendCompressed appends compression, rawBytes and body.
func appendCompressed(dst, raw []byte, compress bool) []byte {
	compression := byte(compressNone)
	switch {
	case !compress || len(raw) < minCompressBytes:
	case len(raw) < minZstdBytes:
		compression = compressS2
	default:
		compression = compressZstd
	}
	dst = binary.AppendUvarint(append(dst, compression), uint64(len(raw)))
	switch compression {
	case compressS2:
		dst = slices.Grow(dst, s2.MaxEncodedLen(len(raw)))
		return dst[:len(dst)+len(s2.Encode(dst[len(dst):cap(dst)], raw))]
	case compressZstd:
		return zstdEncoder().EncodeAll(raw, dst)
	}
	return append(dst, raw...)
}

// expand undoes the compression of a body that has length bytes without it, and copies.
func expand(stored []byte, compression byte, length int) (body []byte, err error) {
	switch compression {
	case compressNone:
		body = bytes.Clone(stored)
	case compressS2:
		var n int
		if n, err = s2.DecodedLen(stored); err == nil && n == length {
			body, err = s2.Decode(nil, stored)
		}
	case compressZstd:
		body, err = zstdDecoder().DecodeAll(stored, nil)
	default:
		return nil, fmt.Errorf("%w: unknown compression %d", ErrCorrupt, compression)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if len(body) != length {
		return nil, fmt.Errorf("%w: %d bytes, want %d", ErrCorrupt, len(body), length)
	}
	return body, nil
}

// The compressor is shared by the process and keeps nothing between values. A service must not feel it: few at a time, and
// small tables.
var (
	zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false),
			zstd.WithEncoderConcurrency(min(2, runtime.GOMAXPROCS(0))), zstd.WithLowerEncoderMem(true))
		return mustCodec(e, err)
	})
	zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(MaxBytes))
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
