// Package producer makes transactions safe to send again. A producer numbers its transactions; the store remembers which of
// them it has committed, and with what results, until the producer has seen the answers. What is sent again is answered
// from there.
//
// Invariants:
//
//	U1  A transaction of a producer commits at most once, over reconnects and restarts.
//	U2  A transaction that was refused leaves no trace and may be sent again, even after later ones have committed.
//
// Both hold back to the 1024th newest of the committed transactions that were not answered. What lies further back counts as
// committed, its results forgotten; so a producer has at most that many transactions on the way.
package producer

import (
	"errors"
	"time"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/message"
)

// ErrBadSequence is returned for sequence number 0: they start at 1.
var ErrBadSequence = errors.New("sequence numbers of producers start at 1")

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
	// Firsts are the first indexes of the appends among the operations, and what others answer; see Firsts. Set by Apply. Nil
	// for a duplicate whose results are forgotten.
	Firsts []message.Index
	// Refused is why a Frame did not apply the operations. Set by Frame.Apply; Apply returns it instead.
	Refused error
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
	key := producerKey(tx.Namespace(), o.Producer)
	s, err := loadState(tx, key)
	if err != nil {
		return err
	}
	if err := o.apply(tx, &s); err != nil || o.Duplicate {
		return err
	}
	s.milli = tx.Milli()
	tx.Set(key, s.encode())
	return nil
}

// apply applies the operations, all or none, unless the number was committed before, and notes it in the state.
func (o *Once) apply(tx *engine.Tx, s *state) error {
	if o.Sequence == 0 {
		return ErrBadSequence
	}
	if o.Firsts, o.Duplicate = s.committed(o.Sequence); o.Duplicate {
		return nil
	}
	if err := tx.Try(o.Operations); err != nil {
		return err
	}
	o.Firsts = Firsts(o.Operations)
	s.add(result{o.Sequence, o.Firsts}, o.AnsweredThrough)
	return nil
}

func loadState(tx *engine.Tx, key []byte) (state, error) {
	raw, err := tx.Get(key)
	if err != nil {
		return state{}, err
	}
	return decodeState(raw)
}

// Answering is an operation that answers numbers: always as many, which are valid after Apply.
type Answering interface{ Answer() []int64 }

// Effecting is an operation that tells whether it had an effect, which is valid after Apply and answered as 1 or 0.
type Effecting interface{ Effect() bool }

// Firsts returns the first indexes of the appends among operations, and what others answer, in their order. How many these
// are does not depend on whether the operations were applied.
func Firsts(operations []engine.Operation) []message.Index {
	firsts := make([]message.Index, 0, len(operations))
	for _, op := range operations {
		switch op := op.(type) {
		case *messagelog.Append:
			firsts = append(firsts, op.First)
		case Answering:
			for _, n := range op.Answer() {
				firsts = append(firsts, message.Index(n))
			}
		case Effecting:
			n := message.Index(0)
			if op.Effect() {
				n = 1
			}
			firsts = append(firsts, n)
		}
	}
	return firsts
}

func producerKey(ns message.Namespace, id ID) []byte {
	return append(engine.AppendKey(make([]byte, 0, 64), ns, engine.FamilyProducer), id[:]...)
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
		id, s, err := stateAt(it)
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		if s.milli <= since {
			tx.Operations = append(tx.Operations, &Forget{id, since})
		}
	}
	if err := it.Close(); err != nil || len(tx.Operations) == 0 {
		return nil, err
	}
	return tx, nil
}

func stateAt(it *engine.Iterator) (ID, state, error) {
	key, err := engine.ParseKey(it.Key())
	if err != nil {
		return ID{}, state{}, err
	}
	id, err := parseID(key)
	if err != nil {
		return ID{}, state{}, err
	}
	raw, err := it.Value()
	if err != nil {
		return ID{}, state{}, err
	}
	s, err := decodeState(raw)
	return id, s, err
}

// NewCheck returns a check of producers for engine.View.Verify.
func NewCheck() engine.Check {
	return engine.CheckFunc{Family: engine.FamilyProducer, Check: func(key engine.Key, value []byte) error {
		_, err := parseID(key)
		if err == nil {
			_, err = decodeState(value)
		}
		return err
	}}
}
