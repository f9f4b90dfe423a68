package native

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
)

// streamBuffer is the size of the buffers on both sides of a Publish and a ReadValues. Without them each small message costs a
// frame of its own, or two, and with each frame a round through the goroutines of net/http. Tracks carry few messages or large
// ones, and there may be thousands of them.
const streamBuffer = 64 << 10

// isTwoWay reports whether a procedure is a stream that clients write to while they read from it.
func isTwoWay(name string) bool {
	switch name {
	case fluxv1connect.LogServicePublishProcedure, fluxv1connect.TrackingServiceTrackProcedure,
		fluxv1connect.KeyValueServiceReadValuesProcedure:
		return true
	}
	return false
}

type streamKey struct{}

// serveStream serves a stream that clients write to, and ends its reading when the service closes: what was read until then
// is still answered.
func (s *Service) serveStream(w http.ResponseWriter, r *http.Request, next http.Handler) {
	out := &streamWriter{ResponseWriter: w}
	if r.URL.Path != fluxv1connect.TrackingServiceTrackProcedure {
		out.buffer = bufio.NewWriterSize(w, streamBuffer)
		r.Body = bufferedBody{bufio.NewReaderSize(r.Body, streamBuffer), r.Body}
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(s.closing, func() {
		defer close(ended)
		out.endReading()
	})
	defer func() {
		if !stop() {
			<-ended // out must not be used once the handler has returned
		}
	}()
	next.ServeHTTP(out, r.WithContext(context.WithValue(r.Context(), streamKey{}, out)))
}

type bufferedBody struct {
	io.Reader
	io.Closer
}

// streamWriter may collect what is written until it is flushed. Connect flushes after each message; between hold and release
// that does nothing, so that many small messages make one frame. For one goroutine at a time.
type streamWriter struct {
	http.ResponseWriter
	buffer *bufio.Writer // nil for streams that collect nothing
	held   bool
}

func streamWriterOf(ctx context.Context) *streamWriter { return ctx.Value(streamKey{}).(*streamWriter) }

func (w *streamWriter) Write(p []byte) (int, error) {
	if w.buffer == nil {
		return w.ResponseWriter.Write(p)
	}
	return w.buffer.Write(p)
}

// Flush implements http.Flusher.
func (w *streamWriter) Flush() {
	if w.held {
		return
	}
	if w.buffer != nil {
		_ = w.buffer.Flush() // an error stays with the buffer: the next Write returns it
	}
	if flusher, ok := w.ResponseWriter.(http.Flusher); ok {
		flusher.Flush()
	}
}

// endReading makes the handler's reading fail. It may be called from any goroutine while the handler runs.
func (w *streamWriter) endReading() {
	// Only servers without deadlines refuse, and net/http has them.
	_ = http.NewResponseController(w.ResponseWriter).SetReadDeadline(time.Unix(1, 0))
}

// Unwrap lets http.ResponseController find the writer of net/http.
func (w *streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *streamWriter) hold() { w.held = true }

func (w *streamWriter) release() {
	w.held = false
	w.Flush()
}
