// Package recording keeps the records of executions: what was recorded in a service comes here, is found again by what people
// know of it, and goes away when it is old.
//
// # The way of a record
//
//	NewRecord: decoded, checked, terms collected by the caller ─► Record.Apply: record, summary, postings, issue
//	   ─► event ─► Executions.Changed: tails wake up and read on in the order of arrival
//	   ─► Executions.List: postings of the terms of a filter intersected, summaries compared, newest first
//	   ─► Executions.Expire: the oldest arrivals beyond the retention removed, in batches
//
// # Places
//
// An execution has a place: its start in milliseconds and a number that makes it unique, inverted, so that who started last
// comes first. Summaries, records and postings are ordered by it, so that every list is newest first, whichever index it comes
// from, and the place where one page ends is all that the next one needs to know.
//
// # The index
//
// An execution has a posting under each of its terms: its status, its service, the beginnings of its path, words of its error
// and log lines, and so on; see terms.go. A filter is a set of terms that must all hold, and of conditions that no term can
// express. List walks over the postings of all terms at once, from place to place that all of them have, looks at the summaries
// there, and at the records only for conditions on payloads. One call does a bounded amount of work and says how far it came.
//
// Expensive work happens outside of the sequencer. The terms of a record that is to be removed are computed by the caller, too;
// the arrival number tells whether it is still the same record when the removal is applied.
//
// # Trees
//
// Executions of many services belong together when one caused the other, by a call or by a message, or when they have the same
// trace. Tree follows the links of an execution, and the postings of all that they name, so that it gets past one that is not kept
// as long as its neighbours name it. Links are claims: each execution is where it says itself, and only where it says nothing is it
// where another says.
//
// # Invariants
//
//	X1  The first record of an execution that ended is kept as it came until it is removed, whatever comes after it.
//	X2  An execution is under exactly the terms that its record has: those of its summary alone while it is running.
//	X3  Arrival numbers increase. A tail that goes on after the last number it has seen misses nothing that is still there.
//	X4  An issue counts each execution that ended badly once.
//	X5  Of two holders who acquire the lease of an execution one gets it. Tokens of leases increase in a namespace.
//	X6  What is pinned is only removed after it was unpinned.
//
// # What can go wrong
//
// Records come from outside: they must decode, and are refused one by one. At most [maxWords] words of a record can be found,
// those of its error first. Ages are counted from when something was recorded, by the clock of the engine, so that what a
// service has kept for long while the server was away is not removed at once. Terms are recomputed from records when these are
// removed, so the functions that make them must not change what they make of a record that is stored; see terms.go.
package recording
