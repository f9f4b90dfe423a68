package wire

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/flux-go/flux/message"
)

// Whatever a client sends as a text, reading it ends, and what package encoding/json can read is read.
func FuzzRequests(f *testing.F) {
	for _, line := range fuzzFrames(f) {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var object map[string]any
		valid := json.Unmarshal(text, &object) == nil && object != nil
		kind, _ := object["@type"].(string)
		r := newReader(JSON, bytes.Clone(text), names{})
		r.skip()
		r.end()
		if valid && r.err != nil {
			t.Fatalf("%q is JSON: %v", text, r.err)
		}
		var d Decoder
		requests, err := d.Requests(bytes.Clone(text))
		if err != nil && valid && kind != "" && kind != "requestBatch" {
			t.Fatalf("%q: %v", text, err)
		}
		for _, request := range requests {
			checkWritable(t, request)
		}
	})
}

// Whatever a client sends as CBOR or in compact form, reading it ends, and what was read can be written in all formats.
func FuzzBinary(f *testing.F) {
	for _, input := range inputs(f, "testdata/binary") {
		f.Add(unhex(f, input))
	}
	for _, line := range fuzzFrames(f) {
		if value, err := parseJSON(line); err == nil {
			f.Add(toCBOR(value, false))
			f.Add(toCBOR(value, true))
		}
	}
	for _, vector := range cborVectors {
		f.Add(unhex(f, vector.bytes))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		r := newReader(CBOR, content, names{})
		r.skip()
		if r.end(); r.at != len(content) {
			t.Fatalf("%x: the end is %d", content, r.at)
		}
		d := Decoder{Format: BINARY}
		requests, _ := d.Requests(content)
		for _, request := range requests {
			checkWritable(t, request)
		}
	})
}

// checkWritable writes all messages of a request, as the server would do later.
func checkWritable(t *testing.T, request Request) {
	var messages []message.Message
	switch request := request.(type) {
	case *Append:
		messages = request.Messages
	case *Schedule:
		for _, s := range request.Messages {
			messages = append(messages, s.Message)
		}
	}
	for format := range numFormats {
		list := Result{Format: format}.BeginRead(nil, message.AllSegments)
		for i := range messages {
			list.Add(&messages[i])
		}
		out := list.EndRead(nil, message.Position{}, false)
		if format == BINARY {
			continue
		}
		r := newReader(format, out, names{})
		r.skip()
		if r.end(); r.err != nil {
			t.Fatalf("wrote %q: %v", out, r.err)
		}
	}
}

// inputs returns the inputs of a file for datadriven.
func inputs(f *testing.F, path string) (all []string) {
	raw, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	for part := range strings.SplitSeq(string(raw), "\nread\n") {
		if input, _, ok := strings.Cut(part, "----"); ok {
			all = append(all, input)
		}
	}
	return all
}

func fuzzFrames(f *testing.F) []string {
	var lines []string
	for _, line := range strings.Split(requestFrames(f), "\n") {
		if strings.HasPrefix(line, "{") || strings.HasPrefix(line, "[") {
			lines = append(lines, line)
		}
	}
	return lines
}

// Whatever a client sends as compressed, no more than the limit comes out of it.
func FuzzDecompress(f *testing.F) {
	const limit = 1 << 20
	for c := range numCompressions {
		f.Add(AppendCompressed(nil, []byte(`{"@type":"getValue","key":"k"}`), c), uint8(c))
		f.Add(AppendCompressed(nil, bytes.Repeat([]byte("x"), limit+1), c), uint8(c))
	}
	f.Add([]byte("\x7f\xff\xff\xff\x10a"), uint8(LZ4))
	f.Fuzz(func(t *testing.T, data []byte, c uint8) {
		out, err := Decompress(data, Compression(c%uint8(numCompressions)), limit)
		if err == nil && len(out) > limit {
			t.Fatalf("%d bytes, at most %d", len(out), limit)
		}
	})
}

func requestFrames(f *testing.F) string {
	raw, err := os.ReadFile("testdata/requests")
	if err != nil {
		f.Fatal(err)
	}
	return string(raw)
}
