package execution

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// reserve takes n bytes of the recorder's memory for bodies. It returns false when there are not so many left.
func (x *Execution) reserve(n int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.released || x.rec.memory.Add(int64(n)) > int64(x.rec.config.Limits.MemoryBytes) {
		if !x.released {
			x.rec.memory.Add(-int64(n))
		}
		return false
	}
	x.bytes += n
	return true
}

// release gives back what was reserved, once the record has been brought away.
func (x *Execution) release() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.released = true
	x.rec.memory.Add(-int64(x.bytes))
	x.bytes = 0
}

// maxChunks bounds how many boundaries of a stream are kept.
const maxChunks = 4096

// A chunk is where a piece of a stream ended, and how long after the piece before: [offset, ns].
type chunk [2]int64

// A capture collects a body as it streams by. What is over the limit of a body, or over the memory of the recorder, is only
// counted and hashed. It is safe for concurrent use. The zero capture is that of a message without a body.
type capture struct {
	x *Execution

	mu     sync.Mutex
	data   []byte // the first bytes
	room   int    // for more of them
	size   int64
	hash   hash.Hash // of all, from the first byte that is not kept
	chunks []chunk
	last   time.Duration // when the last chunk came, since the start of the execution
}

// begin makes a capture ready for a body.
func (c *capture) begin(x *Execution) {
	c.x, c.room, c.last = x, x.rec.config.Limits.BodyBytes, time.Since(x.started)
}

// Write implements io.Writer. It never fails.
func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	keep := min(len(p), c.room)
	if keep > 0 && !c.x.reserve(keep) {
		c.room, keep = 0, 0
	}
	if keep < len(p) && c.hash == nil {
		c.hash = sha256.New()
		c.hash.Write(c.data)
	}
	c.room -= keep
	c.size += int64(len(p))
	c.data = append(c.data, p[:keep]...)
	if c.hash != nil {
		c.hash.Write(p)
		c.x.update(func() { c.x.dropped.Bytes += len(p) - keep })
	}
	return len(p), nil
}

// cut notes that a piece of the stream ended here.
func (c *capture) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.chunks) == maxChunks || len(c.chunks) > 0 && c.chunks[len(c.chunks)-1][0] == c.size {
		return
	}
	now := time.Since(c.x.started)
	c.chunks = append(c.chunks, chunk{c.size, int64(now - c.last)})
	c.last = now
}

// written returns how long the body is so far.
func (c *capture) written() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}

// result returns what was captured so far. A stream of one piece has no boundaries.
func (c *capture) result() (record.Body, []chunk) {
	c.mu.Lock()
	defer c.mu.Unlock()
	body := record.Body{Data: c.data[:len(c.data):len(c.data)], Bytes: c.size}
	if c.hash != nil {
		body.Truncated = true
		c.hash.Sum(body.Hash[:0])
	}
	if len(c.chunks) == 0 || c.chunks[0][0] == c.size {
		return body, nil
	}
	return body, c.chunks[:len(c.chunks):len(c.chunks)]
}

// tee reads a request body and captures what is read.
type tee struct {
	io.ReadCloser
	into    *liveMessage
	trailer http.Header // filled by net/http once the body was read
}

// capturing returns body as it is to be read for its message to be captured.
func capturing(body io.ReadCloser, into *liveMessage, trailer http.Header) io.ReadCloser {
	into.unread = true
	return &tee{body, into, trailer}
}

// Read implements io.Reader.
func (t *tee) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if n > 0 {
		_, _ = t.into.capture.Write(p[:n])
	}
	if err != nil {
		t.into.update(func(l *liveMessage) {
			l.unread = false
			if err == io.EOF {
				l.trailer = t.trailer.Clone()
			} else if l.bodyError == nil {
				l.bodyError = fault.Of(err)
			}
		})
	}
	return n, err
}

// readFirst reads up to limit bytes of a body before they are needed, for messages that are compared with a record, or
// journalled, before they go on. What it returns reads as the body does, up to the same error.
func readFirst(body io.ReadCloser, limit int64) io.ReadCloser {
	data, err := io.ReadAll(io.LimitReader(body, limit))
	rest := io.Reader(body)
	if err != nil {
		rest = failingReader{err}
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(data), rest), body}
}

// failingReader fails.
type failingReader struct{ err error }

// Read implements io.Reader.
func (r failingReader) Read([]byte) (int, error) { return 0, r.err }
