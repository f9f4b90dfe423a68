package native

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/producer"
	"github.com/flux-go/flux/message"
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
	first        uint64          // number of the first transaction; 0 for one that has none
	transactions []producer.Once // those that were refused before they were proposed, too
	size         int
	started      time.Time

	done bool
	err  error // of all transactions
}

// take proposes a request, or has its refusal answered. It waits while too much is under way. An error ends the stream.
func (p *publishing) take(request *fluxv1.PublishRequest) error {
	a := &proposed{first: request.GetSequence(), started: time.Now()}
	operation, err := p.prepare(a, request)
	if err != nil || operation == nil {
		a.done, a.err = true, err
		return p.answers.push(p.ctx, a)
	}
	if err := p.answers.push(p.ctx, a); err != nil {
		return err
	}
	finish := func(err error) {
		p.observe(a, err)
		p.answers.complete(a, err)
	}
	tx := &engine.Transaction{Namespace: namespaceOf(p.ctx), Operations: operation}
	if err := p.engine.Submit(p.ctx, tx, finish); err != nil {
		finish(err)
		return p.ctx.Err()
	}
	return nil
}

// prepare makes the transactions of a request, and returns what is to be proposed: nothing when all of them are refused.
func (p *publishing) prepare(a *proposed, request *fluxv1.PublishRequest) ([]engine.Operation, error) {
	a.transactions = make([]producer.Once, 1+len(request.GetOthers()))
	if err := p.check(request); err != nil {
		return nil, err
	}
	frame := &producer.Frame{Transactions: make([]*producer.Once, 0, len(a.transactions))}
	for i := range a.transactions {
		o, in := &a.transactions[i], request.GetTransaction()
		if i > 0 {
			in = request.GetOthers()[i-1]
		}
		if o.Operations, o.Refused = p.operations(make([]engine.Operation, 0, 2), in); o.Refused != nil {
			continue
		}
		o.Sequence, o.AnsweredThrough = a.first+uint64(i), request.GetAnsweredThrough()
		a.size += o.SizeBytes()
		frame.Transactions = append(frame.Transactions, o)
	}
	switch {
	case len(frame.Transactions) == 0:
		return nil, nil
	case a.first == 0:
		return a.transactions[0].Operations, nil
	}
	frame.Producer = *p.producer
	return []engine.Operation{frame}, nil
}

// check does the checks of a request as a whole.
func (p *publishing) check(request *fluxv1.PublishRequest) error {
	if err := p.name(request.GetProducer()); err != nil {
		return err
	}
	first, others := request.GetSequence(), len(request.GetOthers())
	switch {
	case first > 0 && p.producer == nil:
		return invalid("sequence %d of no producer: the first request of the stream names one", first)
	case first == 0 && others > 0:
		return invalid("request of several transactions without sequence")
	case first > math.MaxUint64-uint64(others):
		return invalid("sequence %d and %d others", first, others)
	case others >= maxProposed:
		return fmt.Errorf("%w: request of %d transactions, at most %d", errTooLarge, 1+others, maxProposed)
	}
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

// observe tells the observer of each transaction that was proposed.
func (p *publishing) observe(a *proposed, err error) {
	took := time.Since(a.started)
	for i := range a.transactions {
		if o := &a.transactions[i]; o.Refused == nil || len(o.Operations) > 0 {
			p.observer.Committed(took, cmp.Or(err, o.Refused))
		}
	}
}

// answer sets out to the answer of a request that is done.
func (a *proposed) answer(out *fluxv1.PublishResponse) {
	out.Sequence, out.Others, out.Error = a.first, int32(len(a.transactions)-1), nil
	out.FirstIndexes, out.RefusedOthers = out.FirstIndexes[:0], out.RefusedOthers[:0]
	for i := range a.transactions {
		firsts, err := a.outcome(&a.transactions[i])
		if err != nil {
			refused := &fluxv1.PublishError{Detail: detail(err), Message: text(err)}
			if i == 0 {
				out.Error = refused
			} else {
				out.RefusedOthers = append(out.RefusedOthers, &fluxv1.PublishRefusal{Sequence: a.first + uint64(i), Error: refused})
			}
			continue
		}
		for _, first := range firsts {
			out.FirstIndexes = append(out.FirstIndexes, int64(first))
		}
	}
}

// outcome returns what a transaction is answered with.
func (a *proposed) outcome(o *producer.Once) ([]message.Index, error) {
	switch {
	case a.err != nil:
		return nil, a.err
	case o.Refused != nil:
		return nil, o.Refused
	case a.first == 0:
		return producer.Firsts(o.Operations), nil
	case o.Duplicate && o.Firsts == nil:
		return nil, engine.Conflict("transaction %d was refused before, or its answer was given and forgotten", o.Sequence)
	}
	return o.Firsts, nil
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
				failed = fmt.Errorf("send answer %d: %w", a.first, err)
				break
			}
		}
		w.release()
	}
	return failed
}
