package native

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"connectrpc.com/connect"
)

// guard stands before Connect and answers what Connect would answer without a word: unknown procedures, other methods than
// POST, other content than it knows, streams over HTTP/1.1. It also bounds the bodies of requests without stream, and gives
// streams that clients write to their [streamWriter].
func (s *Service) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status, err := s.refuse(r); err != nil {
			s.WriteError(w, r, status, err)
			return
		}
		if isTwoWay(r.URL.Path) {
			s.serveStream(w, r, next)
			return
		}
		r.Body = &boundedBody{ReadCloser: r.Body, left: s.maxBodyBytes(r), limit: s.maxMessageBytes}
		next.ServeHTTP(w, r)
	})
}

// maxBodyBytes is the most bytes that the body of a request without stream has.
func (s *Service) maxBodyBytes(r *http.Request) int64 {
	const envelopeBytes = 5 // gRPC puts them before a message
	if isGRPC(r.Header.Get("Content-Type")) {
		return int64(s.maxMessageBytes) + envelopeBytes
	}
	return int64(s.maxMessageBytes)
}

// refuse returns why Connect need not see the request, with a status of HTTP.
func (s *Service) refuse(r *http.Request) (status int, err error) {
	_, known := procedures[r.URL.Path]
	stream := isTwoWay(r.URL.Path)
	switch {
	case !known:
		return http.StatusNotFound, notFoundf("nothing is served at %s", r.URL.Path)
	case r.Method != http.MethodPost:
		return http.StatusMethodNotAllowed, hinted{invalid("method %s", r.Method), "use POST"}
	case !knownContent(r.Header.Get("Content-Type")):
		err := invalid("content type %q", r.Header.Get("Content-Type"))
		return http.StatusUnsupportedMediaType, hinted{err, "send the header Content-Type: application/json"}
	case stream && r.ProtoMajor < 2:
		err := invalid("%s over %s", r.URL.Path, r.Proto)
		return http.StatusHTTPVersionNotSupported, hinted{err, "use HTTP/2, or a procedure without streams: Append, Commit, Poll"}
	case !stream && r.ContentLength > s.maxBodyBytes(r):
		return http.StatusRequestEntityTooLarge, tooManyBytes(r.ContentLength, s.maxMessageBytes)
	}
	return 0, nil
}

func knownContent(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(media)) {
	case "application/json", "application/proto", "application/connect+json", "application/connect+proto":
		return true
	}
	return isGRPC(contentType)
}

func isGRPC(contentType string) bool {
	return strings.HasPrefix(strings.ToLower(contentType), "application/grpc")
}

func tooManyBytes(n int64, limit int) error {
	return fmt.Errorf("%w: request of %d bytes, at most %d", errTooLarge, n, limit)
}

// WriteError answers a request with an error in the form that its protocol wants, JSON for those that speak none. The status
// is that of HTTP, except to gRPC, which wants its own.
func (s *Service) WriteError(w http.ResponseWriter, r *http.Request, status int, err error) {
	// There is nobody left to tell when the answer cannot be written.
	_ = connect.NewErrorWriter().Write(statusWriter{w, status}, r, wireError(err, r.URL.Path, s.logger))
}

// statusWriter replaces the status of errors.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w statusWriter) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		status = w.status
	}
	w.ResponseWriter.WriteHeader(status)
}

// boundedBody ends a body that is too long with an error that Connect passes on.
type boundedBody struct {
	io.ReadCloser
	left  int64
	limit int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		return 0, wireError(fmt.Errorf("%w: request of more than %d bytes", errTooLarge, b.limit), "", nil)
	}
	return n, err
}
