package execution

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
)

// responseWriter records what a handler answers. What net/http adds after it, which are Date, Content-Length and Connection,
// is not known here.
type responseWriter struct {
	http.ResponseWriter
	x       *Execution
	message *liveMessage

	status   int  // 0 until it is sent
	sniffed  bool // the type of the content is settled
	hijacked bool
}

func newResponseWriter(x *Execution, w http.ResponseWriter) *responseWriter {
	message := new(liveMessage)
	message.capture.begin(x)
	return &responseWriter{ResponseWriter: w, x: x, message: message}
}

// Unwrap is for http.ResponseController.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *responseWriter) WriteHeader(status int) {
	w.begin(status)
	w.ResponseWriter.WriteHeader(status)
}

// begin notes the status and the header that are going out. Informational statuses come before the one that counts.
func (w *responseWriter) begin(status int) {
	if w.status != 0 || status < 200 && status != http.StatusSwitchingProtocols {
		return
	}
	w.status = status
	header := w.x.copyHeader(w.Header())
	w.message.update(func(l *liveMessage) { l.status, l.header = status, header })
}

// Write implements io.Writer.
func (w *responseWriter) Write(p []byte) (int, error) {
	w.begin(http.StatusOK)
	n, err := w.ResponseWriter.Write(p)
	_, _ = w.message.capture.Write(p[:n])
	return n, err
}

// WriteString implements io.StringWriter.
func (w *responseWriter) WriteString(s string) (int, error) {
	w.begin(http.StatusOK)
	n, err := io.WriteString(w.ResponseWriter, s)
	_, _ = w.message.capture.Write([]byte(s[:n]))
	return n, err
}

// ReadFrom implements io.ReaderFrom.
func (w *responseWriter) ReadFrom(from io.Reader) (int64, error) {
	w.begin(http.StatusOK)
	return io.Copy(w.ResponseWriter, io.TeeReader(from, &w.message.capture))
}

// FlushError is what http.ResponseController calls.
func (w *responseWriter) FlushError() error {
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if !errors.Is(err, http.ErrNotSupported) {
		w.begin(http.StatusOK)
		w.sniff()
		w.message.capture.cut()
	}
	return err
}

// hijack lets the handler take the connection over. What goes over it then is not in the record.
func (w *responseWriter) hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := w.ResponseWriter.(http.Hijacker).Hijack()
	if err == nil {
		w.hijacked = true
		w.x.update(func() { w.x.partial("the handler took over the connection") })
	}
	return conn, buffer, err
}

// sniff notes the type that net/http finds out when the handler does not say it.
func (w *responseWriter) sniff() {
	if w.sniffed {
		return
	}
	w.sniffed = true
	body, _ := w.message.capture.result()
	w.message.update(func(l *liveMessage) {
		if len(body.Data) > 0 && !l.header.has("Content-Type") && l.header.get("Content-Encoding") == "" && l.header.get("Transfer-Encoding") == "" {
			l.header = append(l.header, headerLine{name: "Content-Type", value: http.DetectContentType(body.Data)})
		}
	})
}

// finish returns the answer of a handler. One that returned without a word has answered 200.
func (w *responseWriter) finish(returned bool) *liveMessage {
	if returned && !w.hijacked {
		w.begin(http.StatusOK)
	}
	w.sniff()
	trailer := trailerOf(w.Header())
	w.message.update(func(l *liveMessage) { l.trailer = trailer })
	return w.message
}

// trailerOf returns the trailers a handler set: those it announced, and those with the prefix for ones it did not.
func trailerOf(header http.Header) http.Header {
	var trailer http.Header
	add := func(name string, values []string) {
		if len(values) > 0 {
			if trailer == nil {
				trailer = make(http.Header)
			}
			trailer[name] = values
		}
	}
	for _, line := range header["Trailer"] {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(strings.TrimSpace(name))
			add(name, header[name])
		}
	}
	for name, values := range header {
		if name, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			add(http.CanonicalHeaderKey(name), values)
		}
	}
	return trailer
}

// The optional interfaces of response writers, each as a type to embed.
type (
	flusher  struct{ w *responseWriter }
	hijacker struct{ w *responseWriter }
)

// Flush implements http.Flusher.
func (f flusher) Flush() { _ = f.w.FlushError() }

// Hijack implements http.Hijacker.
func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.w.hijack() }

// withInterfaces returns the writer with those optional interfaces that the writer below has: programs look for them.
func (w *responseWriter) withInterfaces() http.ResponseWriter {
	_, flushes := w.ResponseWriter.(http.Flusher)
	_, hijacks := w.ResponseWriter.(http.Hijacker)
	pusher, pushes := w.ResponseWriter.(http.Pusher)
	switch {
	case flushes && hijacks:
		return struct {
			*responseWriter
			flusher
			hijacker
		}{w, flusher{w}, hijacker{w}}
	case flushes && pushes:
		return struct {
			*responseWriter
			flusher
			http.Pusher
		}{w, flusher{w}, pusher}
	case flushes:
		return struct {
			*responseWriter
			flusher
		}{w, flusher{w}}
	case hijacks:
		return struct {
			*responseWriter
			hijacker
		}{w, hijacker{w}}
	case pushes:
		return struct {
			*responseWriter
			http.Pusher
		}{w, pusher}
	}
	return w
}
