package keyvalue

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/flux-go/flux/internal/engine"
)

// Value is what is stored under a key: opaque bytes, and what their readers need to know of them.
// Source: Data of the Flux Capacitor protocol.
type Value struct {
	// Type names the type of the data, such as "shop.Order". Empty means unknown.
	Type string
	// Revision is the revision of Type, for upcasting by readers.
	Revision int32
	// Format is the media type of Data. Empty means application/json.
	Format string
	// Data is the serialized value. Nil and empty are different: nil is "no data".
	Data []byte
}

// The first byte of a stored value: the version of the format, and whether there is data.
const (
	valueVersion = 1 << 1
	valueHasData = 1
)

// maxValueHead is the most that a value takes besides its texts and data.
const maxValueHead = 1 + 3*binary.MaxVarintLen64

// encode writes the value; docs/format/keys.md, value.
func (v Value) encode() []byte {
	head := byte(valueVersion)
	if v.Data != nil {
		head |= valueHasData
	}
	b := append(make([]byte, 0, maxValueHead+len(v.Type)+len(v.Format)+len(v.Data)), head)
	b = binary.AppendVarint(b, int64(v.Revision))
	for _, s := range []string{v.Type, v.Format} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return append(b, v.Data...)
}

// decodeValue is the counterpart of encode. Data aliases raw. It returns engine.ErrCorrupt.
func decodeValue(raw []byte) (Value, error) {
	v, ok := parseValue(raw)
	if !ok {
		return Value{}, fmt.Errorf("%w: value of %d bytes that starts %.20x", engine.ErrCorrupt, len(raw), raw)
	}
	return v, nil
}

func parseValue(raw []byte) (v Value, ok bool) {
	if len(raw) == 0 || raw[0]&^valueHasData != valueVersion {
		return v, false
	}
	hasData := raw[0]&valueHasData != 0
	revision, size := binary.Varint(raw[1:])
	if size <= 0 || revision < math.MinInt32 || revision > math.MaxInt32 {
		return v, false
	}
	v.Revision = int32(revision)
	rest := raw[1+size:]
	for _, s := range []*string{&v.Type, &v.Format} {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > uint64(len(rest)-size) {
			return v, false
		}
		*s, rest = string(rest[size:size+int(n)]), rest[size+int(n):]
	}
	if hasData {
		v.Data = rest
	}
	return v, hasData || len(rest) == 0
}
