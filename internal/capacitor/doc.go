// Package capacitor is an edge of the server: it serves the websocket protocol of Flux Capacitor and of its successor
// Fluxzero, so that applications on their Java SDKs run against Flux unchanged. Package wire is its codec.
//
// # The way of data
//
//	socket ─► frame ─► wire: requests ─► endpoint: operations ─► engine.Submit ─► done ─► result ─┐
//	                                  └► read: goroutine ─► tracking, store ────────► result ─┤
//	socket ◄── fragments ◄── compressed ◄── batch of results ◄── outbox of the socket ◄───────────┘
//
// A websocket is served by one goroutine that reads, and one that writes. The reader turns frames into requests and gives
// every request to the endpoint that the socket was opened for. Commands become transactions that the reader submits
// without waiting for them, so they commit in the order in which they arrived; what is appended by the requests of one
// frame is one block. Everything that is not a command may wait, for messages or for the disk, and has a goroutine of its
// own. Results go to the outbox of the socket, whose writer packs those that are there at the same time into one message,
// and writes a large one in fragments, between which pongs find their way.
//
// # Invariants
//
//	C1  A command that is to be stored gets its result after its effect is on disk; one that need not be gets none.
//	C2  Every other request gets exactly one result, unless its tracker left or its client has no socket any more.
//	C3  Commands of a socket take effect in the order of their arrival.
//	C4  A result reaches a socket of the client that asked, at the endpoint where it asked, and no other.
//	C5  A command that is sent again by the client that sent it, while the client is remembered, takes effect once.
//	C6  The last index of a batch is never beyond a message of the tracker that the batch does not have.
//
// # Lock order
//
// registry, then peers, then outbox. Nothing is called with one of them held that may wait, nor tracking or the engine.
//
// # What can go wrong
//
// A request that cannot be read, or not be carried out, is answered with an error when its client waits, since clients
// wait for ever. A frame that cannot be read is logged and its socket goes on. A client that does not read its results is
// read no further once its outbox is full. A socket whose other end vanished is found by pings. A socket that closes gives
// its results to another socket of its client, and its trackers lose their segments at once; what it still has under way
// in the engine finishes. A client that never hears of the end of a command sends it again, with the same number; see
// history for how that is told from a client that began to count anew, and past for what came before a restart.
//
// Source: docs/protocol/capacitor.md.
package capacitor
