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
// # Subscriptions
//
// What is said on a connection for subscriptions is looked at on the wire. SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE and their opposites are
// operations, each with what came until the next one; a replay hands that out in the same order, at once. A connection that go-redis
// made anew belongs to the same execution.
//
// # Limits
//
// Strict refuses what the ancestor of this package refused: MULTI, EXEC, WATCH, UNWATCH; SUBSCRIBE, PSUBSCRIBE, UNSUBSCRIBE,
// PUNSUBSCRIBE, PUBLISH; BLPOP, BRPOP, BZPOPMIN, BZPOPMAX, and XREAD and XREADGROUP with BLOCK. Of a subscription whoever receives is
// told, and nothing is subscribed. In a resume a subscription is a new one, and what comes on it is not recorded.
//
// # Invariants
//
//	R1  A reply that was recorded and replayed has the same bytes, but for what was redacted.
//	R2  In a replay nothing is dialled for an execution.
package fluxredis
