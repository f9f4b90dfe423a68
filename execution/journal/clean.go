package journal

import "slices"

// clean removes segments that nothing needs any more. Where only executions that still run need one, it carries their frames
// to the active segment, so that a long one does not keep everything.
func (j *Journal) clean() {
	for _, s := range j.idle() {
		if err := j.carry(s); err != nil { // it stays as long as the disk fails
			j.settle(nil, err)
			break
		}
	}
	for _, s := range j.takeUnneeded() {
		s.file.Close()
		_ = j.config.fs.remove(s.path())
	}
	for _, f := range j.takeEmpty() {
		f.remove()
	}
}

// idle returns the segments that only executions that still run need.
func (j *Journal) idle() []*segment {
	j.mu.Lock()
	defer j.mu.Unlock()
	var idle []*segment
	for _, s := range j.mu.segments {
		if s.folder == j.folder && s != j.writer.active && s.waiting == 0 && s.held > 0 {
			idle = append(idle, s)
		}
	}
	return idle
}

func (j *Journal) takeUnneeded() []*segment {
	j.mu.Lock()
	defer j.mu.Unlock()
	var unneeded []*segment
	j.mu.segments = slices.DeleteFunc(j.mu.segments, func(s *segment) bool {
		isUnneeded := s != j.writer.active && s.waiting == 0 && s.held == 0
		if isUnneeded {
			unneeded = append(unneeded, s)
			s.folder.segments--
		}
		return isUnneeded
	})
	return unneeded
}

// takeEmpty returns the folders of dead writers that have no segments any more.
func (j *Journal) takeEmpty() []*folder {
	j.mu.Lock()
	defer j.mu.Unlock()
	var empty []*folder
	j.mu.adopted = slices.DeleteFunc(j.mu.adopted, func(f *folder) bool {
		if f.segments == 0 {
			empty = append(empty, f)
		}
		return f.segments == 0
	})
	return empty
}

// carry writes the frames of executions that still run from s to the active segment once more. Frames of an execution may so
// come twice and in another order, which a history allows.
func (j *Journal) carry(s *segment) error {
	var frames []*frame
	for _, c := range j.framesIn(s) {
		parsed, err := s.frameAt(c.place.at, c.place.end)
		if err != nil { // the disk has lost it
			j.writer.isLost = true
			j.move(c, nil, nil)
			continue
		}
		frames = append(frames, &frame{kind: parsed.kind, id: parsed.id, payload: parsed.payload, carried: c})
	}
	if len(frames) == 0 {
		return nil
	}
	if err := j.write(frames, true); err != nil {
		return err
	}
	for _, f := range frames {
		j.move(f.carried, j.writer.active, f)
	}
	return nil
}

// carried is a frame that needs s, the segment it is in.
type carried struct {
	run   *run
	place placed
}

func (j *Journal) framesIn(s *segment) []carried {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []carried
	for _, r := range j.mu.running {
		for _, p := range r.frames {
			if p.segment == s {
				all = append(all, carried{r, p})
			}
		}
	}
	return all
}

// move notes that a frame is in another segment now, or nowhere.
func (j *Journal) move(c carried, to *segment, f *frame) {
	j.mu.Lock()
	defer j.mu.Unlock()
	i := slices.Index(c.run.frames, c.place)
	c.place.segment.held--
	if to == nil {
		c.run.frames = slices.Delete(c.run.frames, i, i+1)
		return
	}
	c.run.frames[i] = placed{to, f.at, f.end}
	to.held++
}
