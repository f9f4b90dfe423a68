package wire

import (
	"strconv"

	"github.com/flux-go/flux/message"
)

// Result is what every result has.
type Result struct {
	// ID is that of the request.
	ID int64
	// Timestamp is when the result was made, in milliseconds since the Unix epoch.
	Timestamp int64
}

// begin appends the start of a result, up to where its own members go.
func (r Result) begin(dst []byte, kind string) []byte {
	dst = append(append(append(dst, `{"@type":"`...), kind...), `","requestId":`...)
	return strconv.AppendInt(dst, r.ID, 10)
}

// end appends what follows a result's own members.
func (r Result) end(dst []byte) []byte {
	return append(strconv.AppendInt(append(dst, `,"timestamp":`...), r.Timestamp, 10), '}')
}

// AppendVoid appends the result of a command that was carried out.
func (r Result) AppendVoid(dst []byte) []byte { return r.end(r.begin(dst, "void")) }

// AppendError appends the result of a request that was not carried out.
func (r Result) AppendError(dst []byte, text string) []byte {
	return r.end(appendText(append(r.begin(dst, "error"), ','), "message", text))
}

// AppendBoolean appends the result of a question, or of a command with two outcomes.
func (r Result) AppendBoolean(dst []byte, success bool) []byte {
	return r.end(appendBool(append(r.begin(dst, "boolean"), ','), "success", success))
}

// AppendClaim appends the result of claimSegment.
func (r Result) AppendClaim(dst []byte, segments message.SegmentRange, p message.Position) []byte {
	dst = appendPosition(append(r.begin(dst, "claimSegmentResult"), `,"position":`...), p)
	return r.end(appendRange(append(dst, `,"segment":`...), segments))
}

// AppendPosition appends the result of getPosition.
func (r Result) AppendPosition(dst []byte, p message.Position) []byte {
	return r.end(appendPosition(append(r.begin(dst, "getPositionResult"), `,"position":`...), p))
}

func appendRange(dst []byte, s message.SegmentRange) []byte {
	dst = strconv.AppendInt(append(dst, '['), int64(s.Start), 10)
	return append(strconv.AppendInt(append(dst, ','), int64(s.End), 10), ']')
}

func appendPosition(dst []byte, p message.Position) []byte {
	dst = append(dst, '[')
	first := true
	for segments, index := range p.Ranges() {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendRange(dst, segments)
		dst = strconv.AppendInt(append(dst, ','), int64(index), 10)
	}
	return append(dst, ']')
}

// MessageList is a result that holds messages, while it is written. Members follow the messages, so that what was found
// need not be known, nor kept, before it is written.
type MessageList struct {
	result Result
	dst    []byte
	form   messageForm
	count  int
}

// BeginRead begins a readResult; End it with EndRead.
func (r Result) BeginRead(dst []byte, segments message.SegmentRange) MessageList {
	dst = appendRange(append(r.begin(dst, "readResult"), `,"messageBatch":{"segment":`...), segments)
	return MessageList{result: r, dst: append(dst, `,"messages":[`...)}
}

// BeginReadFromIndex begins a readFromIndexResult; end it with EndReadFromIndex.
func (r Result) BeginReadFromIndex(dst []byte) MessageList {
	return MessageList{result: r, dst: append(r.begin(dst, "readFromIndexResult"), `,"messages":[`...), form: stored}
}

// BeginEvents begins a getEventsResult; end it with EndEvents.
func (r Result) BeginEvents(dst []byte, aggregateID string) MessageList {
	dst = appendText(append(r.begin(dst, "getEventsResult"), `,"eventBatch":{`...), "aggregateId", aggregateID)
	return MessageList{result: r, dst: append(dst, `,"events":[`...), form: stored}
}

// Add writes a message that was read.
func (l *MessageList) Add(m *message.Message) { l.add(m, l.form) }

// AddUnindexed writes a message that is in no log.
func (l *MessageList) AddUnindexed(m *message.Message) { l.add(m, unindexed) }

func (l *MessageList) add(m *message.Message, form messageForm) {
	if l.count > 0 {
		l.dst = append(l.dst, ',')
	}
	l.count++
	l.dst = appendMessage(l.dst, m, form)
}

// Len is the number of messages so far.
func (l *MessageList) Len() int { return l.count }

// SizeBytes is how long the result is so far.
func (l *MessageList) SizeBytes() int { return len(l.dst) }

// EndRead ends a readResult. Last is nil when nothing was examined.
func (l *MessageList) EndRead(last *message.Index, p message.Position, caughtUp bool) []byte {
	dst := append(l.dst, `],"lastIndex":`...)
	if last == nil {
		dst = append(dst, "null"...)
	} else {
		dst = strconv.AppendInt(dst, int64(*last), 10)
	}
	dst = appendPosition(append(dst, `,"position":`...), p)
	return l.result.end(append(appendBool(append(dst, ','), "caughtUp", caughtUp), '}'))
}

// EndReadFromIndex ends a readFromIndexResult.
func (l *MessageList) EndReadFromIndex() []byte { return l.result.end(append(l.dst, ']')) }

// EndEvents ends a getEventsResult with the sequence number of its last event.
func (l *MessageList) EndEvents(lastSequence int64) []byte {
	dst := append(l.dst, `],"storeOnly":false},`...)
	return l.result.end(appendInt(dst, "lastSequenceNumber", lastSequence))
}

// AppendAggregateIDs appends the result of getAggregateIds.
func (r Result) AppendAggregateIDs(dst []byte, aggregates []Relationship) []byte {
	dst = append(r.begin(dst, "getAggregateIdsResult"), `,"aggregateIds":{`...)
	for i, a := range aggregates {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(append(appendString(dst, a.AggregateID), ':'), a.AggregateType)
	}
	return r.end(append(dst, '}'))
}

// AppendRelationships appends the result of getRelationships.
func (r Result) AppendRelationships(dst []byte, all []Relationship) []byte {
	dst = append(r.begin(dst, "getRelationshipsResult"), `,"relationships":[`...)
	for i, one := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(append(dst, '{'), "aggregateId", one.AggregateID)
		dst = appendText(append(dst, ','), "aggregateType", one.AggregateType)
		dst = append(appendText(append(dst, ','), "entityId", one.EntityID), '}')
	}
	return r.end(append(dst, ']'))
}

// AppendValue appends the result of getValue; nil stands for no value.
func (r Result) AppendValue(dst []byte, value *Data) []byte {
	dst = append(r.begin(dst, "getValueResult"), `,"value":`...)
	if value == nil {
		return r.end(append(dst, "null"...))
	}
	return r.end(appendData(dst, *value))
}

// AppendSchedule appends the result of getSchedule; nil stands for none. The message has an index.
func (r Result) AppendSchedule(dst []byte, s *ScheduledMessage) []byte {
	dst = append(r.begin(dst, "getScheduleResult"), `,"schedule":`...)
	if s == nil {
		return r.end(append(dst, "null"...))
	}
	dst = appendText(append(dst, '{'), "scheduleId", s.ID)
	dst = appendInt(append(dst, ','), "timestamp", s.Deadline)
	dst = appendMessage(append(dst, `,"message":`...), &s.Message, stored)
	return r.end(append(dst, `,"ifAbsent":false}`...))
}

// The parts of a batch of results, which are put between its results.
const (
	BatchBegin     = `{"@type":"resultBatch","results":[`
	BatchSeparator = ","
	BatchEnd       = "]}"
)

// MaxResultBatch is the largest number of results in a batch.
const MaxResultBatch = 1024
