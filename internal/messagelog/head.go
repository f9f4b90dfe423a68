package messagelog

import (
	"encoding/binary"
	"fmt"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// Head is what is known of a log without reading its messages.
type Head struct {
	// Last is the highest index given out, or message.Beginning.
	Last message.Index
	// Truncated is the highest index that was deleted, or message.Beginning.
	Truncated message.Index
	// Retention is how long messages are kept.
	Retention Retention
	// Messages and Bytes were appended in all.
	Messages, Bytes uint64
}

func headKey(ns message.Namespace, log message.Log) []byte {
	return engine.AppendLog(engine.AppendKey(make([]byte, 0, 64), ns, engine.FamilyHead), log)
}

// messagePrefix is all of an entry's key but its last index. Its capacity is its length: appending makes a copy.
func messagePrefix(ns message.Namespace, log message.Log) []byte {
	key := engine.AppendLog(engine.AppendKey(make([]byte, 0, 64), ns, engine.FamilyMessage), log)
	return key[:len(key):len(key)]
}

// getter is what a transaction and a view have in common.
type getter interface {
	Get(key []byte) ([]byte, error)
}

func loadHead(from getter, key []byte) (Head, error) {
	raw, err := from.Get(key)
	if err != nil {
		return Head{}, err
	}
	if raw == nil {
		return Head{Last: message.Beginning, Truncated: message.Beginning}, nil
	}
	return decodeHead(raw)
}

// encode writes the head as five varints in the order of its fields; docs/format/keys.md.
func (h Head) encode() []byte {
	b := make([]byte, 0, 5*binary.MaxVarintLen64)
	for _, n := range []int64{int64(h.Last), int64(h.Truncated), int64(h.Retention)} {
		b = binary.AppendVarint(b, n)
	}
	return binary.AppendUvarint(binary.AppendUvarint(b, h.Messages), h.Bytes)
}

func decodeHead(raw []byte) (Head, error) {
	var signed [3]int64
	var unsigned [2]uint64
	rest := raw
	for i := range signed {
		n, size := binary.Varint(rest)
		if size <= 0 {
			return Head{}, fmt.Errorf("%w: log head %x", engine.ErrCorrupt, raw)
		}
		signed[i], rest = n, rest[size:]
	}
	for i := range unsigned {
		n, size := binary.Uvarint(rest)
		if size <= 0 {
			return Head{}, fmt.Errorf("%w: log head %x", engine.ErrCorrupt, raw)
		}
		unsigned[i], rest = n, rest[size:]
	}
	if len(rest) > 0 {
		return Head{}, fmt.Errorf("%w: log head %x: %d bytes after its end", engine.ErrCorrupt, raw, len(rest))
	}
	return Head{
		Last:      message.Index(signed[0]),
		Truncated: message.Index(signed[1]),
		Retention: Retention(signed[2]),
		Messages:  unsigned[0],
		Bytes:     unsigned[1],
	}, nil
}
