// Package why finds out from a record why an execution went as it went.
//
//	record (and one of a good run) ─► suspects ─► rules ─► findings, best first ─► Analysis ─► text or JSON
//
// A suspect is an operation that the failure may have come from: one whose error is in the error of the execution, one that was
// in doubt, the last that failed. Rules look at suspects, at the error, and at the whole record. A rule has an id that never
// changes, and claims no more than the record proves: what it is not sure of it calls likely or possible.
//
// # Invariants
//
//	W1  The same record gives the same analysis, on every machine and without a network.
//	W2  The first finding of a failed execution names its cause, or says that the record does not show it.
//	W3  Nothing in an analysis was not in the record, so nothing in it needs redaction again.
package why
