// Package message holds the words every layer of Flux shares: messages and their types, indexes, routing segments,
// positions, and the block format in which messages are stored and sent.
//
// A [Message] belongs to a [Log]: the ordered messages of one [Type], and of one topic where the type has topics. The
// server gives each message an [Index] in its log. Its routing segment decides which tracker of a consumer handles it.
package message

import (
	"bytes"
	"fmt"
	"strings"
)

// Message is one message of a log. The zero value is a valid, empty message.
//
// A message that was read aliases the buffer it was decoded from; see [BlockReader].
type Message struct {
	// Type names the type of the payload, such as "shop.OrderPlaced". Empty means unknown; such a message passes every
	// type filter.
	Type string
	// Revision is the revision of Type, for upcasting by readers. Defaults to 0.
	Revision int32
	// Format is the media type of Payload. Empty means application/json.
	Format string
	// Payload is the serialized value. Nil and empty are different: nil is "no value".
	Payload []byte
	// Metadata is opaque to the server. Nil and empty are the same.
	Metadata map[string]string

	// ID gives the message an id on publishing. Empty means that the block's own id and the message's place in it make up
	// the id, which is unique too and costs nothing. To read the id, call [Message.MessageID]: ID may be empty on a message
	// that was read.
	ID string
	// Timestamp is when the message was created, in milliseconds since the Unix epoch. Zero on publishing means now.
	Timestamp int64

	// Routed says that the publisher chose Segment. When false on publishing, the segment follows from the id.
	Routed bool
	// Segment is the routing segment as the publisher gave it when Routed, which may lie outside 0 to 127; [Message.RoutingSegment]
	// gives the segment that decides who handles the message.
	Segment int32

	// Index is the message's place in its log. Set by the server; ignored on publishing.
	Index Index

	// Source is the client that wants the answer to a request. Empty means that no answer is wanted.
	Source string
	// Target is the client or tracker that the message is meant for. Empty means everyone.
	Target string
	// Request pairs an answer with its request, counted by the requesting client.
	Request RequestID

	// What a message that was read knows besides: its id if ID is empty, and that Segment was resolved.
	id    binaryID
	hasID bool
	read  bool
}

// MessageID returns the id of the message: ID if that is set, else the id under which the message was read, which is only
// now written out; see [BlockID.MessageID]. It is empty for a new message without ID.
func (m *Message) MessageID() string {
	if m.ID == "" && m.hasID {
		return m.id.String()
	}
	return m.ID
}

// binaryID returns the id of the message in binary, if it is of that kind.
func (m *Message) binaryID() (id binaryID, ok bool) {
	if m.ID == "" {
		return m.id, m.hasID
	}
	return parseBinaryID(m.ID)
}

// Clone returns a copy of the message that shares no memory with it, so that a message can outlive its block.
func (m *Message) Clone() *Message {
	c := *m
	for _, s := range []*string{&c.Type, &c.Format, &c.ID, &c.Source, &c.Target} {
		*s = strings.Clone(*s)
	}
	c.Payload = bytes.Clone(m.Payload)
	if m.Metadata != nil {
		c.Metadata = make(map[string]string, len(m.Metadata))
	}
	for key, value := range m.Metadata {
		c.Metadata[strings.Clone(key)] = strings.Clone(value)
	}
	return &c
}

// RequestID is the number that pairs an answer with its request. The zero value means none.
type RequestID struct {
	N     int32
	Valid bool
}

// NewRequestID returns the valid request id n.
func NewRequestID(n int32) RequestID { return RequestID{N: n, Valid: true} }

// Route sets the segment of the message from a routing key.
func (m *Message) Route(key string) { m.Routed, m.Segment = true, int32(SegmentOf(key)) }

// Namespace is an isolated set of logs and views, called project id by the Flux Capacitor protocol.
type Namespace string

// DefaultNamespace is the namespace of clients that name none.
const DefaultNamespace Namespace = "public"

// ConsumerName names a reader of a log: the unit of progress and of the division of work.
type ConsumerName string

// Guarantee says how far a publisher waits.
type Guarantee uint8

// The guarantees, from least to most.
const (
	// None returns when the message is buffered in the process of the publisher.
	None Guarantee = iota
	// Sent returns when the message was handed to the connection.
	Sent
	// Stored returns when the message is on the disk of the server.
	Stored
)

func (g Guarantee) String() string {
	switch g {
	case None:
		return "none"
	case Sent:
		return "sent"
	case Stored:
		return "stored"
	}
	return fmt.Sprintf("guarantee(%d)", uint8(g))
}

// ParseGuarantee returns the guarantee called s.
func ParseGuarantee(s string) (Guarantee, error) {
	for g := None; g <= Stored; g++ {
		if g.String() == s {
			return g, nil
		}
	}
	return None, fmt.Errorf("unknown guarantee %q: use none, sent or stored", s)
}
