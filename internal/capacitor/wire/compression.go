package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Compression is how the messages of a socket are compressed, in both directions.
type Compression uint8

// The compressions. The first three are those of every client, Zstd that of Fluxzero clients.
const (
	NoCompression Compression = iota
	LZ4
	GZIP
	ZSTD
	numCompressions
)

var compressionNames = [numCompressions]string{"NONE", "LZ4", "GZIP", "ZSTD"}

func (c Compression) String() string { return compressionNames[c] }

// ParseCompression returns the compression of that name, in upper case as the protocol has it.
func ParseCompression(name string) (Compression, bool) {
	i := slices.Index(compressionNames[:], name)
	return Compression(max(i, 0)), i >= 0
}

var (
	// ErrTooLarge is returned for a message that is, or says it is, larger than the limit when unpacked.
	ErrTooLarge = errors.New("message too large")
	// ErrMalformed is returned for a message that cannot be read: its compression, or its text, is damaged.
	ErrMalformed = errors.New("malformed message")
)

// Each compressed form starts in a way of its own:
//
//	LZ4   | length, 4 bytes big-endian | LZ4 block |
//	ZSTD  | FF 00 | algorithm | length, 4 bytes big-endian | content |     content as the algorithm says
//	GZIP  | RFC 1952 |
//
// A length of LZ4 never starts with FF, as it would be negative.
const (
	lengthBytes   = 4
	headerBytes   = 3 + lengthBytes
	headerMagic   = "\xff\x00"
	headerNone    = 0
	headerLZ4     = 1
	headerZstd    = 2
	gzipMagic     = "\x1f\x8b"
	lz4MaxRatio   = 255 // no LZ4 block expands more, so a length beyond it is a lie
	zstdMaxWindow = 128 << 20
)

// Decompress returns the content of a websocket message, of at most maxBytes, in memory of its own. Errors are ErrTooLarge
// and ErrMalformed.
func Decompress(data []byte, c Compression, maxBytes int) ([]byte, error) {
	switch {
	case (c == LZ4 || c == ZSTD) && strings.HasPrefix(string(data[:min(len(data), 2)]), headerMagic):
		return decompressHeader(data, maxBytes)
	case c == LZ4:
		return decompressLZ4(data, maxBytes)
	case c == ZSTD:
		return decompressZstd(data, maxBytes)
	case c == GZIP && bytes.HasPrefix(data, []byte(gzipMagic)):
		return decompressGzip(data, maxBytes)
	case len(data) > maxBytes:
		return nil, tooLarge(len(data), maxBytes)
	}
	return bytes.Clone(data), nil
}

func tooLarge(n, maxBytes int) error {
	return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, n, maxBytes)
}

// decompressHeader reads the form with a header, in which any algorithm may follow.
func decompressHeader(data []byte, maxBytes int) ([]byte, error) {
	if len(data) < headerBytes {
		return nil, fmt.Errorf("%w: %d bytes of a header of %d", ErrMalformed, len(data), headerBytes)
	}
	algorithm, content := data[2], data[headerBytes:]
	n, err := checkLength(data[3:], maxBytes)
	if err != nil {
		return nil, err
	}
	switch algorithm {
	case headerNone:
		if n != len(content) {
			return nil, fmt.Errorf("%w: %d bytes, %d announced", ErrMalformed, len(content), n)
		}
		return bytes.Clone(content), nil
	case headerLZ4:
		return unpackLZ4(content, n)
	case headerZstd:
		out, err := decompressZstd(content, n)
		if err == nil && len(out) != n {
			err = fmt.Errorf("%w: %d bytes, %d announced", ErrMalformed, len(out), n)
		}
		return out, err
	}
	return nil, fmt.Errorf("%w: unknown compression algorithm %d", ErrMalformed, algorithm)
}

// checkLength reads a length and refuses it before anybody allocates for it.
func checkLength(data []byte, maxBytes int) (int, error) {
	n := int(int32(binary.BigEndian.Uint32(data)))
	switch {
	case n < 0:
		return 0, fmt.Errorf("%w: length %d", ErrMalformed, n)
	case n > maxBytes:
		return 0, tooLarge(n, maxBytes)
	}
	return n, nil
}

func decompressLZ4(data []byte, maxBytes int) ([]byte, error) {
	if len(data) < lengthBytes {
		return nil, fmt.Errorf("%w: %d bytes of a length of %d", ErrMalformed, len(data), lengthBytes)
	}
	n, err := checkLength(data, maxBytes)
	if err != nil {
		return nil, err
	}
	return unpackLZ4(data[lengthBytes:], n)
}

// unpackLZ4 unpacks a block that has exactly n bytes.
func unpackLZ4(block []byte, n int) ([]byte, error) {
	if n > lz4MaxRatio*(len(block)+1) {
		return nil, fmt.Errorf("%w: %d bytes in a block of %d", ErrMalformed, n, len(block))
	}
	if n == 0 && len(block) <= 1 { // nothing is packed as nothing, or as one empty sequence
		return nil, nil
	}
	out := make([]byte, n)
	got, err := lz4.UncompressBlock(block, out)
	if err != nil || got != n {
		return nil, fmt.Errorf("%w: block of %d bytes unpacks to %d, %d announced (%v)", ErrMalformed, len(block), got, n, err)
	}
	return out, nil
}

// zstdDecoders work on the goroutine of their caller and so have nothing to close.
var zstdDecoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdMaxWindow))
	if err != nil {
		panic(err) // only bad options do that
	}
	return d
}}

// decompressZstd reads frames that may state their size; how much comes out is counted all the same.
func decompressZstd(data []byte, maxBytes int) ([]byte, error) {
	d := zstdDecoders.Get().(*zstd.Decoder)
	defer zstdDecoders.Put(d)
	if err := d.Reset(bytes.NewReader(data)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return readAll(d, maxBytes)
}

func decompressGzip(data []byte, maxBytes int) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return readAll(r, maxBytes)
}

// readAll reads a stream to its end and gives up beyond maxBytes.
func readAll(r io.Reader, maxBytes int) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(r, int64(maxBytes)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	case len(out) > maxBytes:
		return nil, tooLarge(len(out), maxBytes)
	}
	return out, nil
}

// AppendCompressed appends a websocket message with the content to dst.
func AppendCompressed(dst, content []byte, c Compression) []byte {
	switch c {
	case LZ4:
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(content)))
		return appendLZ4(dst, content)
	case ZSTD:
		dst = append(append(dst, headerMagic...), headerZstd)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(content)))
		return zstdEncoder().EncodeAll(content, dst)
	case GZIP:
		return appendGzip(dst, content)
	default:
		return append(dst, content...)
	}
}

var lz4Compressors = sync.Pool{New: func() any { return new(lz4.Compressor) }}

// appendLZ4 appends a block. With this much room the compressor takes every input, also what does not shrink.
func appendLZ4(dst, content []byte) []byte {
	bound := lz4.CompressBlockBound(len(content))
	dst = slices.Grow(dst, bound)
	lz := lz4Compressors.Get().(*lz4.Compressor)
	defer lz4Compressors.Put(lz)
	n, err := lz.CompressBlock(content, dst[len(dst):len(dst)+bound])
	if err != nil {
		panic(err) // only for too little room
	}
	return dst[:len(dst)+n]
}

var zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		panic(err) // only bad options do that
	}
	return e
})

var gzipWriters = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // only for a bad level
	}
	return w
}}

func appendGzip(dst, content []byte) []byte {
	w := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(w)
	out := bytes.NewBuffer(dst)
	w.Reset(out)
	_, err := w.Write(content)
	if err = errors.Join(err, w.Close()); err != nil {
		panic(err) // a buffer takes everything
	}
	return out.Bytes()
}
