package wire

import (
	"github.com/flux-go/flux/message"
)

// member reads what all requests have, apart from the discriminator.
func (b *Base) member(name []byte, r *reader) bool {
	switch string(name) {
	case "requestId":
		b.ID, b.hasID = r.integer(64)
	case "guarantee":
		b.readGuarantee(r)
	default:
		return false
	}
	return true
}

// readGuarantee reads a guarantee; null leaves what the command has by default. Requests of unknown types that have one are
// commands. Those of storeValueIfAbsent and storeValuesAndWait are fixed.
func (b *Base) readGuarantee(r *reader) {
	switch name := r.name(); name {
	case "":
		return
	case "NONE":
		b.Guarantee = message.None
	case "SENT":
		b.Guarantee = message.Sent
	case "STORED":
		b.Guarantee = message.Stored
	default:
		r.reject("guarantee %q", name)
	}
	b.command = true
	if b.Type == "storeValueIfAbsent" || b.Type == "storeValuesAndWait" {
		b.Guarantee = message.Stored
	}
}

func (a *Append) member(name []byte, r *reader) bool {
	if string(name) != "messages" {
		return a.Base.member(name, r)
	}
	a.Messages = r.messages()
	return true
}

func (s *SetRetentionTime) member(name []byte, r *reader) bool {
	if string(name) != "retentionTimeInSeconds" {
		return s.Base.member(name, r)
	}
	s.Seconds = r.optionalInt64()
	return true
}

func (t *Read) member(name []byte, r *reader) bool {
	switch string(name) {
	case "consumer":
		t.Consumer = r.name()
	case "trackerId":
		t.TrackerID = r.name()
	case "maxSize":
		t.MaxSize = r.int32()
	case "maxBytes":
		t.MaxBytes = r.int64()
	case "maxTimeout":
		t.MaxTimeout = r.int64()
	case "purgeTimeout":
		t.PurgeTimeout = r.optionalInt64()
	case "typeFilter":
		t.TypeFilter = r.name()
	case "filterMessageTarget":
		t.FilterMessageTarget = r.boolean()
	case "ignoreSegment":
		t.IgnoreSegment = r.boolean()
	case "singleTracker":
		t.SingleTracker = r.boolean()
	case "clientControlledIndex":
		t.ClientControlledIndex = r.boolean()
	case "lastIndex":
		t.LastIndex = (*message.Index)(r.optionalInt64())
	default:
		return t.Base.member(name, r)
	}
	return true
}

func (s *StorePosition) member(name []byte, r *reader) bool {
	switch string(name) {
	case "consumer":
		s.Consumer = r.name()
	case "segment":
		s.Segment = r.segmentRange()
	case "lastIndex":
		s.LastIndex = r.index()
	default:
		return s.Base.member(name, r)
	}
	return true
}

// segmentRange reads an array of start and end.
func (r *reader) segmentRange() message.SegmentRange {
	var bounds [2]int32
	n := 0
	for a := r.array(); a.next(); n++ {
		bound := r.int32()
		if n < len(bounds) {
			bounds[n] = bound
		}
	}
	segments := message.SegmentRange{Start: int(bounds[0]), End: int(bounds[1])}
	if n != len(bounds) {
		r.reject("a segment range of %d numbers", n)
	} else if err := segments.Validate(); err != nil {
		r.reject("%v", err)
	}
	return segments
}

func (s *ResetPosition) member(name []byte, r *reader) bool {
	switch string(name) {
	case "consumer":
		s.Consumer = r.name()
	case "lastIndex":
		s.LastIndex = r.index()
	default:
		return s.Base.member(name, r)
	}
	return true
}

func (g *GetPosition) member(name []byte, r *reader) bool {
	return r.nameInto(name, "consumer", &g.Consumer) || g.Base.member(name, r)
}

func (f *ReadFromIndex) member(name []byte, r *reader) bool {
	switch string(name) {
	case "minIndex":
		f.MinIndex = r.index()
	case "maxSize":
		f.MaxSize = r.int32()
	case "maxBytes":
		f.MaxBytes = r.int64()
	default:
		return f.Base.member(name, r)
	}
	return true
}

func (d *DisconnectTracker) member(name []byte, r *reader) bool {
	switch string(name) {
	case "consumer":
		d.Consumer = r.name()
	case "trackerId":
		d.TrackerID = r.name()
	case "sendFinalEmptyBatch":
		d.SendFinalEmptyBatch = r.boolean()
	default:
		return d.Base.member(name, r)
	}
	return true
}

func (e *AppendEvents) member(name []byte, r *reader) bool {
	if string(name) != "eventBatches" {
		return e.Base.member(name, r)
	}
	for a := r.array(); a.next(); {
		e.Batches = append(e.Batches, r.eventBatch())
	}
	return true
}

func (r *reader) eventBatch() (b EventBatch) {
	for o := r.object(); o.next(); {
		switch string(o.name) {
		case "aggregateId":
			b.AggregateID = r.text()
		case "events":
			b.Events = r.messages()
		case "storeOnly":
			b.StoreOnly = r.boolean()
		default:
			r.skip()
		}
	}
	return b
}

func (g *GetEvents) member(name []byte, r *reader) bool {
	switch string(name) {
	case "aggregateId":
		g.AggregateID = r.text()
	case "lastSequenceNumber":
		if n, ok := r.integer(64); ok {
			g.LastSequence = n
		}
	case "batchSize":
		g.BatchSize = r.int32()
	default:
		return g.Base.member(name, r)
	}
	return true
}

func (d *DeleteEvents) member(name []byte, r *reader) bool {
	return r.nameInto(name, "aggregateId", &d.AggregateID) || d.Base.member(name, r)
}

func (u *UpdateRelationships) member(name []byte, r *reader) bool {
	switch string(name) {
	case "associations":
		u.Associations = r.relationships()
	case "dissociations":
		u.Dissociations = r.relationships()
	default:
		return u.Base.member(name, r)
	}
	return true
}

func (r *reader) relationships() (all []Relationship) {
	for a := r.array(); a.next(); {
		var one Relationship
		for o := r.object(); o.next(); {
			switch string(o.name) {
			case "aggregateId":
				one.AggregateID = r.text()
			case "aggregateType":
				one.AggregateType = r.name()
			case "entityId":
				one.EntityID = r.text()
			default:
				r.skip()
			}
		}
		all = append(all, one)
	}
	return all
}

func (p *RepairRelationships) member(name []byte, r *reader) bool {
	switch string(name) {
	case "aggregateId":
		p.AggregateID = r.text()
	case "aggregateType":
		p.AggregateType = r.name()
	case "entityIds":
		for a := r.array(); a.next(); {
			p.EntityIDs = append(p.EntityIDs, r.text())
		}
	default:
		return p.Base.member(name, r)
	}
	return true
}

func (g *GetAggregateIDs) member(name []byte, r *reader) bool {
	return r.nameInto(name, "entityId", &g.EntityID) || g.Base.member(name, r)
}

func (g *GetRelationships) member(name []byte, r *reader) bool {
	return r.nameInto(name, "entityId", &g.EntityID) || g.Base.member(name, r)
}

func (s *StoreValues) member(name []byte, r *reader) bool {
	if string(name) != "values" {
		return s.Base.member(name, r)
	}
	for a := r.array(); a.next(); {
		s.Pairs = append(s.Pairs, r.pair())
	}
	return true
}

func (s *StoreValueIfAbsent) member(name []byte, r *reader) bool {
	if string(name) != "value" {
		return s.Base.member(name, r)
	}
	s.Pair = r.pair()
	return true
}

func (r *reader) pair() (p Pair) {
	for o := r.object(); o.next(); {
		switch string(o.name) {
		case "key":
			p.Key = r.text()
		case "value":
			p.Value, _ = r.serialized()
		default:
			r.skip()
		}
	}
	return p
}

func (g *GetValue) member(name []byte, r *reader) bool {
	return r.nameInto(name, "key", &g.Key) || g.Base.member(name, r)
}

func (d *DeleteValue) member(name []byte, r *reader) bool {
	return r.nameInto(name, "key", &d.Key) || d.Base.member(name, r)
}

func (s *Schedule) member(name []byte, r *reader) bool {
	if string(name) != "messages" {
		return s.Base.member(name, r)
	}
	for a := r.array(); a.next(); {
		s.Messages = append(s.Messages, r.scheduledMessage())
	}
	return true
}

func (r *reader) scheduledMessage() (s ScheduledMessage) {
	complete := false
	for o := r.object(); o.next(); {
		switch string(o.name) {
		case "scheduleId":
			s.ID = r.text()
		case "timestamp":
			s.Deadline = r.int64()
		case "message":
			complete = r.message(&s.Message)
		case "ifAbsent":
			s.IfAbsent = r.boolean()
		default:
			r.skip()
		}
	}
	if !complete {
		r.reject("schedule %q has no message", s.ID)
	}
	return s
}

func (c *CancelSchedule) member(name []byte, r *reader) bool {
	return r.nameInto(name, "scheduleId", &c.ScheduleID) || c.Base.member(name, r)
}

func (g *GetSchedule) member(name []byte, r *reader) bool {
	return r.nameInto(name, "scheduleId", &g.ScheduleID) || g.Base.member(name, r)
}
