package message

import (
	"encoding/binary"
	"slices"
	"strings"
)

// setFields sets w.fields to the row of the message without length and payload, and returns the resolved segment.
func (w *BlockWriter) setFields(m *Message, timestamp int64) (segment int) {
	id, isBinary := m.binaryID()
	flags := rowFlags(m)
	switch {
	case isBinary:
		flags |= rowBinaryID
	case m.ID != "":
		flags |= rowTextID
	}
	if flags&(rowBinaryID|rowTextID|rowRouted) == 0 {
		segment = w.hash.segment(w.count)
	} else {
		segment = m.RoutingSegment()
	}
	dst := append(w.fields[:0], flags, uint8(segment))
	dst = binary.AppendUvarint(dst, w.strings.number(m.Type))
	dst = binary.AppendVarint(dst, timestamp)
	if flags&^(rowNoPayload|rowRouted) != 0 {
		dst = w.appendOptional(dst, m, flags, id)
	}
	w.fields = dst
	return segment
}

// rowFlags returns the flags of the row of a message, but those of its id.
func rowFlags(m *Message) (flags uint8) {
	if m.Payload == nil {
		flags |= rowNoPayload
	}
	if m.Routed {
		flags |= rowRouted
		if uint32(m.Segment) >= Segments {
			flags |= rowRawSegment
		}
	}
	if m.Format != "" || m.Revision != 0 {
		flags |= rowDescribed
	}
	if m.Source != "" || m.Target != "" || m.Request.Valid {
		flags |= rowRequest
	}
	if len(m.Metadata) > 0 {
		flags |= rowMetadata
	}
	return flags
}

// appendOptional is the counterpart of row.parseOptional.
func (w *BlockWriter) appendOptional(dst []byte, m *Message, flags uint8, id binaryID) []byte {
	switch flags & (rowBinaryID | rowTextID) {
	case rowBinaryID:
		dst = id.append(dst)
	case rowTextID:
		dst = appendString(dst, m.ID)
	}
	if flags&rowRawSegment != 0 {
		dst = binary.AppendVarint(dst, int64(m.Segment))
	}
	if flags&rowDescribed != 0 {
		dst = binary.AppendUvarint(dst, w.strings.number(m.Format))
		dst = binary.AppendVarint(dst, int64(m.Revision))
	}
	if flags&rowRequest != 0 {
		dst = binary.AppendUvarint(dst, w.strings.number(m.Source))
		dst = binary.AppendUvarint(dst, w.strings.number(m.Target))
		dst = appendRequestID(dst, m.Request)
	}
	if flags&rowMetadata != 0 {
		dst = w.appendMetadata(dst, m.Metadata)
	}
	return dst
}

// appendMetadata sorts the keys, so that equal messages have equal bytes, which also compress better. It first tries the keys
// of the metadata before, for they rarely change.
func (w *BlockWriter) appendMetadata(dst []byte, metadata map[string]string) []byte {
	if !w.setEntries(metadata) {
		w.setKeys(metadata)
		w.setEntries(metadata)
	}
	dst = binary.AppendUvarint(dst, uint64(len(w.entries)))
	return append(dst, w.entries...)
}

// setEntries sets w.entries to the metadata in the order of w.keys, and returns false if those are not its keys.
func (w *BlockWriter) setEntries(metadata map[string]string) bool {
	if len(w.keys) != len(metadata) {
		return false
	}
	dst := binary.AppendUvarint(w.entries[:0], uint64(len(w.keys)))
	for _, key := range w.keys {
		value, ok := metadata[key.name]
		if !ok {
			return false
		}
		dst = binary.AppendUvarint(dst, key.number)
		dst = appendString(dst, value)
	}
	w.entries = dst
	return true
}

func (w *BlockWriter) setKeys(metadata map[string]string) {
	w.keys = w.keys[:0]
	for name := range metadata {
		w.keys = append(w.keys, numberedString{name: name})
	}
	slices.SortFunc(w.keys, func(a, b numberedString) int { return strings.Compare(a.name, b.name) })
	for i := range w.keys {
		w.keys[i].number = w.strings.number(w.keys[i].name)
	}
}

// forgetKeys makes the next metadata look up its keys.
func (w *BlockWriter) forgetKeys() {
	clear(w.keys)
	w.keys = w.keys[:0]
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// appendRequestID is the counterpart of cursor.requestID.
func appendRequestID(dst []byte, id RequestID) []byte {
	if !id.Valid {
		return append(dst, 0)
	}
	n := int64(id.N)
	return binary.AppendUvarint(dst, uint64(n<<1^n>>63)+1)
}

// stringTable numbers the strings of a block in the order in which they turn up, from 1. The empty string is number 0.
type stringTable struct {
	data    []byte // the table as it is written
	names   []string
	numbers map[string]uint64

	last numberedString // most messages of a block have the type of the one before
}

type numberedString struct {
	name   string
	number uint64
}

func (t *stringTable) number(s string) uint64 {
	if s == t.last.name {
		return t.last.number
	}
	n, found := t.numbers[s]
	if !found && s != "" {
		n = t.add(s)
	}
	t.last = numberedString{s, n}
	return n
}

func (t *stringTable) add(s string) uint64 {
	if t.numbers == nil {
		t.numbers = make(map[string]uint64)
	}
	t.names = append(t.names, s)
	t.numbers[s] = uint64(len(t.names))
	t.data = appendString(t.data, s)
	return uint64(len(t.names))
}

func (t *stringTable) reset() {
	clear(t.names)
	clear(t.numbers)
	t.names, t.data = t.names[:0], t.data[:0]
	t.last = numberedString{}
}

// truncate forgets all but the first strings, which take up the given bytes of data.
func (t *stringTable) truncate(names, data int) {
	for _, s := range t.names[names:] {
		delete(t.numbers, s)
	}
	clear(t.names[names:])
	t.names, t.data = t.names[:names], t.data[:data]
	t.last = numberedString{}
}
