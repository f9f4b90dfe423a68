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
