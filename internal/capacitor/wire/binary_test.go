package wire

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/flux-go/flux/message"
)

func TestBinaryRequestsAreReadAsDescribed(t *testing.T) {
	t.Parallel()
	datadriven.RunTest(t, "testdata/binary", func(t *testing.T, d *datadriven.TestData) string {
		decoder := Decoder{Format: BINARY}
		requests, err := decoder.Requests(unhex(t, d.Input))
		if err != nil {
			return "error: " + err.Error() + "\n"
		}
		var out strings.Builder
		for _, request := range requests {
			out.WriteString(show(t, request))
		}
		return out.String()
	})
}

// unhex reads bytes in hexadecimal, with spaces between them and remarks after semicolons.
func unhex(t testing.TB, text string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, ";")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	raw, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// The bytes are those that the description of the protocol has in section 15.4, written by hand.
func TestBinaryResultOfReadIsWrittenAsDescribed(t *testing.T) {
	t.Parallel()
	position := message.NewPosition(message.SegmentRange{Start: 0, End: 64}, 7)
	list := Result{ID: 4, Timestamp: 1756900800000, Format: BINARY}.BeginRead(nil, message.SegmentRange{Start: 0, End: 64})
	list.Add(&message.Message{
		Payload: []byte("{}"), Type: "T", Revision: 3, Metadata: map[string]string{"a": "b"}, Segment: 42, Routed: true, Index: 8,
		Source: "s", Target: "t", Request: message.RequestID{N: 5, Valid: true}, Timestamp: 9, ID: "m1",
	})
	list.Add(&message.Message{Routed: true, Index: 9, ID: "m2"})
	last := message.Index(9)
	got := list.EndRead(&last, position, true)
	want := unhex(t, `
		465a5457 01 05 00000001 00                        ; FZTW, version 1, read result, one element, nothing shared
		0000000000000004 000001990f72b600                 ; request 4, timestamp
		0000000000000000 0000000000000000 0000000000000000 ; other times are not told
		00000000 00000040 00000002                        ; segments 0 to 64, two messages
		00000002 7b7d 00000001 54 00000003                ; value {}, type T, revision 3
		00000010 6170706c69636174696f6e2f6a736f6e         ; format application/json
		00000001 00000001 61 00000001 62                  ; metadata a=b
		01 0000002a 01 0000000000000008                   ; segment 42, index 8
		00000001 73 00000001 74                           ; source s, target t
		01 00000005 01 0000000000000009 00000002 6d31     ; its request 5, timestamp, id
		ffffffff ffffffff 00000000                        ; no value, no type, revision 0
		00000010 6170706c69636174696f6e2f6a736f6e 00000000
		01 00000000 01 0000000000000009
		ffffffff ffffffff 00 01 0000000000000000 00000002 6d32
		01 0000000000000009                               ; last index 9
		00000001 00000000 00000040 0000000000000007       ; position of one range
		01                                                ; caught up`)
	if string(got) != string(want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
	if BINARY.Joins(got) || !BINARY.Joins(Result{Format: BINARY}.AppendVoid(nil)) {
		t.Error("results in compact form are messages of their own, others are not")
	}
	empty := Result{Format: BINARY}.BeginRead(nil, message.SegmentRange{})
	if got := empty.EndRead(nil, message.Position{}, false); !strings.HasSuffix(string(got), strings.Repeat("\x00", 4+4+4+1+4+1)) {
		t.Errorf("got %x", got)
	}
}
