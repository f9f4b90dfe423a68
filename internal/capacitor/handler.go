package capacitor

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/flux-go/flux/internal/auth"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/eventstore"
	"github.com/flux-go/flux/internal/keyvalue"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/internal/schedule"
	"github.com/flux-go/flux/internal/tracking"
)

// Options are what a Handler works with. All are required unless a default is named.
type Options struct {
	Engine    *engine.Engine
	Logs      *messagelog.Logs
	Positions *position.Positions
	Tracking  *tracking.Service
	Streams   *eventstore.Streams
	Values    *keyvalue.Values
	Schedules *schedule.Schedules
	// Tokens are those that clients need. Nil means that everybody may do everything.
	Tokens *auth.Tokens
	// Version is what Fluxzero clients are told of the server. Defaults to "flux".
	Version string
	// MaxMessageBytes bounds a websocket message of a client, before and after it is unpacked. Defaults to 256 MiB.
	MaxMessageBytes int
	// MaxResultBytes is the length of a result beyond which it gets no further message when its client sets no bound of its
	// own. Events of an aggregate are not cut. Defaults to 64 MiB.
	MaxResultBytes int
	// PingEvery is how often sockets are asked whether they live, PingTimeout how long they have for an answer. Default to
	// 30 s and 15 s.
	PingEvery, PingTimeout time.Duration
	// Logger defaults to silence.
	Logger *slog.Logger
	// Clock defaults to time.Now.
	Clock func() time.Time
}

func (o Options) withDefaults() Options {
	if o.Version == "" {
		o.Version = "flux"
	}
	if o.MaxMessageBytes == 0 {
		o.MaxMessageBytes = 256 << 20
	}
	if o.MaxResultBytes == 0 {
		o.MaxResultBytes = 64 << 20
	}
	if o.PingEvery == 0 {
		o.PingEvery = 30 * time.Second
	}
	if o.PingTimeout == 0 {
		o.PingTimeout = 15 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return o
}

// Handler serves the protocol. Mount it at Paths.
type Handler struct {
	Options
	registry registry
	past     *past
	meters   meters
	// started is when the handler was made.
	started time.Time
	// ctx ends when sockets are to be closed.
	ctx    context.Context
	cancel context.CancelFunc
}

// New returns a handler. Its Run must be called once. Create it before the first transaction.
func New(o Options) *Handler {
	h := &Handler{Options: o.withDefaults()}
	h.registry.init()
	h.started = h.Clock()
	var err error
	if h.past, err = newPast(h.Engine, h.Logs); err != nil {
		h.Logger.Warn("capacitor: commands that are sent again may take effect twice", "error", err)
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

const (
	// forgetEvery is how often clients are looked at that have no socket.
	forgetEvery = time.Minute
	// grace is how long results are sent on once the server is to end.
	grace = 500 * time.Millisecond
)

// Run keeps the handler's books until ctx ends. Then it takes no more sockets and no more requests, lets results go out for
// a moment, closes all sockets, and waits until nothing of theirs is under way.
func (h *Handler) Run(ctx context.Context) error {
	ticker := time.NewTicker(forgetEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			now := h.Clock()
			h.registry.forget(now)
			if now.Sub(h.started) > idleTime {
				h.past.forget()
			}
		case <-ctx.Done():
			h.shutdown()
			return nil
		}
	}
}

// shutdown closes all sockets.
func (h *Handler) shutdown() {
	sockets := h.registry.close()
	if len(sockets) > 0 {
		time.Sleep(grace) // there is nothing to wait for: results may come until the last moment
	}
	for _, s := range sockets {
		go s.close(websocket.StatusNormalClosure, "server shutdown")
	}
	h.registry.running.Wait()
	h.cancel()
}

// ServeHTTP serves a websocket until it closes, and refuses everything else.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o, refusal := h.open(r)
	if refusal != nil {
		refusal.write(w)
		return
	}
	o.answer(w.Header(), h.Version)
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // clients are no browsers; a token is asked for where one is needed
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return // it has been answered
	}
	conn.SetReadLimit(int64(h.MaxMessageBytes))
	s := newSocket(h, conn, o)
	if !h.registry.add(s) {
		s.close(websocket.StatusNormalClosure, "server shutdown")
		return
	}
	defer h.registry.running.Done()
	s.serve()
}
