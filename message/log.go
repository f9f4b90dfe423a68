package message

import (
	"errors"
	"fmt"
	"strings"
)

// Type is the kind of a message. The numbers are part of the stored and sent formats and never change.
// Source: the MessageType enumeration of the Flux Capacitor protocol, in its order.
type Type uint8

// The types of messages.
const (
	Command Type = iota
	Event
	// Notification reads the same log as Event, but every tracker gets every message.
	Notification
	Query
	Result
	Schedule
	Error
	Metrics
	WebRequest
	WebResponse
	Document
	Custom
	numTypes
)

var typeNames = [numTypes]string{
	"command", "event", "notification", "query", "result", "schedule", "error", "metrics", "webrequest", "webresponse",
	"document", "custom",
}

func (t Type) String() string {
	if t < numTypes {
		return typeNames[t]
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// Valid reports whether t is a known type.
func (t Type) Valid() bool { return t < numTypes }

// HasTopics reports whether messages of the type lie in one log per topic, rather than in a single log.
func (t Type) HasTopics() bool { return t == Custom || t == Document }

// IsRequest reports whether messages of the type may be answered.
func (t Type) IsRequest() bool { return t == Command || t == Query || t == WebRequest || t == Custom }

// ParseType returns the type called s, in any case.
func ParseType(s string) (Type, error) {
	for t := range numTypes {
		if strings.EqualFold(typeNames[t], s) {
			return t, nil
		}
	}
	return 0, fmt.Errorf("unknown message type %q: use one of %s", s, strings.Join(typeNames[:], ", "))
}

// Log names the ordered messages of one type, and of one topic where the type has topics.
type Log struct {
	Type  Type
	Topic string
}

// MaxTopicLen is the longest topic name, in bytes.
const MaxTopicLen = 512

// ErrBadLog is returned when a log name breaks a rule.
var ErrBadLog = errors.New("bad log name")

// Stored returns the log that holds the messages: events for notifications, else the log itself.
func (l Log) Stored() Log {
	if l.Type == Notification {
		l.Type = Event
	}
	return l
}

// Validate reports whether the log can exist: a known type, with a topic of 1 to [MaxTopicLen] bytes without NUL exactly
// when the type has topics.
func (l Log) Validate() error {
	switch {
	case !l.Type.Valid():
		return fmt.Errorf("%w: %s", ErrBadLog, l.Type)
	case l.Type.HasTopics() && l.Topic == "":
		return fmt.Errorf("%w: messages of type %s need a topic", ErrBadLog, l.Type)
	case !l.Type.HasTopics() && l.Topic != "":
		return fmt.Errorf("%w: messages of type %s have no topics, got %q", ErrBadLog, l.Type, l.Topic)
	case len(l.Topic) > MaxTopicLen:
		return fmt.Errorf("%w: topic of %d bytes, at most %d", ErrBadLog, len(l.Topic), MaxTopicLen)
	case strings.ContainsRune(l.Topic, 0):
		return fmt.Errorf("%w: topic %q contains a NUL byte", ErrBadLog, l.Topic)
	}
	return nil
}

// String returns the log as people write it: "event", or "custom/prices" for a topic.
func (l Log) String() string {
	if l.Topic == "" {
		return l.Type.String()
	}
	return l.Type.String() + "/" + l.Topic
}

// ParseLog parses the form that [Log.String] writes.
func ParseLog(s string) (Log, error) {
	name, topic, _ := strings.Cut(s, "/")
	t, err := ParseType(name)
	if err != nil {
		return Log{}, err
	}
	l := Log{Type: t, Topic: topic}
	return l, l.Validate()
}
