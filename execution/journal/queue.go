package journal

import (
	"context"
	"io"
	"slices"
	"sort"
)

// Bounds of what Next returns, except that a single execution may be larger.
const (
	maxBatchBytes = 4 << 20
	maxBatchCount = 1000
)

// waiting is an execution that waits for the server.
type waiting struct {
	size    int64
	data    []byte   // encoded; nil once it is on disk
	segment *segment // where it is on disk; nil before
	at, end int64    // of its frame
	gone    bool     // acknowledged or dropped
}

// Append makes an encoded execution wait for the server. It does not wait for the disk. The journal owns data from now on. The
// error is ErrClosed or ErrTooLarge.
func (j *Journal) Append(data []byte) error {
	if len(data) > maxPayloadBytes {
		return ErrTooLarge
	}
	return j.submit(&frame{kind: kindExecution, entry: &waiting{size: int64(len(data)), data: data}})
}

// submit makes a frame pending, and its execution wait.
func (j *Journal) submit(f *frame) error {
	j.mu.Lock()
	if j.mu.sealed {
		j.mu.Unlock()
		return ErrClosed
	}
	j.addLocked(f)
	j.mu.Unlock()
	signal(j.wake)
	return nil
}

func (j *Journal) addLocked(f *frame) {
	j.mu.pending = append(j.mu.pending, f)
	if f.entry == nil {
		return
	}
	j.mu.queue = append(j.mu.queue, f.entry)
	j.mu.queued += f.entry.size
	j.mu.unwritten += f.entry.size
	j.trimLocked()
	signal(j.more)
}

// trimLocked drops the oldest executions until what waits is within bounds. Those that are on their way to the server stay.
func (j *Journal) trimLocked() {
	for j.mu.queued > j.config.MaxBytes && len(j.mu.queue) > j.mu.taken {
		j.dropLocked(j.mu.taken)
		j.mu.stats.DroppedFull++
	}
	for j.mu.unwritten > j.config.MaxMemoryBytes {
		first := sort.Search(len(j.mu.queue), func(i int) bool { return j.mu.queue[i].segment == nil })
		if first = max(first, j.mu.taken); first == len(j.mu.queue) {
			return
		}
		j.dropLocked(first)
		j.mu.stats.DroppedMemory++
	}
}

func (j *Journal) dropLocked(i int) {
	j.forgetLocked(j.mu.queue[i])
	if i == 0 {
		j.mu.queue[0] = nil
		j.mu.queue = j.mu.queue[1:]
		return
	}
	j.mu.queue = slices.Delete(j.mu.queue, i, i+1)
}

// forgetLocked ends the wait of an execution.
func (j *Journal) forgetLocked(e *waiting) {
	e.gone = true
	j.mu.queued -= e.size
	if e.segment != nil {
		e.segment.waiting--
		return
	}
	e.data = nil
	j.mu.unwritten -= e.size
}

// Next waits until an execution is there and returns the oldest ones, encoded, a few megabytes of them. It returns the same
// again until Acknowledge is called. The error is io.EOF when the journal is sealed and nothing is left, or that of ctx.
func (j *Journal) Next(ctx context.Context) ([][]byte, error) {
	for {
		views, sealed := j.take()
		if batch := j.load(views); len(batch) > 0 {
			return batch, nil
		}
		if len(views) > 0 { // all of them damaged
			continue
		}
		if sealed {
			return nil, io.EOF
		}
		select {
		case <-j.more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// view is a waiting execution as it was when its journal was locked.
type view struct {
	waiting
	of *waiting
}

// take decides which executions Next returns.
func (j *Journal) take() (views []view, sealed bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.mu.taken == 0 {
		var size int64
		for _, e := range j.mu.queue[:min(len(j.mu.queue), maxBatchCount)] {
			if size += e.size; size > maxBatchBytes && j.mu.taken > 0 {
				break
			}
			j.mu.taken++
		}
	}
	for _, e := range j.mu.queue[:j.mu.taken] {
		views = append(views, view{*e, e})
	}
	return views, j.mu.sealed
}

// load returns the encoded executions, without those that cannot be read any more, which it drops.
func (j *Journal) load(views []view) [][]byte {
	var batch [][]byte
	for _, v := range views {
		if v.segment == nil {
			batch = append(batch, v.data)
			continue
		}
		f, err := v.segment.frameAt(v.at, v.end)
		if err != nil {
			j.dropDamaged(v.of)
			continue
		}
		batch = append(batch, f.payload)
	}
	return batch
}

func (j *Journal) dropDamaged(e *waiting) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.dropLocked(slices.Index(j.mu.queue, e))
	j.mu.taken--
	j.mu.stats.DroppedDamaged++
}

// Acknowledge forgets what Next returned last. It does not wait for the disk: after a crash some of it may wait again.
func (j *Journal) Acknowledge() error {
	j.mu.Lock()
	var last *waiting
	for _, e := range j.mu.queue[:j.mu.taken] {
		j.forgetLocked(e)
		if e.segment != nil && e.segment.folder == j.folder {
			last = e
		}
	}
	clear(j.mu.queue[:j.mu.taken])
	j.mu.queue = j.mu.queue[j.mu.taken:]
	j.mu.taken = 0
	if last != nil && !j.mu.stopping {
		p := position{last.segment.number, last.end}
		j.mu.pending = append(j.mu.pending, &frame{kind: kindAcknowledge, payload: p.payload()})
	}
	j.mu.Unlock()
	signal(j.wake)
	return nil
}
