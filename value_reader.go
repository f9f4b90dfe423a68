package flux

import (
	"context"
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
	}
}

const (
	// valueCalls is how many calls may be under way before further keys wait for each other.
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
	call := r.mu.calls < valueCalls
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

// run makes calls until nobody waits.
func (r *valueReader) run() {
	for {
		r.mu.Lock()
		n := min(len(r.mu.waiting), valueKeys)
		if n == 0 {
			r.mu.calls--
			r.mu.Unlock()
			return
		}
		requests := r.mu.waiting[:n:n]
		r.mu.waiting = r.mu.waiting[n:]
		r.mu.Unlock()
		r.call(requests)
	}
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
