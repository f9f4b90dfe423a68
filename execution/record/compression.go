package record

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// expand undoes the compression of a body that has length bytes without it, and copies.
func expand(stored []byte, compression byte, length int) ([]byte, error) {
	body := bytes.Clone(stored)
	switch compression {
	case compressNone:
	case compressZstd:
		var err error
		if body, err = zstdDecoder().DecodeAll(stored, nil); err != nil {
			return nil, fmt.Errorf("%w: zstd: %w", ErrCorrupt, err)
		}
	default:
		return nil, fmt.Errorf("%w: unknown compression %d", ErrCorrupt, compression)
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
