package wire

import (
	"github.com/flux-go/flux/message"
)

// Result is what every result has.
type Result struct {
	// ID is that of the request.
	ID int64
	// Timestamp is when the result was made, in milliseconds since the Unix epoch.
	Timestamp int64
	// Format is that of the socket.
	Format Format
}

// begin begins a result, up to where its own members go.
func (r Result) begin(dst []byte, kind string) writer {
	w := writer{dst: dst, cbor: r.Format != JSON}
	w.object()
	w.member(typeMember)
	w.text(kind)
	w.member("requestId")
	w.integer(r.ID)
	return w
}

// end writes what follows a result's own members.
func (r Result) end(w *writer) []byte {
	w.member("timestamp")
	w.integer(r.Timestamp)
	w.endObject()
	return w.dst
}

// AppendVoid appends the result of a command that was carried out.
func (r Result) AppendVoid(dst []byte) []byte {
	w := r.begin(dst, "void")
	return r.end(&w)
}

// AppendError appends the result of a request that was not carried out.
func (r Result) AppendError(dst []byte, text string) []byte {
	w := r.begin(dst, "error")
	w.member("message")
	w.text(text)
	return r.end(&w)
}

// AppendBoolean appends the result of a question, or of a command with two outcomes.
func (r Result) AppendBoolean(dst []byte, success bool) []byte {
	w := r.begin(dst, "boolean")
	w.member("success")
	w.boolean(success)
	return r.end(&w)
}

// AppendClaim appends the result of claimSegment.
func (r Result) AppendClaim(dst []byte, segments message.SegmentRange, p message.Position) []byte {
	w := r.begin(dst, "claimSegmentResult")
	w.member("position")
	w.position(p)
	w.member("segment")
	w.segments(segments)
	return r.end(&w)
}

// AppendPosition appends the result of getPosition.
func (r Result) AppendPosition(dst []byte, p message.Position) []byte {
	w := r.begin(dst, "getPositionResult")
	w.member("position")
	w.position(p)
	return r.end(&w)
}

// AppendAggregateIDs appends the result of getAggregateIds.
func (r Result) AppendAggregateIDs(dst []byte, aggregates []Relationship) []byte {
	w := r.begin(dst, "getAggregateIdsResult")
	w.member("aggregateIds")
	w.object()
	for _, a := range aggregates {
		w.key(a.AggregateID)
		w.text(a.AggregateType)
	}
	w.endObject()
	return r.end(&w)
}

// AppendRelationships appends the result of getRelationships.
func (r Result) AppendRelationships(dst []byte, all []Relationship) []byte {
	w := r.begin(dst, "getRelationshipsResult")
	w.member("relationships")
	w.array()
	for _, one := range all {
		w.object()
		w.member("aggregateId")
		w.text(one.AggregateID)
		w.member("aggregateType")
		w.text(one.AggregateType)
		w.member("entityId")
		w.text(one.EntityID)
		w.endObject()
	}
	w.endArray()
	return r.end(&w)
}

// AppendValue appends the result of getValue; nil stands for no value.
func (r Result) AppendValue(dst []byte, value *Data) []byte {
	w := r.begin(dst, "getValueResult")
	w.member("value")
	if value == nil {
		w.null()
	} else {
		w.data(*value)
	}
	return r.end(&w)
}

// AppendSchedule appends the result of getSchedule; nil stands for none. The message has an index.
func (r Result) AppendSchedule(dst []byte, s *ScheduledMessage) []byte {
	w := r.begin(dst, "getScheduleResult")
	w.member("schedule")
	if s == nil {
		w.null()
		return r.end(&w)
	}
	w.object()
	w.member("scheduleId")
	w.text(s.ID)
	w.member("timestamp")
	w.integer(s.Deadline)
	w.member("message")
	w.message(&s.Message, stored)
	w.member("ifAbsent")
	w.boolean(false)
	w.endObject()
	return r.end(&w)
}
