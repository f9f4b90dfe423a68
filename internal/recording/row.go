package recording

import (
	"encoding/binary"
	"fmt"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
)

// Item is an execution as lists show it.
type Item struct {
	record.Summary
	// Pinned says that retention does not touch it.
	Pinned bool
	// Recorded is when it came, in milliseconds since the Unix epoch.
	Recorded int64
	// Arrival is its place in the order in which executions came.
	Arrival uint64
	// Bytes is the length of its record.
	Bytes uint64
}

const (
	summaryVersion = 1
	flagPinned     = 1
)

// encode writes what is under family summary; docs/format/keys.md, executions.
func (i *Item) encode() []byte {
	flags := byte(0)
	if i.Pinned {
		flags |= flagPinned
	}
	b := append(make([]byte, 0, 512), summaryVersion, flags)
	b = binary.AppendVarint(b, i.Recorded)
	b = binary.AppendUvarint(b, i.Arrival)
	b = binary.AppendUvarint(b, i.Bytes)
	return record.AppendSummary(b, &i.Summary)
}

// decodeItem is the counterpart of encode. It returns engine.ErrCorrupt.
func decodeItem(raw []byte) (*Item, error) {
	if len(raw) < 2 || raw[0] != summaryVersion || raw[1]&^flagPinned != 0 {
		return nil, corrupt("summary", raw)
	}
	i := &Item{Pinned: raw[1]&flagPinned != 0}
	n := numbers{raw: raw[2:]}
	i.Recorded, i.Arrival, i.Bytes = n.signed(), n.unsigned(), n.unsigned()
	if n.bad {
		return nil, corrupt("summary", raw)
	}
	var err error
	if i.Summary, err = record.DecodeSummary(n.raw); err != nil {
		return nil, fmt.Errorf("%w: summary: %w", engine.ErrCorrupt, err)
	}
	return i, nil
}

func corrupt(what string, raw []byte) error {
	return fmt.Errorf("%w: %s of %d bytes that starts %.20x", engine.ErrCorrupt, what, len(raw), raw)
}

// numbers takes numbers and texts from the beginning of raw until there is one that is bad.
type numbers struct {
	raw []byte
	bad bool
}

func (n *numbers) unsigned() uint64 {
	v, size := binary.Uvarint(n.raw)
	if n.bad = n.bad || size <= 0; n.bad {
		return 0
	}
	n.raw = n.raw[size:]
	return v
}

func (n *numbers) signed() int64 {
	v, size := binary.Varint(n.raw)
	if n.bad = n.bad || size <= 0; n.bad {
		return 0
	}
	n.raw = n.raw[size:]
	return v
}

func (n *numbers) text() string {
	size := n.unsigned()
	if n.bad = n.bad || size > uint64(len(n.raw)); n.bad {
		return ""
	}
	s := string(n.raw[:size])
	n.raw = n.raw[size:]
	return s
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
