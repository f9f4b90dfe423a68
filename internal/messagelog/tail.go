package messagelog

import (
	"container/list"
	"sort"
	"sync"

	"github.com/flux-go/flux/message"
)

const (
	// maxTailBytes bounds the entries of all logs that are kept in memory.
	maxTailBytes = 64 << 20
	// tailEntryBytes is about what keeping an entry costs besides its blocks.
	tailEntryBytes = 200
)

type logID struct {
	ns  message.Namespace
	log message.Log
}

// tails keeps the newest entries of all logs, dropping the oldest of them all when there is too much.
//
// A tail has all messages of its log after an index, or it is not there. It learns of messages when they are durable and
// visible in the store, so whoever finds nothing here finds it there.
type tails struct {
	maxBytes int
	mu       struct {
		sync.RWMutex
		logs  map[logID]*tail
		order list.List // the *tail of each entry that is kept, oldest entry first
		bytes int
	}
}

// tail is the end of one log without gaps.
type tail struct {
	id      logID
	entries []tailEntry
	// after is the index after which entries has everything.
	after message.Index
}

type tailEntry struct {
	Entry
	place *list.Element // in order
}

func (e tailEntry) bytes() int { return len(e.Blocks) + tailEntryBytes }

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
			t.addLocked(event)
		case Truncated:
			t.truncateLocked(logID{event.Namespace, event.Log}, event.Through)
		}
	}
	for t.mu.bytes > t.maxBytes {
		t.dropFirstLocked(t.mu.order.Front().Value.(*tail))
	}
}

func (t *tails) addLocked(a Appended) {
	id := logID{a.Namespace, a.Log}
	log, ok := t.mu.logs[id]
	if !ok {
		log = &tail{id: id, after: a.Previous}
		t.mu.logs[id] = log
	}
	e := tailEntry{a.Entry, t.mu.order.PushBack(log)}
	log.entries = append(log.entries, e)
	t.mu.bytes += e.bytes()
}

// dropFirstLocked drops the oldest entry of a tail, and the tail when there is no other.
func (t *tails) dropFirstLocked(log *tail) {
	e := log.entries[0]
	t.mu.bytes -= e.bytes()
	t.mu.order.Remove(e.place)
	log.after = max(log.after, e.Last)
	log.entries[0] = tailEntry{}
	log.entries = log.entries[1:]
	if len(log.entries) == 0 {
		delete(t.mu.logs, log.id)
	}
}

// truncateLocked drops what was deleted. Who asks for it goes to the store, and finds there what is left.
func (t *tails) truncateLocked(id logID, through message.Index) {
	log, ok := t.mu.logs[id]
	if !ok || through <= log.after {
		return
	}
	log.after = through
	for len(log.entries) > 0 && log.entries[0].Last <= through {
		t.dropFirstLocked(log)
	}
}

// read is Logs.Read from memory; it is not ok when the tail does not reach back to after.
func (t *tails) read(id logID, after message.Index, limit Limit) (entries []Entry, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	log, ok := t.mu.logs[id]
	if !ok || after < log.after {
		return nil, false
	}
	r := reading{limit: limit}
	from := sort.Search(len(log.entries), func(i int) bool { return log.entries[i].Last > after })
	for _, e := range log.entries[from:] {
		if r.full() {
			break
		}
		r.add(e.from(after + 1))
	}
	return r.entries, true
}
