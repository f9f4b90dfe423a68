package flux

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

// answers receives the answers to all requests of this client in one log. Its stream is opened before the first request, at
// the end of the log, and after a lost connection goes on behind the last answer, so that none is missed.
type answers struct {
	app *App
	log message.Log

	opening sync.Mutex // held while the first request opens the stream
	open    bool       // guarded by opening

	mu struct {
		sync.Mutex
		next    int32 // request id
		waiting map[int32]chan outcome
	}
}

// outcome is an answer, or why there is none. An answer that is an error is both.
type outcome struct {
	message *message.Message
	err     error
}

func newAnswers(a *App, t message.Type) *answers {
	r := &answers{app: a, log: message.Log{Type: t}}
	// A process that is started again under the same client id must not take late answers to requests of the one before.
	r.mu.next = rand.Int32()
	r.mu.waiting = make(map[int32]chan outcome)
	return r
}

// expect returns the id for a new request and the channel for its answer.
func (r *answers) expect(ctx context.Context) (int32, chan outcome, error) {
	if err := r.start(ctx); err != nil {
		return 0, nil, err
	}
	answered := make(chan outcome, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.mu.next
	r.mu.next++
	r.mu.waiting[id] = answered
	return id, answered, nil
}

func (r *answers) forget(id int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.mu.waiting, id)
}

// deliver gives an answer to who waits for it. Second answers, and those that nobody waits for any more, are dropped.
func (r *answers) deliver(id int32, o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if answered, ok := r.mu.waiting[id]; ok {
		delete(r.mu.waiting, id)
		answered <- o
	}
}

// start opens the stream, once.
func (r *answers) start(ctx context.Context) error {
	r.opening.Lock()
	defer r.opening.Unlock()
	if r.open {
		return nil
	}
	if r.app.ctx.Err() != nil {
		return ErrClosed
	}
	last, err := r.end(ctx)
	if err != nil {
		return err
	}
	r.open = true
	r.app.following.Go(func() { r.run(last) })
	return nil
}

// end returns the last index of the log. Its own clock could not tell where answers of the future will lie.
func (r *answers) end(ctx context.Context) (message.Index, error) {
	for wait := (backoff{}); ; {
		logs, err := r.app.conn.calls.ListLogs(ctx, connect.NewRequest(&fluxv1.ListLogsRequest{}))
		if err == nil {
			for _, info := range logs.Msg.GetLogs() {
				if info.GetLog() == r.log.String() {
					return message.Index(info.GetLastIndex()), nil
				}
			}
			return message.Beginning, nil
		}
		if ctx.Err() != nil {
			return 0, cause(ctx)
		}
		if err := ofServer(err); !Retryable(err) || !wait.sleep(ctx) {
			return 0, err
		}
	}
}

// run keeps the stream open until the App is closed. What would not change by trying again fails those who wait.
func (r *answers) run(last message.Index) {
	for wait := (backoff{}); ; {
		err := r.serve(&last, &wait)
		if r.app.ctx.Err() != nil {
			return
		}
		r.app.log.Warn("answers: connection lost", "log", r.log.String(), "error", err)
		if !Retryable(err) {
			r.failAll(err)
		}
		if !wait.sleep(r.app.ctx) {
			return
		}
	}
}

func (r *answers) failAll(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, answered := range r.mu.waiting {
		delete(r.mu.waiting, id)
		answered <- outcome{err: err}
	}
}

// serve opens a stream behind last and delivers what comes until it breaks.
func (r *answers) serve(last *message.Index, wait *backoff) error {
	request := &fluxv1.ResultsRequest{Log: r.log.String(), ClientId: r.app.config.ClientID, LastIndex: (*int64)(last)}
	stream, err := r.app.conn.calls.Results(r.app.ctx, connect.NewRequest(request))
	if err != nil {
		return ofServer(err)
	}
	defer stream.Close()
	for stream.Receive() {
		wait.reset()
		for _, chunk := range stream.Msg().GetChunks() {
			if err := r.take(chunk); err != nil {
				return err
			}
		}
		*last = message.Index(stream.Msg().GetLastIndex())
	}
	if err := stream.Err(); err != nil && !errors.Is(err, io.EOF) {
		return ofServer(err)
	}
	return fmt.Errorf("%w: it ended the stream", ErrUnavailable)
}

func (r *answers) take(chunk *fluxv1.Chunk) error {
	first := message.Index(chunk.GetFirstIndex())
	for block, err := range message.Blocks(chunk.GetBlocks()) {
		if err != nil {
			return fmt.Errorf("%w: answers: %w", ErrInternal, err)
		}
		messages, err := block.AppendMessages(nil, first)
		if err != nil {
			return fmt.Errorf("%w: answers: %w", ErrInternal, err)
		}
		for i := range messages {
			if m := &messages[i]; m.Request.Valid {
				r.deliver(m.Request.N, outcomeOf(m))
			}
		}
		first += message.Index(block.Span())
	}
	return nil
}

// outcomeOf tells answers from published errors.
func outcomeOf(m *message.Message) outcome {
	if m.Type != errorKind {
		return outcome{message: m}
	}
	e := new(Error)
	if err := json.Unmarshal(m.Payload, e); err != nil {
		return outcome{message: m, err: fmt.Errorf("%w: malformed error: %w", ErrInternal, err)}
	}
	return outcome{message: m, err: e}
}
