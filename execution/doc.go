// Package execution records what a request, a message handler or a job did outside its own memory, so that a failed one can
// be explained (flux why), run again from the record (flux replay) and finished after a fix (flux resume).
//
//	rec, err := execution.Connect(execution.Config{Service: "payments", URL: "http://127.0.0.1:8888"})
//	defer rec.Close(ctx)
//	http.ListenAndServe(addr, rec.Middleware(mux))
//	client := &http.Client{Transport: rec.Transport(nil)}
//	db := rec.OpenDB(connector)
//
// # The way of a record
//
//	Middleware ─► Begin ─► context ─► adapters ─► Start … Finish ─► memory of the execution
//	                                                                      │ End: kept?  no: forgotten
//	                                                                      ▼ yes
//	          server ◄─ upload ◄─ journal on disk ◄─ encoded ◄─ redacted ◄─ one goroutine of the recorder
//
// On the way of the request only references are kept; encoding, redaction and hashing happen after it, and only for executions
// that are kept: those that failed, were slow, were sampled, or were asked for. Executions that [Config].Journal picks are
// written as they go, each write before it is sent.
//
// # Presence
//
// A process that records to a server tells it so when it connects, every ten seconds or as the server asks, and when it closes: what
// it is, and counters of what it kept and lost. The server has that in memory, bounded, and forgets who is silent; flux ps lists it.
//
// # Modes
//
// An execution is recorded, replayed or resumed. [Start] is the one place where they differ: it says whether the operation is
// to be done, or answered from a record. Replay answers everything from the record and stops at the first operation that is not
// in it; resume answers what was completed and does the rest.
//
// # Invariants
//
//	X1  A recorder changes nothing for the program: no result, no error, no panic of its own.
//	X2  Nothing leaves the process before it is redacted.
//	X3  A recorded result is given only to an operation of the same boundary, target, shape and request.
//	X4  Clocks, random numbers, the environment and log lines have no part in the matching of operations.
//	X5  A replay that stopped stays stopped, whatever the program does with the error.
//	X6  A write that was completed is never done again.
//
// # What can go wrong
//
// The server is away: records wait in a bounded journal, and the oldest go first when it is full. Memory runs short: bodies are
// shortened and executions marked as partly replayable. A program calls something no adapter knows: the record does not have
// it, and a replay cannot answer it.
package execution
