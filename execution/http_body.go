package execution

import (
	"bytes"
	"encoding/json"
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
// counted and hashed. It is safe for concurrent use.
type capture struct {
	x    *Execution
	body *record.BodyWriter

	mu     sync.Mutex
	room   int
	size   int64
	chunks []chunk
	last   time.Time // of the last chunk
}

func (x *Execution) newCapture() *capture {
	limit := x.rec.config.Limits.BodyBytes
	return &capture{x: x, body: record.NewBodyWriter(limit), room: limit, last: time.Now()}
}

// Write implements io.Writer. It never fails.
func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	keep := min(len(p), c.room)
	if keep > 0 && !c.x.reserve(keep) {
		c.body.Shorten()
		c.room, keep = 0, 0
	}
	c.room -= keep
	c.size += int64(len(p))
	_, _ = c.body.Write(p)
	if lost := len(p) - keep; lost > 0 {
		c.x.update(func() { c.x.dropped.Bytes += lost })
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
	now := time.Now()
	c.chunks = append(c.chunks, chunk{c.size, int64(now.Sub(c.last))})
	c.last = now
}

// result returns what was captured so far. A stream of one piece has no boundaries.
func (c *capture) result() (record.Body, []chunk) {
	if c == nil {
		return record.Body{}, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	body := c.body.Body()
	if len(c.chunks) == 0 || c.chunks[0][0] == c.size {
		return body, nil
	}
	return body, c.chunks[:len(c.chunks):len(c.chunks)]
}

// An httpMessage is a request or a response as it is recorded. Which fields are set depends on what it is.
type httpMessage struct {
	Method string `json:"method,omitempty"`
	URL    string `json:"url,omitempty"` // absolute for outbound requests; the request target as it came for inbound ones
	Host   string `json:"host,omitempty"`

	Status       int    `json:"status,omitempty"`
	Reason       string `json:"reason,omitempty"`       // behind the status, when it is not the usual text
	Uncompressed bool   `json:"uncompressed,omitempty"` // by net/http

	Proto    string      `json:"proto,omitempty"`
	Header   http.Header `json:"header,omitempty"`
	Encoding []string    `json:"transferEncoding,omitempty"`
	Length   *int64      `json:"contentLength,omitempty"` // as announced, when that is not the length of the body
	Body     record.Body `json:"body,omitzero"`
	Chunks   []chunk     `json:"chunks,omitempty"`
	Trailer  http.Header `json:"trailer,omitempty"`
	TLS      *httpTLS    `json:"tls,omitempty"`

	Unread    bool          `json:"unread,omitempty"`    // the rest of the body was not read
	BodyError *record.Error `json:"bodyError,omitempty"` // with which reading the body ended, for requests
}

// A liveMessage is a message that is still filled. It marshals as the httpMessage it is at that moment.
type liveMessage struct {
	mu      sync.Mutex
	message httpMessage
	capture *capture // nil for no body
}

// MarshalJSON implements json.Marshaler.
func (l *liveMessage) MarshalJSON() ([]byte, error) {
	return marshal(l.now()), nil
}

func (l *liveMessage) now() *httpMessage {
	l.mu.Lock()
	m := l.message
	l.mu.Unlock()
	m.Body, m.Chunks = l.capture.result()
	if m.Length != nil && *m.Length == m.Body.Bytes {
		m.Length = nil
	}
	return &m
}

func (l *liveMessage) update(change func(m *httpMessage)) {
	l.mu.Lock()
	change(&l.message)
	l.mu.Unlock()
}

// decodeMessage reads a message from a record.
func decodeMessage(p record.Payload) (*httpMessage, error) {
	m := new(httpMessage)
	if len(p.Data) == 0 {
		return m, nil
	}
	return m, json.Unmarshal(p.Data, m)
}

// length returns what was announced as the length of the body, -1 for nothing.
func (m *httpMessage) length() int64 {
	if m.Length != nil {
		return *m.Length
	}
	return m.Body.Bytes
}

// tee reads a request body and captures what is read.
type tee struct {
	io.ReadCloser
	into    *liveMessage
	trailer http.Header // filled by net/http once the body was read
}

// capturing returns body as it is to be read for its message to be captured.
func capturing(body io.ReadCloser, into *liveMessage, trailer http.Header) io.ReadCloser {
	into.message.Unread = true
	return &tee{body, into, trailer}
}

// Read implements io.Reader.
func (t *tee) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if n > 0 {
		_, _ = t.into.capture.Write(p[:n])
	}
	if err != nil {
		t.into.update(func(m *httpMessage) {
			m.Unread = false
			if err == io.EOF {
				m.Trailer = t.trailer.Clone()
			} else if m.BodyError == nil {
				m.BodyError = fault.Of(err)
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
