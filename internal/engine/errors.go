package engine

import "errors"

var (
	// ErrClosed is returned by calls after Close, and by reads of views that were taken after it.
	ErrClosed = errors.New("engine closed")
	// ErrReadOnly is returned for transactions after a write or sync failed. Reads go on; a restart is needed to write again.
	// A transaction that was on its way at the time may be there after the restart, wholly, or not.
	ErrReadOnly = errors.New("store is read-only after a disk failure")
	// ErrConflict is returned when a condition of a transaction does not hold. Nothing of the transaction was applied.
	ErrConflict = errors.New("condition does not hold")
	// ErrTooLarge is returned for a transaction over Options.MaxTransactionBytes.
	ErrTooLarge = errors.New("transaction too large")
	// ErrBadNamespace is returned for a transaction of a namespace that cannot be: one is 1 to 512 bytes without NUL.
	ErrBadNamespace = errors.New("bad namespace name")
	// ErrInUse is returned by Open when another engine, of this process or another, has the store open.
	ErrInUse = errors.New("store is in use")
	// ErrNewerStore is returned by Open for a store that a newer version of Flux has written.
	ErrNewerStore = errors.New("store was written by a newer version of Flux")
	// ErrCorrupt is the class of everything found damaged in a store.
	ErrCorrupt = errors.New("corrupt store")
)
