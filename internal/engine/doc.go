// Package engine turns transactions into durable state: it orders them, applies them one after the other, and writes each
// group of them as one synced Pebble batch. It knows what a key is, but not what any family of keys means.
//
// # The way of a transaction
//
//	Submit ──► queue ──► sequencer ──► Pebble batch ──► completer ──► done callbacks, subscribers
//	           bounded   one goroutine  WAL, memtable    waits for the sync, publishes the view
//
// The sequencer takes what is queued as one group, stamps it with one time, and applies its transactions in order. An
// operation sees all earlier operations of its transaction and group. An operation that returns an error takes back its
// whole transaction and nothing else. The group becomes one Pebble batch, which the sequencer hands to the write-ahead log
// without waiting for the disk, together with a snapshot of the state it makes. The completer waits for the sync; only then
// does the snapshot become the [View] that readers get, and only then are callers answered and subscribers told.
//
// # Invariants
//
//	E1  What a View shows is on disk.
//	E2  A transaction is in a View, and on disk after a crash, wholly or not at all.
//	E3  Views follow each other in the order of the queue; done callbacks and events come in that order too.
//	E4  Applying reads nothing but the store, the transaction, and the time of its group.
//	E5  After the first failed write or sync every later transaction is refused; the last View stays readable.
//
// # What can go wrong
//
// A full disk or a failing sync leaves memory ahead of the disk, and Pebble cannot take that back. The first failure therefore
// stops the disk as a power cut would (see disk), and the engine stops writing for good (E5): the process serves reads from
// the last durable View until it is restarted. docs/format/store.md says what a restart finds.
package engine
