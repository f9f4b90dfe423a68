package message

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

func addBlocks(f *testing.F) {
	for _, c := range []Compression{Snappy, NoCompression, LZ4, Zstd} {
		f.Add(pack(f, goldenMessages, c).Bytes())
		f.Add(append(pack(f, flights(2), c).Bytes(), pack(f, withMetadata(flights(20)), c).Bytes()...))
	}
	odd := BlockFilter{Message: func(m MessageInfo) bool { return m.Ordinal%2 == 1 }}
	sparse, _, err := pack(f, withMetadata(flights(20)), Snappy).Filter(nil, odd, NoCompression)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sparse)
}

// FuzzParseBlock reads arbitrary bytes as blocks, with their checksums put right to get to the rows. What Validate accepts,
// readers and filters must accept; what they accept must survive being packed again.
func FuzzParseBlock(f *testing.F) {
	addBlocks(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		for len(data) > 0 {
			b, rest, err := ParseBlock(data)
			if err != nil {
				if !errors.Is(err, ErrNotBlock) && !errors.Is(err, ErrVersion) && !errors.Is(err, ErrCorrupt) {
					t.Fatalf("unknown error %v", err)
				}
				return
			}
			if b.RawLen() < 1<<20 { // the limits have tests of their own
				checkAnyBlock(t, b)
			}
			data = rest
		}
	})
}

func checkAnyBlock(t *testing.T, b Block) {
	binary.LittleEndian.PutUint32(b.data[checksumAt:], blockChecksum(b.data))
	valid := b.Validate()
	messages, err := b.AppendMessages(nil, 1000)
	if valid == nil && err != nil {
		t.Fatalf("valid, but cannot be read: %v", err)
	}
	if err != nil && !errors.Is(err, ErrCorrupt) {
		t.Fatalf("unknown error %v", err)
	}
	filtered, kept, filterErr := b.Filter(nil, BlockFilter{Message: func(m MessageInfo) bool { return m.Ordinal%2 == 0 }}, Snappy)
	if (filterErr == nil) != (err == nil) {
		t.Fatalf("reader says %v, filter %v", err, filterErr)
	}
	if err != nil {
		return
	}
	got, err := parse(t, withSegments(filtered, kept)).AppendMessages(nil, 1000)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.DeleteFunc(slices.Clone(messages), func(m Message) bool { return (m.Index-1000)%2 != 0 })
	expectMessages(t, got, visibles(want))
	repackAny(t, messages)
}

// withSegments puts the segments of the header right, which Filter copies with a block of which it keeps everything.
func withSegments(data []byte, kept int) []byte {
	b, _, err := ParseBlock(data)
	if err != nil || kept != b.Count() {
		return data // and let parse complain
	}
	messages, err := b.AppendMessages(nil, 0)
	if err != nil {
		return data
	}
	h := b.header
	h.segments = SegmentSet{}
	for i := range messages {
		h.segments.Add(messages[i].RoutingSegment())
	}
	h.put(data)
	return data
}

func visibles(messages []Message) []Message {
	out := slices.Clone(messages)
	for i := range out {
		out[i] = visible(out[i])
	}
	return out
}

func repackAny(t *testing.T, messages []Message) {
	if len(messages) == 0 || slices.ContainsFunc(messages, func(m Message) bool { return m.Timestamp == 0 }) {
		return
	}
	got, err := pack(t, messages, NoCompression).AppendMessages(nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := visibles(messages)
	for i := range want {
		want[i].Index = Index(i)
	}
	expectMessages(t, got, want)
}

// FuzzBlockFilter packs arbitrary messages and drops arbitrary ones of them.
func FuzzBlockFilter(f *testing.F) {
	f.Add([]byte("some payload, cut into messages"), []byte{3, 0, 130, 7}, uint64(0b1011))
	f.Add(bytes.Repeat([]byte("abc"), 300), []byte{200, 1, 2}, uint64(0))
	f.Fuzz(func(t *testing.T, text, lengths []byte, keep uint64) {
		var messages []Message
		for i, n := range lengths[:min(len(lengths), 500)] {
			cut := min(int(n), len(text))
			m := Message{Type: string(text[:cut/8]), Payload: text[:cut], Timestamp: int64(n)<<i | 1, Routed: n%2 == 0, Segment: int32(n)}
			if !m.Routed {
				m.Segment, m.Target = 0, string(text[:cut/2])
			}
			messages = append(messages, m)
			text = text[cut:]
		}
		if len(messages) == 0 {
			return
		}
		b := pack(t, messages, Compression(keep%uint64(numCompressions)))
		want := delivered(messages, b.ID(), 0)
		kept := func(ordinal int) bool { return keep>>(ordinal%64)&1 == 1 }
		data, _, err := b.Filter(nil, BlockFilter{Message: func(m MessageInfo) bool { return kept(m.Ordinal) }}, LZ4)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parse(t, data).AppendMessages(nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		expectMessages(t, got, slices.DeleteFunc(want, func(m Message) bool { return !kept(int(m.Index)) }))
	})
}
