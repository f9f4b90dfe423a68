package wire

import (
	"encoding/binary"
	"strings"

	"github.com/flux-go/flux/message"
)

// compactWriter appends the result of a read in compact form, see compactReader.
type compactWriter struct {
	dst []byte
	// countAt is where the number of messages goes, once it is known.
	countAt int
}

func (w *compactWriter) uint8(n byte)  { w.dst = append(w.dst, n) }
func (w *compactWriter) int32(n int32) { w.dst = binary.BigEndian.AppendUint32(w.dst, uint32(n)) }
func (w *compactWriter) int64(n int64) { w.dst = binary.BigEndian.AppendUint64(w.dst, uint64(n)) }

func (w *compactWriter) boolean(b bool) {
	if b {
		w.uint8(1)
		return
	}
	w.uint8(0)
}

func (w *compactWriter) text(s string) {
	s = strings.ToValidUTF8(s, "\uFFFD")
	w.int32(int32(len(s)))
	w.dst = append(w.dst, s...)
}

// optional writes null for an empty text.
func (w *compactWriter) optional(s string) {
	if s == "" {
		w.int32(-1)
		return
	}
	w.text(s)
}

// begin writes what comes before the messages.
func (w *compactWriter) begin(r Result, segments message.SegmentRange) {
	w.dst = append(w.dst, compactMagic...)
	w.uint8(compactVersion)
	w.uint8(compactReadResult)
	w.int32(1)
	w.uint8(0) // messages have nothing in common; compression finds what they have
	w.int64(r.ID)
	w.int64(r.Timestamp)
	w.int64(0) // when the request came, when the result was queued and when it was sent are not told
	w.int64(0)
	w.int64(0)
	w.int32(int32(segments.Start))
	w.int32(int32(segments.End))
	w.countAt = len(w.dst)
	w.int32(0)
}

func (w *compactWriter) message(m *message.Message) {
	if m.Payload == nil {
		w.int32(-1)
	} else {
		w.int32(int32(len(m.Payload)))
		w.dst = append(w.dst, m.Payload...)
	}
	w.optional(m.Type)
	w.int32(m.Revision)
	w.text(longFormat(m.Format))
	w.int32(int32(len(m.Metadata)))
	for key, value := range m.Metadata {
		w.text(key)
		w.text(value)
	}
	w.uint8(1)
	w.int32(int32(m.RoutingSegment()))
	w.uint8(1)
	w.int64(int64(m.Index))
	w.optional(m.Source)
	w.optional(m.Target)
	if w.boolean(m.Request.Valid); m.Request.Valid {
		w.int32(m.Request.N)
	}
	w.uint8(1)
	w.int64(m.Timestamp)
	w.text(m.MessageID())
}

// end writes what comes after count messages.
func (w *compactWriter) end(count int, last *message.Index, p message.Position, caughtUp bool) []byte {
	binary.BigEndian.PutUint32(w.dst[w.countAt:], uint32(count))
	if w.boolean(last != nil); last != nil {
		w.int64(int64(*last))
	}
	rangesAt, ranges := len(w.dst), 0
	w.int32(0)
	for segments, index := range p.Ranges() {
		w.int32(int32(segments.Start))
		w.int32(int32(segments.End))
		w.int64(int64(index))
		ranges++
	}
	binary.BigEndian.PutUint32(w.dst[rangesAt:], uint32(ranges))
	w.boolean(caughtUp)
	return w.dst
}
