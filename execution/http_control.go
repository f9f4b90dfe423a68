package execution

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/flux-go/flux/execution/record"
)

// Headers of HTTP requests and responses. What a client sends is a fact to record; none of it changes what is recorded or how
// the program behaves, except for one that is signed.
const (
	// HeaderExecution is the id of the execution, in responses.
	HeaderExecution = "X-Flux-Execution-Id"
	// HeaderCode is the version of the code that answered, in responses.
	HeaderCode = "X-Flux-Code-Version"
	// HeaderRequest names the logical request that attempts share, in requests.
	HeaderRequest = "X-Flux-Request-Id"
	// HeaderCause is the id of the execution that made the request.
	HeaderCause = "X-Flux-Cause"
	// HeaderKeep asks for the record of the request to be kept; see SignKeep.
	HeaderKeep = "X-Flux-Keep"

	headerTrace = "Traceparent"
)

// keepValid is how far the clocks of who signs a request and who gets it may differ.
const keepValid = 5 * time.Minute

// SignKeep asks, with the key of Config.ControlKey of the service that gets the request, for its record to be kept. The
// signature is good for this method and path, for five minutes.
func SignKeep(req *http.Request, key []byte) {
	at := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set(HeaderKeep, at+"."+keepSignature(key, at, req))
}

func keepSignature(key []byte, at string, req *http.Request) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(strings.Join([]string{"flux-keep", at, req.Method, req.URL.EscapedPath()}, "\n")))
	return hex.EncodeToString(mac.Sum(nil))
}

// asksToKeep says that a request is signed with the key, and asks for its record to be kept.
func asksToKeep(req *http.Request, key []byte) bool {
	at, signature, ok := strings.Cut(req.Header.Get(HeaderKeep), ".")
	if !ok || len(key) == 0 {
		return false
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > keepValid {
		return false
	}
	return hmac.Equal([]byte(signature), []byte(keepSignature(key, at, req)))
}

// requestID returns the id that a client gave its request: 1 to 128 letters, digits and marks. It is "" for anything else.
func requestID(header http.Header) string {
	id := header.Get(HeaderRequest)
	if len(id) > 128 {
		return ""
	}
	for _, r := range id {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', strings.ContainsRune("-_.:/+=@", r):
		default:
			return ""
		}
	}
	return id
}

// executionIn returns the execution that a header names, the zero ID for none.
func executionIn(header http.Header, name string) record.ID {
	text := header.Get(name)
	if text == "" {
		return record.ID{}
	}
	id, err := record.ParseID(text)
	if err != nil {
		return record.ID{}
	}
	return id
}

// propagate tells the callee of a call who asks: the execution, and its trace with a span for the call.
func (c *Call) propagate(header http.Header) {
	x := c.x
	header.Set(HeaderCause, x.ID().String())
	if header.Get(headerTrace) != "" {
		return
	}
	span := x.ID()
	binary.BigEndian.PutUint32(span[4:], c.number+1)
	if trace := withSpan(x.head.Trigger.Trace, span); trace != "" {
		header.Set(headerTrace, trace)
	}
}
