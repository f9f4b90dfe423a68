package record

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"sync"
	"unicode/utf8"
)

// A Body is bytes within a payload, such as the body of an HTTP message: at most a limit of them is kept, and the length and
// hash of all. It marshals to JSON as documented at [Payload].
type Body struct {
	Data      []byte // the first Bytes or fewer
	Bytes     int64  // length of the whole
	Hash      Hash   // of the whole; only set when Data is not the whole
	Truncated bool
}

// NewBody returns the body for data, of which it keeps at most limit bytes. It does not copy.
func NewBody(data []byte, limit int) Body {
	b := Body{Data: data, Bytes: int64(len(data))}
	if len(data) > limit {
		b.Data, b.Truncated, b.Hash = data[:limit:limit], true, sha256.Sum256(data)
	}
	return b
}

type bodyJSON struct {
	Text      *string `json:"text,omitempty"`
	Base64    []byte  `json:"base64,omitempty"`
	Bytes     int64   `json:"bytes,omitempty"`
	SHA256    []byte  `json:"sha256,omitempty"`
	Truncated bool    `json:"truncated,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (b Body) MarshalJSON() ([]byte, error) {
	isText := utf8.Valid(b.Data)
	if isText && !b.Truncated {
		return json.Marshal(string(b.Data))
	}
	out := bodyJSON{Truncated: b.Truncated}
	if b.Truncated {
		out.Bytes, out.SHA256 = b.Bytes, b.Hash[:]
	}
	if isText {
		text := string(b.Data)
		out.Text = &text
	} else {
		out.Base64 = b.Data
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements json.Unmarshaler.
func (b *Body) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		*b = Body{Data: []byte(text), Bytes: int64(len(text))}
		return nil
	}
	var in bodyJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*b = Body{Data: in.Base64, Bytes: in.Bytes, Truncated: in.Truncated}
	if in.Text != nil {
		b.Data = []byte(*in.Text)
	}
	if !in.Truncated {
		b.Bytes = int64(len(b.Data))
	}
	if n := copy(b.Hash[:], in.SHA256); in.Truncated && n != len(b.Hash) {
		return fmt.Errorf("a shortened body without the SHA-256 of the whole")
	}
	return nil
}

// A BodyWriter collects a body as it streams by and keeps at most a limit of it. It is safe for concurrent use, so that a
// record can be written while the stream still runs.
type BodyWriter struct {
	mu    sync.Mutex
	limit int
	body  Body
	hash  hash.Hash // of the whole, from the moment the limit is passed
}

// NewBodyWriter returns a writer that keeps the first limit bytes.
func NewBodyWriter(limit int) *BodyWriter { return &BodyWriter{limit: limit} }

// Write implements io.Writer. It never fails.
func (w *BodyWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.body.Bytes += int64(len(p))
	room := min(w.limit-len(w.body.Data), len(p))
	if room < len(p) && w.hash == nil {
		w.hash = sha256.New()
		w.hash.Write(w.body.Data)
		w.body.Truncated = true
	}
	w.body.Data = append(w.body.Data, p[:room]...)
	if w.hash != nil {
		w.hash.Write(p)
	}
	return len(p), nil
}

// Shorten makes the writer keep nothing of what follows, as if the limit had been reached.
func (w *BodyWriter) Shorten() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limit = min(w.limit, len(w.body.Data))
}

// Body returns what was written so far.
func (w *BodyWriter) Body() Body {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.body
	b.Data = b.Data[:len(b.Data):len(b.Data)]
	if w.hash != nil {
		w.hash.Sum(b.Hash[:0])
	}
	return b
}

// MarshalJSON implements json.Marshaler.
func (w *BodyWriter) MarshalJSON() ([]byte, error) { return w.Body().MarshalJSON() }
