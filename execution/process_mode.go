package execution

import "github.com/flux-go/flux/execution/record"

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

// TakeRequest is TakeRecorded for a request that flux replay sends to a server of this process: nonce is what it has under
// HeaderReplay.
func (r *Recorder) TakeRequest(kind record.TriggerKind, nonce string) *record.Bundle {
	if r == nil || r.process == nil || nonce == "" || nonce != r.process.control.Nonce {
		return nil
	}
	return r.TakeRecorded(kind)
}
