// Package wire is the codec of the Flux Capacitor and Fluxzero websocket protocol: what is inside a websocket message.
//
//	websocket message = compress( one object: a request or a result, or a batch of them )
//
// Objects are in JSON or in CBOR, as a socket's [Format] says; with BINARY some have a compact form. A reader and a writer
// know the members of each request and result, a source knows how values are written.
//
// [Decoder.Requests] reads what a client sends, the Append functions write what it is sent. The package knows nothing of
// sockets or of what a request does.
//
// Reading is lenient where the reference server is: members may come in any order, the discriminator "@type" last, unknown
// ones are skipped, absent and null ones are zero, one value may stand for an array of one. Text that is not JSON makes a
// frame unreadable; a value of the wrong type makes only its request invalid, so that it can be answered with an error
// while the rest of its batch goes on.
//
// Writing is strict, because clients are not lenient: no null lists, no null metadata, indexes as integers.
//
// Nothing that a frame claims is allocated before it was checked against a limit. Source: the protocol's sections on
// framing and messages; docs/protocol/capacitor.md.
package wire
