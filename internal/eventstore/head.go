package eventstore

import (
	"encoding/binary"
	"fmt"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// Head is what is known of a stream without reading its events.
type Head struct {
	// Events and Bytes are what the stream has.
	Events, Bytes uint64
	// Milli is the time of the last append, in milliseconds since the Unix epoch.
	Milli int64
}

// Last is the sequence number of the last event, or Before.
func (h Head) Last() Sequence { return Sequence(h.Events) - 1 }

// indexBytes is the length of the index that an entry of a stream begins with.
const indexBytes = 8

func streamKey(ns message.Namespace, aggregate string) []byte {
	size := len(ns) + 2 + len(aggregate)
	return append(engine.AppendKey(make([]byte, 0, size), ns, engine.FamilyStream), aggregate...)
}

// eventPrefix is all of an entry's key but the sequence number, with room for it.
func eventPrefix(ns message.Namespace, aggregate string) []byte {
	size := len(ns) + 2 + len(aggregate) + 1 + 8
	return engine.AppendText(engine.AppendKey(make([]byte, 0, size), ns, engine.FamilyEvent), aggregate)
}

func eventKey(ns message.Namespace, aggregate string, last Sequence) []byte {
	return engine.AppendUint64(eventPrefix(ns, aggregate), uint64(last))
}

// getter is what a transaction and a view have in common.
type getter interface {
	Get(key []byte) ([]byte, error)
}

func loadHead(from getter, key []byte) (Head, error) {
	raw, err := from.Get(key)
	if err != nil || raw == nil {
		return Head{}, err
	}
	return decodeHead(raw)
}

// encode writes the head; docs/format/keys.md, stream.
func (h Head) encode() []byte {
	b := make([]byte, 0, 3*binary.MaxVarintLen64)
	b = binary.AppendUvarint(b, h.Events)
	b = binary.AppendUvarint(b, h.Bytes)
	return binary.AppendVarint(b, h.Milli)
}

func decodeHead(raw []byte) (h Head, err error) {
	rest := raw
	for _, n := range []*uint64{&h.Events, &h.Bytes} {
		var size int
		if *n, size = binary.Uvarint(rest); size <= 0 {
			return Head{}, corruptHead(raw)
		}
		rest = rest[size:]
	}
	milli, size := binary.Varint(rest)
	if size <= 0 || size != len(rest) {
		return Head{}, corruptHead(raw)
	}
	h.Milli = milli
	return h, nil
}

func corruptHead(raw []byte) error {
	return fmt.Errorf("%w: head of a stream %x", engine.ErrCorrupt, raw)
}
