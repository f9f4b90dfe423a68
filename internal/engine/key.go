package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/flux-go/flux/message"
)

// Family is the byte that follows the namespace in a key and says what the rest means.
type Family byte

// The families of keys. The bytes are part of the stored format and never change.
const (
	FamilyMessage  Family = 'm'
	FamilyHead     Family = 'h'
	FamilyPosition Family = 'p'
	FamilyProducer Family = 'u'

	FamilyEvent         Family = 'e'
	FamilyStream        Family = 'a'
	FamilyRelation      Family = 'r'
	FamilyEntity        Family = 'i'
	FamilyRelationOrder Family = 'o'
	FamilyValue         Family = 'k'
	FamilySchedule      Family = 's'
	FamilyDue           Family = 'd'

	FamilyExecution  Family = 'x'
	FamilySummary    Family = 'y'
	FamilyRecord     Family = 'z'
	FamilyPosting    Family = 'w'
	FamilyArrival    Family = 'q'
	FamilyIssue      Family = 'g'
	FamilyIssueOrder Family = 'j'
	FamilyLease      Family = 'l'
	FamilyRecording  Family = 't'
)

// part is how one component of a key is written.
type part byte

const (
	partText   part = iota // bytes without NUL, then a NUL
	partLog                // a byte for the type, then the topic as partText
	partUint64             // 8 bytes, big endian
	partBytes              // everything that is left
	partRest               // everything that is left, as text
)

// layout describes a family: the one table from which keys are built, parsed, printed and documented.
type layout struct {
	family Family
	name   string
	parts  []part
	names  []string
	value  string
}

var layouts = []layout{
	{FamilyMessage, "message", []part{partLog, partUint64}, []string{"log", "last index"}, "one or more [blocks](block.md)"},
	{FamilyHead, "head", []part{partLog}, []string{"log"}, "[head of a log](#head)"},
	{FamilyPosition, "position", []part{partLog, partText}, []string{"log", "consumer"}, "[position](position.md)"},
	{FamilyProducer, "producer", []part{partBytes}, []string{"producer id"}, "[state of a producer](#producer)"},

	{FamilyEvent, "event", []part{partText, partUint64}, []string{"aggregate", "last sequence number"}, "[events](#event-streams)"},
	{FamilyStream, "stream", []part{partRest}, []string{"aggregate"}, "[head of a stream](#event-streams)"},
	{FamilyRelation, "relation", []part{partText, partRest}, []string{"entity", "aggregate"}, "[relation](#relations)"},
	{FamilyEntity, "entity", []part{partText, partRest}, []string{"aggregate", "entity"}, "nothing"},
	{FamilyRelationOrder, "relation order", []part{partRest}, []string{"aggregate"}, "[number of a change](#relations)"},
	{FamilyValue, "value", []part{partRest}, []string{"key"}, "[value](#value)"},
	{FamilySchedule, "schedule", []part{partRest}, []string{"schedule id"}, "[due time](#schedules)"},
	{FamilyDue, "due", []part{partUint64, partRest}, []string{"due time", "schedule id"}, "[block](block.md) of one message"},

	{FamilyExecution, "execution", []part{partBytes}, []string{"execution id"}, "[place](#executions)"},
	{FamilySummary, "summary", []part{partUint64}, []string{"place"}, "[summary](#executions)"},
	{FamilyRecord, "record", []part{partUint64}, []string{"place"}, "[record](recording.md)"},
	{FamilyPosting, "posting", []part{partText, partUint64}, []string{"term", "place"}, "nothing"},
	{FamilyArrival, "arrival", []part{partUint64}, []string{"arrival"}, "[place](#executions)"},
	{FamilyIssue, "issue", []part{partRest}, []string{"fingerprint"}, "[issue](#issues)"},
	{FamilyIssueOrder, "issue order", []part{partUint64, partRest}, []string{"last seen", "fingerprint"}, "nothing"},
	{FamilyLease, "lease", []part{partBytes}, []string{"execution id"}, "[lease](#leases)"},
	{FamilyRecording, "recording", nil, nil, "[totals](#executions)"},
}

func layoutOf(f Family) (layout, bool) {
	for _, l := range layouts {
		if l.family == f {
			return l, true
		}
	}
	return layout{}, false
}

// AppendKey appends the part of a key that all keys of a family share: the namespace, a NUL, and the family byte.
// Namespaces sort by their bytes, so a namespace is one contiguous range of keys.
func AppendKey(dst []byte, ns message.Namespace, f Family) []byte {
	dst = append(dst, ns...)
	return append(dst, 0, byte(f))
}

// AppendLog appends a log to a key.
func AppendLog(dst []byte, l message.Log) []byte {
	return AppendText(append(dst, byte(l.Type)), l.Topic)
}

// AppendText appends text without NUL bytes to a key, ended by a NUL so that no text is a prefix of another.
func AppendText(dst []byte, s string) []byte {
	dst = append(dst, s...)
	return append(dst, 0)
}

// AppendUint64 appends a number to a key, so that keys sort by it.
func AppendUint64(dst []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(dst, n) }

// Key is a parsed key. Which fields are set depends on the family.
type Key struct {
	Namespace message.Namespace
	Family    Family
	Log       message.Log
	Text      string
	Number    uint64
	Bytes     []byte
	Rest      string
}

// ParseKey takes a key apart. Bytes aliases raw. A key that no family of the table could have written is ErrCorrupt.
func ParseKey(raw []byte) (Key, error) {
	ns, rest, ok := bytes.Cut(raw, []byte{0})
	if !ok || len(ns) == 0 || len(rest) == 0 {
		return Key{}, fmt.Errorf("%w: key %q has no namespace or no family", ErrCorrupt, raw)
	}
	k := Key{Namespace: message.Namespace(ns), Family: Family(rest[0])}
	l, ok := layoutOf(k.Family)
	if !ok {
		return Key{}, fmt.Errorf("%w: key %q is of unknown family %q", ErrCorrupt, raw, rest[0])
	}
	rest = rest[1:]
	for i, p := range l.parts {
		if rest, ok = k.take(p, rest); !ok {
			return Key{}, fmt.Errorf("%w: key %q: bad %s of family %s", ErrCorrupt, raw, l.names[i], l.name)
		}
	}
	if len(rest) > 0 {
		return Key{}, fmt.Errorf("%w: key %q: %d bytes after the end of family %s", ErrCorrupt, raw, len(rest), l.name)
	}
	return k, nil
}

func (k *Key) take(p part, raw []byte) (rest []byte, ok bool) {
	switch p {
	case partLog:
		if len(raw) == 0 {
			return nil, false
		}
		k.Log.Type = message.Type(raw[0])
		topic, rest, ok := bytes.Cut(raw[1:], []byte{0})
		k.Log.Topic = string(topic)
		return rest, ok && k.Log.Validate() == nil
	case partText:
		text, rest, ok := bytes.Cut(raw, []byte{0})
		k.Text = string(text)
		return rest, ok
	case partUint64:
		if len(raw) < 8 {
			return nil, false
		}
		k.Number = binary.BigEndian.Uint64(raw)
		return raw[8:], true
	case partRest:
		k.Rest = string(raw)
		return nil, true
	default:
		k.Bytes = raw
		return nil, true
	}
}

// String returns the key as people read it, such as "public message custom/prices 115140250828800000".
func (k Key) String() string {
	l, ok := layoutOf(k.Family)
	if !ok {
		return fmt.Sprintf("%s family(%q)", k.Namespace, byte(k.Family))
	}
	out := []string{string(k.Namespace), l.name}
	for _, p := range l.parts {
		switch p {
		case partLog:
			out = append(out, k.Log.String())
		case partText:
			out = append(out, k.Text)
		case partUint64:
			out = append(out, strconv.FormatUint(k.Number, 10))
		case partRest:
			out = append(out, k.Rest)
		default:
			out = append(out, fmt.Sprintf("%x", k.Bytes))
		}
	}
	return strings.Join(out, " ")
}

// PrefixEnd returns the smallest key that is greater than every key with the prefix, or nil if there is none.
func PrefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
