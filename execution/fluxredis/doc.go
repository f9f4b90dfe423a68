// Package fluxredis records and replays what a program does with go-redis.
//
//	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6379"})
//	fluxredis.Instrument(rec, client)
//
// # The way of a command
//
//	record: hook ─► the command as a raw one ─► Redis ─► reply, byte by byte ─► record
//	                                                          └─► parser: a client without a network ─► the caller's command
//	replay: hook ─► reply from the record ─► the same parser ─► the caller's command
//
// So the caller's command is always filled by go-redis itself, from the same bytes, and redis.Nil, error replies and typed
// results are the same in a replay. A pipeline, and a transaction of MULTI and EXEC, is one operation with the replies of all its
// commands. WATCH is an operation of its own, and so are the reads and the EXEC of each round.
//
// Commands that wait for data, as BLPOP, and those that stream, run as they are, because their time limit is their own; their
// result is recorded from the command. The handshake of connections is not recorded.
//
// # Limits
//
// Subscriptions have no hook in go-redis. What arrives on one is not recorded, and a replay that subscribes is refused; Strict
// refuses commands that a replay could not answer from what it recorded.
//
// # Invariants
//
//	R1  A reply that was recorded and replayed has the same bytes, but for what was redacted.
//	R2  In a replay nothing is dialled.
package fluxredis
