package flux

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
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
		if f := p.land(answer.GetSequence()); f != nil {
			if err := f.settle(answer); err != nil {
				return err
			}
		}
	}
}

// land takes a frame out of flight, by the number of its first transaction. It returns nil for one that is not under way.
func (p *producer) land(first uint64) *frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, found := slices.BinarySearchFunc(p.mu.flight, first, func(f *frame, first uint64) int { return cmp.Compare(f.first, first) })
	if !found || p.mu.flight[i].answered {
		return nil
	}
	f := p.mu.flight[i]
	f.answered = true
	if f.small > 0 {
		p.mu.small--
		p.mu.smallBytes -= f.small
	}
	for len(p.mu.flight) > 0 && p.mu.flight[0].answered {
		p.mu.flight = p.mu.flight[1:]
	}
	for _, t := range f.transactions {
		p.releaseLocked(t.bytes)
	}
	p.signalLocked()
	return f
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
		if !f.answered {
			failed = append(failed, f.transactions...)
		}
	}
	p.mu.queue, p.mu.queued = nil, 0
	p.mu.flight, p.mu.small, p.mu.smallBytes = nil, 0, 0
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
