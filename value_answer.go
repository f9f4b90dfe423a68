package flux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
)

// receive gives answers to those who wait for them, and returns why there are no more.
func (r *valueReader) receive(stream valueStream, wait *backoff) error {
	for {
		answer, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: it ended the stream", ErrUnavailable)
		}
		if err != nil {
			return err
		}
		wait.reset()
		reads, err := r.land(answer)
		if err != nil {
			return err
		}
		for i, read := range reads {
			read.value, read.err = valueOf(answer.GetValues()[i])
			signal(read.done)
		}
		r.mu.Lock()
		r.signalLocked() // after those that are woken, so that they can ask again before the next frame goes
		r.mu.Unlock()
	}
}

// valueOf returns what came of a key.
func valueOf(in *fluxv1.ReadValue) (*fluxv1.Value, error) {
	if e := in.GetError(); e != nil {
		return nil, explained(e.GetDetail(), e.GetMessage())
	}
	return in.GetValue(), nil
}

// land returns the reads that an answer is for, and takes their frame out of flight with the last of them.
func (r *valueReader) land(answer *fluxv1.ReadValuesResponse) ([]*valueRead, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.mu.flight, func(f *valueFrame) bool { return f.number == answer.GetNumber() })
	if i < 0 {
		return nil, fmt.Errorf("%w: the server answered request %d for values, which is not under way", ErrInternal, answer.GetNumber())
	}
	f, n := r.mu.flight[i], len(answer.GetValues())
	if int(answer.GetAnswered()) != f.answered || n == 0 || n > len(f.reads)-f.answered {
		return nil, fmt.Errorf("%w: the server answered %d keys from %d on, of %d keys, of which %d were answered before",
			ErrInternal, n, answer.GetAnswered(), len(f.reads), f.answered)
	}
	reads := f.reads[f.answered:][:n]
	if f.answered += n; f.answered == len(f.reads) {
		f.late.Stop()
		r.mu.flight = slices.Delete(r.mu.flight, i, i+1)
		r.mu.keys -= len(f.reads)
	}
	return reads, nil
}

// lost has what was under way asked again, unless that would change nothing, or was tried often enough.
func (r *valueReader) lost(err error) {
	final, late := !Retryable(err), errors.Is(err, context.DeadlineExceeded)
	if r.app.ctx.Err() == nil {
		r.app.log.Warn("reading values: connection lost", "error", err)
	}
	r.mu.Lock()
	var unanswered, failed []*valueRead
	for _, f := range r.mu.flight {
		f.late.Stop()
		unanswered = append(unanswered, f.reads[f.answered:]...)
	}
	r.mu.flight, r.mu.keys = nil, 0
	waiting := slices.Concat(unanswered, r.mu.waiting)
	r.mu.waiting = nil
	for _, read := range waiting {
		if final || read.tries == valueTries || late && read.tries > 0 {
			failed = append(failed, read)
		} else {
			r.mu.waiting = append(r.mu.waiting, read)
		}
	}
	r.mu.Unlock()
	for _, read := range failed {
		read.err = err
		signal(read.done)
	}
}

// close fails what is not answered with ErrClosed. The context of the App must have ended.
func (r *valueReader) close() {
	r.mu.Lock()
	r.mu.closed = true
	started := r.mu.started
	r.mu.Unlock()
	if started {
		<-r.stopped
	}
	r.lost(ErrClosed)
}
