// Package fault takes errors apart for a record and builds them again from it, so that code that is replayed decides as it
// did live: errors.Is and errors.As give the same answers, Timeout and Temporary too, and the text is the same.
//
// # The data's way
//
//	live    error ──Of──► record.Error: class, text, type, wrapped errors (Chain), and in Detail what rebuilds each of them
//	replay  record.Error ──Rebuild──► error
//
// Detail is JSON: {"errors":[…]}, one element for the error itself and one for each part of Chain, in the same order, which
// is depth first. An element names the [Kind] that rebuilds the error with its fields, and says how many errors it wraps:
//
//	{"errors":[{"kind":"url.Error","fields":{"op":"Get","url":"http://x/"},"wraps":1},{"kind":"io.EOF"}]}
//
// An error of a type that no kind knows, such as one of the application, keeps its text, the name of its type, what it
// wraps, the answers of Timeout and Temporary, and which well-known errors its Is method takes it for. The kinds of the
// standard library are built in; adapters of libraries, and applications, hand in their own.
//
// # What can go wrong
//
// A record may be damaged, shortened or redacted. Rebuild never panics and never returns nil for an error: what cannot be
// read is replaced by an error with the text and the class of the record.
//
// Go does not know where an error was returned. What is known is where the program called the operation that failed, and
// the stack of a panic: [Capture] takes program counters at the cost of a few hundred nanoseconds, and [Frames] and [Call]
// turn them into places in the user's source, later and only when a record is kept.
package fault
