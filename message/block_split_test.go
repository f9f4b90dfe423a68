package message

import (
	"bytes"
	"testing"
)

func TestSplitIsAFilterForEachPart(t *testing.T) {
	t.Parallel()
	b := pack(t, flights(1000), Snappy)
	part := func(m MessageInfo) int { return m.Segment%7 - 1 } // some belong to none, and part 4 is left empty
	sparse := func(m MessageInfo) int {
		if part(m) == 4 {
			return -1
		}
		return part(m)
	}
	parts, err := b.Split(sparse, Snappy)
	if err != nil || len(parts) != 6 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	for i, got := range parts {
		want, kept, err := b.Filter(nil, BlockFilter{Message: func(m MessageInfo) bool { return sparse(m) == i }}, Snappy)
		if err != nil {
			t.Fatal(err)
		}
		if kept == 0 {
			want = nil
		}
		if !bytes.Equal(got, want) {
			t.Errorf("part %d: %d bytes, a filter makes %d of %d messages", i, len(got), len(want), kept)
		}
	}
}

func TestSplitIntoOnePartIsTheBlock(t *testing.T) {
	t.Parallel()
	b := pack(t, flights(100), Snappy)
	parts, err := b.Split(func(MessageInfo) int { return 1 }, Snappy)
	if err != nil || len(parts) != 2 || parts[0] != nil || &parts[1][0] != &b.Bytes()[0] {
		t.Errorf("%d parts, %v", len(parts), err)
	}
	if parts, err := (Block{}).Split(func(MessageInfo) int { return 0 }, Snappy); err != nil || parts != nil {
		t.Errorf("empty block: %d parts, %v", len(parts), err)
	}
}
