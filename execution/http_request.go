package execution

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/flux-go/flux/execution/record"
)

// An outbound request as an operation.
type outbound struct {
	op      Op
	request *liveMessage
	body    io.ReadCloser // to send in place of that of the request
}

// newOutbound takes a request apart. It reads nothing yet but a copy that GetBody gives.
func (x *Execution) newOutbound(req *http.Request) outbound {
	live := &liveMessage{
		method: cmp.Or(req.Method, http.MethodGet), url: publicURL(req.URL), host: otherHost(req), header: x.copyHeader(req.Header),
		trailer: req.Trailer.Clone(),
	}
	out := outbound{request: live, body: req.Body}
	if hasBody(req) {
		live.capture.begin(x)
		out.body = x.captureOutbound(req, live)
	}
	out.op = Op{
		Boundary: "http", Target: strings.ToLower(req.URL.Scheme + "://" + req.URL.Host), Shape: live.method + " " + pathTemplate(req.URL.EscapedPath()),
		Effect: effectOf(live.method), Request: live, Identity: (*httpIdentity)(live),
		IdempotencyKey: cmp.Or(live.header.get("Idempotency-Key"), live.header.get("X-Idempotency-Key")),
	}
	return out
}

// captureOutbound captures the body of a request, at once when the operation is compared or journalled before it happens, or
// from a copy, or else as it is sent.
func (x *Execution) captureOutbound(req *http.Request, live *liveMessage) io.ReadCloser {
	switch {
	case x.mode != ModeRecord || x.journal:
		return readFirst(capturing(req.Body, live, req.Trailer), math.MaxInt64)
	case req.GetBody != nil:
		if copied, err := req.GetBody(); err == nil {
			_, _ = io.Copy(&live.capture, copied)
			_ = copied.Close()
			return req.Body
		}
	}
	return capturing(req.Body, live, req.Trailer)
}

// publicURL is a URL without user and password: those are sent in a header.
func publicURL(u *url.URL) string {
	if u.User == nil {
		return u.String()
	}
	public := *u
	public.User = nil
	return public.String()
}

// otherHost returns the Host of a request when it is not that of its URL.
func otherHost(req *http.Request) string {
	if req.Host == req.URL.Host {
		return ""
	}
	return req.Host
}

// effectOf follows RFC 9110, section 9.2.1: safe methods read.
func effectOf(method string) record.Effect {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return record.EffectRead
	}
	return record.EffectWrite
}

// pathTemplate returns a path with {id} in place of the segments that are numbers, UUIDs or long hexadecimal numbers.
func pathTemplate(path string) string {
	if !strings.ContainsAny(path, "0123456789") && len(path) < minHexID {
		return cmp.Or(path, "/")
	}
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		if isID(segment) {
			segments[i] = "{id}"
		}
	}
	return cmp.Or(strings.Join(segments, "/"), "/")
}

// minHexID is how long a hexadecimal number is that is an id.
const minHexID = 16

func isID(segment string) bool {
	digits := strings.ReplaceAll(segment, "-", "")
	if digits == "" {
		return false
	}
	if strings.Trim(digits, "0123456789") == "" {
		return true
	}
	_, err := hex.DecodeString(digits)
	return err == nil && len(digits) >= minHexID
}

// httpIdentity is what makes two outbound requests the same: method, URL with its query in order, which authorization there
// is, type and key of the request, and the body, where it is a document in its canonical form.
type httpIdentity liveMessage

// appendJSON appends an object with its names in order.
func (i *httpIdentity) appendJSON(b []byte) []byte {
	m := (*liveMessage)(i)
	m.mu.Lock()
	defer m.mu.Unlock()
	scheme, _, _ := strings.Cut(m.header.get("Authorization"), " ")
	kind, body := m.header.get("Content-Type"), m.identicalBody()
	if multipart, boundary := multipartOf(kind); boundary != "" {
		kind = multipart // boundaries are drawn at random
		body.Data = bytes.ReplaceAll(body.Data, []byte(boundary), []byte("boundary"))
		body.Hash = record.Hash{}
	}
	b = append(b, `{"body":`...)
	b = appendCanonical(b, &body)
	b = append(b, `,"header":{`...)
	b = appendTextMember(b, "Content-Type", kind)
	b = appendTextMember(b, "Idempotency-Key", m.header.get("Idempotency-Key"))
	b = appendTextMember(b, "X-Idempotency-Key", m.header.get("X-Idempotency-Key"))
	b = appendText(append(b, `},"host":`...), m.host)
	b = appendText(append(b, `,"method":`...), m.method)
	b = appendText(append(b, `,"scheme":`...), strings.ToLower(scheme)) // not under a name that is redacted
	b = appendText(append(b, `,"url":`...), sortedQuery(m.url))
	return append(b, '}')
}

func (l *liveMessage) identicalBody() record.Body {
	body, _ := l.capture.result()
	return body
}

// multipartOf returns the type of a multipart message without parameters, and its boundary.
func multipartOf(contentType string) (kind, boundary string) {
	if !strings.Contains(strings.ToLower(contentType), "multipart/") {
		return "", ""
	}
	kind, parameters, _ := mime.ParseMediaType(contentType)
	if !strings.HasPrefix(kind, "multipart/") {
		return "", ""
	}
	return kind, parameters["boundary"]
}

// sortedQuery returns a URL with its query in the order of names.
func sortedQuery(address string) string {
	if !strings.Contains(address, "?") {
		return address
	}
	u, err := url.Parse(address)
	if err != nil || u.RawQuery == "" {
		return address
	}
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return address
	}
	u.RawQuery = values.Encode()
	return u.String()
}

// appendCanonical appends a body that is a JSON document as that document, with its keys in order, and others as bodies.
func appendCanonical(b []byte, body *record.Body) []byte {
	if !body.Truncated && len(body.Data) > 0 && (body.Data[0] == '{' || body.Data[0] == '[') {
		dec := json.NewDecoder(bytes.NewReader(body.Data))
		dec.UseNumber()
		var v any
		if dec.Decode(&v) == nil && !dec.More() {
			return append(b, reflected(v)...)
		}
	}
	return appendBody(b, body)
}
