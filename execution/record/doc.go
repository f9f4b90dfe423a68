// Package record is what a recorded execution is made of, and how it is written down: in the journal of a process, in the
// store of the server, and in a file that can be sent to a colleague.
package record
