package flux

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"unicode/utf8"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

// transaction is what a [producer] sends as one and the server commits as one. While it waits to be sent, one that was
// started for a single message collects others of its log.
type transaction struct {
	log     message.Log
	writer  *message.BlockWriter // while it collects
	blocks  []byte               // of appends, taken from and given back to buffers
	changes *fluxv1.Transaction  // nil while it collects, and when it is settled
	bytes   int                  // about

	handed bool          // to the connection; guarded by the producer
	sent   chan struct{} // closed then; nil unless somebody waits for that; guarded by the producer

	done chan struct{} // closed when answered; then firsts and err are set
	then []func(error) // called when answered, before done is closed

	firsts []int64
	err    error
}

// The room that a message takes beyond its payload, roughly.
const messageOverheadBytes = 64

var (
	writers = sync.Pool{New: func() any { return new(message.BlockWriter) }}
	buffers = sync.Pool{New: func() any { return new(buffer) }}
)

type buffer struct{ bytes []byte }

func takeBuffer() []byte {
	b := buffers.Get().(*buffer)
	return b.bytes[:0]
}

func giveBuffer(b []byte) {
	if cap(b) > 0 && cap(b) <= 1<<20 {
		buffers.Put(&buffer{b})
	}
}

// newTransaction returns one that is ready to be sent.
func newTransaction(t *fluxv1.Transaction) *transaction {
	bytes := messageOverheadBytes
	for _, a := range t.GetAppends() {
		bytes += len(a.GetBlocks())
	}
	for _, e := range t.GetEvents() {
		bytes += len(e.GetAggregate()) + len(e.GetBlocks())
	}
	for _, v := range t.GetValues() {
		bytes += len(v.GetKey()) + len(v.GetValue().GetType()) + len(v.GetValue().GetData())
	}
	for _, s := range t.GetSchedules() {
		bytes += len(s.GetScheduleId()) + len(s.GetBlock())
	}
	return &transaction{changes: t, bytes: bytes, done: make(chan struct{})}
}

// appendBlocks returns a transaction that appends sealed blocks to a log. It owns the blocks.
func appendBlocks(log message.Log, blocks []byte) *transaction {
	t := newTransaction(&fluxv1.Transaction{Appends: []*fluxv1.LogAppend{{Log: log.String(), Blocks: blocks}}})
	t.blocks = blocks
	return t
}

// collect returns a transaction that collects messages of a log until it is sent.
func collect(log message.Log) *transaction {
	return &transaction{
		log: log, writer: writers.Get().(*message.BlockWriter), bytes: messageOverheadBytes, done: make(chan struct{}),
	}
}

// seal makes a collecting transaction ready to be sent.
func (t *transaction) seal() {
	if t.writer == nil {
		return
	}
	t.blocks = t.writer.Seal(takeBuffer(), message.Snappy)
	writers.Put(t.writer)
	t.writer = nil
	append := &fluxv1.LogAppend{Log: t.log.String(), Blocks: t.blocks}
	t.changes = &fluxv1.Transaction{Appends: []*fluxv1.LogAppend{append}}
}

// logsOf returns the logs that a transaction appends to.
func logsOf(t *fluxv1.Transaction) iter.Seq[message.Log] {
	return func(yield func(message.Log) bool) {
		for _, a := range t.GetAppends() {
			if log, err := message.ParseLog(a.GetLog()); err == nil && !yield(log.Stored()) {
				return
			}
		}
		for _, e := range t.GetEvents() {
			if !e.GetStoreOnly() && !yield(message.Log{Type: message.Event}) {
				return
			}
		}
	}
}

// checkText returns ErrBadRequest when a name in a transaction is not UTF-8, for the protocol has no others. A request that is
// found out when it is to be sent would be in the way of all behind it.
func checkText(t *fluxv1.Transaction) error {
	for text := range textsOf(t) {
		if err := checkName(text); err != nil {
			return err
		}
	}
	return nil
}

func checkName(text string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("%w: %.40q is not UTF-8", ErrBadRequest, text)
	}
	return nil
}

// textsOf returns the names in a transaction.
func textsOf(t *fluxv1.Transaction) iter.Seq[string] {
	return func(yield func(string) bool) {
		more := true
		all := func(texts ...string) {
			for i := 0; more && i < len(texts); i++ {
				more = yield(texts[i])
			}
		}
		for _, a := range t.GetAppends() {
			all(a.GetLog())
		}
		for _, p := range t.GetPositions() {
			all(p.GetLog(), p.GetConsumer())
		}
		for _, e := range t.GetEvents() {
			all(e.GetAggregate())
		}
		for _, v := range t.GetValues() {
			all(v.GetKey(), v.GetValue().GetType(), v.GetValue().GetFormat())
		}
		for _, s := range t.GetSchedules() {
			all(s.GetScheduleId())
		}
		all(t.GetDeletedValues()...)
		all(t.GetCanceledSchedules()...)
	}
}

// answersOf returns how many numbers answer a transaction: see CommitResponse in api/flux/v1/log.proto.
func answersOf(t *fluxv1.Transaction) int {
	return len(t.GetAppends()) + 2*len(t.GetEvents()) + len(t.GetValues()) + len(t.GetDeletedValues()) +
		len(t.GetSchedules()) + len(t.GetCanceledSchedules())
}

// finish settles the transaction. The sender must be done with it.
func (t *transaction) finish(firsts []int64, err error) {
	t.firsts, t.err = firsts, err
	if err == nil && len(firsts) < answersOf(t.changes) {
		t.err = fmt.Errorf("%w: the server no longer knows what became of this transaction", ErrUnavailable)
	}
	giveBuffer(t.blocks)
	t.blocks, t.changes = nil, nil
	for _, f := range t.then {
		f(t.err)
	}
	close(t.done)
}

// wait returns when the transaction is on disk, or what became of it otherwise. When ctx ends it may still come to disk.
func (t *transaction) wait(ctx context.Context) error {
	select {
	case <-t.done:
		return t.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// packBlocks returns the messages packed into blocks; all but absurdly many fit into one.
func packBlocks(messages []*message.Message) ([]byte, error) {
	w := writers.Get().(*message.BlockWriter)
	defer writers.Put(w)
	blocks := takeBuffer()
	for _, m := range messages {
		err := w.Add(m)
		if err == message.ErrBlockFull {
			blocks = w.Seal(blocks, message.Snappy)
			err = w.Add(m)
		}
		if err != nil {
			w.Reset(message.BlockID{})
			return nil, tooLarge(err)
		}
	}
	return w.Seal(blocks, message.Snappy), nil
}

func tooLarge(err error) error { return fmt.Errorf("%w: %w", ErrTooLarge, err) }
