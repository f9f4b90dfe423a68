package execution

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"

	"github.com/flux-go/flux/execution/record"
)

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

// A liveMessage is a message that is still filled. It marshals as the httpMessage it is at that moment.
type liveMessage struct {
	capture capture // of the body

	mu                sync.Mutex
	method, url, host string
	status            int
	reason, proto     string
	uncompressed      bool
	unread, announced bool // announced: with a length
	header            headerCopy
	encoding          []string
	length            int64
	trailer           http.Header
	tls               *httpTLS
	bodyError         *record.Error
}

// MarshalJSON implements json.Marshaler.
func (l *liveMessage) MarshalJSON() ([]byte, error) { return l.appendJSON(nil), nil }

// appendJSON appends what encoding/json makes of the httpMessage of now.
func (l *liveMessage) appendJSON(b []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	b = append(b, '{')
	b = appendTextMember(b, "method", l.method)
	b = appendTextMember(b, "url", l.url)
	b = appendTextMember(b, "host", l.host)
	if l.status != 0 {
		b = strconv.AppendInt(appendMember(b, "status"), int64(l.status), 10)
	}
	b = appendTextMember(b, "reason", l.reason)
	b = appendTrue(b, "uncompressed", l.uncompressed)
	b = appendTextMember(b, "proto", l.proto)
	if len(l.header) > 0 {
		b = l.header.appendJSON(appendMember(b, "header"))
	}
	if len(l.encoding) > 0 {
		b = append(appendMember(b, "transferEncoding"), reflected(l.encoding)...)
	}
	body, chunks := l.capture.result()
	if l.announced && l.length != body.Bytes {
		b = strconv.AppendInt(appendMember(b, "contentLength"), l.length, 10)
	}
	if body.Data != nil || body.Bytes != 0 {
		b = appendBody(appendMember(b, "body"), &body)
	}
	return append(l.appendRest(b, chunks), '}')
}

// appendRest appends what most messages have not. The message is locked.
func (l *liveMessage) appendRest(b []byte, chunks []chunk) []byte {
	if len(chunks) > 0 {
		b = append(appendMember(b, "chunks"), reflected(chunks)...)
	}
	if len(l.trailer) > 0 {
		b = append(appendMember(b, "trailer"), reflected(l.trailer)...)
	}
	if l.tls != nil {
		b = append(appendMember(b, "tls"), reflected(l.tls)...)
	}
	b = appendTrue(b, "unread", l.unread)
	if l.bodyError != nil {
		b = append(appendMember(b, "bodyError"), reflected(l.bodyError)...)
	}
	return b
}

// announce sets the length of the body that a message announced, -1 for none.
func (l *liveMessage) announce(length int64) { l.announced, l.length = true, length }

func (l *liveMessage) update(change func(l *liveMessage)) {
	l.mu.Lock()
	change(l)
	l.mu.Unlock()
}
