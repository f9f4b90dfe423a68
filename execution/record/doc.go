// Package record is what a recorded execution is made of, and how it is written down: in the journal of a process, in the
// store of the server, and in a file that can be sent to a colleague.
//
// An [Execution] is recorded in memory, redacted, and then encoded once ([Append]); the bytes go to the spool, to the server
// and into files as they are, and [Decode] makes the same execution of them. A [Summary] is what lists show of it.
//
// What holds: encoding and decoding loses nothing but the difference between empty and nil. Equal executions have equal bytes.
// Whoever decodes is safe from what others have encoded: damage is [ErrCorrupt] and bounded in memory, and what a later
// version has added is skipped or, if that is not possible, [ErrNewer].
package record
