package tracking

import (
	"sync"
	"sync/atomic"

	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/message"
)

type logID struct {
	ns  message.Namespace
	log message.Log
}

// watcher is somebody who wants to know of messages that were appended to a log.
type watcher struct {
	// signal gets a token for what happened since the last token was taken. Its capacity is 1.
	signal chan struct{}
	// segments are those whose messages it wants to know of.
	segments atomicRange
	// at is its place in the list of its log.
	at int
}

// wake leaves a token. It never blocks.
func (w *watcher) wake() {
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// atomicRange is a range of segments that one goroutine may read while another sets it.
type atomicRange struct{ packed atomic.Uint32 }

func (a *atomicRange) set(r message.SegmentRange) { a.packed.Store(uint32(r.Start)<<8 | uint32(r.End)) }

func (a *atomicRange) get() message.SegmentRange {
	packed := a.packed.Load()
	return message.SegmentRange{Start: int(packed >> 8), End: int(packed & 0xff)}
}

// watches are the watchers of all logs.
type watches struct {
	mu struct {
		sync.Mutex
		watchers map[logID][]*watcher
	}
	// appended has what one call of the engine is about. Only its goroutine uses it.
	appended map[logID]message.SegmentSet
}

func (w *watches) add(id logID, added *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.watchers == nil {
		w.mu.watchers = make(map[logID][]*watcher)
	}
	added.at = len(w.mu.watchers[id])
	w.mu.watchers[id] = append(w.mu.watchers[id], added)
}

func (w *watches) remove(id logID, removed *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.mu.watchers[id]
	last := all[len(all)-1]
	all[removed.at], last.at = last, removed.at
	all[len(all)-1] = nil
	if len(all) == 1 {
		delete(w.mu.watchers, id)
		return
	}
	w.mu.watchers[id] = all[:len(all)-1]
}

// note remembers an append for wake, so that a group of many wakes everyone once.
func (w *watches) note(event messagelog.Appended) {
	if w.appended == nil {
		w.appended = make(map[logID]message.SegmentSet)
	}
	id := logID{event.Namespace, event.Log}
	w.appended[id] = w.appended[id].Union(event.Entry.Segments)
}

// wake wakes whom the appends since the last call concern.
func (w *watches) wake() {
	if len(w.appended) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, segments := range w.appended {
		for _, watcher := range w.mu.watchers[id] {
			if segments.Intersects(watcher.segments.get()) {
				watcher.wake()
			}
		}
	}
	clear(w.appended)
}
