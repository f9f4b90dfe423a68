package capacitor

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Traffic is what went over the sockets of a path since the server started. Bytes are those of websocket messages as they
// are sent, compressed.
type Traffic struct {
	// Path is that of the endpoint, such as tracking/publishevent, without a topic.
	Path string
	// Open is how many sockets there are, Opened how many there were in all.
	Open, Opened                           int64
	FramesIn, BytesIn, FramesOut, BytesOut int64
	// Errors is how many requests were not carried out, whether or not their clients were told.
	Errors int64
	// Unreadable is how many websocket messages were dropped.
	Unreadable int64
}

// meter counts the traffic of one path.
type meter struct {
	open, opened, framesIn, bytesIn, framesOut, bytesOut, errors, unreadable atomic.Int64
}

// meters has one for each path that was used. There are only so many paths.
type meters struct {
	mu struct {
		sync.Mutex
		all map[string]*meter
	}
}

// of returns the meter of a path, which may have a topic.
func (m *meters) of(path string) *meter {
	path, _, _ = strings.Cut(path, "?")
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.all == nil {
		m.mu.all = make(map[string]*meter)
	}
	if m.mu.all[path] == nil {
		m.mu.all[path] = new(meter)
	}
	return m.mu.all[path]
}

// Traffic returns that of all paths that were used, in their order.
func (h *Handler) Traffic() []Traffic {
	h.meters.mu.Lock()
	defer h.meters.mu.Unlock()
	all := make([]Traffic, 0, len(h.meters.mu.all))
	for path, m := range h.meters.mu.all {
		all = append(all, Traffic{
			Path: path, Open: m.open.Load(), Opened: m.opened.Load(),
			FramesIn: m.framesIn.Load(), BytesIn: m.bytesIn.Load(), FramesOut: m.framesOut.Load(), BytesOut: m.bytesOut.Load(),
			Errors: m.errors.Load(), Unreadable: m.unreadable.Load(),
		})
	}
	slices.SortFunc(all, func(a, b Traffic) int { return cmp.Compare(a.Path, b.Path) })
	return all
}
