// Package journal keeps on disk what a process has recorded until the server has it, and what must be known of an execution
// if its process dies.
//
// It has two uses. As a spool it takes executions that ended ([Journal.Append]) and gives them, oldest first, to who uploads
// them ([Journal.Next], [Journal.Acknowledge]). As a write-ahead journal it takes the steps of an execution that must be
// resumable ([Journal.Begin], [Journal.Progress], [Journal.Intent], [Journal.Outcome], [Journal.End]). Both go into the same files:
//
//	Append ──┐                        ┌─► write ─► sync, if anyone waits for it ─► Intent, End return
//	Intent ──┼─► frames in memory ─► writer
//	End    ──┘          │             └─► segments that nothing needs any more are removed
//	                    └─ executions: oldest first ─► Next ─► server ─► Acknowledge
//
// One goroutine, the writer, does all writing. What comes while it syncs is written together, so many callers share a sync.
//
// # Invariants
//
//	J1  When Intent or End has returned nil, a power cut does not undo it.
//	J2  Nobody but the callers of Intent and End waits for the disk.
//	J3  An execution without an end is never reported as ended: a process that opens the folder of a dead one reports it as
//	    crashed, or as interrupted when the journal itself is at fault, and its writes without an outcome as in doubt.
//	J4  An execution that was appended is given to Next until it is acknowledged, across restarts, or it is counted as dropped.
//	    It may be given twice.
//	J5  What waits has at most Config.MaxBytes, and of that at most Config.MaxMemoryBytes is not on disk; the oldest goes first.
//
// Several processes share a directory. Each has a folder in it and a lock on that; the lock of a dead process is free, and the
// next process that opens the directory takes over its folder.
//
// # What can go wrong
//
// The disk is full or fails: Intent and End return the error, for their callers to decide; everything else stays in memory,
// is tried again with whatever comes next, and can be uploaded from there. The end of a file is torn: it is dropped. A file
// is damaged in the middle: what is sound is used. A later version of Flux wrote a folder: it is left to that version.
// See docs/format/journal.md.
package journal
