package flux

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

// valueReader reads values over one stream. Keys that callers ask for at the same time go together into one request, so that
// many callers cost few requests, and a lone caller waits for nobody.
//
// Invariants:
//
//	R1  A key is sent after its read began, so that the answer shows all that was on disk by then.
//	R2  A read waits or is under way until it is done, and it is done once. After a lost connection it is sent again.
type valueReader struct {
	app     *App
	wake    chan struct{} // holds one signal for the sender
	stopped chan struct{}
	mu      struct {
		sync.Mutex
		started bool
		closed  bool
		waiting []*valueRead
		flight  []*valueFrame // under way
		keys    int           // of them
		last    uint64        // number given out
	}
}

const (
	// valueFrames is how many frames may be under way before further keys wait for each other. A frame waits until it has as
	// many keys as those that are under way; see smallInFlight.
	valueFrames = 2
	// fullValueFrames is how many may be under way that have as many keys as go into a frame.
	fullValueFrames = 8
	// valueFrameKeys and valueFrameBytes bound the keys of a frame.
	valueFrameKeys  = 256
	valueFrameBytes = 64 << 10
	// valueTries is how often a key is sent at most. Once more is enough for a connection that was lost; when the server is
	// gone, callers are to hear of it soon.
	valueTries = 3
)

// valueRead is a caller that waits for the value of a key.
type valueRead struct {
	key   string
	tries int
	value *fluxv1.Value // nil when there is none
	err   error
	done  chan struct{} // holds a signal when value and err are set
}

// valueFrame is reads that are asked for in one request.
type valueFrame struct {
	number   uint64
	reads    []*valueRead
	answered int         // of them
	late     *time.Timer // ends the stream when the answer does not come
}

// idleReads are those that nobody refers to any more.
var idleReads = sync.Pool{New: func() any { return &valueRead{done: make(chan struct{}, 1)} }}

func newValueReader(a *App) *valueReader {
	return &valueReader{app: a, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
}

// read returns the value of a key, or nil when there is none.
func (r *valueReader) read(ctx context.Context, key string) (*fluxv1.Value, error) {
	if err := checkName(key); err != nil {
		return nil, err
	}
	read := idleReads.Get().(*valueRead)
	read.key = key
	if err := r.ask(read); err != nil {
		return nil, err
	}
	select {
	case <-read.done:
	case <-ctx.Done():
		r.forget(read)
		return nil, cause(ctx)
	}
	value, err := read.value, read.err
	*read = valueRead{done: read.done}
	idleReads.Put(read)
	return value, err
}

func (r *valueReader) ask(read *valueRead) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.closed {
		return ErrClosed
	}
	if !r.mu.started {
		r.mu.started = true
		go r.run()
	}
	r.mu.waiting = append(r.mu.waiting, read)
	r.signalLocked()
	return nil
}

// forget takes back a read that was not sent yet.
func (r *valueReader) forget(read *valueRead) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.mu.waiting, read); i >= 0 {
		r.mu.waiting = slices.Delete(r.mu.waiting, i, i+1)
	}
}

// signalLocked wakes the sender if there is something for it to do.
func (r *valueReader) signalLocked() {
	if r.readyLocked() {
		signal(r.wake)
	}
}

// readyLocked reports whether the next frame is to be sent.
func (r *valueReader) readyLocked() bool {
	switch waiting, frames := len(r.mu.waiting), len(r.mu.flight); {
	case waiting == 0:
		return false
	case waiting >= valueFrameKeys:
		return frames < fullValueFrames
	default:
		return frames < valueFrames && waiting >= r.mu.keys
	}
}

// run is the sender. It has a stream while there is anything to ask.
func (r *valueReader) run() {
	defer close(r.stopped)
	wait := backoff{first: 10 * time.Millisecond, longest: 250 * time.Millisecond} // callers wait for each try
	for r.waitForWork() {
		err := r.serve(&wait)
		r.lost(err)
		if !wait.sleep(r.app.ctx) {
			return
		}
	}
}

func (r *valueReader) waitForWork() bool {
	for {
		r.mu.Lock()
		work := len(r.mu.waiting) > 0
		r.mu.Unlock()
		if work && r.app.ctx.Err() == nil {
			return true
		}
		select {
		case <-r.wake:
		case <-r.app.ctx.Done():
			return false
		}
	}
}

type valueStream = *connect.BidiStreamForClient[fluxv1.ReadValuesRequest, fluxv1.ReadValuesResponse]

// serve opens a stream and asks over it until it breaks.
func (r *valueReader) serve(wait *backoff) error {
	ctx, cancel := context.WithCancelCause(r.app.ctx)
	stream := r.app.conn.values.ReadValues(ctx)
	broken := make(chan error, 1)
	go func() { broken <- r.receive(stream, wait) }()
	r.send(ctx, stream, broken, cancel)
	hangUp(stream, func() { cancel(nil) })
	err := ofServer(<-broken)
	if late := context.Cause(ctx); errors.Is(late, context.DeadlineExceeded) {
		return late
	}
	return err
}

// send sends what is asked for until the stream breaks or ctx ends, with which the stream would not end by itself: see hangUp.
// It leaves the error in broken.
func (r *valueReader) send(ctx context.Context, stream valueStream, broken chan error, cancel context.CancelCauseFunc) {
	for {
		request := r.next(cancel)
		if request != nil {
			if stream.Send(request) != nil {
				return // receive knows why
			}
			continue
		}
		select {
		case <-r.wake:
			// An answer wakes many callers at once. Those that ask again go before this, to be sent together.
			runtime.Gosched()
		case err := <-broken:
			broken <- err
			return
		case <-ctx.Done():
			return
		}
	}
}

// next returns the next request to send, under way, or nil while there is none.
func (r *valueReader) next(cancel context.CancelCauseFunc) *fluxv1.ReadValuesRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.readyLocked() {
		return nil
	}
	r.mu.last++
	f := &valueFrame{number: r.mu.last, reads: r.takeLocked()}
	timeout := r.app.config.RequestTimeout
	f.late = time.AfterFunc(timeout, func() { cancel(errLate(timeout)) })
	r.mu.flight = append(r.mu.flight, f)
	r.mu.keys += len(f.reads)
	request := &fluxv1.ReadValuesRequest{Number: f.number, Keys: make([]string, len(f.reads))}
	for i, read := range f.reads {
		read.tries++
		request.Keys[i] = read.key
	}
	return request
}

// takeLocked returns the first of those that wait, as many as go into a frame, and one at least.
func (r *valueReader) takeLocked() []*valueRead {
	n, bytes := 0, 0
	for n < min(len(r.mu.waiting), valueFrameKeys) && (n == 0 || bytes+len(r.mu.waiting[n].key) <= valueFrameBytes) {
		bytes += len(r.mu.waiting[n].key)
		n++
	}
	reads := slices.Clone(r.mu.waiting[:n])
	rest := copy(r.mu.waiting, r.mu.waiting[n:])
	clear(r.mu.waiting[rest:])
	r.mu.waiting = r.mu.waiting[:rest]
	return reads
}
