package message

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFilterKeepsIndexesAndIDs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		messages := rapid.SliceOfN(anyMessage, 1, 30).Draw(rt, "messages")
		b := pack(t, messages, anyCompression.Draw(rt, "compression"))
		want := delivered(messages, b.ID(), 500)
		for range rapid.IntRange(1, 3).Draw(rt, "filters") { // a filtered block can be filtered again
			b, want = filterSome(t, rt, b, want)
		}
	})
}

// filterSome drops random ordinals of a block that holds the messages.
func filterSome(t *testing.T, rt *rapid.T, b Block, messages []Message) (Block, []Message) {
	drops := rapid.SliceOfN(rapid.Bool(), b.Span(), b.Span()).Draw(rt, "drops")
	data, kept, err := b.Filter(nil, BlockFilter{Message: func(m MessageInfo) bool {
		i := slices.IndexFunc(messages, func(want Message) bool { return want.Index == 500+Index(m.Ordinal) })
		if want := messages[i]; m.Type != want.Type || m.Target != want.Target || m.Segment != want.RoutingSegment() {
			rt.Fatalf("filter saw %+v of %+v", m, want)
		}
		return !drops[m.Ordinal]
	}}, Snappy)
	if err != nil {
		rt.Fatal(err)
	}
	messages = slices.DeleteFunc(messages, func(m Message) bool { return drops[m.Index-500] })
	filtered := parse(t, data)
	got, err := filtered.AppendMessages(nil, 500)
	if err != nil {
		rt.Fatal(err)
	}
	expectMessages(rt, got, messages)
	if kept != len(messages) || filtered.Count() != kept || filtered.Span() != b.Span() || filtered.ID() != b.ID() {
		rt.Fatalf("kept %d, header %+v", kept, filtered.header)
	}
	return filtered, messages
}

func TestFilterAsksOncePerType(t *testing.T) {
	t.Parallel()
	messages := slices.Repeat([]Message{{Type: "a"}, {Type: "b"}, {}, {Type: "a", Target: "b"}}, 10)
	b := pack(t, messages, Snappy)
	var asked []string
	data, kept, err := b.Filter(nil, BlockFilter{
		Type: func(name string) bool {
			asked = append(asked, name)
			return name == "b"
		},
		Message: func(m MessageInfo) bool { return m.Type != "a" },
	}, Snappy)
	if err != nil || kept != 20 {
		t.Fatalf("kept %d, %v, want all of type b and without type", kept, err)
	}
	if got := strings.Join(asked, " "); got != "a b" {
		t.Errorf("asked for types %s, want a b", got)
	}
	got, err := parse(t, data).AppendMessages(nil, 0)
	if err != nil || got[0].Index != 1 || got[19].Index != 38 {
		t.Errorf("indexes %d ... %d, %v", got[0].Index, got[19].Index, err)
	}
}

func TestFilterThatDropsEverythingKeepsTheSpan(t *testing.T) {
	t.Parallel()
	b := pack(t, flights(100), Snappy)
	none := BlockFilter{Message: func(MessageInfo) bool { return false }}
	data, kept, err := b.Filter(nil, none, Snappy)
	if err != nil || kept != 0 || len(data) != blockHeaderBytes {
		t.Fatalf("kept %d in %d bytes, %v", kept, len(data), err)
	}
	empty := parse(t, data)
	if empty.Span() != 100 || empty.ID() != b.ID() || !empty.Segments().Empty() {
		t.Errorf("header %+v", empty.header)
	}
	if data, _, err = empty.Filter(nil, none, Snappy); err != nil || len(data) != blockHeaderBytes {
		t.Errorf("filtered again: %d bytes, %v", len(data), err)
	}
}

func TestFilterThatDropsNothingCopiesTheBlock(t *testing.T) {
	t.Parallel()
	b := pack(t, flights(100), Zstd)
	data, kept, err := b.Filter([]byte("before"), BlockFilter{}, Snappy)
	if err != nil || kept != 100 || string(data) != "before"+string(b.Bytes()) {
		t.Errorf("kept %d in %d bytes of %d, %v", kept, len(data), len(b.Bytes()), err)
	}
}

// A filtered block may be larger than the largest block that is not, and must still be read.
func TestFilterAddsLittle(t *testing.T) {
	t.Parallel()
	messages := slices.Repeat([]Message{{Timestamp: 1, Routed: true}}, MaxBlockMessages)
	b := pack(t, messages, Snappy)
	rowBytes := b.RawLen() / b.Count()
	for name, keep := range map[string]func(ordinal int) bool{
		"all but the first": func(ordinal int) bool { return ordinal > 0 },
		"every other":       func(ordinal int) bool { return ordinal%2 == 1 },
		"every 129th":       func(ordinal int) bool { return ordinal%129 == 128 },
		"the last":          func(ordinal int) bool { return ordinal == MaxBlockMessages-1 },
	} {
		data, kept, err := b.Filter(nil, BlockFilter{Message: func(m MessageInfo) bool { return keep(m.Ordinal) }}, Snappy)
		if err != nil {
			t.Fatal(err)
		}
		if gapBytes := parse(t, data).RawLen() - kept*rowBytes; gapBytes > maxGapBytes {
			t.Errorf("%s: gaps take %d bytes, at most %d", name, gapBytes, maxGapBytes)
		}
	}
	h := blockHeader{sparse: true, count: 1, span: 1, rowBytes: 100, rawBytes: MaxBlockBytes + maxGapBytes}
	if err := h.check(); err != nil {
		t.Error(err)
	}
	if h.rawBytes++; h.check() == nil {
		t.Error("no limit for filtered blocks")
	}
}
