package wire

import (
	"github.com/flux-go/flux/message"
)

// MessageList is a result that holds messages, while it is written. Members follow the messages, so that what was found
// need not be known, nor kept, before it is written.
type MessageList struct {
	result Result
	dst    []byte
	form   messageForm
	count  int
	// countAt is where the number of messages goes, in compact form.
	countAt int
}

// BeginRead begins a readResult; end it with EndRead.
func (r Result) BeginRead(dst []byte, segments message.SegmentRange) MessageList {
	if r.Format == BINARY {
		dst, countAt := r.beginCompact(dst, segments)
		return MessageList{result: r, dst: dst, form: compact, countAt: countAt}
	}
	f := r.Format
	dst = f.object(f.member(r.begin(dst, "readResult"), "messageBatch"))
	dst = f.segments(f.member(dst, "segment"), segments)
	return MessageList{result: r, dst: f.array(f.member(dst, "messages"))}
}

// BeginReadFromIndex begins a readFromIndexResult; end it with EndReadFromIndex.
func (r Result) BeginReadFromIndex(dst []byte) MessageList {
	dst = r.Format.member(r.begin(dst, "readFromIndexResult"), "messages")
	return MessageList{result: r, dst: r.Format.array(dst), form: stored}
}

// BeginEvents begins a getEventsResult; end it with EndEvents.
func (r Result) BeginEvents(dst []byte, aggregateID string) MessageList {
	f := r.Format
	dst = f.object(f.member(r.begin(dst, "getEventsResult"), "eventBatch"))
	dst = f.text(f.member(dst, "aggregateId"), aggregateID)
	return MessageList{result: r, dst: f.array(f.member(dst, "events")), form: stored}
}

// Add writes a message that was read.
func (l *MessageList) Add(m *message.Message) { l.add(m, l.form) }

// AddUnindexed writes a message that is in no log.
func (l *MessageList) AddUnindexed(m *message.Message) { l.add(m, unindexed) }

func (l *MessageList) add(m *message.Message, form messageForm) {
	l.count++
	if form == compact {
		l.dst = appendCompactMessage(l.dst, m)
		return
	}
	l.dst = l.result.Format.message(l.dst, m, form)
}

// Len is the number of messages so far.
func (l *MessageList) Len() int { return l.count }

// SizeBytes is how long the result is so far.
func (l *MessageList) SizeBytes() int { return len(l.dst) }

// EndRead ends a readResult. Last is nil when nothing was examined.
func (l *MessageList) EndRead(last *message.Index, p message.Position, caughtUp bool) []byte {
	if l.form == compact {
		return l.endCompact(last, p, caughtUp)
	}
	f := l.result.Format
	dst := f.member(f.endArray(l.dst), "lastIndex")
	if last == nil {
		dst = f.null(dst)
	} else {
		dst = f.integer(dst, int64(*last))
	}
	dst = f.position(f.member(dst, "position"), p)
	return l.result.end(f.endObject(f.boolean(f.member(dst, "caughtUp"), caughtUp)))
}

// EndReadFromIndex ends a readFromIndexResult.
func (l *MessageList) EndReadFromIndex() []byte { return l.result.end(l.result.Format.endArray(l.dst)) }

// EndEvents ends a getEventsResult with the sequence number of its last event.
func (l *MessageList) EndEvents(lastSequence int64) []byte {
	f := l.result.Format
	dst := f.endObject(f.boolean(f.member(f.endArray(l.dst), "storeOnly"), false))
	return l.result.end(f.integer(f.member(dst, "lastSequenceNumber"), lastSequence))
}
