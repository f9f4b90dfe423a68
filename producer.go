package flux

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/message"
)

// producer numbers transactions and sends them, in order, over one stream. It keeps each until it is answered, and after a
// lost connection sends those that were not again, under the same numbers, so that the server can tell which it has.
//
// What is small is sent at once while little is under way. Otherwise it waits for company: single messages of a log go into
// one block, and transactions into one frame, which is a request of the stream. So the more callers, the larger the frames,
// without a timer that a lone caller would have to wait for.
//
// Invariants:
//
//	S1  Transactions are sent in the order of their numbers, also those that are sent again.
//	S2  Messages of a log are in the order of the calls that published them.
//	S3  A transaction is in queue or in flight until it is answered; nothing else loses or answers it.
//	S4  No more transactions are sent than the server keeps answers of.
type producer struct {
	id     [16]byte
	client fluxv1connect.LogServiceClient
	limits producerLimits
	onLost func(error)

	ctx     context.Context // of the streams
	cancel  context.CancelFunc
	wake    chan struct{} // holds one signal for the sender
	started sync.Once
	stopped chan struct{}

	mu struct {
		sync.Mutex
		closed     bool
		queue      []*transaction // to be sent
		queued     int            // bytes in it
		collecting map[message.Log]*transaction
		flight     []*frame // sent, by number without gap; the first of them is not answered
		small      int      // of those, that are small and not answered
		smallBytes int      // of them
		last       uint64   // number given out
		unanswered int      // bytes in queue and in flight
		room       chan struct{}
		idle       chan struct{} // closed when nothing is unanswered; nil unless somebody waits
	}
}

type producerLimits struct {
	windowBytes  int // unanswered
	messageBytes int // in one transaction
}

const (
	// smallInFlight is how many small frames may be under way before what comes next waits for company. With two, the server
	// writes one while the other is on its way. The second waits until it is as large as the first: otherwise there would be
	// three groups of callers, two under way and one that waits, and smaller frames for it.
	smallInFlight = 2
	// collectBytes is the size from which on a frame is not small any more, and is sent in any case.
	collectBytes = 64 << 10
	// maxInFlight is how many transactions may be under way. Of a producer that goes beyond, the server forgets answers.
	maxInFlight = 1024
)

func newProducer(client fluxv1connect.LogServiceClient, limits producerLimits, onLost func(error)) *producer {
	p := &producer{
		id: newProducerID(), client: client, limits: limits, onLost: onLost,
		wake: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.mu.collecting = make(map[message.Log]*transaction)
	p.mu.room = make(chan struct{})
	return p
}

// add publishes a message together with others of its log, and returns the transaction and the place of the message in it.
// then, if not nil, is called when the transaction is answered.
func (p *producer) add(ctx context.Context, log message.Log, m *message.Message, then func(error)) (*transaction, int, error) {
	size := sizeOf(m)
	if size > collectBytes {
		blocks, err := packBlocks([]*message.Message{m})
		if err != nil {
			return nil, 0, err
		}
		t := appendBlocks(log, blocks)
		return t, 0, p.submit(ctx, t, then)
	}
	if err := checkName(log.Topic); err != nil {
		return nil, 0, err
	}
	if err := p.lockWithRoom(ctx); err != nil {
		return nil, 0, err
	}
	defer p.mu.Unlock()
	return p.collectLocked(log, m, size, then)
}

// sizeOf is about the room that a message takes.
func sizeOf(m *message.Message) int {
	size := messageOverheadBytes + len(m.Type) + len(m.Payload)
	for key, value := range m.Metadata {
		size += len(key) + len(value)
	}
	return size
}

func (p *producer) collectLocked(log message.Log, m *message.Message, size int, then func(error)) (*transaction, int, error) {
	t := p.mu.collecting[log]
	if t == nil || t.bytes >= collectBytes {
		t = collect(log)
		p.mu.collecting[log] = t
		p.enqueueLocked(t)
	}
	place := t.writer.Len()
	if err := t.writer.Add(m); err == message.ErrBlockFull {
		delete(p.mu.collecting, log)
		return p.collectLocked(log, m, size, then)
	} else if err != nil {
		return nil, 0, tooLarge(err)
	}
	t.bytes += size
	p.mu.queued += size
	p.mu.unanswered += size
	if then != nil {
		t.then = append(t.then, then)
	}
	p.signalLocked()
	return t, place, nil
}

// submit publishes a transaction that is ready.
func (p *producer) submit(ctx context.Context, t *transaction, then func(error)) error {
	if t.bytes > p.limits.messageBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, t.bytes, p.limits.messageBytes)
	}
	if err := checkText(t.changes); err != nil {
		return err
	}
	if err := p.lockWithRoom(ctx); err != nil {
		return err
	}
	defer p.mu.Unlock()
	for log := range logsOf(t.changes) {
		delete(p.mu.collecting, log) // S2: what comes later must not join what waits ahead of this
	}
	if then != nil {
		t.then = append(t.then, then)
	}
	p.enqueueLocked(t)
	p.signalLocked()
	return nil
}

func (p *producer) enqueueLocked(t *transaction) {
	p.started.Do(func() { go p.run() })
	p.mu.queue = append(p.mu.queue, t)
	p.mu.queued += t.bytes
	p.mu.unanswered += t.bytes
}

// signalLocked wakes the sender if there is something for it to do.
func (p *producer) signalLocked() {
	if p.readyLocked() {
		p.signal()
	}
}

// readyLocked reports whether the next frame is to be sent.
func (p *producer) readyLocked() bool {
	if len(p.mu.queue) == 0 || p.inFlightLocked() == maxInFlight {
		return false
	}
	return p.mu.queued >= collectBytes || p.mu.small < smallInFlight && p.mu.queued >= p.mu.smallBytes
}

// inFlightLocked returns how many numbers were given out since the oldest that was not answered.
func (p *producer) inFlightLocked() int { return int(p.mu.last - p.answeredLocked()) }

// answeredLocked returns the number through which all is answered.
func (p *producer) answeredLocked() uint64 {
	if len(p.mu.flight) == 0 {
		return p.mu.last
	}
	return p.mu.flight[0].first - 1
}

// lockWithRoom locks p.mu as soon as the window has room. It returns the error of ctx or ErrClosed, and p.mu unlocked.
func (p *producer) lockWithRoom(ctx context.Context) error {
	for {
		p.mu.Lock()
		if p.mu.closed {
			p.mu.Unlock()
			return ErrClosed
		}
		if p.mu.unanswered < p.limits.windowBytes {
			return nil
		}
		room := p.mu.room
		p.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (p *producer) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run is the sender. It has a stream while there is anything to send.
func (p *producer) run() {
	defer close(p.stopped)
	wait := backoff{}
	for p.waitForWork() {
		err := p.serve(&wait)
		if p.ctx.Err() != nil {
			return
		}
		p.onLost(err)
		if !Retryable(err) {
			p.failAll(err)
		}
		wait.sleep(p.ctx)
	}
}

func (p *producer) waitForWork() bool {
	for {
		p.mu.Lock()
		work := len(p.mu.queue)+len(p.mu.flight) > 0
		p.mu.Unlock()
		if work && p.ctx.Err() == nil {
			return true
		}
		select {
		case <-p.wake:
		case <-p.ctx.Done():
			return false
		}
	}
}

type publishStream = *connect.BidiStreamForClient[fluxv1.PublishRequest, fluxv1.PublishResponse]

// serve opens a stream and sends over it until it breaks.
func (p *producer) serve(wait *backoff) error {
	ctx, cancel := context.WithCancel(p.ctx)
	stream := p.client.Publish(ctx)
	broken := make(chan error, 1)
	go func() { broken <- p.receive(stream, wait) }()
	err := p.send(stream, broken)
	hangUp(stream, cancel)
	if received := <-broken; err == nil {
		err = received
	}
	return ofServer(err)
}

// send sends what is to be sent again, then everything else. It leaves the error of the stream in broken, and itself returns
// none.
func (p *producer) send(stream publishStream, broken chan error) error {
	for _, request := range p.unanswered() {
		if stream.Send(request) != nil {
			return nil // receive knows why
		}
	}
	for {
		f := p.next()
		if f == nil {
			select {
			case <-p.wake:
				// An answer wakes many callers at once. Those that publish again go before this, to be sent together.
				runtime.Gosched()
				continue
			case err := <-broken:
				broken <- err
				return nil
			case <-p.ctx.Done():
				return nil
			}
		}
		err := stream.Send(f.request(p.id[:]))
		p.markSent(f)
		if err != nil {
			return nil
		}
	}
}

// unanswered returns the requests to send again. The first of a stream names the producer.
func (p *producer) unanswered() []*fluxv1.PublishRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	var requests []*fluxv1.PublishRequest
	for _, f := range p.mu.flight {
		if !f.answered {
			requests = append(requests, f.request(p.id[:]))
		}
	}
	return requests
}

// next returns the next frame to send, under way, or nil while there is none.
func (p *producer) next() *frame {
	p.mu.Lock()
	if !p.readyLocked() {
		p.mu.Unlock()
		return nil
	}
	f := p.frameLocked()
	p.mu.Unlock()
	for _, t := range f.transactions {
		t.seal()
	}
	return f
}

// frameLocked moves what is at the head of the queue into a frame: as many transactions as are small together, and one at least.
func (p *producer) frameLocked() *frame {
	f := &frame{first: p.mu.last + 1, answeredThrough: p.answeredLocked()}
	room := maxInFlight - p.inFlightLocked()
	bytes, n := 0, 0
	for n < min(len(p.mu.queue), room) && (n == 0 || bytes+p.mu.queue[n].bytes <= collectBytes) {
		t := p.mu.queue[n]
		if t.writer != nil && p.mu.collecting[t.log] == t {
			delete(p.mu.collecting, t.log)
		}
		bytes += t.bytes
		n++
	}
	f.transactions = slices.Clone(p.mu.queue[:n])
	clear(p.mu.queue[:n])
	p.mu.queue, p.mu.queued = p.mu.queue[n:], p.mu.queued-bytes
	if bytes < collectBytes {
		f.small = bytes
		p.mu.small++
		p.mu.smallBytes += bytes
	}
	p.mu.last += uint64(n)
	p.mu.flight = append(p.mu.flight, f)
	return f
}

// markSent tells those who wait for transactions to be handed to the connection.
func (p *producer) markSent(f *frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range f.transactions {
		t.handed = true
		if t.sent != nil {
			close(t.sent)
			t.sent = nil
		}
	}
}
