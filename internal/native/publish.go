package native

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/producer"
)

// publishStream is a stream of Publish.
type publishStream = connect.BidiStream[fluxv1.PublishRequest, fluxv1.PublishResponse]

// Publish serves the procedure of this name. Its own goroutine reads, checks and proposes; the engine's answers go to a
// second one that sends them in the order of the requests. When the stream ends, for whatever reason, all that was proposed
// is waited for.
func (s logService) Publish(ctx context.Context, stream *publishStream) error {
	answers := newAnswers()
	sent := make(chan error, 1)
	go func() { sent <- sendAnswers(streamWriterOf(ctx), stream, answers) }()
	p := &publishing{Service: s.Service, ctx: ctx, answers: answers}
	err := p.receive(stream)
	answers.finish()
	if sendErr := <-sent; err == nil {
		err = sendErr
	}
	if s.closing.Err() != nil {
		return errClosing
	}
	return err
}

// publishing is the reading side of a Publish.
type publishing struct {
	*Service
	ctx      context.Context
	answers  *answers
	producer *producer.ID // nil until the client has named one
}

func (p *publishing) receive(stream *publishStream) error {
	for {
		request, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := p.take(request); err != nil {
			return err
		}
	}
}

// proposed is a request until it is answered.
type proposed struct {
	sequence uint64
	size     int
	started  time.Time
	tx       engine.Transaction
	// operations are those of the request; tx has them, or the one below.
	operations []engine.Operation
	once       producer.Once

	done bool
	err  error
}

// take proposes a request, or has its refusal answered. It waits while too much is under way. An error ends the stream.
func (p *publishing) take(request *fluxv1.PublishRequest) error {
	a := &proposed{sequence: request.GetSequence(), started: time.Now()}
	if err := p.prepare(a, request); err != nil {
		a.done, a.err = true, err
		return p.answers.push(p.ctx, a)
	}
	if err := p.answers.push(p.ctx, a); err != nil {
		return err
	}
	finish := func(err error) {
		p.observer.Committed(time.Since(a.started), err)
		p.answers.complete(a, err)
	}
	if err := p.engine.Submit(p.ctx, &a.tx, finish); err != nil {
		finish(err)
		return p.ctx.Err()
	}
	return nil
}

// prepare makes the transaction of a request.
func (p *publishing) prepare(a *proposed, request *fluxv1.PublishRequest) (err error) {
	if a.operations, err = p.operations(make([]engine.Operation, 0, 2), request.GetTransaction()); err != nil {
		return err
	}
	a.tx = engine.Transaction{Namespace: namespaceOf(p.ctx), Operations: a.operations}
	for _, op := range a.operations {
		a.size += op.SizeBytes()
	}
	if err := p.name(request.GetProducer()); err != nil {
		return err
	}
	if a.sequence == 0 {
		return nil
	}
	if p.producer == nil {
		return invalid("sequence %d of no producer: the first request of the stream names one", a.sequence)
	}
	a.once = producer.Once{
		Producer: *p.producer, Sequence: a.sequence, AnsweredThrough: request.GetAnsweredThrough(), Operations: a.operations,
	}
	a.tx.Operations = []engine.Operation{&a.once}
	return nil
}

// name notes the producer of the stream, if the request has one.
func (p *publishing) name(id []byte) error {
	switch {
	case len(id) == 0:
		return nil
	case len(id) != len(producer.ID{}):
		return invalid("producer of %d bytes: use %d", len(id), len(producer.ID{}))
	case p.producer == nil:
		p.producer = (*producer.ID)(id)
	case *p.producer != producer.ID(id):
		return invalid("producer changed within the stream")
	}
	return nil
}

// answer sets out to the answer of a request that is done.
func (a *proposed) answer(out *fluxv1.PublishResponse) {
	out.Sequence, out.FirstIndexes, out.Error = a.sequence, out.FirstIndexes[:0], nil
	err := a.err
	if err == nil && a.once.Duplicate && a.once.Firsts == nil {
		err = engine.Conflict("transaction %d was refused before, or its answer was given and forgotten", a.sequence)
	}
	if err != nil {
		out.Error = &fluxv1.PublishError{Detail: detail(err), Message: text(err)}
		return
	}
	firsts := a.once.Firsts
	if !a.once.Duplicate {
		firsts = producer.Firsts(a.operations)
	}
	for _, first := range firsts {
		out.FirstIndexes = append(out.FirstIndexes, int64(first))
	}
}

// sendAnswers sends what is answered until there is no more to come. When the client is gone it goes on without sending, for
// the engine has references to what is under way.
func sendAnswers(w *streamWriter, stream *publishStream, answers *answers) error {
	var response fluxv1.PublishResponse
	var batch []*proposed
	var failed error
	for answers.next(&batch) {
		if failed != nil {
			continue
		}
		w.hold()
		for _, a := range batch {
			a.answer(&response)
			if err := stream.Send(&response); err != nil {
				failed = fmt.Errorf("send answer %d: %w", a.sequence, err)
				break
			}
		}
		w.release()
	}
	return failed
}
