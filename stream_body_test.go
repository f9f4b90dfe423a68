package flux

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// envelope is a message as Connect writes it, in its two pieces.
func envelope(data []byte) (header, body []byte) {
	n := len(data)
	return []byte{0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, data
}

// TestStreamBodyGivesEachMessageWhole writes messages as Connect does, and reads them with buffers of any size, as net/http does.
func TestStreamBodyGivesEachMessageWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(0, 300), 0, 5).Draw(t, "sizes")
		buffer := make([]byte, rapid.IntRange(1, 400).Draw(t, "buffer"))
		reader, writer := io.Pipe()
		var want [][]byte
		for i, size := range sizes {
			header, body := envelope(bytes.Repeat([]byte{byte(i)}, size))
			want = append(want, append(header, body...))
		}
		go func() {
			for _, message := range want {
				writer.Write(message[:5])
				writer.Write(message[5:])
			}
			writer.Close()
		}()
		body := &streamBody{ReadCloser: reader}
		for i, message := range want {
			for rest := message; len(rest) > 0; {
				n, err := body.Read(buffer)
				if err != nil || !bytes.Equal(buffer[:n], rest[:min(len(rest), len(buffer))]) {
					t.Fatalf("message %d: %x (%v), want as much of %x as there is room for", i, buffer[:n], err, rest)
				}
				rest = rest[n:]
			}
		}
		if n, err := body.Read(buffer); n != 0 || err != io.EOF {
			t.Fatalf("after the last message: %d bytes, %v", n, err)
		}
	})
}

func TestStreamBodyPassesErrorsOn(t *testing.T) {
	t.Parallel()
	header, data := envelope(make([]byte, 10))
	for name, test := range map[string]struct {
		stream io.Reader
		want   error
	}{
		"torn header": {bytes.NewReader(header[:3]), io.ErrUnexpectedEOF},
		"torn data":   {bytes.NewReader(append(header, data[:4]...)), io.ErrUnexpectedEOF},
		"no data":     {bytes.NewReader(header), io.ErrUnexpectedEOF},
		"broken":      {io.MultiReader(bytes.NewReader(header), iotest.ErrReader(io.ErrClosedPipe)), io.ErrClosedPipe},
	} {
		if _, err := io.ReadAll(&streamBody{ReadCloser: io.NopCloser(test.stream)}); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}
