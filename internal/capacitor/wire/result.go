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
func (r Result) begin(dst []byte, kind string) []byte {
	f := r.Format
	dst = f.text(f.member(f.either(dst, '{', cborMap<<5|cborIndefinite), typeMember), kind)
	return f.integer(f.member(dst, "requestId"), r.ID)
}

// end appends what follows a result's own members.
func (r Result) end(dst []byte) []byte {
	f := r.Format
	return f.endObject(f.integer(f.member(dst, "timestamp"), r.Timestamp))
}

// AppendVoid appends the result of a command that was carried out.
func (r Result) AppendVoid(dst []byte) []byte { return r.end(r.begin(dst, "void")) }

// AppendError appends the result of a request that was not carried out.
func (r Result) AppendError(dst []byte, text string) []byte {
	f := r.Format
	return r.end(f.text(f.member(r.begin(dst, "error"), "message"), text))
}

// AppendBoolean appends the result of a question, or of a command with two outcomes.
func (r Result) AppendBoolean(dst []byte, success bool) []byte {
	f := r.Format
	return r.end(f.boolean(f.member(r.begin(dst, "boolean"), "success"), success))
}

// AppendClaim appends the result of claimSegment.
func (r Result) AppendClaim(dst []byte, segments message.SegmentRange, p message.Position) []byte {
	f := r.Format
	dst = f.position(f.member(r.begin(dst, "claimSegmentResult"), "position"), p)
	return r.end(f.segments(f.member(dst, "segment"), segments))
}

// AppendPosition appends the result of getPosition.
func (r Result) AppendPosition(dst []byte, p message.Position) []byte {
	f := r.Format
	return r.end(f.position(f.member(r.begin(dst, "getPositionResult"), "position"), p))
}

// AppendAggregateIDs appends the result of getAggregateIds.
func (r Result) AppendAggregateIDs(dst []byte, aggregates []Relationship) []byte {
	f := r.Format
	dst = f.object(f.member(r.begin(dst, "getAggregateIdsResult"), "aggregateIds"))
	for _, a := range aggregates {
		dst = f.text(f.key(dst, a.AggregateID), a.AggregateType)
	}
	return r.end(f.endObject(dst))
}

// AppendRelationships appends the result of getRelationships.
func (r Result) AppendRelationships(dst []byte, all []Relationship) []byte {
	f := r.Format
	dst = f.array(f.member(r.begin(dst, "getRelationshipsResult"), "relationships"))
	for _, one := range all {
		dst = f.text(f.member(f.object(dst), "aggregateId"), one.AggregateID)
		dst = f.text(f.member(dst, "aggregateType"), one.AggregateType)
		dst = f.endObject(f.text(f.member(dst, "entityId"), one.EntityID))
	}
	return r.end(f.endArray(dst))
}

// AppendValue appends the result of getValue; nil stands for no value.
func (r Result) AppendValue(dst []byte, value *Data) []byte {
	f := r.Format
	dst = f.member(r.begin(dst, "getValueResult"), "value")
	if value == nil {
		return r.end(f.null(dst))
	}
	return r.end(f.data(dst, *value))
}

// AppendSchedule appends the result of getSchedule; nil stands for none. The message has an index.
func (r Result) AppendSchedule(dst []byte, s *ScheduledMessage) []byte {
	f := r.Format
	dst = f.member(r.begin(dst, "getScheduleResult"), "schedule")
	if s == nil {
		return r.end(f.null(dst))
	}
	dst = f.text(f.member(f.object(dst), "scheduleId"), s.ID)
	dst = f.integer(f.member(dst, "timestamp"), s.Deadline)
	dst = f.message(f.member(dst, "message"), &s.Message, stored)
	return r.end(f.endObject(f.boolean(f.member(dst, "ifAbsent"), false)))
}
