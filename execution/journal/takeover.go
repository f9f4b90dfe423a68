package journal

import (
	"errors"
	"io/fs"

	"github.com/flux-go/flux/execution/record"
)

// takeOver makes the executions of a dead writer wait here, and reports those without an end. Its segments stay until the
// server has what is in them, and until the reports are on disk here.
func (j *Journal) takeOver(f *folder) {
	segments, h, err := f.loadSegments(j.config.fs)
	if err != nil {
		f.lock.Close()
		if !errors.Is(err, fs.ErrNotExist) { // else it was removed just before the lock was free
			j.mu.Lock()
			j.mu.stats.Unreadable++
			j.mu.Unlock()
		}
		return
	}
	j.adopt(f, segments, h.ended)
	unfinished := h.unfinished()
	err = j.report(unfinished)
	j.recovered = append(j.recovered, unfinished...)
	if err == nil {
		j.release(segments)
	}
}

// adopt makes executions in the segments of a dead writer wait for the server. The segments are held.
func (j *Journal) adopt(f *folder, segments []*segment, ended []place) {
	j.mu.Lock()
	defer j.mu.Unlock()
	byNumber := make(map[uint32]*segment, len(segments))
	for _, s := range segments {
		s.held++
		byNumber[s.number] = s
	}
	f.segments = len(segments)
	j.mu.adopted = append(j.mu.adopted, f)
	j.mu.segments = append(j.mu.segments, segments...)
	for _, p := range ended {
		s := byNumber[p.segment]
		s.waiting++
		e := &waiting{size: p.end - p.at, segment: s, at: p.at, end: p.end}
		j.mu.queue = append(j.mu.queue, e)
		j.mu.queued += e.size
	}
	j.trimLocked()
	signal(j.more)
}

// report makes executions wait for the server and returns when they are on disk.
func (j *Journal) report(executions []*record.Execution) error {
	var frames []*frame
	for _, x := range executions {
		data := record.Append(nil, x)
		f := &frame{kind: kindExecution, entry: &waiting{size: int64(len(data)), data: data}, done: make(chan error, 1)}
		frames = append(frames, f)
	}
	j.mu.Lock()
	for _, f := range frames {
		j.addLocked(f)
	}
	j.mu.Unlock()
	signal(j.wake)
	var all error
	for _, f := range frames {
		all = errors.Join(all, <-f.done)
	}
	return all
}

func (j *Journal) release(segments []*segment) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range segments {
		s.held--
	}
}
