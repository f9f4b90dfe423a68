package engine

import (
	"fmt"
	"strings"

	"github.com/flux-go/flux/message"
)

// Transaction is a list of operations of one namespace that commit together, in order.
type Transaction struct {
	Namespace  message.Namespace
	Operations []Operation
}

// Operation is one change. Operations are pointers: Apply leaves its results in fields of the operation, which the proposer
// may read once the transaction is done without error.
type Operation interface {
	// Apply checks the operation's conditions and makes its writes through tx. An error takes the whole transaction back;
	// a condition that does not hold wraps ErrConflict. Apply reads no clock but tx.Milli, no random numbers, and nothing
	// that other goroutines change.
	Apply(tx *Tx) error
	// SizeBytes is about how many bytes Apply writes.
	SizeBytes() int
}

// maxNamespaceLen is the longest name of a namespace, in bytes.
const maxNamespaceLen = 512

func validNamespace(ns message.Namespace) bool {
	return ns != "" && len(ns) <= maxNamespaceLen && strings.IndexByte(string(ns), 0) < 0
}

func (t *Transaction) sizeBytes() int {
	n := 0
	for _, op := range t.Operations {
		n += op.SizeBytes()
	}
	return n
}

// Tx is the state as an operation sees it while it is applied: the store, and all writes before it in its group.
type Tx struct {
	ns    message.Namespace
	group *group
}

// Namespace is the namespace of the transaction.
func (tx *Tx) Namespace() message.Namespace { return tx.ns }

// Milli is the time of the group, in milliseconds since the Unix epoch. It never goes back while the engine is open.
func (tx *Tx) Milli() int64 { return tx.group.milli }

// Try applies operations as a part of the transaction that may fail alone: when one of them returns an error, what they all
// have written is taken back, and Try returns the error.
func (tx *Tx) Try(operations []Operation) error {
	before := tx.group.mark()
	for _, op := range operations {
		if err := op.Apply(tx); err != nil {
			tx.group.rollback(before)
			return err
		}
	}
	return nil
}

// Get returns the value of a key, or nil if there is none. The value must not be changed and is valid until Apply returns.
func (tx *Tx) Get(key []byte) ([]byte, error) { return tx.group.get(key) }

// Lookup returns a Lookup for keys below end. It must be closed before Apply returns.
func (tx *Tx) Lookup(end []byte) *Lookup { return &Lookup{group: tx.group, end: end} }

// Set writes a key. Neither slice may be changed afterwards.
func (tx *Tx) Set(key, value []byte) {
	if value == nil {
		value = []byte{}
	}
	tx.group.set(key, value)
}

// Delete removes a key.
func (tx *Tx) Delete(key []byte) { tx.group.set(key, nil) }

// DeleteRange removes all keys in [start, end), those that Extend has written in the same group included.
func (tx *Tx) DeleteRange(start, end []byte) { tx.group.deleteRange(start, end) }

// Extend adds value to a sequence of entries under prefix, at a number greater than all before it. Neighbours that are
// added in one group are stored as one entry, their values one after the other under the number of the last: so small
// values that arrive together cost one key. Entries cannot be read back in the group that writes them.
func (tx *Tx) Extend(prefix []byte, at uint64, value []byte) {
	tx.group.extend(entry{prefix: prefix, at: at, value: value})
}

// StartEntry is Extend for a value that is not to be joined to what was added before it: numbers lie between them that
// nobody has, and who reads an entry may want to count.
func (tx *Tx) StartEntry(prefix []byte, at uint64, value []byte) {
	tx.group.extend(entry{prefix: prefix, at: at, value: value, starts: true})
}

// Notify has event passed to the engine's subscribers once the group is durable and visible.
func (tx *Tx) Notify(event any) { tx.group.events = append(tx.group.events, event) }

// Conflict returns an ErrConflict with a reason.
func Conflict(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrConflict, fmt.Sprintf(format, args...))
}
