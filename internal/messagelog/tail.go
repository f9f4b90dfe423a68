package messagelog

import (
	"sort"
	"sync"

	"github.com/flux-go/flux/message"
)

// maxTailBytes bounds the entries of all logs that are kept in memory.
const maxTailBytes = 64 << 20

type logID struct {
	ns  message.Namespace
	log message.Log
}

// tails keeps the newest entries of all logs, dropping the oldest of them all when there is too much.
type tails struct {
	maxBytes int
	mu       struct {
		sync.RWMutex
		logs  map[logID]*tail
		order []logID // of each entry kept, oldest first
		bytes int
	}
}

// tail is the end of one log without gaps.
type tail struct {
	entries []Entry
	// before is the index after which entries has everything.
	before message.Index
}

func newTails(maxBytes int) *tails {
	t := &tails{maxBytes: maxBytes}
	t.mu.logs = make(map[logID]*tail)
	return t
}

// observe is the engine's subscriber.
func (t *tails) observe(events []any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, event := range events {
		switch event := event.(type) {
		case Appended:
			t.addLocked(logID{event.Namespace, event.Log}, event.Entry)
		case Truncated:
			t.truncateLocked(logID{event.Namespace, event.Log}, event.Through)
		}
	}
}

func (t *tails) addLocked(id logID, e Entry) {
	log, ok := t.mu.logs[id]
	if !ok {
		log = &tail{before: e.First - 1}
		t.mu.logs[id] = log
	}
	log.entries = append(log.entries, e)
	t.mu.order = append(t.mu.order, id)
	for t.mu.bytes += len(e.Blocks); t.mu.bytes > t.maxBytes; {
		oldest := t.mu.order[0]
		t.mu.order = t.mu.order[1:]
		t.dropFirstLocked(oldest)
	}
}

func (t *tails) dropFirstLocked(id logID) {
	log := t.mu.logs[id]
	t.mu.bytes -= len(log.entries[0].Blocks)
	log.before = log.entries[0].Last
	log.entries[0] = Entry{}
	log.entries = log.entries[1:]
	if len(log.entries) == 0 {
		delete(t.mu.logs, id)
	}
}

// truncateLocked forgets a log's tail; readers find in the store what is left of it.
func (t *tails) truncateLocked(id logID, through message.Index) {
	log, ok := t.mu.logs[id]
	if !ok || log.before >= through {
		return
	}
	kept := t.mu.order[:0:0]
	for _, other := range t.mu.order {
		if other != id {
			kept = append(kept, other)
		}
	}
	t.mu.order = kept
	for _, e := range log.entries {
		t.mu.bytes -= len(e.Blocks)
	}
	delete(t.mu.logs, id)
}

// read is Logs.Read from memory; it is not ok when the tail does not reach back to after.
func (t *tails) read(id logID, after message.Index, limit Limit) (entries []Entry, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	log, ok := t.mu.logs[id]
	if !ok || after < log.before {
		return nil, false
	}
	from := sort.Search(len(log.entries), func(i int) bool { return log.entries[i].Last > after })
	to := from
	for messages, size := 0, 0; to < len(log.entries) && (to == from || messages < limit.Messages && size < limit.Bytes); to++ {
		messages += int(log.entries[to].Last-log.entries[to].First) + 1
		size += len(log.entries[to].Blocks)
	}
	return append([]Entry(nil), log.entries[from:to]...), true
}
