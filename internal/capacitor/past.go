package capacitor

import (
	"hash/maphash"
	"iter"
	"sync"
	"time"

	"github.com/flux-go/flux/internal/capacitor/wire"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/message"
)

// past knows what was appended shortly before the server started. A client whose command was stored, and whose result was
// lost with the server, sends the command again as soon as the server is back; history has forgotten it then, the log has
// not.
//
// A message came before when one with the same id and the same content is near the end that its log had when the server
// started. Of each log that is asked about, so much is read once. Clients send again right after they have connected, so
// later commands are not looked at, and after a while nothing is kept.
type past struct {
	logs *messagelog.Logs
	mu   struct {
		sync.Mutex
		// tails are those of all logs that there were. Nil when they are forgotten.
		tails map[place]*tail
	}
}

type place struct {
	namespace message.Namespace
	log       message.Log
}

// tail is the end of a log when the server started.
type tail struct {
	last message.Index
	read sync.Once
	// prints are those of its messages, see printOf.
	prints map[uint64]struct{}
}

const (
	// resendTime is how long after its first socket at an endpoint a client may send again what it sent before the server
	// started.
	resendTime = time.Minute
	// maxTailMilli is how far back a tail goes, from its last message.
	maxTailMilli = 1 << 15
	// minTailMilli is how far it goes at least, unless that is more than shortTail.
	minTailMilli = maxTailMilli >> 9
)

// maxTail bounds a tail that is longer than minTailMilli, shortTail one that is not.
var (
	maxTail   = messagelog.Limit{Messages: maxHistory, Bytes: 64 << 20}
	shortTail = messagelog.Limit{Messages: 1 << 20, Bytes: 256 << 20}
)

// newPast notes where logs end. It has to be called before anybody can append to them.
func newPast(e *engine.Engine, logs *messagelog.Logs) (*past, error) {
	p := &past{logs: logs}
	p.mu.tails = make(map[place]*tail)
	view := e.View()
	defer view.Close()
	namespaces, err := view.Namespaces()
	if err != nil {
		return p, err
	}
	for _, ns := range namespaces {
		all, err := logs.List(ns)
		if err != nil {
			return p, err
		}
		for _, info := range all {
			p.mu.tails[place{ns, info.Log}] = &tail{last: info.Last}
		}
	}
	return p, nil
}

// forget gives up all that is known.
func (p *past) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.tails = nil
}

func (p *past) tail(at place) *tail {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.tails[at]
}

// has reports whether all messages came before. It is false for none, and when a log cannot be read.
func (p *past) has(at place, messages iter.Seq[*message.Message]) bool {
	t := p.tail(at)
	if t == nil {
		return false
	}
	found := false
	for m := range messages {
		print, ok := printOf(m)
		if !ok {
			return false
		}
		t.read.Do(func() { t.prints = p.read(at, t.last) })
		if _, found = t.prints[print]; !found {
			return false
		}
	}
	return found
}

// read returns the prints of the messages of a log up to an index: of the longest time that has few enough messages.
func (p *past) read(at place, last message.Index) map[uint64]struct{} {
	for milli := int64(maxTailMilli); ; milli >>= 3 {
		limit := maxTail
		if milli <= minTailMilli {
			limit = shortTail
		}
		entries, err := p.logs.Read(at.namespace, at.log, message.IndexAtMilli(max(last.Milli()-milli, 0))-1, limit)
		if err != nil || len(entries) == 0 {
			return nil
		}
		if entries[len(entries)-1].Last >= last {
			return printsOf(entries)
		}
		if milli <= minTailMilli {
			return nil // too much to know, as when the clock went back
		}
	}
}

func printsOf(entries []messagelog.Entry) map[uint64]struct{} {
	prints := make(map[uint64]struct{})
	var reader message.BlockReader
	var messages []message.Message
	for _, e := range entries {
		first := e.First
		for block, err := range message.Blocks(e.Blocks) {
			if err == nil {
				messages, err = reader.AppendMessages(messages[:0], block, first)
			}
			if err != nil {
				break // whoever reads the log will say so
			}
			for i := range messages {
				if print, ok := printOf(&messages[i]); ok {
					prints[print] = struct{}{}
				}
			}
			first += message.Index(block.Span())
			reader.Reset()
		}
	}
	return prints
}

var pastSeed = maphash.MakeSeed()

// chunkKey marks messages that are parts of another one. They share its id, and need not differ in anything else.
const chunkKey = "$finalChunk"

// printOf returns a hash of what a publisher says of a message. It is not ok for one that others may be equal to.
func printOf(m *message.Message) (print uint64, ok bool) {
	if _, isChunk := m.Metadata[chunkKey]; isChunk || m.ID == "" {
		return 0, false
	}
	print = maphash.Comparable(pastSeed, [...]any{
		m.ID, m.Timestamp, m.Type, m.Revision, m.Format, m.Source, m.Target, m.Request, maphash.Bytes(pastSeed, m.Payload),
	})
	for key, value := range m.Metadata { // in any order
		print += maphash.Comparable(pastSeed, [2]string{key, value})
	}
	return print, true
}

// cameBefore reports whether a command took effect before the server started.
func (s *socket) cameBefore(r wire.Request) bool {
	if !wire.BaseOf(r).Stored() || s.handler.Clock().Sub(s.peers.since) > resendTime {
		return false
	}
	switch r := r.(type) {
	case *wire.Append:
		return s.handler.past.has(place{s.namespace, s.log}, pointers(r.Messages))
	case *wire.AppendEvents:
		return s.handler.past.has(place{s.namespace, message.Log{Type: message.Event}}, published(r))
	}
	return false
}

func pointers(all []message.Message) iter.Seq[*message.Message] {
	return func(yield func(*message.Message) bool) {
		for i := range all {
			if !yield(&all[i]) {
				return
			}
		}
	}
}

// published returns the events of a command, and one that nobody can know if some of them are in no log.
func published(r *wire.AppendEvents) iter.Seq[*message.Message] {
	return func(yield func(*message.Message) bool) {
		for _, batch := range r.Batches {
			events := batch.Events
			if batch.StoreOnly {
				events = []message.Message{{}}
			}
			for i := range events {
				if !yield(&events[i]) {
					return
				}
			}
		}
	}
}
