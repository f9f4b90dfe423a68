package execution

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/flux-go/flux/execution/fault"
)

// serveRecorded answers a request from the record: with the same error, or with the same response, whose body comes in the same
// pieces up to the same end.
func serveRecorded(call *Call, req *http.Request) (*http.Response, error) {
	cp := call.Recorded()
	if cp.Error != nil && len(cp.Response.Data) == 0 {
		return nil, fault.Rebuild(cp.Error)
	}
	m, err := decodeMessage(cp.Response)
	if err != nil {
		return nil, fmt.Errorf("%w: the record of op %d has no response of HTTP: %w", ErrDiverged, cp.Number, err)
	}
	if m.Status == 0 { // an operator says that it was done
		return nil, fmt.Errorf("%w: the answer of op %d is not known", ErrDiverged, cp.Number)
	}
	resp := m.response(req)
	body := &recordedBody{message: m, end: io.EOF}
	switch {
	case cp.Error != nil:
		body.end = fault.Rebuild(cp.Error)
	case m.Body.Truncated:
		body.end = fmt.Errorf("%w: the record of op %d has %d of %d bytes", ErrDiverged, cp.Number, len(m.Body.Data), m.Body.Bytes)
	case m.Unread:
		body.end = fmt.Errorf("%w: the rest of the response of op %d was not read when it was recorded", ErrDiverged, cp.Number)
	default:
		body.trailer = func() { fill(resp.Trailer, m.Trailer) }
	}
	if len(m.Body.Data) > 0 || body.end != io.EOF || m.length() != 0 {
		resp.Body = body
	}
	return resp, nil
}

// response makes the response of a record, without its body.
func (m *httpMessage) response(req *http.Request) *http.Response {
	resp := &http.Response{
		StatusCode: m.Status, Status: strconv.Itoa(m.Status) + " " + cmp.Or(m.Reason, http.StatusText(m.Status)), Proto: m.Proto, Header: m.Header,
		ContentLength: m.length(), TransferEncoding: m.Encoding, Uncompressed: m.Uncompressed, Request: req, TLS: m.TLS.state(),
		Body: http.NoBody,
	}
	resp.ProtoMajor, resp.ProtoMinor, _ = http.ParseHTTPVersion(m.Proto)
	if resp.Header == nil {
		resp.Header = make(http.Header)
	}
	if len(m.Trailer) > 0 {
		resp.Trailer = announced(m.Trailer)
	}
	return resp
}

// announced returns trailers as they are before the end of the body, which fills them.
func announced(trailer http.Header) http.Header {
	names := make(http.Header, len(trailer))
	for name := range trailer {
		names[name] = nil
	}
	return names
}

func fill(into, from http.Header) {
	for name, values := range from {
		into[name] = values
	}
}

// recordedBody reads as the body that was recorded.
type recordedBody struct {
	message *httpMessage
	at      int
	piece   int
	end     error
	trailer func()
	closed  bool
}

// Read implements io.Reader.
func (b *recordedBody) Read(p []byte) (int, error) {
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	rest := b.message.Body.Data[b.at:]
	if len(rest) == 0 {
		if b.end == io.EOF && b.trailer != nil {
			b.trailer()
		}
		return 0, b.end
	}
	if b.piece < len(b.message.Chunks) {
		rest = rest[:min(int(b.message.Chunks[b.piece][0])-b.at, len(rest))]
	}
	n := copy(p, rest)
	if b.at += n; n == len(rest) {
		b.piece++
	}
	return n, nil
}

// Close implements io.Closer.
func (b *recordedBody) Close() error {
	b.closed = true
	return nil
}
