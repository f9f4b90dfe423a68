package flux

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// receive settles transactions as their answers come in, and returns why there are no more.
func (p *producer) receive(stream publishStream, wait *backoff) error {
	defer p.signal()
	for {
		answer, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: it ended the stream", ErrUnavailable)
		}
		if err != nil {
			return err
		}
		wait.reset()
		var refused error
		if e := answer.GetError(); e != nil {
			refused = explained(e.GetDetail(), e.GetMessage())
		}
		if t := p.land(answer.GetSequence()); t != nil {
			t.finish(answer.GetFirstIndexes(), refused)
		}
	}
}

// land takes a transaction out of flight. It returns nil for a number that is not under way.
func (p *producer) land(number uint64) *transaction {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := p.mu.last - uint64(len(p.mu.flight)) + 1
	if number < first || number > p.mu.last {
		return nil
	}
	f := &p.mu.flight[number-first]
	t := f.transaction
	if t == nil {
		return nil
	}
	if f.small {
		p.mu.small--
	}
	f.transaction = nil
	for len(p.mu.flight) > 0 && p.mu.flight[0].transaction == nil {
		p.mu.flight = p.mu.flight[1:]
	}
	p.releaseLocked(t.bytes)
	if len(p.mu.queue) > 0 {
		p.signal()
	}
	return t
}

// releaseLocked gives bytes back to the window.
func (p *producer) releaseLocked(bytes int) {
	full := p.mu.unanswered >= p.limits.windowBytes
	p.mu.unanswered -= bytes
	if full && p.mu.unanswered < p.limits.windowBytes {
		close(p.mu.room)
		p.mu.room = make(chan struct{})
	}
	if p.mu.idle != nil && len(p.mu.queue)+len(p.mu.flight) == 0 {
		close(p.mu.idle)
		p.mu.idle = nil
	}
}

// failAll settles everything with an error that trying again would not change. The numbers of what was sent are not used
// again, for the server may have committed it.
func (p *producer) failAll(err error) {
	p.mu.Lock()
	failed := p.mu.queue
	for _, f := range p.mu.flight {
		if f.transaction != nil {
			failed = append(failed, f.transaction)
		}
	}
	p.mu.queue, p.mu.flight, p.mu.small = nil, nil, 0
	clear(p.mu.collecting)
	for _, t := range failed {
		p.releaseLocked(t.bytes)
	}
	p.mu.Unlock()
	for _, t := range failed {
		t.finish(nil, err)
	}
}

// waitSent returns when the transaction was handed to the connection, or was answered.
func (p *producer) waitSent(ctx context.Context, t *transaction) error {
	p.mu.Lock()
	if t.handed {
		p.mu.Unlock()
		return nil
	}
	if t.sent == nil {
		t.sent = make(chan struct{})
	}
	sent := t.sent
	p.mu.Unlock()
	select {
	case <-sent:
		return nil
	case <-t.done:
		return t.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// drain returns when everything published so far is answered.
func (p *producer) drain(ctx context.Context) error {
	p.mu.Lock()
	if len(p.mu.queue)+len(p.mu.flight) == 0 {
		p.mu.Unlock()
		return nil
	}
	if p.mu.idle == nil {
		p.mu.idle = make(chan struct{})
	}
	idle := p.mu.idle
	p.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("publishing: %w", context.Cause(ctx))
	}
}

// close stops the sender. What was not answered fails with ErrClosed; drain first.
func (p *producer) close() {
	p.mu.Lock()
	p.mu.closed = true
	close(p.mu.room)
	p.mu.room = make(chan struct{})
	p.mu.Unlock()
	p.cancel()
	p.started.Do(func() { close(p.stopped) })
	<-p.stopped
	p.failAll(ErrClosed)
}
