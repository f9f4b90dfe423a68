package wire

import (
	"encoding/base64"
	"strconv"

	"github.com/flux-go/flux/message"
)

// The methods of this file append to dst, in JSON or in CBOR, what an object is made of. Containers of CBOR have an
// indefinite length, so that nobody has to know how long they get before they are written.

// comma separates what comes next from the value before it, in JSON. A value never ends as the begin of a container or the
// name of a member does.
func (f Format) comma(dst []byte) []byte {
	if f != JSON || len(dst) == 0 {
		return dst
	}
	switch dst[len(dst)-1] {
	case '{', '[', ':':
		return dst
	}
	return append(dst, ',')
}

// either appends a byte of JSON, or one of CBOR.
func (f Format) either(dst []byte, json, cbor byte) []byte {
	if f == JSON {
		return append(dst, json)
	}
	return append(dst, cbor)
}

func (f Format) object(dst []byte) []byte {
	return f.either(f.comma(dst), '{', cborMap<<5|cborIndefinite)
}

func (f Format) endObject(dst []byte) []byte { return f.either(dst, '}', cborBreak) }

func (f Format) array(dst []byte) []byte {
	return f.either(f.comma(dst), '[', cborArray<<5|cborIndefinite)
}

func (f Format) endArray(dst []byte) []byte { return f.either(dst, ']', cborBreak) }

// member appends the name of a member, which needs no escapes. Its value follows.
func (f Format) member(dst []byte, name string) []byte {
	if f != JSON {
		return append(appendHead(dst, cborText, uint64(len(name))), name...)
	}
	return append(append(append(f.comma(dst), '"'), name...), `":`...)
}

// key appends the name of a member that may be anything.
func (f Format) key(dst []byte, name string) []byte {
	dst = f.text(dst, name)
	if f == JSON {
		dst = append(dst, ':')
	}
	return dst
}

func (f Format) integer(dst []byte, n int64) []byte {
	switch {
	case f == JSON:
		return strconv.AppendInt(f.comma(dst), n, 10)
	case n < 0:
		return appendHead(dst, cborNegative, uint64(-1-n))
	}
	return appendHead(dst, cborUnsigned, uint64(n))
}

func (f Format) text(dst []byte, s string) []byte {
	if f != JSON {
		return appendCBORText(dst, s)
	}
	return appendString(f.comma(dst), s)
}

// optional appends null for an empty text.
func (f Format) optional(dst []byte, s string) []byte {
	if s == "" {
		return f.null(dst)
	}
	return f.text(dst, s)
}

func (f Format) boolean(dst []byte, b bool) []byte {
	switch {
	case f == JSON:
		return strconv.AppendBool(f.comma(dst), b)
	case b:
		return append(dst, cborTrue)
	}
	return append(dst, cborFalse)
}

func (f Format) null(dst []byte) []byte {
	if f != JSON {
		return append(dst, cborNull)
	}
	return append(f.comma(dst), "null"...)
}

// blob appends bytes, and null for nil.
func (f Format) blob(dst, b []byte) []byte {
	switch {
	case b == nil:
		return f.null(dst)
	case f != JSON:
		return append(appendHead(dst, cborBytes, uint64(len(b))), b...)
	}
	return append(base64.StdEncoding.AppendEncode(append(f.comma(dst), '"'), b), '"')
}

// written appends a value that was written before, in the same format.
func (f Format) written(dst, value []byte) []byte { return append(f.comma(dst), value...) }

func (f Format) data(dst []byte, d Data) []byte {
	dst = f.blob(f.member(f.object(dst), "value"), d.Value)
	dst = f.optional(f.member(dst, "type"), d.Type)
	dst = f.integer(f.member(dst, "revision"), int64(d.Revision))
	dst = f.text(f.member(dst, "format"), longFormat(d.Format))
	return f.endObject(dst)
}

// longFormat returns a format as clients know it.
func longFormat(format string) string {
	if format == "" {
		return jsonFormat
	}
	return format
}

// metadata appends metadata, an empty object if there is none.
func (f Format) metadata(dst []byte, metadata map[string]string) []byte {
	dst = f.object(dst)
	for key, value := range metadata {
		dst = f.text(f.key(dst, key), value)
	}
	return f.endObject(dst)
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
	// compact messages are delivered ones in the compact form.
	compact
)

// segment returns the segment that is written, if any.
func (form messageForm) segment(m *message.Message) (segment int32, ok bool) {
	if form == delivered {
		return int32(m.RoutingSegment()), true
	}
	return m.Segment, m.Routed
}

// message appends a message that was read.
func (f Format) message(dst []byte, m *message.Message, form messageForm) []byte {
	dst = f.data(f.member(f.object(dst), "data"), Data{m.Payload, m.Type, m.Revision, m.Format})
	dst = f.metadata(f.member(dst, "metadata"), m.Metadata)
	segment, ok := form.segment(m)
	dst = f.optionalInteger(f.member(dst, "segment"), int64(segment), ok)
	dst = f.optionalInteger(f.member(dst, "index"), int64(m.Index), form != unindexed)
	dst = f.optional(f.member(dst, "source"), m.Source)
	dst = f.optional(f.member(dst, "target"), m.Target)
	dst = f.optionalInteger(f.member(dst, "requestId"), int64(m.Request.N), m.Request.Valid)
	dst = f.integer(f.member(dst, "timestamp"), m.Timestamp)
	dst = f.text(f.member(dst, "messageId"), m.MessageID())
	dst = f.integer(f.member(dst, "originalRevision"), int64(m.Revision))
	return f.endObject(dst)
}

// optionalInteger appends null when it is not set.
func (f Format) optionalInteger(dst []byte, n int64, ok bool) []byte {
	if !ok {
		return f.null(dst)
	}
	return f.integer(dst, n)
}

func (f Format) segments(dst []byte, s message.SegmentRange) []byte {
	return f.endArray(f.integer(f.integer(f.array(dst), int64(s.Start)), int64(s.End)))
}

func (f Format) position(dst []byte, p message.Position) []byte {
	dst = f.array(dst)
	for segments, index := range p.Ranges() {
		dst = f.integer(f.segments(dst, segments), int64(index))
	}
	return f.endArray(dst)
}
