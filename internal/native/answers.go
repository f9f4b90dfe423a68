package native

import (
	"context"
	"sync"
)

// Bounds of what one stream may have under way: transactions, and bytes of them. Beyond them its requests are not read, so that
// the client's flow control stops it. The number is also that of the answers a producer can ask for again.
const (
	maxProposed      = 1024
	maxProposedBytes = 16 << 20
)

// answers are the requests of a stream in their order, from their proposal until they are answered. One goroutine pushes,
// one takes, and the engine's completes.
type answers struct {
	mu struct {
		sync.Mutex
		queue        []*proposed // oldest first
		transactions int
		bytes        int
		finished     bool
	}
	// room has a value when there may be room after there was none, ready when the oldest may be done.
	room, ready chan struct{}
}

func newAnswers() *answers {
	return &answers{room: make(chan struct{}, 1), ready: make(chan struct{}, 1)}
}

// push adds a request, and waits until there is room, or ctx ends.
func (q *answers) push(ctx context.Context, a *proposed) error {
	for !q.tryPush(a) {
		select {
		case <-q.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if a.done {
		signal(q.ready)
	}
	return nil
}

// tryPush lets a single request in whatever its size.
func (q *answers) tryPush(a *proposed) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	transactions, bytes := q.mu.transactions+len(a.transactions), q.mu.bytes+a.size
	if len(q.mu.queue) > 0 && (transactions > maxProposed || bytes > maxProposedBytes) {
		return false
	}
	q.mu.queue = append(q.mu.queue, a)
	q.mu.transactions, q.mu.bytes = transactions, bytes
	return true
}

// complete notes the outcome of a request.
func (q *answers) complete(a *proposed, err error) {
	q.mu.Lock()
	a.done, a.err = true, err
	first := q.mu.queue[0].done
	q.mu.Unlock()
	if first {
		signal(q.ready)
	}
}

// finish says that nothing more will be pushed.
func (q *answers) finish() {
	q.mu.Lock()
	q.mu.finished = true
	q.mu.Unlock()
	signal(q.ready)
}

// next takes the requests that are done, in order, waiting for the first. It returns false when there are no more to come.
func (q *answers) next(batch *[]*proposed) bool {
	for {
		if q.take(batch) {
			return len(*batch) > 0
		}
		<-q.ready
	}
}

// take returns false when it is too early: nothing is done, and something is to come.
func (q *answers) take(batch *[]*proposed) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(q.mu.queue) && q.mu.queue[n].done {
		q.mu.transactions -= len(q.mu.queue[n].transactions)
		q.mu.bytes -= q.mu.queue[n].size
		n++
	}
	*batch = append((*batch)[:0], q.mu.queue[:n]...)
	rest := copy(q.mu.queue, q.mu.queue[n:])
	clear(q.mu.queue[rest:])
	q.mu.queue = q.mu.queue[:rest]
	if n > 0 {
		signal(q.room)
	}
	return n > 0 || q.mu.finished && rest == 0
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
