package journal

import (
	"path/filepath"
	"slices"
)

// writer is what the goroutine that writes has to itself.
type writer struct {
	id     [16]byte
	active *segment   // which is written to; nil after an error that it cannot be trusted after
	bad    []*segment // those not trusted any more, with frames of executions that still run
	last   uint32     // number of the newest segment
	isLost bool       // frames may be missing on disk: the next segment says so
	buf    []byte
}

// maxKeptBytes is the length above which a buffer is left to the garbage collector.
const maxKeptBytes = 1 << 20

// work writes until the journal is closed.
func (j *Journal) work() {
	defer close(j.done)
	for range j.wake {
		j.mu.Lock()
		isLast := j.mu.stopping
		j.mu.Unlock()
		for j.writePending() {
		}
		if isLast {
			return
		}
	}
}

// writePending writes what is pending, and says whether there was something and it went well.
func (j *Journal) writePending() bool {
	defer j.clean()
	batch := j.takePending()
	if len(batch) == 0 {
		return false
	}
	err := j.rescue()
	if err == nil {
		err = j.write(batch, slices.ContainsFunc(batch, (*frame).isAwaited))
	}
	j.settle(batch, err)
	return err == nil
}

// takePending returns the pending frames, without executions that are at the server already or dropped. Of an end the frame
// remains, so that the execution is not taken for a running one.
func (j *Journal) takePending() []*frame {
	j.mu.Lock()
	defer j.mu.Unlock()
	batch := j.mu.pending
	j.mu.pending = nil
	return slices.DeleteFunc(batch, func(f *frame) bool {
		if f.entry != nil {
			f.payload = f.entry.data
		}
		return f.kind == kindExecution && f.entry.gone && !f.isAwaited()
	})
}

// write appends frames to the active segment, or to a new one, and syncs it if asked to. After an error none of the frames
// counts.
func (j *Journal) write(batch []*frame, sync bool) error {
	w := &j.writer
	if w.active == nil || w.active.size >= j.config.SegmentBytes {
		if err := j.roll(); err != nil {
			return err
		}
	}
	w.buf = w.buf[:0]
	for _, f := range batch {
		f.at = w.active.size + int64(len(w.buf))
		w.buf = appendFrame(w.buf, f.kind, f.id, f.payload)
		f.end = w.active.size + int64(len(w.buf))
	}
	if _, err := w.active.file.WriteAt(w.buf, w.active.size); err != nil {
		if w.active.file.Truncate(w.active.size) != nil {
			w.abandon()
		}
		return err
	}
	if sync {
		if err := w.active.file.Sync(); err != nil {
			w.abandon() // the operating system may have dropped what it could not write, and say that all is well next time
			return err
		}
	}
	w.active.size += int64(len(w.buf))
	if cap(w.buf) > maxKeptBytes {
		w.buf = nil
	}
	return nil
}

// abandon makes the writer go on in another segment.
func (w *writer) abandon() {
	w.bad = append(w.bad, w.active)
	w.active, w.isLost = nil, true
}

// rescue carries what is in bad segments to a sound one, so that what is written next comes after something that is there.
func (j *Journal) rescue() error {
	for len(j.writer.bad) > 0 {
		if err := j.carry(j.writer.bad[0]); err != nil {
			return err
		}
		j.writer.bad = j.writer.bad[1:]
	}
	return nil
}

// roll syncs the active segment and begins the next one.
func (j *Journal) roll() error {
	w := &j.writer
	if w.active != nil {
		if err := w.active.file.Sync(); err != nil {
			w.abandon()
			return err
		}
	}
	w.last++
	s := &segment{number: w.last, folder: j.folder}
	if err := j.create(s); err != nil {
		return err
	}
	w.active, w.isLost = s, false
	j.mu.Lock()
	j.mu.segments = append(j.mu.segments, s)
	j.folder.segments++
	j.mu.Unlock()
	return nil
}

// create creates the file of a segment, with its header.
func (j *Journal) create(s *segment) error {
	fs := j.config.fs
	created, err := fs.create(s.path())
	if err != nil {
		return err
	}
	header := appendHeader(nil, j.writer.id, s.number)
	if j.writer.isLost {
		header = appendFrame(header, kindLost, [16]byte{}, nil)
	}
	if _, err = created.WriteAt(header, 0); err == nil {
		err = fs.syncFolder(filepath.Dir(s.path()))
	}
	if err != nil {
		created.Close()
		_ = fs.remove(s.path())
		return err
	}
	s.file, s.size = created, int64(len(header))
	return nil
}

// settle tells everybody what became of the frames of a batch.
func (j *Journal) settle(batch []*frame, err error) {
	j.mu.Lock()
	if err == nil {
		for _, f := range batch {
			j.writtenLocked(f, j.writer.active)
		}
	} else {
		j.mu.stats.DiskErrors++
		j.keepLocked(batch)
	}
	j.mu.Unlock()
	for _, f := range batch {
		if f.isAwaited() {
			f.isTold = true
			f.done <- err
		}
	}
}

// writtenLocked notes that a frame is on disk.
func (j *Journal) writtenLocked(f *frame, s *segment) {
	if e := f.entry; e != nil && !e.gone {
		e.data, e.segment, e.at, e.end = nil, s, f.at, f.end
		s.waiting++
		j.mu.unwritten -= e.size
	}
	r := j.mu.running[f.id]
	switch {
	case r == nil || !f.kind.hasID():
	case f.kind == kindEnd:
		for _, p := range r.frames {
			p.segment.held--
		}
		delete(j.mu.running, f.id)
	default:
		r.frames = append(r.frames, placed{s, f.at, f.end})
		s.held++
	}
}

// keepLocked makes frames that could not be written pending again. Not so intents, whose callers are told; nor what an end
// says anyway, or the next acknowledgement.
func (j *Journal) keepLocked(batch []*frame) {
	var kept []*frame
	for _, f := range batch {
		switch f.kind {
		case kindExecution, kindEnd:
			f.payload = nil
			kept = append(kept, f)
		case kindBegin, kindOutcome, kindProgress:
			if r := j.mu.running[f.id]; r != nil && !r.ended {
				kept = append(kept, f)
			}
		}
	}
	j.mu.pending = append(kept, j.mu.pending...)
}
