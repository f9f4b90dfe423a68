package flux

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/message"
)

// work is a worker: it handles the messages of its segments, batch by batch, until the session stops.
func (s *session) work(worker int) {
	w := &workplace{session: s, number: worker, observe: s.app.config.OnHandled}
	if s.table.plain() && !s.Atomic {
		w.again = &Invocation{Context: s.ctx, session: s}
	}
	for {
		select {
		case b := <-s.workers[worker]:
			w.batch(b)
		case <-s.stopped:
			for { // what others may have started
				select {
				case b := <-s.workers[worker]:
					w.batch(b)
				default:
					return
				}
			}
		}
	}
}

// workplace is what a worker works with.
type workplace struct {
	*session
	number  int
	observe func(Handled)
	again   *Invocation // what handlers of whole logs get; nil when there are others
}

// batch handles the messages of a batch that are this worker's.
func (w *workplace) batch(b *batch) {
	if !w.begin(b) {
		return
	}
	defer w.done(b)
	b.decodeSome()
	for _, p := range b.parts {
		if err := p.ready(); err != nil {
			b.failed.Store(true)
			w.fail(err)
			return
		}
		for _, i := range p.mine[w.number] {
			if w.aborted.Load() {
				b.failed.Store(true)
				return
			}
			if m := &p.messages[i]; w.Until == 0 || m.Index < w.Until {
				w.message(b, m)
			}
		}
	}
}

// message calls the handlers of a message, those of whole logs last.
func (w *workplace) message(b *batch, m *message.Message) {
	typed := w.table.byKind[m.Type]
	for i := range typed {
		w.call(b, m, &typed[i], i)
	}
	for i := range w.table.raw {
		w.call(b, m, &w.table.raw[i], len(typed)+i)
	}
}

// call calls a handler, again if it fails and the policy says so, and publishes its answer. number is its place among those of
// the message.
func (w *workplace) call(b *batch, m *message.Message, h *handler, number int) {
	inv, result, err := w.attempt(w.invocation(b, m), h, number)
	if err == nil && inv == w.again {
		return // the usual case of a handler of a whole log, which has to be fast
	}
	if err != nil {
		inv, result, err = w.retry(inv, h, number, result, err)
	}
	if b.failed.Load() {
		return
	}
	if err != nil {
		w.failed(inv, err)
	}
	if h.answers && !w.Passive {
		if problem := inv.answer(result, err); problem != nil {
			w.app.log.Error("answer not published", "error", w.explain(problem), "request", m.Type, "index", int64(m.Index))
		}
	}
	b.addOutputs(inv.close())
	if inv == w.again {
		w.again = &Invocation{Context: w.ctx, session: w.session} // that one is over
	}
	if err != nil && w.OnError.Stop {
		b.failed.Store(true)
		w.fail(&handlerError{fmt.Errorf("handling %s at index %d: %w", m.Type, m.Index, err)})
	}
}

// retry calls the handler again as long as the policy wants that. When the session stops meanwhile, the batch fails: its
// position must not pass the message.
func (w *workplace) retry(inv *Invocation, h *handler, number int, result any, err error) (*Invocation, any, error) {
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	wait := backoff{first: w.OnError.Backoff, longest: max(w.OnError.Backoff, time.Minute)}
	for n := 0; err != nil && Retryable(err) && (n < w.OnError.Retries || w.OnError.Retries < 0); n++ {
		w.app.log.Warn("handler failed, trying again", "error", w.explain(err), "type", inv.message.Type, "index", int64(inv.message.Index))
		if n == 0 {
			defer w.cancelOnStop(cancel)()
		}
		if !wait.sleep(ctx) {
			inv.batch.failed.Store(true)
			break
		}
		inv, result, err = w.attempt(inv, h, number)
	}
	return inv, result, err
}

// cancelOnStop calls cancel when the session stops, unless the returned function is called before.
func (w *workplace) cancelOnStop(cancel func()) func() {
	over := make(chan struct{})
	go func() {
		select {
		case <-w.stopped:
			cancel()
		case <-over:
		}
	}()
	return func() { close(over) }
}

// attempt calls a handler once, and returns the invocation that it got, which is one of its own if the call is recorded. What a
// call that failed has published is dropped if the consumer is atomic.
func (w *workplace) attempt(before *Invocation, h *handler, number int) (inv *Invocation, result any, err error) {
	if inv = before.record(number); inv != before && before != w.again {
		before.close()
	}
	if w.observe == nil {
		result, err = inv.safely(h)
	} else {
		start := time.Now()
		result, err = inv.safely(h)
		w.observe(Handled{
			Consumer: w.name, Log: w.table.log, Type: inv.message.Type, Index: inv.message.Index, Took: time.Since(start), Err: err,
		})
	}
	if err != nil {
		inv.drop()
	}
	result, err = inv.end(h, result, err)
	return inv, result, err
}

// invocation returns what a call of a handler knows. Handlers of whole logs, whose messages are not kept either, get the same
// one again, unless it has to keep what they publish.
func (w *workplace) invocation(b *batch, m *message.Message) *Invocation {
	if w.again == nil {
		inv := &Invocation{Context: w.ctx, session: w.session, batch: b, copied: *m}
		inv.message = &inv.copied
		return inv
	}
	w.again.batch, w.again.message = b, m
	return w.again
}

var errPanic = errors.New("handler panicked")

// safely calls a handler and makes a panic an error. What it panicked with stays in the log of this process.
func (i *Invocation) safely(h *handler) (result any, err error) {
	if i.execution != nil {
		defer execution.Enter(i)()
	}
	defer func() {
		if r := recover(); r != nil {
			stack := debug.Stack()
			i.execution.EndPanic(r, stack)
			i.session.app.log.Error("handler panicked", "consumer", i.session.name, "type", i.message.Type,
				"index", int64(i.message.Index), "panic", r, "stack", string(stack))
			err = &Error{Code: ErrInternal.Code, Message: errPanic.Error(), cause: errPanic}
		}
	}()
	return h.call(i, i.message)
}

// failed tells the log and the error log of a handler that failed for good. Handlers of the error log are not reported
// there: they would get their own errors for ever.
func (w *workplace) failed(inv *Invocation, err error) {
	m := inv.message
	w.app.log.Error("handler failed", "error", w.explain(err), "type", m.Type, "index", int64(m.Index))
	if w.table.log.Type == message.Error {
		return
	}
	report, problem := newMessage(published(err), nil)
	if problem == nil {
		report.Type = errorKind
		problem = inv.tell(message.Log{Type: message.Error}, report)
	}
	if problem != nil {
		w.app.log.Error("error not reported", "error", problem)
	}
}

// handlerError is the error of a handler that its consumer wants to stop for.
type handlerError struct{ error }

func (e *handlerError) Unwrap() error { return e.error }

// Handled tells an observer of one call of a handler.
type Handled struct {
	Consumer message.ConsumerName
	Log      message.Log
	Type     string
	Index    message.Index
	Took     time.Duration
	Err      error
}
