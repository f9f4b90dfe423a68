package message

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"
)

func TestParseBlockRefusesBadHeaders(t *testing.T) {
	t.Parallel()
	u32 := func(at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[at:], v)
			return b
		}
	}
	set := func(at int, v byte) func([]byte) []byte {
		return func(b []byte) []byte {
			b[at] = v
			return b
		}
	}
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }
	for name, tc := range map[string]struct {
		damage func(block []byte) []byte
		want   error
	}{
		"other magic":                {set(0, 'f'), ErrNotBlock},
		"text":                       {func([]byte) []byte { return []byte("GET / HTTP/1.1") }, ErrNotBlock},
		"short text":                 {func([]byte) []byte { return []byte("G") }, ErrNotBlock},
		"newer version":              {set(versionAt, blockVersion+1), ErrVersion},
		"newer version, cut":         {func(b []byte) []byte { return set(versionAt, 9)(b)[:versionAt+1] }, ErrVersion},
		"version 0":                  {set(versionAt, 0), ErrCorrupt},
		"nothing":                    {cut(0), ErrCorrupt},
		"half magic":                 {cut(2), ErrCorrupt},
		"half header":                {cut(blockHeaderBytes - 1), ErrCorrupt},
		"header only":                {cut(blockHeaderBytes), ErrCorrupt},
		"last byte missing":          {func(b []byte) []byte { return b[:len(b)-1] }, ErrCorrupt},
		"reserved byte":              {set(reservedAt+1, 1), ErrCorrupt},
		"unknown flag":               {set(flagsAt, 0x20), ErrCorrupt},
		"unknown compression":        {set(flagsAt, byte(numCompressions)), ErrCorrupt},
		"not compressed, yet short":  {set(flagsAt, byte(NoCompression)), ErrCorrupt},
		"no messages":                {u32(countAt, 0), ErrCorrupt},
		"messages missing":           {u32(countAt, 39), ErrCorrupt},
		"more messages than span":    {u32(countAt, 41), ErrCorrupt},
		"no span":                    {func(b []byte) []byte { return u32(spanAt, 0)(u32(countAt, 0)(b)) }, ErrCorrupt},
		"span too large":             {func(b []byte) []byte { return u32(spanAt, 1<<31)(u32(countAt, 1<<31)(b)) }, ErrCorrupt},
		"more messages than bytes":   {func(b []byte) []byte { return u32(spanAt, 60_000)(u32(countAt, 60_000)(b)) }, ErrCorrupt},
		"absurd raw length":          {u32(rawBytesAt, math.MaxUint32), ErrCorrupt},
		"raw length over the limit":  {u32(rawBytesAt, MaxBlockBytes+1), ErrCorrupt},
		"more rows than body":        {u32(rowBytesAt, math.MaxUint32), ErrCorrupt},
		"absurd stored length":       {u32(storedBytesAt, math.MaxUint32), ErrCorrupt},
		"stored longer than raw":     {u32(rawBytesAt, 300), ErrCorrupt},
		"stored beyond the data":     {u32(storedBytesAt, 3000), ErrCorrupt},
		"stored as long as raw, cut": {u32(storedBytesAt, 1<<20), ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := tc.damage(slices.Clone(pack(t, flights(40), Snappy).Bytes()))
			b, rest, err := ParseBlock(data)
			if !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
			if len(b.Bytes()) > 0 || len(rest) != len(data) {
				t.Errorf("returned a block of %d bytes and %d of %d as rest", len(b.Bytes()), len(rest), len(data))
			}
			for _, other := range []error{ErrNotBlock, ErrVersion, ErrCorrupt} {
				if other != tc.want && errors.Is(err, other) {
					t.Errorf("%v is also %v", err, other)
				}
			}
		})
	}
}

func TestEveryChangedByteIsNoticed(t *testing.T) {
	t.Parallel()
	for _, c := range []Compression{NoCompression, Snappy, LZ4, Zstd} {
		original := pack(t, flights(10), c).Bytes()
		for i := range original {
			data := slices.Clone(original)
			data[i] ^= 0x15
			b, _, err := ParseBlock(data)
			if err == nil {
				err = b.Validate()
			}
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNotBlock) && !errors.Is(err, ErrVersion) {
				t.Errorf("%s: byte %d changed: %v", c, i, err)
			}
		}
	}
}

// badRows are bodies that no writer makes: count, rows, and string table. Their checksums are right.
var badRows = map[string]struct {
	count uint32
	rows  string
	table string
}{
	"no rows":                   {1, "", ""},
	"row longer than rows":      {1, "\x05\x00\x00\x00\x00", ""},
	"row shorter than fields":   {1, "\x02\x00\x00\x00\x00", ""},
	"endless length":            {1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", ""},
	"huge length":               {1, "\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x00", ""},
	"bytes after the last row":  {1, "\x04\x00\x00\x00\x00\x00", ""},
	"fewer rows than counted":   {2, "\x09\x00\x00\x00\x0012345", ""},
	"segment 128":               {1, "\x04\x00\x80\x00\x00", ""},
	"unknown string":            {1, "\x04\x00\x00\x02\x00", "\x01a"},
	"string number overflows":   {1, "\x08\x00\x00\xff\xff\xff\xff\x1f\x00", ""},
	"unfinished timestamp":      {1, "\x04\x00\x00\x00\x80", ""},
	"payload of none":           {1, "\x05\x01\x00\x00\x00x", ""},
	"both kinds of id":          {1, "\x16\x06\x00\x00\x000123456789abcdef01", ""},
	"half a binary id":          {1, "\x0c\x02\x00\x00\x0001234567", ""},
	"empty text id":             {1, "\x05\x04\x00\x00\x00\x00", ""},
	"text id too long":          {1, "\x06\x04\x00\x00\x00\x02a", ""},
	"raw segment, not routed":   {1, "\x06\x10\x00\x00\x00\x80\x02", ""},
	"raw segment of another":    {1, "\x06\x18\x01\x00\x00\x80\x02", ""},
	"raw segment overflows":     {1, "\x09\x18\x00\x00\x00\x80\x80\x80\x80\x20", ""},
	"format out of table":       {1, "\x06\x20\x00\x00\x00\x01\x00", ""},
	"target out of table":       {1, "\x07\x40\x00\x00\x00\x01\x02\x00", "\x01a"},
	"request id overflows":      {1, "\x0b\x40\x00\x00\x00\x00\x00\x81\x80\x80\x80\x10", ""},
	"metadata too long":         {1, "\x06\x80\x00\x00\x00\x09\x01", ""},
	"metadata without entries":  {1, "\x06\x80\x00\x00\x00\x01\x00", ""},
	"metadata with many":        {1, "\x08\x80\x00\x00\x00\x03\x7f\x00\x00", ""},
	"metadata key out of table": {1, "\x08\x80\x00\x00\x00\x03\x01\x01\x00", ""},
	"metadata value too long":   {1, "\x08\x80\x00\x00\x00\x03\x01\x00\x05", ""},
	"bytes after the metadata":  {1, "\x09\x80\x00\x00\x00\x04\x01\x00\x00x", ""},
	"string longer than table":  {1, "\x04\x00\x00\x00\x00", "\x02a"},
	"endless string":            {1, "\x04\x00\x00\x00\x00", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"},
	"too many strings":          {1, "\x04\x00\x00\x00\x00", string(make([]byte, maxBlockStrings+1))},
}

func TestReadersRefuseMalformedRows(t *testing.T) {
	t.Parallel()
	for name, tc := range badRows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := blockHeader{count: tc.count, span: tc.count, segments: SegmentSet{1}}
			expectCorruptRows(t, appendBlock(nil, h, []byte(tc.rows+tc.table), len(tc.rows), NoCompression))
		})
	}
	for name, rows := range map[string]string{
		"gap beyond the span": "\x05\x04\x00\x00\x00\x00",
		"huge gap":            "\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x04\x00\x00\x00\x00",
		"endless gap":         "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x04\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := blockHeader{count: 1, span: 5, sparse: true, segments: SegmentSet{1}}
			expectCorruptRows(t, appendBlock(nil, h, []byte(rows), len(rows), NoCompression))
		})
	}
}

// expectCorruptRows expects that whoever looks at the rows refuses them.
func expectCorruptRows(t *testing.T, data []byte) {
	t.Helper()
	b, _, err := ParseBlock(data)
	if errors.Is(err, ErrCorrupt) {
		return // so few bytes that the header gives it away
	}
	if err := b.VerifyChecksum(); err != nil {
		t.Fatal(err)
	}
	if err := b.Validate(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Validate: %v", err)
	}
	before := []Message{{Type: "before"}}
	if got, err := b.AppendMessages(before, 0); !errors.Is(err, ErrCorrupt) || len(got) != 1 {
		t.Errorf("AppendMessages: %d messages, %v", len(got), err)
	}
	if got, _, err := b.Filter([]byte("before"), BlockFilter{}, Snappy); !errors.Is(err, ErrCorrupt) || string(got) != "before" {
		t.Errorf("Filter: %q, %v", got, err)
	}
}

// A reader keeps the string table of one block for the next if that has the same.
func TestReaderForgetsTheStringsOfAMalformedTable(t *testing.T) {
	t.Parallel()
	block := func(rows, table string) Block {
		h := blockHeader{count: 1, span: 1, segments: SegmentSet{1}}
		b, _, err := ParseBlock(appendBlock(nil, h, []byte(rows+table), len(rows), NoCompression))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var r BlockReader
	if _, err := r.AppendMessages(nil, block("\x04\x00\x00\x00\x00", "\x01a\x09"), 0); !errors.Is(err, ErrCorrupt) {
		t.Errorf("malformed table: %v", err)
	}
	if got, err := r.AppendMessages(nil, block("\x04\x00\x00\x01\x00", ""), 0); !errors.Is(err, ErrCorrupt) {
		t.Errorf("type from the table of another block: %+v, %v", got, err)
	}
}

// A tracker never gets a block whose bitmap lacks its segments, so a wrong bitmap would hide messages.
func TestValidateComparesTheSegments(t *testing.T) {
	t.Parallel()
	rows := "\x04\x00\x07\x00\x00"
	for _, segments := range []SegmentSet{{}, {1 << 8}, {1 << 7, 1}} {
		h := blockHeader{count: 1, span: 1, segments: segments}
		b, _, err := ParseBlock(appendBlock(nil, h, []byte(rows), len(rows), NoCompression))
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Validate(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("segments %x for a row of segment 7: %v, want ErrCorrupt", segments, err)
		}
	}
}

// The checksum does not protect from a hostile writer, so compressed forms may be anything.
func TestReadersRefuseMalformedCompression(t *testing.T) {
	t.Parallel()
	for _, c := range []Compression{Snappy, LZ4, Zstd} {
		original := pack(t, flights(40), c).Bytes()
		for name, damage := range map[string]func(block []byte) []byte{
			"body of other bytes":   func(b []byte) []byte { clear(b[blockHeaderBytes:]); return b },
			"longer than promised":  func(b []byte) []byte { b[rawBytesAt]--; return b },
			"shorter than promised": func(b []byte) []byte { b[rawBytesAt]++; return b },
			"cut": func(b []byte) []byte {
				binary.LittleEndian.PutUint32(b[storedBytesAt:], uint32(len(b)-blockHeaderBytes-10))
				return b[:len(b)-10]
			},
			"nothing": func(b []byte) []byte {
				binary.LittleEndian.PutUint32(b[storedBytesAt:], 0)
				return b[:blockHeaderBytes]
			},
		} {
			t.Run(c.String()+"/"+name, func(t *testing.T) {
				t.Parallel()
				data := damage(slices.Clone(original))
				binary.LittleEndian.PutUint32(data[checksumAt:], blockChecksum(data))
				expectCorruptRows(t, data)
			})
		}
	}
}
