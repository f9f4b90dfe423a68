// Package schedule keeps messages that are to appear in the schedule log at a later time, each under an id under which it can be
// replaced, cancelled and read until then.
//
// # The way of a schedule
//
//	NewPut: id, time and message checked ─► Put.Apply: two keys, due time under id, message under due time and id
//	   ─► Put event ─► Scheduler: one goroutine that sleeps until the earliest due time
//	      ─► scan of what is due, in batches ─► fire.Apply: keys removed, message appended to the log, one commit
//	         ─► trackers of the schedule log, as for any other message
//
// The messages of one millisecond become one append, so firing many costs little more than writing them once. After it has
// begun to fire, the scheduler pauses for some milliseconds: a message may be late by that, and what a commit costs is shared by
// all that became due meanwhile.
//
// # Indexes
//
// Readers of the schedule log take the due time from the index of a message, so firing gives the index that a message
// published at the due time would have had, or the next free one. That is later than other messages of the log only by the
// wait for the scheduler. But an index is also the place at which trackers have come: a consumer that reads for the first time
// begins one second ago. So a message that is overdue by more than half a second, because the server was down or the clock
// has jumped, gets an index of the time at which it fires. A pending schedule has the first index of its due time.
//
// Where the protocol's reference server keeps a schedule until the log is purged, here it exists until it fires. Cancelling
// after that does not take the message back from trackers that have not read it yet: the log is not rewritten.
//
// # Invariants
//
//	T1  A schedule that was put, and neither replaced nor cancelled before it fired, appears in the log exactly once.
//	T2  It does not appear before its due time by the engine's clock.
//	T3  An id has at most one pending schedule. Its due time is under the id if and only if its message is under both.
//	T4  Indexes in the log increase, and none is given out that a consumer that began before may have passed.
//
// T1 holds over crashes and restarts because firing is one transaction that looks again: what it does not find any more is
// gone, fired or not. Two schedulers at the same store would fire everything once, too.
//
// # What can go wrong
//
// The clock jumps ahead while the scheduler sleeps by a timer that does not notice: so it looks at the clock at least once a
// second. The clock jumps back: what is due later by the new clock waits for it, and what fires has indexes after those that
// are there. The scheduler forgets what was fired by moving its place in the due times onward, so that it does not walk over
// deleted keys again and again: an event about an earlier time moves it back. A namespace whose transactions fail is tried
// again every second and holds up no other; in each round every namespace fires one batch.
//
// Source: section "Scheduling" of the Flux Capacitor protocol.
package schedule
