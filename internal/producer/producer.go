// Package producer makes transactions safe to send again. A producer numbers its transactions; the store remembers the
// highest number it has committed, and the results of those that the producer may still ask for. What is sent again is
// answered from there.
//
// Invariants:
//
//	U1  A transaction of a producer commits at most once, over reconnects and restarts.
//	U2  A transaction that was refused leaves no trace and may be sent again.
package producer

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/message"
)

// ID is the random name of a producer.
type ID [16]byte

// IdleTime is how long a producer that sends nothing is remembered.
const IdleTime = 24 * time.Hour

// Once is the operation that applies other operations unless the producer has committed this sequence number before.
type Once struct {
	Producer ID
	// Sequence is the number of the transaction, from 1 up.
	Sequence uint64
	// AnsweredThrough is the highest number whose results the producer will not ask for again.
	AnsweredThrough uint64
	Operations      []engine.Operation

	// Duplicate says that the operations were applied by an earlier transaction. Set by Apply.
	Duplicate bool
	// Firsts are the first indexes of the appends among the operations, in their order. Set by Apply. Nil for a duplicate
	// whose results are forgotten.
	Firsts []message.Index
}

// SizeBytes implements engine.Operation.
func (o *Once) SizeBytes() int {
	n := 64
	for _, op := range o.Operations {
		n += op.SizeBytes()
	}
	return n
}

// Apply implements engine.Operation.
func (o *Once) Apply(tx *engine.Tx) error {
	if o.Sequence == 0 {
		return fmt.Errorf("sequence numbers of producers start at 1")
	}
	key := producerKey(tx.Namespace(), o.Producer)
	raw, err := tx.Get(key)
	if err != nil {
		return err
	}
	s, err := decodeState(raw)
	if err != nil {
		return err
	}
	if o.Sequence <= s.last {
		o.Duplicate, o.Firsts = true, s.results[o.Sequence]
		return nil
	}
	for _, op := range o.Operations {
		if err := op.Apply(tx); err != nil {
			return err
		}
	}
	o.Firsts = Firsts(o.Operations)
	tx.Set(key, s.encode(tx.Milli(), o))
	return nil
}

// Firsts returns the first indexes of the appends among operations that were applied.
func Firsts(operations []engine.Operation) []message.Index {
	firsts := make([]message.Index, 0, len(operations))
	for _, op := range operations {
		if a, ok := op.(*messagelog.Append); ok {
			firsts = append(firsts, a.First)
		}
	}
	return firsts
}

func producerKey(ns message.Namespace, id ID) []byte {
	return append(engine.AppendKey(make([]byte, 0, 64), ns, engine.FamilyProducer), id[:]...)
}

// state is what is stored of a producer.
type state struct {
	last    uint64
	milli   int64
	results map[uint64][]message.Index
}

// maxResults bounds the results that are kept of one producer, whatever it says it has not been answered.
const maxResults = 1024

// encode writes the state after o: the last sequence number, the time, and for each kept number its distance from the last,
// the count of its indexes, and the indexes, all as varints; docs/format/keys.md.
func (s state) encode(milli int64, o *Once) []byte {
	b := binary.AppendUvarint(make([]byte, 0, 64), o.Sequence)
	b = binary.AppendVarint(b, milli)
	b = appendResult(b, 0, o.Firsts)
	for n, kept := s.last, 1; n > o.AnsweredThrough && kept < maxResults; n-- {
		firsts, ok := s.results[n]
		if !ok {
			break
		}
		b = appendResult(b, o.Sequence-n, firsts)
		kept++
	}
	return b
}

func appendResult(b []byte, distance uint64, firsts []message.Index) []byte {
	b = binary.AppendUvarint(b, distance)
	b = binary.AppendUvarint(b, uint64(len(firsts)))
	for _, first := range firsts {
		b = binary.AppendVarint(b, int64(first))
	}
	return b
}

func decodeState(raw []byte) (state, error) {
	if raw == nil {
		return state{}, nil
	}
	r := reader{raw}
	s := state{last: r.uvarint(), milli: r.varint(), results: make(map[uint64][]message.Index)}
	for len(r.rest) > 0 {
		sequence, n := s.last-r.uvarint(), r.uvarint()
		if n > uint64(len(r.rest)) {
			r.rest = nil
			return state{}, fmt.Errorf("%w: producer state %x", engine.ErrCorrupt, raw)
		}
		firsts := make([]message.Index, n)
		for i := range firsts {
			firsts[i] = message.Index(r.varint())
		}
		s.results[sequence] = firsts
	}
	if r.rest == nil {
		return state{}, fmt.Errorf("%w: producer state %x", engine.ErrCorrupt, raw)
	}
	return s, nil
}

// reader takes varints off bytes. Its rest is nil after the first that is damaged.
type reader struct{ rest []byte }

func (r *reader) uvarint() uint64 {
	n, size := binary.Uvarint(r.rest)
	r.advance(size)
	return n
}

func (r *reader) varint() int64 {
	n, size := binary.Varint(r.rest)
	r.advance(size)
	return n
}

func (r *reader) advance(size int) {
	if size <= 0 {
		r.rest = nil
		return
	}
	r.rest = r.rest[size:]
}

// Forget is the operation that removes a producer that has sent nothing since a time.
type Forget struct {
	Producer ID
	// IdleSince is the time, in milliseconds since the Unix epoch, after which the producer must not have sent anything.
	IdleSince int64
}

// SizeBytes implements engine.Operation.
func (f *Forget) SizeBytes() int { return 64 }

// Apply implements engine.Operation.
func (f *Forget) Apply(tx *engine.Tx) error {
	key := producerKey(tx.Namespace(), f.Producer)
	raw, err := tx.Get(key)
	if err != nil || raw == nil {
		return err
	}
	s, err := decodeState(raw)
	if err != nil {
		return err
	}
	if s.milli <= f.IdleSince {
		tx.Delete(key)
	}
	return nil
}

// Idle returns the transaction that forgets the producers of a namespace that were idle for IdleTime, or nil.
func Idle(view *engine.View, ns message.Namespace, now time.Time) (*engine.Transaction, error) {
	since := now.Add(-IdleTime).UnixMilli()
	it, err := view.ScanPrefix(engine.AppendKey(nil, ns, engine.FamilyProducer))
	if err != nil {
		return nil, err
	}
	tx := &engine.Transaction{Namespace: ns}
	for it.Next() {
		raw, err := it.Value()
		if err != nil {
			break // Close returns it
		}
		s, err := decodeState(raw)
		key, keyErr := engine.ParseKey(it.Key())
		if err != nil || keyErr != nil || len(key.Bytes) != len(ID{}) || s.milli > since {
			continue
		}
		tx.Operations = append(tx.Operations, &Forget{ID(key.Bytes), since})
	}
	if err := it.Close(); err != nil || len(tx.Operations) == 0 {
		return nil, err
	}
	return tx, nil
}
