package message

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write testdata/block anew")

// goldenMessages use every field of the format.
var goldenMessages = []Message{
	{Type: "shop.OrderPlaced", Payload: []byte(`{"order":1}`), Timestamp: 1_756_900_800_000, Routed: true, Segment: 42},
	{Type: "shop.OrderPlaced", Payload: []byte(`{"order":2}`), Timestamp: 1_756_900_800_123},
	{Timestamp: 1_756_900_799_999, ID: "5b2f0c8e7d914c3aa1b2c3d4e5f60718", Routed: true, Segment: 300},
	{
		Type: "shop.Order", Revision: -2, Format: "text/plain", Payload: []byte{}, Timestamp: 1, ID: "order-1",
		Metadata: map[string]string{"$traceId": "115140250828800000", "$clientId": "c1", "": ""},
		Source:   "client-1", Target: "tracker-7", Request: NewRequestID(-3),
	},
	{
		Type: "shop.OrderPlaced", Payload: bytes.Repeat([]byte("abcdefgh"), 40), Timestamp: 1_756_900_800_200, Segment: -1, Routed: true,
		Target: "client-1", Request: NewRequestID(0), Metadata: map[string]string{"$clientId": "c2"},
	},
}

var goldenBlockID = BlockID{0xf0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}

// Blocks in testdata were written once and must be readable for ever. Uncompressed ones must also still be written so; the
// bytes of compressed ones may change with the compressor.
func TestGoldenBlocks(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"none", "snappy", "lz4", "zstd", "sparse"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("testdata", "block", name+".hex")
			data := writeGolden(t, name)
			if *rewrite {
				if err := os.WriteFile(file, []byte(hex.Dump(data)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			golden := readHexDump(t, file)
			if isReproducible := name == "none" || name == "sparse"; isReproducible && !bytes.Equal(data, golden) {
				t.Errorf("the format has drifted from %s:\n%s", file, hex.Dump(data))
			}
			got, err := parse(t, golden).AppendMessages(nil, 1000)
			if err != nil {
				t.Fatal(err)
			}
			want := delivered(goldenMessages, goldenBlockID, 1000)
			if name == "sparse" {
				want = []Message{want[1], want[4]}
			}
			expectMessages(t, got, want)
		})
	}
}

func writeGolden(t *testing.T, name string) []byte {
	t.Helper()
	c := map[string]Compression{"snappy": Snappy, "lz4": LZ4, "zstd": Zstd, "none": NoCompression, "sparse": NoCompression}[name]
	var w BlockWriter
	w.Reset(goldenBlockID)
	data := seal(t, &w, goldenMessages, c)
	if name != "sparse" {
		return data
	}
	odd := BlockFilter{Message: func(m MessageInfo) bool { return m.Ordinal == 1 || m.Ordinal == 4 }}
	data, _, err := parse(t, data).Filter(nil, odd, NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// readHexDump reads what hex.Dump wrote: an offset, up to 16 bytes, and the same as text.
func readHexDump(t *testing.T, file string) (data []byte) {
	t.Helper()
	dump, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(dump) {
		for _, field := range bytes.Fields(line[8:min(len(line), 60)]) {
			b, err := hex.AppendDecode(nil, field)
			if err != nil {
				t.Fatal(err)
			}
			data = append(data, b...)
		}
	}
	return data
}
