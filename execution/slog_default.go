package execution

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"sync"
)

// isDefault says that a handler is the one with which slog starts. It writes by way of package log; once another handler is the
// default, package log writes by way of that. A handler around it would then wait for itself for ever.
func isDefault(h slog.Handler) bool { return fmt.Sprintf("%T", h) == "*slog.defaultHandler" }

// A plainHandler writes what the handler with which slog starts does, but straight to where package log wrote when it was made.
// Flags of package log that ask for file and line have no effect.
type plainHandler struct {
	level slog.Handler // decides what is enabled
	attrs slog.Handler // writes attributes into the line
	line  *plainLine
}

// A plainLine is the line that a plainHandler, with all that come from it, is making.
type plainLine struct {
	mu   sync.Mutex
	out  *log.Logger
	text bytes.Buffer
	drop int // how many attributes come next that the line has already: level and message
}

func newPlainHandler(of slog.Handler) *plainHandler {
	line := &plainLine{out: log.New(log.Writer(), log.Prefix(), log.Flags()&^(log.Lshortfile|log.Llongfile))}
	return &plainHandler{of, slog.NewTextHandler(&line.text, &slog.HandlerOptions{Level: slog.Level(-1 << 30), ReplaceAttr: line.replace}), line}
}

func (l *plainLine) replace(groups []string, a slog.Attr) slog.Attr {
	if l.drop == 0 || len(groups) > 0 {
		return a
	}
	l.drop--
	return slog.Attr{}
}

// Enabled implements slog.Handler.
func (h *plainHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.level.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *plainHandler) Handle(ctx context.Context, r slog.Record) error {
	h.line.mu.Lock()
	defer h.line.mu.Unlock()
	h.line.text.Reset()
	h.line.drop = 2
	if !r.Time.IsZero() {
		h.line.drop = 3
	}
	err := h.attrs.Handle(ctx, r)
	h.line.drop = 0
	if err != nil {
		return err
	}
	line := r.Level.String() + " " + r.Message
	if attrs := strings.TrimSpace(h.line.text.String()); attrs != "" {
		line += " " + attrs
	}
	return h.line.out.Output(0, line)
}

// WithAttrs implements slog.Handler.
func (h *plainHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.line.mu.Lock()
	defer h.line.mu.Unlock()
	return &plainHandler{h.level, h.attrs.WithAttrs(attrs), h.line}
}

// WithGroup implements slog.Handler.
func (h *plainHandler) WithGroup(name string) slog.Handler {
	return &plainHandler{h.level, h.attrs.WithGroup(name), h.line}
}
