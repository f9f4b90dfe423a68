package flux

import (
	"cmp"
	"context"
	"sync"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/message"
)

// PublisherOptions are the settings of a [Publisher]. Nil means all defaults.
type PublisherOptions struct {
	// BlockMessages is how many messages go into a block at most. Defaults to 1,024.
	BlockMessages int
	// BlockBytes is how many bytes go into a block at most, before compression, unless a single message is larger. Defaults
	// to 128 KiB.
	BlockBytes int
	// Compression of the blocks. Defaults to Snappy.
	Compression message.Compression
}

// Publisher publishes many messages to one log. It buffers like a bufio.Writer, and has several blocks under way at once:
//
//	pub := app.Publisher(message.Log{Type: message.Event}, nil)
//	for … {
//		err = pub.Send(ctx, &message.Message{Type: "shop.OrderPlaced", Payload: data})
//	}
//	err = pub.Flush(ctx) // all of it is on disk
//
// The messages of one Publisher are stored in the order in which they were sent. It is safe for concurrent use; goroutines
// that have a Publisher each do not wait for each other.
type Publisher struct {
	app     *App
	log     message.Log
	options PublisherOptions

	mu struct {
		sync.Mutex
		writer message.BlockWriter
	}
	// answers has a lock of its own, because answers come in while a Send waits for the window.
	answers struct {
		sync.Mutex
		missing int
		err     error         // the first
		none    chan struct{} // closed when none is missing; nil unless somebody waits
	}
}

// Publisher returns a new publisher of messages to a log.
func (a *App) Publisher(log message.Log, options *PublisherOptions) *Publisher {
	p := &Publisher{app: a, log: log.Stored()}
	if options != nil {
		p.options = *options
	}
	p.options.BlockMessages = min(cmp.Or(p.options.BlockMessages, 1024), message.MaxBlockMessages)
	p.options.BlockBytes = cmp.Or(p.options.BlockBytes, 128<<10)
	return p
}

// Send publishes a message sooner or later; [Publisher.Flush] tells whether it was stored. It keeps nothing of the message
// but its strings. When too much is under way already it waits, until ctx ends. It returns [ErrTooLarge] for a message that
// no block holds, and the error of an earlier message until Flush has returned that.
func (p *Publisher) Send(ctx context.Context, m *message.Message) error {
	if !p.app.records(ctx) {
		return p.sendNow(ctx, m)
	}
	messages := named(ctx, m)
	op := execution.Op{Target: p.log.String(), Shape: "send", Effect: record.EffectWrite}
	op = operationRequest{Log: op.Target}.with(ctx, op, messages)
	_, err := operate(ctx, p.app, op, func(c *execution.Call) (Nothing, error) {
		link(c, p.log, messages, 0)
		return Nothing{}, p.sendNow(ctx, messages[0])
	})
	return err
}

func (p *Publisher) sendNow(ctx context.Context, m *message.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := &p.mu.writer
	err := w.Add(m)
	if err == message.ErrBlockFull {
		if err := p.sealLocked(ctx); err != nil {
			return err
		}
		err = w.Add(m)
	}
	switch {
	case err != nil:
		return tooLarge(err)
	case w.Len() < p.options.BlockMessages && w.SizeBytes() < p.options.BlockBytes:
		return nil
	}
	return p.sealLocked(ctx)
}

// sealLocked sends the messages so far on their way. A block that finds no room in the window before ctx ends is lost, and
// so that is an error of the publisher.
func (p *Publisher) sealLocked(ctx context.Context) error {
	if p.mu.writer.Len() == 0 {
		return p.failure()
	}
	p.answers.Lock()
	p.answers.missing++
	p.answers.Unlock()
	t := appendBlocks(p.log, p.mu.writer.Seal(takeBuffer(), p.options.Compression))
	if err := p.app.producer.submit(ctx, t, p.answered); err != nil {
		p.answered(err)
	}
	return p.failure()
}

func (p *Publisher) failure() error {
	p.answers.Lock()
	defer p.answers.Unlock()
	return p.answers.err
}

func (p *Publisher) answered(err error) {
	p.answers.Lock()
	defer p.answers.Unlock()
	p.answers.missing--
	if p.answers.err == nil {
		p.answers.err = err
	}
	if p.answers.missing == 0 && p.answers.none != nil {
		close(p.answers.none)
		p.answers.none = nil
	}
}

// Flush waits until all messages sent so far are on disk. It returns the first error of any of them, once: some of the
// messages since the flush before are not stored then.
func (p *Publisher) Flush(ctx context.Context) error {
	if !p.app.records(ctx) {
		return p.flushNow(ctx)
	}
	op := execution.Op{Target: p.log.String(), Shape: "flush", Effect: record.EffectWrite, Request: &operationRequest{Log: p.log.String()}}
	_, err := operate(ctx, p.app, op, func(*execution.Call) (Nothing, error) { return Nothing{}, p.flushNow(ctx) })
	return err
}

func (p *Publisher) flushNow(ctx context.Context) error {
	p.mu.Lock()
	p.sealLocked(ctx) // the error is returned below
	p.mu.Unlock()

	p.answers.Lock()
	defer p.answers.Unlock()
	for p.answers.missing > 0 {
		if p.answers.none == nil {
			p.answers.none = make(chan struct{})
		}
		none := p.answers.none
		p.answers.Unlock()
		select {
		case <-none:
		case <-ctx.Done():
		}
		p.answers.Lock()
		if err := ctx.Err(); err != nil && p.answers.missing > 0 {
			return context.Cause(ctx)
		}
	}
	err := p.answers.err
	p.answers.err = nil
	return err
}

// Append stores messages in a log, all or none, and returns their indexes, which are consecutive. It returns when they are
// on disk. When ctx ends first they may come to be stored all the same.
func (a *App) Append(ctx context.Context, log message.Log, messages ...*message.Message) ([]message.Index, error) {
	log = log.Stored()
	if err := log.Validate(); err != nil || len(messages) == 0 {
		return nil, err
	}
	first, err := a.append(ctx, log, messages)
	if err != nil {
		return nil, err
	}
	indexes := make([]message.Index, len(messages))
	for i := range indexes {
		indexes[i] = first + message.Index(i)
	}
	return indexes, nil
}

// append stores messages and returns the index of the first one.
func (a *App) append(ctx context.Context, log message.Log, messages []*message.Message) (message.Index, error) {
	if !a.records(ctx) {
		return a.appendNow(ctx, log, messages)
	}
	copies := named(ctx, messages...)
	op := execution.Op{Target: log.String(), Shape: "append", Effect: record.EffectWrite}
	op = operationRequest{Log: op.Target}.with(ctx, op, copies)
	answer, err := operate(ctx, a, op, func(c *execution.Call) (firstIndex, error) {
		first, err := a.appendNow(ctx, log, copies)
		link(c, log, copies, first)
		return firstIndex{first}, err
	})
	return answer.Index, err
}

func (a *App) appendNow(ctx context.Context, log message.Log, messages []*message.Message) (message.Index, error) {
	t, place, err := a.enqueue(ctx, log, messages, nil)
	if err == nil {
		err = t.wait(ctx)
	}
	if err != nil {
		return 0, err
	}
	return message.Index(t.firsts[0]) + message.Index(place), nil
}

// enqueue publishes messages as one and returns their transaction with the place of the first one in it.
func (a *App) enqueue(
	ctx context.Context, log message.Log, messages []*message.Message, then func(error),
) (*transaction, int, error) {
	if len(messages) == 1 {
		return a.producer.add(ctx, log, messages[0], then)
	}
	blocks, err := packBlocks(messages)
	if err != nil {
		return nil, 0, err
	}
	t := appendBlocks(log, blocks)
	return t, 0, a.producer.submit(ctx, t, then)
}
