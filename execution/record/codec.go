package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
)

// Errors of everything here that reads stored bytes.
var (
	ErrCorrupt = errors.New("corrupt recording")                    // returned when bytes are damaged or incomplete
	ErrNewer   = errors.New("recording of a newer version of Flux") // returned when bytes are in a format that came later
)

// MaxBytes is the most that an encoded value may have before compression: [Decode] refuses more. The limits of a recorder are
// far below it.
const MaxBytes = 32 << 20

// What is stored, of this version:
//
//	0         1      2             3
//	┌─────────┬──────┬─────────────┬──────────┬────────────────────────────────────┬──────────┐
//	│ version │ what │ compression │ rawBytes │ body: string table, fields         │ checksum │
//	│ 1       │ 1    │ 1           │ uvarint  │ rawBytes, or less with compression │ 4        │
//	└─────────┴──────┴─────────────┴──────────┴────────────────────────────────────┴──────────┘
//
// The string table is the number of strings, then length and bytes of each. The checksum is the CRC-32C, little-endian, of all
// before it. See docs/format/recording.md.
const (
	formatVersion = 1

	whatExecution  = 'E'
	whatSummary    = 'S'
	whatCheckpoint = 'C'

	compressNone = 0
	compressS2   = 1
	compressZstd = 2

	headerBytes     = 3
	checksumBytes   = 4
	minEncodedBytes = headerBytes + 1 + checksumBytes
)

// Append appends the encoded execution to dst. Equal executions have equal bytes. An empty list, map or slice of bytes is the
// same as nil to it. Times are kept in nanoseconds, from 1678 to 2262. Safe for concurrent use.
func Append(dst []byte, x *Execution) []byte {
	return appendValue(dst, whatExecution, x, (*coder).execution)
}

// Decode returns the execution that [Append] has encoded. Payloads alias memory that belongs to the execution, not data. It
// returns [ErrCorrupt] or [ErrNewer], and allocates at most some 20 times the length before compression and 16 MiB.
// Safe for concurrent use.
func Decode(data []byte) (*Execution, error) {
	x := new(Execution)
	if err := decodeValue(data, whatExecution, x, (*coder).execution); err != nil {
		return nil, err
	}
	return x, nil
}

// AppendCheckpoint appends an encoded checkpoint, as [Append] does with an execution.
func AppendCheckpoint(dst []byte, p *Checkpoint) []byte {
	return appendValue(dst, whatCheckpoint, p, (*coder).checkpoint)
}

// DecodeCheckpoint returns the checkpoint that [AppendCheckpoint] has encoded, as [Decode] does.
func DecodeCheckpoint(data []byte) (*Checkpoint, error) {
	p := new(Checkpoint)
	if err := decodeValue(data, whatCheckpoint, p, (*coder).checkpoint); err != nil {
		return nil, err
	}
	return p, nil
}

// writers keep the memory of a writing coder.
var writers = sync.Pool{New: func() any { return &writer{coder: coder{numbers: map[string]uint64{}}} }}

type writer struct {
	coder
	raw []byte
}

// maxKeptBytes is the memory above which a writer is left to the garbage collector.
const maxKeptBytes = 1 << 20

func appendValue[T any](dst []byte, what byte, v *T, fields func(*coder, *T)) []byte {
	w := writers.Get().(*writer)
	fields(&w.coder, v)
	w.raw = binary.AppendUvarint(w.raw, uint64(len(w.table)))
	for _, s := range w.table {
		w.raw = binary.AppendUvarint(w.raw, uint64(len(s)))
		w.raw = append(w.raw, s...)
	}
	w.raw = append(w.raw, w.buf...)
	start := len(dst)
	dst = append(dst, formatVersion, what)
	dst = appendCompressed(dst, w.raw, what == whatExecution)
	dst = appendChecksum(dst, start)
	w.release()
	return dst
}

func (w *writer) release() {
	if cap(w.raw)+cap(w.buf) > maxKeptBytes {
		return
	}
	clear(w.table)
	clear(w.numbers)
	w.raw, w.buf, w.table = w.raw[:0], w.buf[:0], w.table[:0]
	writers.Put(w)
}

func decodeValue[T any](data []byte, what byte, v *T, fields func(*coder, *T)) error {
	raw, err := open(data, what)
	if err != nil {
		return err
	}
	c := coder{reading: true, buf: raw, budget: 16<<20 + 16*len(raw)}
	c.readTable()
	c.rest(func() { fields(&c, v) })
	return c.err
}

// readTable reads the string table. All strings share the memory of one.
func (c *coder) readTable() {
	n := c.uvarint()
	if n > uint64(len(c.buf)) {
		c.corrupt("%d strings in %d bytes", n, len(c.buf))
		return
	}
	if !c.spend(32 * int(n)) {
		return
	}
	start := c.buf
	type span struct{ first, end int }
	spans := make([]span, 0, n)
	for range n {
		length := len(c.take())
		end := len(start) - len(c.buf)
		spans = append(spans, span{end - length, end})
	}
	if c.err != nil {
		return
	}
	all := string(start[:len(start)-len(c.buf)])
	c.table = make([]string, n)
	for i, s := range spans {
		c.table[i] = all[s.first:s.end]
	}
}

// open checks header and checksum and returns the body without compression. It does not alias data.
func open(data []byte, what byte) ([]byte, error) {
	if len(data) < minEncodedBytes {
		return nil, fmt.Errorf("%w: %d bytes", ErrCorrupt, len(data))
	}
	version, gotWhat, compression := data[0], data[1], data[2]
	if version > formatVersion {
		return nil, fmt.Errorf("%w: version %d, this program reads %d", ErrNewer, version, formatVersion)
	}
	data, err := withoutChecksum(data)
	if err != nil {
		return nil, err
	}
	if version == 0 || gotWhat != what {
		return nil, fmt.Errorf("%w: version %d of a %q, want a %q", ErrCorrupt, version, gotWhat, what)
	}
	length, size := binary.Uvarint(data[headerBytes:])
	if size <= 0 || length > MaxBytes {
		return nil, fmt.Errorf("%w: length of %d bytes", ErrCorrupt, length)
	}
	return expand(data[headerBytes+size:], compression, int(length))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendChecksum appends the checksum of dst from start on.
func appendChecksum(dst []byte, start int) []byte {
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// withoutChecksum returns what is before the checksum at the end of data, if that is right.
func withoutChecksum(data []byte) ([]byte, error) {
	end := len(data) - checksumBytes
	got, want := crc32.Checksum(data[:end], castagnoli), binary.LittleEndian.Uint32(data[end:])
	if got != want {
		return nil, fmt.Errorf("%w: crc %08x, want %08x", ErrCorrupt, got, want)
	}
	return data[:end], nil
}
