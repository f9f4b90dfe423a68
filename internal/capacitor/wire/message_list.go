package wire

import (
	"github.com/flux-go/flux/message"
)

// MessageList is a result that holds messages, while it is written. Members follow the messages, so that what was found
// need not be known, nor kept, before it is written.
type MessageList struct {
	result Result
	writer writer
	// compact is what is written instead of writer, if it is.
	compact   compactWriter
	isCompact bool
	form      messageForm
	count     int
}

// BeginRead begins a readResult; end it with EndRead.
func (r Result) BeginRead(dst []byte, segments message.SegmentRange) MessageList {
	if r.Format == BINARY {
		l := MessageList{isCompact: true, compact: compactWriter{dst: dst}}
		l.compact.begin(r, segments)
		return l
	}
	l := MessageList{result: r, writer: r.begin(dst, "readResult")}
	l.writer.member("messageBatch")
	l.writer.object()
	l.writer.member("segment")
	l.writer.segments(segments)
	l.writer.member("messages")
	l.writer.array()
	return l
}

// BeginReadFromIndex begins a readFromIndexResult; end it with EndReadFromIndex.
func (r Result) BeginReadFromIndex(dst []byte) MessageList {
	l := MessageList{result: r, writer: r.begin(dst, "readFromIndexResult"), form: stored}
	l.writer.member("messages")
	l.writer.array()
	return l
}

// BeginEvents begins a getEventsResult; end it with EndEvents.
func (r Result) BeginEvents(dst []byte, aggregateID string) MessageList {
	l := MessageList{result: r, writer: r.begin(dst, "getEventsResult"), form: stored}
	l.writer.member("eventBatch")
	l.writer.object()
	l.writer.member("aggregateId")
	l.writer.text(aggregateID)
	l.writer.member("events")
	l.writer.array()
	return l
}

// Add writes a message that was read.
func (l *MessageList) Add(m *message.Message) { l.add(m, l.form) }

// AddUnindexed writes a message that is in no log.
func (l *MessageList) AddUnindexed(m *message.Message) { l.add(m, unindexed) }

func (l *MessageList) add(m *message.Message, form messageForm) {
	l.count++
	if l.isCompact {
		l.compact.message(m)
		return
	}
	l.writer.message(m, form)
}

// Len is the number of messages so far.
func (l *MessageList) Len() int { return l.count }

// SizeBytes is how long the result is so far.
func (l *MessageList) SizeBytes() int { return len(l.writer.dst) + len(l.compact.dst) }

// EndRead ends a readResult. Last is nil when nothing was examined.
func (l *MessageList) EndRead(last *message.Index, p message.Position, caughtUp bool) []byte {
	if l.isCompact {
		return l.compact.end(l.count, last, p, caughtUp)
	}
	w := &l.writer
	w.endArray()
	w.member("lastIndex")
	if last == nil {
		w.null()
	} else {
		w.integer(int64(*last))
	}
	w.member("position")
	w.position(p)
	w.member("caughtUp")
	w.boolean(caughtUp)
	w.endObject()
	return l.result.end(w)
}

// EndReadFromIndex ends a readFromIndexResult.
func (l *MessageList) EndReadFromIndex() []byte {
	l.writer.endArray()
	return l.result.end(&l.writer)
}

// EndEvents ends a getEventsResult with the sequence number of its last event.
func (l *MessageList) EndEvents(lastSequence int64) []byte {
	w := &l.writer
	w.endArray()
	w.member("storeOnly")
	w.boolean(false)
	w.endObject()
	w.member("lastSequenceNumber")
	w.integer(lastSequence)
	return l.result.end(w)
}
