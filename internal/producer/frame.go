package producer

import "github.com/flux-go/flux/internal/engine"

// Frame is the operation that applies several transactions of a producer, each as if it came alone: one that is refused takes
// back nothing but itself. What is stored of the producer is read and written once for all of them.
type Frame struct {
	// Producer is that of all transactions.
	Producer ID
	// Transactions are in the order of their numbers.
	Transactions []*Once
}

// SizeBytes implements engine.Operation.
func (f *Frame) SizeBytes() int {
	n := 0
	for _, o := range f.Transactions {
		n += o.SizeBytes()
	}
	return n
}

// Apply implements engine.Operation. It sets Refused of each transaction. The error that it returns is one of the store.
func (f *Frame) Apply(tx *engine.Tx) error {
	key := producerKey(tx.Namespace(), f.Producer)
	s, err := loadState(tx, key)
	if err != nil {
		return err
	}
	committed := false
	for _, o := range f.Transactions {
		o.Refused = o.apply(tx, &s)
		committed = committed || o.Refused == nil && !o.Duplicate
	}
	if committed {
		s.milli = tx.Milli()
		tx.Set(key, s.encode())
	}
	return nil
}
