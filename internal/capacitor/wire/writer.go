package wire

import (
	"encoding/base64"
	"strconv"

	"github.com/flux-go/flux/message"
)

// writer appends objects to dst, in JSON or in CBOR. Containers of CBOR have an indefinite length, so that nobody has to
// know how long they get before they are written.
type writer struct {
	dst  []byte
	cbor bool
	// follows says that the next value or name needs a comma before it, in JSON.
	follows bool
}

// begin writes what separates a value from the one before it.
func (w *writer) begin() {
	if w.follows && !w.cbor {
		w.dst = append(w.dst, ',')
	}
	w.follows = true
}

// mark writes the begin or the end of a container.
func (w *writer) mark(json, cbor byte, follows bool) {
	if w.cbor {
		json = cbor
	}
	w.dst = append(w.dst, json)
	w.follows = follows
}

func (w *writer) object() {
	w.begin()
	w.mark('{', cborMap<<5|cborIndefinite, false)
}

func (w *writer) endObject() { w.mark('}', cborBreak, true) }

func (w *writer) array() {
	w.begin()
	w.mark('[', cborArray<<5|cborIndefinite, false)
}

func (w *writer) endArray() { w.mark(']', cborBreak, true) }

// member writes the name of a member, which needs no escapes. Its value follows.
func (w *writer) member(name string) {
	w.begin()
	if w.cbor {
		w.dst = append(appendHead(w.dst, cborText, uint64(len(name))), name...)
		return
	}
	w.dst = append(append(append(w.dst, '"'), name...), `":`...)
	w.follows = false
}

// key writes the name of a member that may be anything.
func (w *writer) key(name string) {
	w.text(name)
	if !w.cbor {
		w.dst = append(w.dst, ':')
		w.follows = false
	}
}

func (w *writer) integer(n int64) {
	w.begin()
	switch {
	case !w.cbor:
		w.dst = strconv.AppendInt(w.dst, n, 10)
	case n < 0:
		w.dst = appendHead(w.dst, cborNegative, uint64(-1-n))
	default:
		w.dst = appendHead(w.dst, cborUnsigned, uint64(n))
	}
}

func (w *writer) text(s string) {
	w.begin()
	if w.cbor {
		w.dst = appendCBORText(w.dst, s)
		return
	}
	w.dst = appendString(w.dst, s)
}

// optional writes null for an empty text.
func (w *writer) optional(s string) {
	if s == "" {
		w.null()
		return
	}
	w.text(s)
}

func (w *writer) boolean(b bool) {
	w.begin()
	switch {
	case !w.cbor:
		w.dst = strconv.AppendBool(w.dst, b)
	case b:
		w.dst = append(w.dst, cborTrue)
	default:
		w.dst = append(w.dst, cborFalse)
	}
}

func (w *writer) null() {
	w.begin()
	if w.cbor {
		w.dst = append(w.dst, cborNull)
		return
	}
	w.dst = append(w.dst, "null"...)
}

// blob writes bytes, and null for nil.
func (w *writer) blob(b []byte) {
	if b == nil {
		w.null()
		return
	}
	w.begin()
	if w.cbor {
		w.dst = append(appendHead(w.dst, cborBytes, uint64(len(b))), b...)
		return
	}
	w.dst = append(base64.StdEncoding.AppendEncode(append(w.dst, '"'), b), '"')
}

// written writes a value that was written before, in the same format.
func (w *writer) written(value []byte) {
	w.begin()
	w.dst = append(w.dst, value...)
}

func (w *writer) data(d Data) {
	w.object()
	w.member("value")
	w.blob(d.Value)
	w.member("type")
	w.optional(d.Type)
	w.member("revision")
	w.integer(int64(d.Revision))
	w.member("format")
	w.text(longFormat(d.Format))
	w.endObject()
}

// longFormat returns a format as clients know it.
func longFormat(format string) string {
	if format == "" {
		return jsonFormat
	}
	return format
}

// metadata writes metadata, an empty object if there is none.
func (w *writer) metadata(metadata map[string]string) {
	w.object()
	for key, value := range metadata {
		w.key(key)
		w.text(value)
	}
	w.endObject()
}

// messageForm says what of a message is written as it was published rather than as it is delivered.
type messageForm uint8

const (
	// delivered messages have the segment that decides who handles them, and an index.
	delivered messageForm = iota
	// stored messages have the segment that their publisher gave them, if any.
	stored
	// unindexed messages are stored ones outside a log.
	unindexed
)

// segment returns the segment that is written, if any.
func (f messageForm) segment(m *message.Message) (segment int32, ok bool) {
	if f == delivered {
		return int32(m.RoutingSegment()), true
	}
	return m.Segment, m.Routed
}

// message writes a message that was read.
func (w *writer) message(m *message.Message, form messageForm) {
	w.object()
	w.member("data")
	w.data(Data{m.Payload, m.Type, m.Revision, m.Format})
	w.member("metadata")
	w.metadata(m.Metadata)
	segment, ok := form.segment(m)
	w.optionalInteger("segment", int64(segment), ok)
	w.optionalInteger("index", int64(m.Index), form != unindexed)
	w.member("source")
	w.optional(m.Source)
	w.member("target")
	w.optional(m.Target)
	w.optionalInteger("requestId", int64(m.Request.N), m.Request.Valid)
	w.member("timestamp")
	w.integer(m.Timestamp)
	w.member("messageId")
	w.text(m.MessageID())
	w.member("originalRevision")
	w.integer(int64(m.Revision))
	w.endObject()
}

// optionalInteger writes a member that is null when it is not set.
func (w *writer) optionalInteger(name string, n int64, ok bool) {
	w.member(name)
	if !ok {
		w.null()
		return
	}
	w.integer(n)
}

func (w *writer) segments(s message.SegmentRange) {
	w.array()
	w.integer(int64(s.Start))
	w.integer(int64(s.End))
	w.endArray()
}

func (w *writer) position(p message.Position) {
	w.array()
	for segments, index := range p.Ranges() {
		w.segments(segments)
		w.integer(int64(index))
	}
	w.endArray()
}
