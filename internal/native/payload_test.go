package native

import (
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

func TestPayloadsComeBackAsJSONOnlyWhenNothingIsLost(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		format, payload string
		json            bool
	}{
		{"", `{"a":[1,2.5,null,true,"x"]}`, true},
		{"application/json; charset=utf-8", `1`, true},
		{"application/problem+json", `{}`, true},
		{"text/plain", `1`, false},
		{"", ``, false},
		{"", `{`, false},
		{"", `1 2`, false},
		{"", "\"\xff\"", false},
		{"", `9007199254740991`, true},
		{"", `9007199254740993`, false},
		{"", `[{"id":1152921504606846977}]`, false},
		{"", `0.30000000000000004`, true},
		{"", `0.1`, true},
		{"", `100.00`, true},
		{"", `-1.5e300`, true},
		{"", `1e400`, false},
		{"", `3.14159265358979323846264338327950288`, false},
	} {
		out := writeMessage(&message.Message{Format: test.format, Payload: []byte(test.payload)}, false)
		if _, isJSON := out.GetPayload().(*fluxv1.Message_Json); isJSON != test.json {
			t.Errorf("%s %s as JSON: %v, want %v", test.format, test.payload, isJSON, test.json)
		}
		if !test.json && string(out.GetData()) != test.payload {
			t.Errorf("data %q, want %q", out.GetData(), test.payload)
		}
	}
	if out := writeMessage(&message.Message{}, false); out.GetPayload() != nil {
		t.Errorf("no payload came back as %v", out.GetPayload())
	}
}

// What anybody may send must be refused, or stored so that it is read back and stored again with the same result.
func FuzzMessageJSON(f *testing.F) {
	for _, seed := range []string{
		`{"type":"a","json":{"b":[1,1e9,"x"]},"key":"k","metadata":{"a":"b"},"requestId":0}`,
		`{"data":"AAE=","format":"text/plain","segment":-5,"id":"00112233445566778899aabbccddeeff","timestamp":"-1"}`,
		`{"json":null,"revision":-1,"source":"s","target":"t"}`,
		`{"type":"\u0000"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var in fluxv1.Message
		if protojson.Unmarshal(raw, &in) != nil {
			return
		}
		first, ok := storeAndRead(t, &in)
		if !ok {
			return
		}
		if _, err := protojson.Marshal(first); err != nil {
			t.Fatalf("%v cannot be written: %v", first, err)
		}
		first.Index = 0
		second, ok := storeAndRead(t, first)
		if !ok {
			t.Fatalf("%v is refused when it is stored again", first)
		}
		if second.Index = 0; !proto.Equal(first, second) {
			t.Errorf("read %v\nthen %v", first, second)
		}
	})
}

func storeAndRead(t *testing.T, in *fluxv1.Message) (*fluxv1.Message, bool) {
	t.Helper()
	m, err := readMessage(in)
	if err != nil {
		return nil, false
	}
	var w message.BlockWriter
	if err := w.Add(&m); err != nil {
		return nil, false
	}
	block, _, err := message.ParseBlock(w.Seal(nil, message.LZ4))
	if err != nil {
		t.Fatal(err)
	}
	read, err := block.AppendMessages(nil, 7)
	if err != nil {
		t.Fatal(err)
	}
	out := writeMessage(&read[0], false)
	for _, s := range []string{out.GetType(), out.GetId(), out.GetSource()} {
		if !utf8.ValidString(s) {
			t.Fatalf("%q is no text", s)
		}
	}
	return out, true
}
