package execution

import "context"

// nowhere is the lane of contexts under which nothing is recorded.
var nowhere = new(lane)

// Unrecorded returns a context under which nothing is recorded, for adapters: what they do to make a call that is recorded is
// part of that call.
func Unrecorded(ctx context.Context) context.Context {
	return context.WithValue(ctx, laneKey{}, nowhere)
}

func isUnrecorded(ctx context.Context) bool {
	l, _ := ctx.Value(laneKey{}).(*lane)
	return l == nowhere
}

// Booting says that no execution has begun, so that operations without one are recorded as the start of the process.
func (r *Recorder) Booting() bool { return r != nil && r.boot.rootLane() != nil }
