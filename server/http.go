package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/flux-go/flux/internal/capacitor"
)

// Settings of HTTP/2. A busy stream fills a window of net/http's default size, 1 MiB per connection, before the first
// acknowledgement is back. Besides, pings find clients that are gone without a word; those whose process died on a machine
// that lives are seen at once.
const (
	maxConcurrentStreams = 20_000
	connectionWindow     = 4<<20 - 1 // the most that net/http takes
	streamWindow         = 2 << 20
	maxFrameBytes        = 1 << 20
	headerTimeout        = 10 * time.Second
	idleTimeout          = 5 * time.Minute // of connections without calls
	maxHeaderBytes       = 64 << 10
)

// cutAfter is how long calls under way may take once the server is to end and nobody says how long they may.
const cutAfter = 30 * time.Second

// httpActor serves HTTP on a listener.
type httpActor struct {
	server     *http.Server
	listener   net.Listener
	endStreams func()
	clients    *connections
	cutOnce    sync.Once
	cutOff     chan struct{}
}

func newHTTPActor(listener net.Listener, handler http.Handler, endStreams func(), c Config) *httpActor {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	clients := newConnections()
	return &httpActor{
		listener:   listener,
		endStreams: endStreams,
		clients:    clients,
		cutOff:     make(chan struct{}),
		server: &http.Server{
			Handler:           handler,
			ConnState:         clients.note,
			Protocols:         protocols,
			ReadHeaderTimeout: headerTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			ErrorLog:          slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
			HTTP2: &http.HTTP2Config{
				MaxConcurrentStreams:          maxConcurrentStreams,
				MaxReceiveBufferPerConnection: connectionWindow,
				MaxReceiveBufferPerStream:     streamWindow,
				MaxReadFrameSize:              maxFrameBytes,
				SendPingTimeout:               c.hooks.pings,
				PingTimeout:                   c.hooks.pings,
			},
		},
	}
}

func (h *httpActor) actor() actor { return actor{"http", h.run, h.interrupt} }

func (h *httpActor) run() error {
	err := h.server.Serve(h.listener)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve http: %w", err)
}

// interrupt ends the streams and waits until the clients have read their last answers, or calls are cut off. Waiting for
// http.Server.Shutdown alone would take a second, which it leaves to every client of HTTP/2, idle or not.
func (h *httpActor) interrupt() {
	drained := h.clients.drained()
	h.endStreams()
	ctx, cancel := context.WithTimeout(context.Background(), cutAfter)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- h.server.Shutdown(ctx) }()
	select {
	case err := <-ended:
		if err == nil {
			return
		}
		ended <- err
	case <-drained:
	case <-h.cutOff:
	}
	// What is left is idle, or was to be cut off: there is nothing to tell about its end.
	_ = h.server.Close()
	cancel()
	<-ended
}

// cut cuts calls under way off.
func (h *httpActor) cut() { h.cutOnce.Do(func() { close(h.cutOff) }) }

// handler tells requests apart by their paths.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", s.health)
	mux.Handle("GET /metrics", s.metricsHandler())
	for _, path := range capacitor.Paths {
		mux.Handle(path, s.capacitor)
	}
	mux.Handle("/", s.native.Handler())
	return mux
}

// health answers Healthy while the server takes writes.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := s.engine.Err(); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "Unhealthy: %v\n", err)
		return
	}
	fmt.Fprint(w, "Healthy")
}

func (s *Server) metricsHandler() http.Handler {
	handler := promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{})
	if s.config.OpenMetrics {
		return handler
	}
	return s.native.Authenticated(handler)
}
