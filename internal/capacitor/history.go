package capacitor

import (
	"slices"
	"sync"
)

// history has the outcomes of the last commands of a client at an endpoint that were to be stored, so that one that is sent
// again takes effect once. A client sends a command again, with the same number, when the socket closed before the result came.
//
// Numbers alone do not do: a process that starts anew counts from zero, perhaps under the same client id. So an entry also
// has a print of the command, and an entry with another print is an earlier process's.
type history struct {
	mu struct {
		sync.Mutex
		entries map[int64]entry
		// again has the sockets over which a command came again while it was under way.
		again map[int64][]*socket
		// order has the numbers of entries, oldest first; some occur twice, some have no entry any more.
		order []int64
	}
}

type entry struct {
	print   uint64
	outcome outcome
}

// outcome is what became of a command.
type outcome uint8

const (
	fresh outcome = iota // it was not seen before
	underWay
	succeeded    // with a void result
	answeredTrue // with a boolean result
	answeredFalse
)

// maxHistory is how many commands of a client are remembered. Source: the reference server of Fluxzero.
const maxHistory = 16384

// begin notes a command and returns what is known of it: fresh if it is to be carried out. When it is under way, the socket
// will be told of its end as well: the one over which it came first may be dead without anybody having noticed.
func (h *history) begin(id int64, print uint64, s *socket) outcome {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e, ok := h.mu.entries[id]; ok && e.print == print {
		if e.outcome == underWay && !slices.Contains(h.mu.again[id], s) {
			h.mu.again[id] = append(h.mu.again[id], s)
		}
		return e.outcome
	}
	if h.mu.entries == nil {
		h.mu.entries, h.mu.again = make(map[int64]entry), make(map[int64][]*socket)
	}
	h.mu.entries[id] = entry{print, underWay}
	h.mu.order = append(h.mu.order, id)
	for len(h.mu.order) > maxHistory {
		delete(h.mu.entries, h.mu.order[0])
		delete(h.mu.again, h.mu.order[0])
		h.mu.order = h.mu.order[1:]
	}
	return fresh
}

// end notes what became of a command, and returns the sockets over which it came again. One that failed may be sent again
// and is forgotten.
func (h *history) end(id int64, print uint64, o outcome) (again []*socket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e, ok := h.mu.entries[id]; !ok || e.print != print {
		return nil
	}
	if o == fresh {
		delete(h.mu.entries, id)
	} else {
		h.mu.entries[id] = entry{print, o}
	}
	again = h.mu.again[id]
	delete(h.mu.again, id)
	return again
}
