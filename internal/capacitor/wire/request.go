package wire

import (
	"github.com/flux-go/flux/message"
)

// Request is what a client asks for: one of the types of this package that embed a [Base].
type Request interface {
	// Base returns what all requests have.
	base() *Base
	// member reads a member of the request's object, and reports whether it knows the name.
	member(name []byte, r *reader) bool
}

// Base is what all requests have.
type Base struct {
	// ID pairs the result with the request.
	ID int64
	// Type is the discriminator "@type".
	Type string
	// Guarantee is set on commands; it is None when the client named none.
	Guarantee message.Guarantee
	// Print tells requests apart that have the same ID: it is a hash of the ids of their messages, or of all of a command
	// without. A request that is sent again has the same. It has no meaning outside this process.
	Print uint64
	// Err says why the request cannot be carried out although its ID could be read, wrapping ErrMalformed.
	Err error

	command bool
	hasID   bool
}

// BaseOf returns what the request has in common with others.
func BaseOf(r Request) *Base { return r.base() }

func (b *Base) base() *Base { return b }

// WantsAnswer reports whether the client waits for a result: always, except for commands that need not be stored.
func (b *Base) WantsAnswer() bool { return b.hasID && (!b.command || b.Guarantee == message.Stored) }

// Stored reports whether the request is a command whose effect the client wants to be told of.
func (b *Base) Stored() bool { return b.hasID && b.command && b.Guarantee == message.Stored }

// Append adds messages to the log of the endpoint.
type Append struct {
	Base
	Messages []message.Message
}

// SetRetentionTime bounds the age of the messages of a log.
type SetRetentionTime struct {
	Base
	// Seconds is nil for no bound.
	Seconds *int64
}

// Truncate empties a log and forgets its consumers.
type Truncate struct{ Base }

// Read asks for the next messages of a tracker, or only for its segments.
type Read struct {
	Base
	Consumer, TrackerID string
	MaxSize             int32
	// MaxBytes bounds the messages of the answer as they are sent; 0 is no bound.
	MaxBytes int64
	// MaxTimeout and PurgeTimeout are in milliseconds. PurgeTimeout is nil for none.
	MaxTimeout   int64
	PurgeTimeout *int64
	TypeFilter   string

	FilterMessageTarget, IgnoreSegment, SingleTracker, ClientControlledIndex bool

	LastIndex *message.Index
	// ClaimOnly is set for claimSegment.
	ClaimOnly bool
}

// StorePosition raises the position of a consumer.
type StorePosition struct {
	Base
	Consumer  string
	Segment   message.SegmentRange
	LastIndex message.Index
}

// ResetPosition moves a consumer.
type ResetPosition struct {
	Base
	Consumer  string
	LastIndex message.Index
}

// GetPosition asks for the position of a consumer.
type GetPosition struct {
	Base
	Consumer string
}

// ReadFromIndex asks for messages without a consumer.
type ReadFromIndex struct {
	Base
	// MinIndex is part of what is read.
	MinIndex message.Index
	MaxSize  int32
	MaxBytes int64
}

// DisconnectTracker removes a tracker.
type DisconnectTracker struct {
	Base
	Consumer, TrackerID string
	SendFinalEmptyBatch bool
}

// EventBatch is events of one aggregate.
type EventBatch struct {
	AggregateID string
	Events      []message.Message
	StoreOnly   bool
}

// AppendEvents adds events to the streams of aggregates, and to the log of events unless a batch is to be stored only.
type AppendEvents struct {
	Base
	Batches []EventBatch
}

// GetEvents asks for the events of an aggregate after LastSequence, which is -1 for all.
type GetEvents struct {
	Base
	AggregateID  string
	LastSequence int64
	BatchSize    int32
}

// DeleteEvents removes the stream of an aggregate.
type DeleteEvents struct {
	Base
	AggregateID string
}

// Relationship says that an entity belongs to an aggregate.
type Relationship struct{ AggregateID, AggregateType, EntityID string }

// UpdateRelationships removes and adds relationships, in this order.
type UpdateRelationships struct {
	Base
	Associations, Dissociations []Relationship
}

// RepairRelationships makes the relationships of an aggregate those with the entities that are named.
type RepairRelationships struct {
	Base
	AggregateID, AggregateType string
	EntityIDs                  []string
}

// GetAggregateIDs asks for the aggregates of an entity, as a map of ids to types.
type GetAggregateIDs struct {
	Base
	EntityID string
}

// GetRelationships asks for the aggregates of an entity, as a list.
type GetRelationships struct {
	Base
	EntityID string
}

// Data is a serialized value.
type Data struct {
	// Value may be nil, which is different from empty.
	Value []byte
	// Type is empty when the client named none.
	Type     string
	Revision int32
	// Format is empty for application/json.
	Format string
}

// Pair is a value under its key.
type Pair struct {
	Key   string
	Value Data
}

// StoreValues puts values.
type StoreValues struct {
	Base
	Pairs []Pair
}

// StoreValueIfAbsent puts a value unless its key has one. It is always answered.
type StoreValueIfAbsent struct {
	Base
	Pair Pair
}

// GetValue asks for a value.
type GetValue struct {
	Base
	Key string
}

// DeleteValue removes a value.
type DeleteValue struct {
	Base
	Key string
}

// ScheduledMessage is a message that is due at a time.
type ScheduledMessage struct {
	ID string
	// Deadline is in milliseconds since the Unix epoch.
	Deadline int64
	Message  message.Message
	IfAbsent bool
}

// Schedule adds or replaces schedules.
type Schedule struct {
	Base
	Messages []ScheduledMessage
}

// CancelSchedule removes a schedule.
type CancelSchedule struct {
	Base
	ScheduleID string
}

// GetSchedule asks for a schedule.
type GetSchedule struct {
	Base
	ScheduleID string
}

// Unknown is a request of a type that this package has no words for, such as those of search.
type Unknown struct{ Base }

// registry makes a request by its discriminator.
var registry = map[string]func() Request{
	"append":              func() Request { return &Append{Base: command} },
	"setRetentionTime":    func() Request { return &SetRetentionTime{Base: command} },
	"truncate":            func() Request { return &Truncate{Base: Base{command: true, Guarantee: message.Stored}} },
	"read":                func() Request { return new(Read) },
	"claimSegment":        func() Request { return &Read{ClaimOnly: true} },
	"storePosition":       func() Request { return &StorePosition{Base: command} },
	"resetPosition":       func() Request { return &ResetPosition{Base: command} },
	"getPosition":         func() Request { return new(GetPosition) },
	"readFromIndex":       func() Request { return new(ReadFromIndex) },
	"disconnectTracker":   func() Request { return &DisconnectTracker{Base: command} },
	"appendEvents":        func() Request { return &AppendEvents{Base: command} },
	"getEvents":           func() Request { return &GetEvents{LastSequence: -1} },
	"deleteEvents":        func() Request { return &DeleteEvents{Base: command} },
	"updateRelationships": func() Request { return &UpdateRelationships{Base: command} },
	"repairRelationships": func() Request { return &RepairRelationships{Base: command} },
	"getAggregateIds":     func() Request { return new(GetAggregateIDs) },
	"getRelationships":    func() Request { return new(GetRelationships) },
	"storeValues":         func() Request { return &StoreValues{Base: command} },
	// Clients before 0.1100 put values under this name when they wait for the outcome.
	"storeValuesAndWait": func() Request { return &StoreValues{Base: Base{command: true, Guarantee: message.Stored}} },
	"storeValueIfAbsent": func() Request { return &StoreValueIfAbsent{Base: Base{command: true, Guarantee: message.Stored}} },
	"getValue":           func() Request { return new(GetValue) },
	"deleteValue":        func() Request { return &DeleteValue{Base: command} },
	"schedule":           func() Request { return &Schedule{Base: command} },
	"cancelSchedule":     func() Request { return &CancelSchedule{Base: command} },
	"getSchedule":        func() Request { return new(GetSchedule) },
	// Commands of search are told apart from its queries so that those without guarantee are refused in silence.
	"indexDocuments":      unknownCommand,
	"bulkUpdateDocuments": unknownCommand,
	"deleteDocuments":     unknownCommand,
	"deleteDocumentById":  unknownCommand,
	"deleteCollection":    unknownCommand,
	"createAuditTrail":    unknownCommand,
	"moveDocuments":       unknownCommand,
	"moveDocumentById":    unknownCommand,
}

var command = Base{command: true}

func unknownCommand() Request { return &Unknown{Base: command} }

// newRequest returns an empty request of the type.
func newRequest(kind string) Request {
	make, ok := registry[kind]
	if !ok {
		make = func() Request { return new(Unknown) }
	}
	request := make()
	request.base().Type = kind
	return request
}
