package message

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var anyCompression = rapid.SampledFrom([]Compression{Snappy, NoCompression, LZ4, Zstd})

// anyMessage draws messages with every field set or not, small and large, well formed text and not.
var anyMessage = rapid.Custom(func(t *rapid.T) Message {
	text := rapid.OneOf(rapid.Just(""), rapid.SampledFrom([]string{"shop.OrderPlaced", "a", "\xff\x00"}), rapid.String())
	m := Message{
		Type:      text.Draw(t, "type"),
		Revision:  rapid.OneOf(rapid.Just(int32(0)), rapid.Int32()).Draw(t, "revision"),
		Format:    text.Draw(t, "format"),
		Payload:   rapid.SampledFrom([][]byte{nil, {}, []byte("{}"), make([]byte, 300), []byte(strings.Repeat("ab", 70))}).Draw(t, "payload"),
		ID:        anyID(t),
		Timestamp: rapid.OneOf(rapid.Int64(), rapid.Int64Range(1_756_900_800_000, 1_756_900_900_000)).Draw(t, "timestamp"),
		Routed:    rapid.Bool().Draw(t, "routed"),
		Source:    text.Draw(t, "source"),
		Target:    text.Draw(t, "target"),
	}
	if m.Timestamp == 0 {
		m.Timestamp = 1 // 0 means now
	}
	if m.Routed {
		m.Segment = rapid.OneOf(rapid.Int32Range(-1, 300), rapid.Int32()).Draw(t, "segment")
	}
	if rapid.Bool().Draw(t, "isRequest") {
		m.Request = NewRequestID(rapid.OneOf(rapid.Int32Range(-2, 2), rapid.Int32()).Draw(t, "request"))
	}
	if rapid.Bool().Draw(t, "hasMetadata") {
		m.Metadata = rapid.MapOfN(text, text, 0, 4).Draw(t, "metadata")
	}
	return m
})

func anyID(t *rapid.T) string {
	hex := BlockID{7}.MessageID(rapid.Uint32().Draw(t, "number"))
	return rapid.SampledFrom([]string{"", "", hex, strings.ToUpper("abcdef" + hex[6:]), hex[1:], "order-1"}).Draw(t, "id")
}

// pack returns the block of the messages.
func pack(tb testing.TB, messages []Message, c Compression) Block {
	tb.Helper()
	var w BlockWriter
	return parse(tb, seal(tb, &w, messages, c))
}

func seal(tb testing.TB, w *BlockWriter, messages []Message, c Compression) []byte {
	tb.Helper()
	for i := range messages {
		if err := w.Add(&messages[i]); err != nil {
			tb.Fatal(err)
		}
	}
	return w.Seal(nil, c)
}

// parse returns the valid block that data consists of.
func parse(tb testing.TB, data []byte) Block {
	tb.Helper()
	b, rest, err := ParseBlock(data)
	if err != nil || len(rest) > 0 {
		tb.Fatalf("ParseBlock: %d bytes left, %v", len(rest), err)
	}
	if err := b.Validate(); err != nil {
		tb.Fatal(err)
	}
	return b
}

// delivered returns what readers should see of messages that were published in a block.
func delivered(messages []Message, id BlockID, first Index) []Message {
	out := slices.Clone(messages)
	for i := range out {
		m := &out[i]
		m.Index = first + Index(i)
		if m.ID == "" {
			m.ID = id.MessageID(uint32(i))
		}
		if !m.Routed {
			m.Segment = int32(SegmentOf(m.ID))
		}
		if len(m.Metadata) == 0 {
			m.Metadata = nil
		}
	}
	return out
}

// visible returns the message as readers see it, whatever it consists of.
func visible(m Message) Message {
	m.ID = m.MessageID()
	m.id, m.hasID, m.read = binaryID{}, false, false
	return m
}

func expectMessages(tb interface {
	Helper()
	Fatalf(string, ...any)
}, got, want []Message,
) {
	tb.Helper()
	if len(got) != len(want) {
		tb.Fatalf("got %d messages, want %d", len(got), len(want))
	}
	for i := range got {
		if got := visible(got[i]); !reflect.DeepEqual(got, want[i]) {
			tb.Fatalf("message %d:\n got %+v\nwant %+v", i, got, want[i])
		}
	}
}

func TestBlockKeepsEverything(t *testing.T) {
	t.Parallel()
	var w BlockWriter
	var r BlockReader
	rapid.Check(t, func(rt *rapid.T) {
		messages := rapid.SliceOfN(anyMessage, 1, 20).Draw(rt, "messages")
		c := anyCompression.Draw(rt, "compression")
		first := Index(rapid.Int64Range(0, math.MaxInt64>>1).Draw(rt, "first"))
		id := w.ID()
		b := parse(t, seal(t, &w, messages, c))

		got, err := r.AppendMessages(nil, b, first)
		if err != nil {
			rt.Fatal(err)
		}
		want := delivered(messages, id, first)
		expectMessages(rt, got, want)
		var segments SegmentSet
		for i := range got {
			segments.Add(got[i].RoutingSegment())
			if segment := want[i].RoutingSegment(); got[i].RoutingSegment() != segment {
				rt.Fatalf("message %d has segment %d, want %d", i, got[i].RoutingSegment(), segment)
			}
		}
		if b.Segments() != segments || b.ID() != id || b.Count() != len(messages) || b.Span() != len(messages) {
			rt.Fatalf("header %+v does not fit", b.header)
		}

		// What was read keeps its id and segment when it is packed again, and clones outlive the reader's memory.
		again := parse(t, seal(t, &w, got, c))
		for i := range got {
			got[i] = *got[i].Clone()
		}
		r.Reset()
		repacked, err := r.AppendMessages(nil, again, first)
		if err != nil {
			rt.Fatal(err)
		}
		expectMessages(rt, got, want)
		expectMessages(rt, repacked, want)
		r.Reset()
	})
}

func TestEqualMessagesMakeEqualBlocks(t *testing.T) {
	t.Parallel()
	messages := withMetadata(flights(50))
	var w BlockWriter
	sealed := func() []byte {
		w.Reset(BlockID{1, 2, 3})
		return seal(t, &w, messages, Snappy)
	}
	if !bytes.Equal(sealed(), sealed()) {
		t.Error("the bytes of a block depend on more than its messages and its id")
	}
}

func TestBlocksGetDifferentIDs(t *testing.T) {
	t.Parallel()
	seen := map[BlockID]bool{}
	var w BlockWriter
	for range 1000 {
		b := parse(t, seal(t, &w, []Message{{Timestamp: 1}}, Snappy))
		if seen[b.ID()] {
			t.Fatalf("id %s twice", b.ID())
		}
		seen[b.ID()] = true
	}
}

func TestMessageIDFollowsBlock(t *testing.T) {
	t.Parallel()
	id := BlockID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255}
	if got, want := id.MessageID(0xa1b2), "000102030405060708090aff0000a1b2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, ordinal := range []int{0, 9, 10, 0x9a9f, MaxBlockMessages - 1} {
		if got, want := id.hash().segment(ordinal), SegmentOf(id.MessageID(uint32(ordinal))); got != want {
			t.Errorf("segment of ordinal %d is %d, want %d", ordinal, got, want)
		}
	}
}

func TestWriterStampsMessagesWithoutTimestamp(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(5_000)
	w := BlockWriter{Now: func() time.Time {
		now = now.Add(time.Second)
		return now
	}}
	messages := slices.Repeat([]Message{{}}, 2*nowUsesMax)
	messages[1].Timestamp = -7
	got, err := parse(t, seal(t, &w, messages, Snappy)).AppendMessages(nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Timestamp != 6_000 || got[1].Timestamp != -7 || got[2].Timestamp != 6_000 || got[2*nowUsesMax-1].Timestamp != 7_000 {
		t.Errorf("timestamps %d, %d, %d, ... %d", got[0].Timestamp, got[1].Timestamp, got[2].Timestamp, got[2*nowUsesMax-1].Timestamp)
	}
	before := time.Now().UnixMilli()
	got, err = pack(t, []Message{{}}, Snappy).AppendMessages(nil, 0)
	if after := time.Now().UnixMilli(); err != nil || got[0].Timestamp < before || got[0].Timestamp > after {
		t.Errorf("timestamp %d, want %d to %d; %v", got[0].Timestamp, before, after, err)
	}
}

func TestWriterRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	huge := Message{Type: "huge", Payload: make([]byte, MaxBlockBytes), Metadata: map[string]string{"size": "huge"}}
	var w BlockWriter
	if err := w.Add(&huge); !errors.Is(err, ErrTooLarge) {
		t.Errorf("first message: %v, want ErrTooLarge", err)
	}
	if w.Len() != 0 || w.SizeBytes() != 0 || w.Seal(nil, Snappy) != nil {
		t.Errorf("%d messages and %d bytes left behind", w.Len(), w.SizeBytes())
	}
	small := Message{Type: "small", Timestamp: 1, Metadata: map[string]string{"size": "small"}}
	if err := w.Add(&small); err != nil {
		t.Fatal(err)
	}
	size := w.SizeBytes()
	if err := w.Add(&huge); !errors.Is(err, ErrBlockFull) || w.SizeBytes() != size {
		t.Errorf("second message: %v, want ErrBlockFull; %d bytes, want %d", err, w.SizeBytes(), size)
	}
	if err := w.Add(&small); err != nil {
		t.Fatal(err)
	}
	id := w.ID()
	got, err := parse(t, w.Seal(nil, Snappy)).AppendMessages(nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	expectMessages(t, got, delivered([]Message{small, small}, id, 0))
}

func TestWriterIsFullAtItsLimits(t *testing.T) {
	t.Parallel()
	t.Run("messages", func(t *testing.T) {
		t.Parallel()
		var w BlockWriter
		for range MaxBlockMessages {
			if err := w.Add(&Message{Timestamp: 1}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Add(&Message{}); !errors.Is(err, ErrBlockFull) {
			t.Errorf("%v, want ErrBlockFull", err)
		}
		parse(t, w.Seal(nil, Snappy))
	})
	t.Run("strings", func(t *testing.T) {
		t.Parallel()
		var w BlockWriter
		metadata := make(map[string]string)
		for i := range maxBlockStrings {
			metadata[fmt.Sprint(i)] = ""
		}
		if err := w.Add(&Message{Metadata: metadata, Type: "one too many"}); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%v, want ErrTooLarge", err)
		}
		if err := w.Add(&Message{Metadata: metadata}); err != nil {
			t.Fatal(err)
		}
		if err := w.Add(&Message{Type: "one too many"}); !errors.Is(err, ErrBlockFull) {
			t.Errorf("%v, want ErrBlockFull", err)
		}
		parse(t, w.Seal(nil, Snappy))
	})
}

func TestBodiesAreCompressedWhenItPays(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 1000)
	for i := range noise {
		noise[i] = byte(murmur3(fmt.Sprint(i)))
	}
	for _, c := range []Compression{NoCompression, Snappy, LZ4, Zstd} {
		for name, tc := range map[string]struct {
			payload []byte
			want    Compression
		}{
			"tiny":         {make([]byte, 20), NoCompression},
			"noise":        {noise, NoCompression},
			"compressible": {make([]byte, 1000), c},
		} {
			if b := pack(t, []Message{{Payload: tc.payload}}, c); b.Compression() != tc.want {
				t.Errorf("%s with %s: compression %s, want %s", name, c, b.Compression(), tc.want)
			}
		}
	}
}

func TestBlocksBackToBack(t *testing.T) {
	t.Parallel()
	messages := flights(60)
	var w BlockWriter
	var value []byte
	for i := range 3 {
		value = append(value, seal(t, &w, messages[20*i:20*i+20], Snappy)...)
	}
	var got []Message
	first := Index(1000)
	for b, err := range Blocks(value) {
		if err == nil {
			got, err = b.AppendMessages(got, first)
		}
		if err != nil {
			t.Fatal(err)
		}
		first += Index(b.Span())
	}
	if len(got) != len(messages) {
		t.Fatalf("%d messages, want %d", len(got), len(messages))
	}
	var segments SegmentSet
	for i := range got {
		segments.Add(got[i].RoutingSegment())
		if got[i].Index != Index(1000+i) || !bytes.Equal(got[i].Payload, messages[i].Payload) {
			t.Fatalf("message %d has index %d and payload %s", i, got[i].Index, got[i].Payload)
		}
	}
	summary, err := SummarizeBlocks(value)
	if err != nil || summary.Blocks != 3 || summary.Count != 60 || summary.Span != 60 || summary.Segments != segments {
		t.Errorf("summary %+v, %v", summary, err)
	}
	if _, err := SummarizeBlocks(value[:len(value)-1]); !errors.Is(err, ErrCorrupt) {
		t.Errorf("last block cut: %v, want ErrCorrupt", err)
	}
	if _, err := SummarizeBlocks(append(value, "rest"...)); !errors.Is(err, ErrNotBlock) {
		t.Errorf("text after the last block: %v, want ErrNotBlock", err)
	}
	if summary, err := SummarizeBlocks(nil); err != nil || summary != (BlockSummary{}) {
		t.Errorf("no blocks: %+v, %v", summary, err)
	}
}

func TestReadMessagesKeepTheirPayloadsUntilReset(t *testing.T) {
	t.Parallel()
	var r BlockReader
	var want [][]byte
	for round := range 3 {
		var got []Message
		want = want[:0]
		for i := range 50 {
			messages := flights(1 + (7*i+round)%13)
			b := pack(t, messages, Snappy)
			var err error
			if got, err = r.AppendMessages(got, b, 0); err != nil {
				t.Fatal(err)
			}
			for _, m := range messages {
				want = append(want, m.Payload)
			}
		}
		for i := range got {
			if !bytes.Equal(got[i].Payload, want[i]) {
				t.Fatalf("round %d: payload %d became %q, want %q", round, i, got[i].Payload, want[i])
			}
			_ = append(got[i].Payload, "appending must not reach the next payload"...)
		}
		r.Reset()
	}
}

// Reading and writing are the busiest loops of Flux. Not parallel: it counts the allocations of the process.
func TestBlocksAreReadAndWrittenWithoutAllocating(t *testing.T) {
	messages := flights(500)
	b := pack(t, messages, Snappy)
	var r BlockReader
	var w BlockWriter
	in := make([]Message, 0, len(messages))
	out := make([]byte, 0, 1<<20)
	allocs := testing.AllocsPerRun(20, func() {
		r.Reset()
		in, _ = r.AppendMessages(in[:0], b, 0)
		for i := range messages {
			_ = w.Add(&messages[i])
		}
		out = w.Seal(out[:0], Snappy)
	})
	if allocs > 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}
