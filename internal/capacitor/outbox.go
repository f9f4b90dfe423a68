package capacitor

import (
	"sync"

	"github.com/flux-go/flux/internal/capacitor/wire"
)

// outbox has the results that wait to be written to a socket.
type outbox struct {
	// joins reports whether a result may be in one message with others. Nil means that all may.
	joins func(result []byte) bool
	// ready has room for one signal, given when results were put in.
	ready chan struct{}
	mu    struct {
		sync.Mutex
		results [][]byte
		bytes   int
		closed  bool
		// drained is closed when there is room again. Nil while nobody waits.
		drained chan struct{}
	}
}

const (
	// maxOutboxBytes is what may wait before no further request of the socket is read.
	maxOutboxBytes = 64 << 20
	// maxBatchBytes is about how long a batch of results gets. A longer result is a message of its own.
	maxBatchBytes = 4 << 20
)

// put adds results and reports whether they may still be written.
func (o *outbox) put(results ...[]byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.mu.closed {
		return false
	}
	for _, result := range results {
		o.mu.bytes += len(result)
	}
	o.mu.results = append(o.mu.results, results...)
	select {
	case o.ready <- struct{}{}:
	default:
	}
	return true
}

// take returns the results of the next websocket message, none when nothing waits.
func (o *outbox) take() (batch [][]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	size, n := 0, 0
	for _, result := range o.mu.results[:min(len(o.mu.results), wire.MaxResultBatch)] {
		alone := o.joins != nil && !o.joins(result)
		if n > 0 && (alone || size+len(result) > maxBatchBytes) {
			break
		}
		size += len(result)
		if n++; alone {
			break
		}
	}
	batch, o.mu.results = o.mu.results[:n:n], o.mu.results[n:]
	if o.mu.bytes -= size; o.mu.bytes <= maxOutboxBytes && o.mu.drained != nil {
		close(o.mu.drained)
		o.mu.drained = nil
	}
	return batch
}

// full returns a channel that is closed when there is room again, or nil when there is.
func (o *outbox) full() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.mu.bytes <= maxOutboxBytes {
		return nil
	}
	if o.mu.drained == nil {
		o.mu.drained = make(chan struct{})
	}
	return o.mu.drained
}

// close returns what was not taken, and lets nothing more in.
func (o *outbox) close() (left [][]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	left, o.mu.results, o.mu.closed = o.mu.results, nil, true
	return left
}
