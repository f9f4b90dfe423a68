package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

const limit = 64 << 20

func TestCompressionVectors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, lz4 string }{
		{`{"@type":"void","requestId":1}`, "0000001ef00f7b224074797065223a22766f6964222c22726571756573744964223a317d"},
		{strings.Repeat("a", 40), "000000281f6101000f506161616161"},
		{"", "0000000000"},
		{"", "00000000"},
	} {
		packed, err := hex.DecodeString(c.lz4)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decompress(packed, LZ4, limit)
		if err != nil || string(got) != c.text {
			t.Errorf("%s: got %q, %v", c.lz4, got, err)
		}
	}
	if got := AppendCompressed(nil, []byte(`{"@type":"void","requestId":1}`), LZ4); hex.EncodeToString(got) !=
		"0000001ef00f7b224074797065223a22766f6964222c22726571756573744964223a317d" {
		t.Errorf("a short text is packed as %x", got)
	}
}

func TestCompressionRoundTrip(t *testing.T) {
	t.Parallel()
	random := make([]byte, 1<<20)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(random)
	contents := map[string][]byte{
		"one byte": {'x'}, "short": []byte(`{"@type":"void","requestId":1}`), "random": random,
		"zeros": make([]byte, 20<<20), "text": bytes.Repeat([]byte(`{"key":"value"},`), 10000),
	}
	for c := range numCompressions {
		for name, content := range contents {
			packed := AppendCompressed([]byte("before"), content, c)
			if !bytes.HasPrefix(packed, []byte("before")) {
				t.Errorf("%s, %s: overwrote what was there", c, name)
			}
			got, err := Decompress(packed[len("before"):], c, limit)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s, %s: %d bytes came back as %d, %v", c, name, len(content), len(got), err)
			}
			if _, err := Decompress(packed[len("before"):], c, len(content)-1); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s, %s, over the limit: %v", c, name, err)
			}
		}
	}
}

// Readers take all forms that clients of either generation write.
func TestCompressionFormsOfOtherClients(t *testing.T) {
	t.Parallel()
	const text = `{"@type":"getValue"}`
	header := func(algorithm byte, content []byte) []byte {
		return append([]byte{0xff, 0, algorithm, 0, 0, 0, byte(len(text))}, content...)
	}
	block := AppendCompressed(nil, []byte(text), LZ4)[lengthBytes:]
	frame := AppendCompressed(nil, []byte(text), ZSTD)[headerBytes:]
	for _, c := range []struct {
		name   string
		packed []byte
		with   Compression
	}{
		{"header without compression", header(0, []byte(text)), ZSTD},
		{"header with LZ4 for LZ4", header(1, block), LZ4},
		{"header with LZ4 for ZSTD", header(1, block), ZSTD},
		{"header with ZSTD for LZ4", header(2, frame), LZ4},
		{"bare frame", frame, ZSTD},
		{"text for GZIP", []byte(text), GZIP},
	} {
		if got, err := Decompress(c.packed, c.with, limit); err != nil || string(got) != text {
			t.Errorf("%s: got %q, %v", c.name, got, err)
		}
	}
}

// A length that is a lie is refused before memory is allocated for it.
func TestCompressionRefusesLies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, packed string
		with         Compression
		want         error
	}{
		{"negative length", "\x80\x00\x00\x00\x10a", LZ4, ErrMalformed},
		{"huge length", "\x7f\xff\xff\xff\x10a", LZ4, ErrTooLarge},
		{"impossible ratio", "\x03\xff\xff\xff\x10a", LZ4, ErrMalformed},
		{"length too long", "\x00\x00\x00\x02\x10a", LZ4, ErrMalformed},
		{"length too short", "\x00\x00\x00\x01\x20ab", LZ4, ErrMalformed},
		{"no length", "\x00\x00", LZ4, ErrMalformed},
		{"nothing", "", LZ4, ErrMalformed},
		{"half a header", "\xff\x00\x01\x00", ZSTD, ErrMalformed},
		{"unknown algorithm", "\xff\x00\x07\x00\x00\x00\x01a", ZSTD, ErrMalformed},
		{"negative length in header", "\xff\x00\x00\xff\x00\x00\x01a", ZSTD, ErrMalformed},
		{"wrong length in header", "\xff\x00\x00\x00\x00\x00\x02a", ZSTD, ErrMalformed},
		{"no frame", "hello", ZSTD, ErrMalformed},
		{"cut gzip", "\x1f\x8b\x08\x00", GZIP, ErrMalformed},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decompress([]byte(c.packed), c.with, limit)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		if n := after.TotalAlloc - before.TotalAlloc; strings.Contains(c.name, "huge") && n > 64<<20 {
			t.Errorf("%s: allocated %d bytes", c.name, n)
		}
	}
}
