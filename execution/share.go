package execution

import "context"

// ExecutionIn returns the execution that operations under a context belong to, for adapters: that of the context, or, in a process
// that replays, the one that answers for the start of the process. It is nil when there is none.
func (r *Recorder) ExecutionIn(ctx context.Context) *Execution {
	if l := laneOf(ctx); l != nil {
		return l.x
	}
	if r == nil || isUnrecorded(ctx) || r.boot.mode != ModeReplay {
		return nil
	}
	return r.boot
}

// Reserve takes n bytes of the memory for bodies, for adapters that keep what passes by. It returns false when there are not so
// many left, and when nothing is recorded.
func (x *Execution) Reserve(n int) bool { return x != nil && x.reserve(n) }

// BodyLimit returns how many bytes of each body, or of each result, are kept.
func (x *Execution) BodyLimit() int {
	if x == nil {
		return 0
	}
	return x.rec.config.Limits.BodyBytes
}

// Shortened notes that bytes of a body or of a result are not in the record, so that it can be replayed only in part.
func (x *Execution) Shortened(what string, bytes int) {
	x.update(func() {
		x.dropped.Bytes += bytes
		x.partial(what + " is shortened")
	})
}
