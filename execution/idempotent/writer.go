package idempotent

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// writer holds what a handler answers back until it is stored. An answer that is too large to be kept goes out as it comes.
type writer struct {
	out    http.ResponseWriter
	before http.Header // what others had set when the handler began
	header http.Header
	max    int

	status  int         // 0 until it is known
	sent    http.Header // as it was when the status became known
	body    []byte
	flowing bool // it is too large and goes out
}

func newWriter(out http.ResponseWriter, maxBytes int) *writer {
	return &writer{out: out, before: out.Header().Clone(), header: out.Header().Clone(), max: maxBytes}
}

// Header implements http.ResponseWriter.
func (w *writer) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter. Informational statuses are dropped.
func (w *writer) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status, w.sent = status, w.header.Clone()
	}
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	switch {
	case w.flowing:
		return w.out.Write(p)
	case w.status == http.StatusNoContent || w.status == http.StatusNotModified:
		return 0, http.ErrBodyNotAllowed
	case len(w.body)+len(p) > w.max:
		w.flowing = true
		if err := w.flush(created); err != nil {
			return 0, err
		}
		w.body = nil
		return w.out.Write(p)
	}
	w.body = append(w.body, p...)
	return len(p), nil
}

// answer returns what is to be kept of the answer of a handler that returned.
func (w *writer) answer() *Answer {
	w.WriteHeader(http.StatusOK)
	a := &Answer{Status: w.status, Header: w.kept(), Body: w.body, Omitted: w.flowing}
	if a.Omitted {
		a.Body = nil
	}
	if _, typed := a.Header["Content-Type"]; !typed && len(a.Body) > 0 && a.Header.Get("Content-Encoding") == "" {
		a.Header.Set("Content-Type", http.DetectContentType(a.Body))
	}
	return a
}

// passing are headers about a connection or a moment.
var passing = []string{
	"Connection", "Content-Length", "Date", "Keep-Alive", "Proxy-Authenticate", "Proxy-Connection", "Set-Cookie", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade",
}

// kept returns the headers that the handler set and that are worth keeping.
func (w *writer) kept() http.Header {
	kept := make(http.Header)
	for name, values := range w.sent {
		if !slices.Contains(passing, name) && !strings.HasPrefix(name, http.TrailerPrefix) && !slices.Equal(values, w.before[name]) {
			kept[name] = values
		}
	}
	return kept
}

// flush sends what was held back, with the status of the request with a key.
func (w *writer) flush(o outcome) error {
	header := w.out.Header()
	clear(header)
	maps.Copy(header, w.sent)
	header.Set(HeaderStatus, string(o))
	w.out.WriteHeader(w.status)
	if len(w.body) == 0 {
		return nil
	}
	_, err := w.out.Write(w.body)
	return err
}

// finish sends what was not sent yet.
func (w *writer) finish(o outcome) {
	if !w.flowing {
		_ = w.flush(o) // the client may be gone
	}
	for name, values := range w.header { // trailers come late
		if strings.HasPrefix(name, http.TrailerPrefix) || slices.Contains(w.sent["Trailer"], name) {
			w.out.Header()[name] = values
		}
	}
}

// write sends an answer that was kept.
func (a *Answer) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.Header)
	if a.Omitted {
		w.Header().Set(HeaderBody, "omitted")
	}
	w.WriteHeader(a.Status)
	if len(a.Body) > 0 {
		_, _ = w.Write(a.Body) // the client may be gone
	}
}
