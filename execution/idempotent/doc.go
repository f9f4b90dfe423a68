// Package idempotent carries out HTTP requests that come with a key once, however often they are sent.
//
//	handler = idempotent.Handler(mux, idempotent.NewSQLStore(db), nil)
//	http.ListenAndServe(addr, rec.Middleware(handler)) // rec.Middleware around it, when executions are recorded
//
// # The way of a request
//
//	key, caller ─► name of the entry ─► Store.Get ─► begin ─► Store.Put ─► next ─► answer ─► Store.Put ─► client
//	                                        │                                                  │
//	             answer of before, 409, 422 ◄                           another attempt's answer ◄
//
// An entry is what a store has of a key. An attempt takes it for a while, the lease, and ends it with the answer, which later
// requests get: they are told apart by [HeaderStatus]. An attempt that failed gives the entry back, so that the request may be tried
// again; one whose process died loses it at the end of the lease.
//
// # Invariants
//
//	N1  A change of an entry takes effect only on the entry as it was seen: Store.Put compares revisions.
//	N2  After an answer was stored no attempt begins until the entry expires, and all get that answer.
//	N3  An attempt that lost its entry stores nothing. With [Complete] it commits nothing, either.
//	N4  An entry belongs to one caller, and is bound to one method, path, query and body.
//	N5  A resume looks at the store before it goes on, and a replay never does.
//
// # What can go wrong
//
// A process that dies between its effects and the end of the attempt leaves them done without an answer, and the next attempt does
// them again. What cannot bear that stores the answer in the transaction of its effects, with [Complete], or journals its executions
// and lets them be resumed. A handler that takes longer than the lease may meet another attempt: its context ends with the lease. The
// clocks of processes that share a store must be closer to each other than a lease is long.
//
// The form of the requests and answers is that of the IETF draft "The Idempotency-Key HTTP Header Field".
package idempotent
