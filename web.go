package flux

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/flux-go/flux/message"
)

// The metadata of web requests and web responses. Source: section 11 of the Flux Capacitor protocol.
const (
	metaURL     = "url"
	metaMethod  = "method"
	metaHeaders = "headers"
	metaStatus  = "status"
)

// HandleWebRequest registers the handler of all web requests: HTTP requests that a gateway has put into the log for them, and
// whose responses it returns to who made them. Routing is that of the handler, such as an [http.ServeMux]. A response is
// complete when the handler returns; there is no streaming, and messages of web sockets are passed over. A handler that
// panics, or a request that is malformed, gives status 500 or 400.
func HandleWebRequest(on Registrar, handle http.Handler) {
	call := func(ctx context.Context, m *message.Message) (any, error) {
		if strings.HasPrefix(m.Metadata[metaMethod], "WS_") {
			return nil, nil
		}
		request, err := webRequest(ctx, m)
		if err != nil {
			return webError(http.StatusBadRequest, err.Error()), nil
		}
		response := &webResponse{header: make(http.Header)}
		if err := response.serve(handle, request); err != nil {
			return nil, err
		}
		return response.message(), nil
	}
	register(on, message.Log{Type: message.WebRequest}, handler{raw: true, answers: true, call: call})
}

func webRequest(ctx context.Context, m *message.Message) (*http.Request, error) {
	url := m.Metadata[metaURL]
	if !strings.HasPrefix(url, "/") && !strings.Contains(url, "://") {
		url = "/" + url
	}
	request, err := http.NewRequestWithContext(ctx, m.Metadata[metaMethod], url, bytes.NewReader(m.Payload))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	var headers map[string][]string
	if text := m.Metadata[metaHeaders]; text != "" {
		if err := json.Unmarshal([]byte(text), &headers); err != nil {
			return nil, fmt.Errorf("%w: headers: %w", ErrBadRequest, err)
		}
	}
	for name, values := range headers {
		for _, value := range values {
			request.Header.Add(name, value)
		}
	}
	request.Host, request.RequestURI = request.Header.Get("Host"), url
	return request, nil
}

// webResponse collects a response as a http.ResponseWriter.
type webResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (r *webResponse) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *webResponse) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

// Write implements http.ResponseWriter.
func (r *webResponse) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

// serve calls the handler. One that aborts, as http handlers do with a panic of their own, has failed like any other.
func (r *webResponse) serve(handle http.Handler, request *http.Request) (err error) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler {
			err = Errorf(ErrInternal.Code, "%w", http.ErrAbortHandler)
		} else if p != nil {
			panic(p)
		}
	}()
	handle.ServeHTTP(r, request)
	_, err = io.Copy(io.Discard, request.Body)
	return err
}

func (r *webResponse) message() *message.Message {
	if r.header.Get("Content-Type") == "" && r.body.Len() > 0 {
		r.header.Set("Content-Type", http.DetectContentType(r.body.Bytes()))
	}
	if r.status == 0 {
		r.status = http.StatusOK
	}
	headers, _ := json.Marshal(r.header) // strings always have a JSON form
	return &message.Message{
		Format: r.header.Get("Content-Type"), Payload: r.body.Bytes(),
		Metadata: map[string]string{metaStatus: strconv.Itoa(r.status), metaHeaders: string(headers)},
	}
}

// webError returns a response that is an error.
func webError(status int, text string) *message.Message {
	r := &webResponse{header: make(http.Header)}
	http.Error(r, text, status)
	return r.message()
}
