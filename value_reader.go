package flux

import (
	"context"
	"runtime"
	"sync"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

// valueReader reads values. Keys that are asked for while calls are under way go together into the next one, so that many
// callers cost the server few calls, and a lone caller waits for nobody.
type valueReader struct {
	app *App
	mu  struct {
		sync.Mutex
		waiting []*valueRequest
		calls   int // under way
		keys    int // of them
	}
}

const (
	// valueCalls is how many calls may be under way before further keys wait for each other. A call waits until it has as many
	// keys as those that are under way; see smallInFlight.
	valueCalls = 2
	// valueKeys is the most keys of one call.
	valueKeys = 1000
)

// valueRequest is a caller that waits for the value of a key.
type valueRequest struct {
	key  string
	item *fluxv1.Item
	err  error
	done chan struct{} // closed when item or err is set
}

// read returns the item of a key.
func (r *valueReader) read(ctx context.Context, key string) (*fluxv1.Item, error) {
	request := &valueRequest{key: key, done: make(chan struct{})}
	r.mu.Lock()
	r.mu.waiting = append(r.mu.waiting, request)
	call := r.readyLocked()
	if call {
		r.mu.calls++
	}
	r.mu.Unlock()
	if call {
		go r.run()
	}
	select {
	case <-request.done:
		return request.item, request.err
	case <-ctx.Done():
		return nil, cause(ctx)
	}
}

// readyLocked reports whether another call is to be made.
func (r *valueReader) readyLocked() bool {
	return len(r.mu.waiting) > 0 && r.mu.calls < valueCalls && len(r.mu.waiting) >= min(r.mu.keys, valueKeys)
}

// run makes the call that was counted, and others while there is enough to ask for.
func (r *valueReader) run() {
	for more := true; more; {
		runtime.Gosched() // an answer wakes many callers at once: those that ask again go before this
		requests := r.take()
		if len(requests) > 0 {
			r.call(requests)
		}
		r.mu.Lock()
		r.mu.keys -= len(requests)
		r.mu.calls--
		if more = r.readyLocked(); more {
			r.mu.calls++
		}
		r.mu.Unlock()
	}
}

// take returns those who wait, as many as go into a call.
func (r *valueReader) take() []*valueRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.mu.waiting), valueKeys)
	requests := r.mu.waiting[:n:n]
	r.mu.waiting = r.mu.waiting[n:]
	r.mu.keys += n
	return requests
}

// call asks for the keys of the requests. A key that the server refuses must not be the trouble of others, so each is asked
// for alone then.
func (r *valueReader) call(requests []*valueRequest) {
	ctx, cancel := r.app.requestContext(r.app.ctx)
	defer cancel()
	in := &fluxv1.GetValuesRequest{Keys: make([]string, len(requests)), Raw: true}
	for i, request := range requests {
		in.Keys[i] = request.key
	}
	answer, err := r.app.conn.values.GetValues(ctx, connect.NewRequest(in))
	if err != nil && len(requests) > 1 && !Retryable(ofServer(err)) {
		for i := range requests {
			r.call(requests[i : i+1])
		}
		return
	}
	for i, request := range requests {
		if err != nil {
			request.err = ofServer(err)
		} else {
			request.item = answer.Msg.GetValues()[i]
		}
		close(request.done)
	}
}
