// Package native serves the native API of Flux, the schema in api/flux/v1, with Connect: gRPC, gRPC-Web, and HTTP with JSON.
// It translates between the schema and the packages that know the meaning; docs/protocol/native.md is its contract.
//
// # The way of a call
//
//	request ─► gate ─► codec ─► interceptor ─► handler ─► operations ─► engine
//	           token,           faults,
//	           namespace        errors, figures
//
// The gate runs before anything of the body is read. It knows each procedure from one table, [procedures]. Errors become
// codes of the wire in one place, errors.go.
//
// # What is in memory alone
//
// Processes of services connect to be told what to resume (execution_attend.go), and tell that they record (execution_process.go).
// Both are facts about now: they are bounded, expire, are gone after a restart, and come again from the processes within seconds.
package native
