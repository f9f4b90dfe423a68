// Package fluxgrpc records and replays calls of gRPC, as a client and as a server.
//
//	conn, err := grpc.NewClient(target, append(fluxgrpc.DialOptions(rec, nil), creds)...)
//	server := grpc.NewServer(fluxgrpc.ServerOptions(rec)...)
//
// # The way of a call
//
//	record: client ─► interceptor ─► server ─► interceptor ─► handler     an operation here, an execution there
//	replay: client ─► interceptor ─► messages from the record            nothing is dialled
//	        Replay ─► the registered handler                             there is no server
//
// A call is one operation, whatever its kind, with the messages of both sides in order. Messages are JSON where that holds all
// of them, so that they can be redacted by their fields and read by people, and wire bytes where not. Errors are rebuilt with
// code, message and details, so that status.FromError takes them for the same.
//
// Who sends several messages knows the last one only in the end: a replay of such a call begins the operation when the client
// has closed its side. Where both sides stream, each message sent is an operation too, which does nothing: it is there to be
// compared.
//
// # Invariants
//
//	G1  A message that was recorded and replayed is the same, but for what was redacted.
//	G2  In a replay nothing is dialled, and deadlines do not pass.
//	G3  The call sees the options, headers and trailers that it would see without an interceptor.
//
// # Limits
//
// Compression, flow control and retries of the service config are not recorded. Messages that are no protocol buffers are recorded
// as encoding/json has them. Methods count as writes unless their schema says NO_SIDE_EFFECTS, or Options say otherwise.
package fluxgrpc
