package message

import (
	"errors"
	"testing"
)

func TestBlockKeepsMessages(t *testing.T) {
	t.Parallel()
	var w BlockWriter
	in := []Message{
		{Type: "a", Payload: []byte("x"), Timestamp: 5},
		{},
		{
			Type: "b", Format: "f", Revision: -3, Metadata: map[string]string{"k": "v", "": ""}, ID: "id", Routed: true,
			Segment: 300, Source: "s", Target: "t", Request: NewRequestID(-1), Timestamp: -9, Payload: []byte{},
		},
	}
	for i := range in {
		if err := w.Add(&in[i]); err != nil {
			t.Fatal(err)
		}
	}
	data := w.Seal(nil, Snappy)
	b, rest, err := ParseBlock(data)
	if err != nil || len(rest) > 0 || b.Validate() != nil {
		t.Fatal(err, b.Validate())
	}
	out, err := b.AppendMessages(nil, 100)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", out)
	_, kept, err := b.Filter(nil, BlockFilter{Type: func(n string) bool { return n == "b" }}, Snappy)
	if kept != 2 || err != nil {
		t.Fatal(kept, err)
	}
	if _, _, err := ParseBlock(data[:70]); !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
}
