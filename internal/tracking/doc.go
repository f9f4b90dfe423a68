// Package tracking lets consumers follow logs: it divides their segments over trackers, and gives each tracker the messages
// of its segments, in order, from the stored position on.
//
// # The way of a message
//
//	engine ──► watches ──► tracker wakes ──► feed ──► search ──► batch ──► client handles ──► position.Store ──► engine
//	Appended   per log     range concerned   blocks   what it    blocks                       raises position    Changed
//	                                         of log   accepts    as stored                                          │
//	                       cluster ◄────────────────────────────────────────────────────────────────────────────────┘
//
// A consumer with trackers is a cluster: its members, the [Division] of the segments among them, and the stored position,
// which it knows from the engine's events. A member talks in one of two ways, and the division makes no difference between
// them. A long poll ([Service.Read], [Service.Claim]) asks for each batch and stores the position by itself. A [Session] is
// given batches ahead of what it has handled, and its positions are stored for it. Both look for messages in the same way: a
// feed walks over the blocks of the log, and a search takes whole blocks as they are stored where it can, and filters the
// others. Sessions of one consumer that have parts of the same blocks filter them at one go.
//
// [Results] are something else: a stream of what is meant for one client, without consumer and position. A hub per log
// walks over each new block once for all of them.
//
// # Invariants
//
//	T1  A segment has one tracker of a consumer at a time: nobody is given messages of a segment while another tracker has
//	    messages of it in hand, unless that one has left.
//	T2  No matching message is skipped. A consumer's start is stored, in all segments, before its first batch.
//	T3  The last index of a batch, and a position that the server stores, are never beyond a matching message that was not
//	    delivered.
//	T4  The segments of a tracker that leaves go to others at once.
//	T5  A newer request of a tracker takes the place of an older one.
//	T6  A reset wins: no position of a batch from before it is stored after it by the server.
//
// Delivery is at least once: what a tracker had in hand when it left goes to another one.
//
// # Waiting
//
// A tracker that waits is a goroutine of its caller with a channel of one token. An append leaves a token with the trackers
// whose segments it concerns, a division with those whose range it changed, and neither ever blocks. Tokens are left first
// and the log is looked at afterwards, so none can be missed.
//
// # Locks
//
// Service.mu, then cluster.mu, then watches.mu; hub.mu, then Results.mu. None is held while the log is read, a block filtered
// or a transaction proposed, but for hub.mu, under which a new block is divided. The engine's goroutine takes all of them.
package tracking
