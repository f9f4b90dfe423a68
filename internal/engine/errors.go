package engine

import "errors"

var (
	// ErrClosed is returned by calls after Close.
	ErrClosed = errors.New("engine closed")
	// ErrReadOnly is returned for transactions after a write or sync failed. Reads go on; a restart is needed to write again.
	ErrReadOnly = errors.New("store is read-only after a disk failure")
	// ErrConflict is returned when a condition of a transaction does not hold. Nothing of the transaction was applied.
	ErrConflict = errors.New("condition does not hold")
	// ErrTooLarge is returned for a transaction over Options.MaxTransactionBytes.
	ErrTooLarge = errors.New("transaction too large")
	// ErrNewerStore is returned by Open for a store that a newer version of Flux has written.
	ErrNewerStore = errors.New("store was written by a newer version of Flux")
	// ErrCorrupt is the class of everything found damaged in a store.
	ErrCorrupt = errors.New("corrupt store")
)
