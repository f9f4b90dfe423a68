package journal

import "github.com/flux-go/flux/execution/record"

// run is an execution that has begun and whose end is not on disk.
type run struct {
	ended  bool     // no more steps are taken
	frames []placed // on disk, of its begin and steps
}

// placed is where a frame is.
type placed struct {
	segment *segment
	at, end int64
}

// Begin makes an execution known, with all that should be there if the process dies. It does not wait for the disk: the first
// Intent does. The error is ErrClosed or ErrTooLarge.
func (j *Journal) Begin(x *record.Execution) error {
	data := record.Append(nil, x)
	if len(data)+len(x.ID) > maxPayloadBytes {
		return ErrTooLarge
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.mu.sealed {
		return ErrClosed
	}
	j.mu.running[x.ID] = new(run)
	j.addLocked(&frame{kind: kindBegin, id: x.ID, payload: data})
	signal(j.wake)
	return nil
}

// Intent returns when it is on disk that the operation is about to be done. With an error it may or may not be there: ErrClosed,
// ErrNotBegun, ErrTooLarge, or that of the disk.
func (j *Journal) Intent(id record.ID, cp *record.Checkpoint) error {
	return j.step(&frame{kind: kindIntent, id: id, done: make(chan error, 1)}, cp)
}

// Outcome notes what came of an operation, with an intent or, when it changes nothing, without. It does not wait for the disk:
// it gets there with the next Intent or End. Errors are ErrClosed, ErrNotBegun and ErrTooLarge.
func (j *Journal) Outcome(id record.ID, cp *record.Checkpoint) error {
	return j.step(&frame{kind: kindOutcome, id: id}, cp)
}

// Progress notes what an execution got from its sources and said since Progress was called before: x has its ID, Sources, Logs and
// Notes, and in Duration how long it has run, which is longer each time. Like Outcome it does not wait for the disk.
func (j *Journal) Progress(x *record.Execution) error {
	f := &frame{kind: kindProgress, id: x.ID, payload: record.Append(nil, x)}
	if len(f.payload)+len(f.id) > maxPayloadBytes {
		return ErrTooLarge
	}
	return j.addStep(f)
}

func (j *Journal) step(f *frame, cp *record.Checkpoint) error {
	f.payload = record.AppendCheckpoint(nil, cp)
	if len(f.payload)+len(f.id) > maxPayloadBytes {
		return ErrTooLarge
	}
	if err := j.addStep(f); err != nil || f.done == nil {
		return err
	}
	return <-f.done
}

func (j *Journal) addStep(f *frame) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.mu.sealed {
		return ErrClosed
	}
	if r := j.mu.running[f.id]; r == nil || r.ended {
		return ErrNotBegun
	}
	j.addLocked(f)
	signal(j.wake)
	return nil
}

// End returns when it is on disk how the execution ended, which waits for the server from now on. With an error of the disk it
// waits all the same, and is tried again. Other errors are ErrClosed and ErrTooLarge.
func (j *Journal) End(x *record.Execution) error {
	data := record.Append(nil, x)
	f := &frame{kind: kindEnd, id: x.ID, entry: &waiting{size: int64(len(data)), data: data}, done: make(chan error, 1)}
	if len(data)+len(x.ID) > maxPayloadBytes {
		f.entry = nil // its end is noted without it
	}
	j.mu.Lock()
	if j.mu.sealed {
		j.mu.Unlock()
		return ErrClosed
	}
	if r := j.mu.running[x.ID]; r != nil {
		r.ended = true
	}
	j.addLocked(f)
	j.mu.Unlock()
	signal(j.wake)
	err := <-f.done
	if err == nil && f.entry == nil {
		return ErrTooLarge
	}
	return err
}
