package wire

import (
	"encoding/binary"
	"strings"

	"github.com/flux-go/flux/message"
)

// The functions of this file append the result of a read in compact form, see compactReader.

func appendInt32(dst []byte, n int) []byte { return binary.BigEndian.AppendUint32(dst, uint32(n)) }

func appendInt64(dst []byte, n int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(n)) }

func appendFlag(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendCompactText(dst []byte, s string) []byte {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return append(appendInt32(dst, len(s)), s...)
}

// appendCompactOptional appends null for an empty text.
func appendCompactOptional(dst []byte, s string) []byte {
	if s == "" {
		return appendInt32(dst, -1)
	}
	return appendCompactText(dst, s)
}

// beginCompact appends what comes before the messages. Their number goes to countAt.
func (r Result) beginCompact(dst []byte, segments message.SegmentRange) (out []byte, countAt int) {
	dst = append(append(dst, compactMagic...), compactVersion, compactReadResult)
	dst = appendInt32(dst, 1)
	dst = append(dst, 0) // messages have nothing in common; compression finds what they have
	// When the request came, when the result was queued and when it was sent are not told.
	for _, n := range []int64{r.ID, r.Timestamp, 0, 0, 0} {
		dst = appendInt64(dst, n)
	}
	dst = appendInt32(appendInt32(dst, segments.Start), segments.End)
	return appendInt32(dst, 0), len(dst)
}

func appendCompactMessage(dst []byte, m *message.Message) []byte {
	if m.Payload == nil {
		dst = appendInt32(dst, -1)
	} else {
		dst = append(appendInt32(dst, len(m.Payload)), m.Payload...)
	}
	dst = appendCompactOptional(dst, m.Type)
	dst = appendInt32(dst, int(m.Revision))
	dst = appendCompactText(dst, longFormat(m.Format))
	dst = appendInt32(dst, len(m.Metadata))
	for key, value := range m.Metadata {
		dst = appendCompactText(appendCompactText(dst, key), value)
	}
	dst = appendInt32(append(dst, 1), m.RoutingSegment())
	dst = appendInt64(append(dst, 1), int64(m.Index))
	dst = appendCompactOptional(appendCompactOptional(dst, m.Source), m.Target)
	if dst = appendFlag(dst, m.Request.Valid); m.Request.Valid {
		dst = appendInt32(dst, int(m.Request.N))
	}
	dst = appendInt64(append(dst, 1), m.Timestamp)
	return appendCompactText(dst, m.MessageID())
}

// endCompact appends what comes after the messages.
func (l *MessageList) endCompact(last *message.Index, p message.Position, caughtUp bool) []byte {
	binary.BigEndian.PutUint32(l.dst[l.countAt:], uint32(l.count))
	dst := appendFlag(l.dst, last != nil)
	if last != nil {
		dst = appendInt64(dst, int64(*last))
	}
	rangesAt, ranges := len(dst), 0
	dst = appendInt32(dst, 0)
	for segments, index := range p.Ranges() {
		dst = appendInt64(appendInt32(appendInt32(dst, segments.Start), segments.End), int64(index))
		ranges++
	}
	binary.BigEndian.PutUint32(dst[rangesAt:], uint32(ranges))
	return appendFlag(dst, caughtUp)
}
