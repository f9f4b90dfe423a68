package execution

import (
	"os"

	"github.com/flux-go/flux/execution/record"
)

// Process returns what this process is for, if flux replay or flux resume started it, and of which record: ModeOff in all others.
func (r *Recorder) Process() (Mode, *record.Execution) {
	switch {
	case r == nil || r.process == nil:
		return ModeOff, nil
	case r.process.control.Resume != nil:
		return ModeResume, r.process.bundle.Execution
	}
	return ModeReplay, r.process.bundle.Execution
}

// Offline says that this process replays a record and reads nothing from outside, so that whatever dials by itself is to fail.
func (r *Recorder) Offline() bool {
	mode, _ := r.Process()
	return mode == ModeReplay && !r.process.replay().Validate
}

// TakeRequest is TakeRecorded for a request that flux replay sends to a server of this process: nonce is what it has under
// HeaderReplay.
func (r *Recorder) TakeRequest(kind record.TriggerKind, nonce string) *record.Bundle {
	if r == nil || r.process == nil || nonce == "" || nonce != r.process.control.Nonce {
		return nil
	}
	return r.TakeRecorded(kind)
}

// ReadyPath is the path of the file that a process makes when its recorder can take requests or calls of a kind, for the path that a
// Control has. Who sends the one with the nonce before that could have it done for real.
func ReadyPath(path string, kind record.TriggerKind) string { return path + "." + string(kind) }

// Ready says, in a process that replays or resumes, that TakeRequest is asked about each request or call of a kind from now on. It is
// for what wraps handlers, when it does. In other processes it does nothing.
func (r *Recorder) Ready(kind record.TriggerKind) {
	if r == nil || r.process == nil || r.process.control.Ready == "" {
		return
	}
	if err := os.WriteFile(ReadyPath(r.process.control.Ready, kind), nil, 0o600); err != nil {
		r.config.Logger.Error("nobody learns that this process is ready", "error", err)
	}
}
