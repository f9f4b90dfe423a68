package flux

import (
	"encoding/binary"
	"io"
)

// streamBody is the body of a stream of requests, read message by message. Connect writes a message in two pieces, and net/http
// sends each piece that it reads as a frame of its own: two system calls on both ends, and a round through the goroutines of
// net/http for a header of five bytes. A Read of streamBody waits for the whole message, or as much of it as there is room for.
type streamBody struct {
	io.ReadCloser
	header [5]byte // of the message: flags, length of its data
	unread []byte  // what is left of header
	data   int     // bytes of data that are left of the message
}

// Read implements io.Reader.
func (b *streamBody) Read(p []byte) (int, error) {
	if len(b.unread) == 0 && b.data == 0 {
		if _, err := io.ReadFull(b.ReadCloser, b.header[:]); err != nil {
			return 0, err
		}
		b.unread, b.data = b.header[:], int(binary.BigEndian.Uint32(b.header[1:]))
	}
	n := copy(p, b.unread)
	b.unread = b.unread[n:]
	read, err := io.ReadFull(b.ReadCloser, p[n:n+min(b.data, len(p)-n)])
	b.data -= read
	if err == io.EOF {
		err = io.ErrUnexpectedEOF // in the middle of a message
	}
	return n + read, err
}
