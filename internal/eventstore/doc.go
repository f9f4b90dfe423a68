// Package eventstore keeps the events of aggregates: for each aggregate a stream of events in the order of their sequence
// numbers, and which entities belong to which aggregates.
//
// # The way of an event
//
//	NewAppend: blocks checked by the caller, room for the index before them
//	   ─► Append.Apply: condition on the head of the stream ─► messagelog.Append to the event log, which gives the index
//	      ─► entry of the stream: index and blocks ─► head of the stream ─► one commit
//	   ─► Streams.Read: one scan over the entries of the aggregate, which lie side by side
//
// Events that are stored only skip the event log. Events that are published only are no business of this package.
//
// A stream has a copy of its events rather than their places in the event log. The event log may be truncated, streams may
// not. And loading an aggregate is one short scan, where places would cost a search in the log for each event, and each time
// the reading of an entry in which events of other aggregates lie as well: for 100 events some hundred times the work when
// entries are large, as BenchmarkLoad shows. The copy doubles what is written for an event, but not how often the disk is
// waited for.
//
// # Invariants
//
//	S1  The sequence numbers of a stream are 0, 1, 2, … without gap, in the order of commits.
//	S2  An event that is published is in the stream and in the event log, or in neither; the stream tells its index there.
//	S3  Nothing that happens to the event log changes a stream.
//	S4  An append with a condition commits only on top of the event that its author has seen last.
//	S5  The relations of an entity and those of an aggregate are the same relations.
//
// # Conditions
//
// The Flux Capacitor protocol has no condition: its clients rely on commands of an aggregate being handled in one place, and
// what they append is appended. Append.IfLast is for everyone else. A deleted stream begins at 0 again, so a condition on an
// old number may hold by accident once the stream has grown anew; who deletes streams that are in use takes that.
//
// # What can go wrong
//
// Ids come from outside and become parts of keys: they are 1 to [MaxIDLen] bytes without NUL. Streams can be long: readers
// page, and an entry that holds more events than a page is read again for the next one. Repair must know all relations of an
// aggregate: it reads them before it proposes, and starts over when they have changed meanwhile; see [Streams.Repair].
//
// Source: section "Event sourcing and relationships" of the Flux Capacitor protocol.
package eventstore

import (
	"errors"
	"fmt"
	"strings"
)

// ErrBadID is returned for ids of aggregates and entities that cannot be.
var ErrBadID = errors.New("bad id")

// MaxIDLen is the longest id of an aggregate or an entity, and the longest name of a type, in bytes.
const MaxIDLen = 1024

// ValidateID returns ErrBadID unless an id is 1 to MaxIDLen bytes without NUL. What says of what the id is.
func ValidateID(what, id string) error {
	switch {
	case id == "":
		return fmt.Errorf("%w of %s: it is empty", ErrBadID, what)
	case len(id) > MaxIDLen:
		return fmt.Errorf("%w of %s: %d bytes, at most %d", ErrBadID, what, len(id), MaxIDLen)
	case strings.IndexByte(id, 0) >= 0:
		return fmt.Errorf("%w of %s: %q contains a NUL byte", ErrBadID, what, id)
	}
	return nil
}
