package eventstore

import (
	"bytes"
	"fmt"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// Check verifies streams and relations: that values decode, blocks are sound to the last event, the entries of a stream follow
// each other without gap up to what its head says (S1), and relations are there both ways round (S5). A Check is for one
// engine.View.Verify.
type Check struct {
	// Streams and Events count what is in the store.
	Streams, Events uint64

	heads     map[streamID]Head
	stream    streamID // of the entries being checked
	next      Sequence
	relations map[relationID]int // of those that are not whole yet, the ways round that were seen
}

type streamID struct {
	ns        message.Namespace
	aggregate string
}

type relationID struct {
	ns                message.Namespace
	entity, aggregate string
}

// The ways round in which a relation is stored.
const (
	byEntity = 1 << iota
	byAggregate
	bothWays = byEntity | byAggregate
)

// NewCheck returns a check of the event store for engine.View.Verify.
func NewCheck() *Check {
	return &Check{heads: make(map[streamID]Head), relations: make(map[relationID]int)}
}

// Families implements engine.Check.
func (c *Check) Families() []engine.Family {
	return []engine.Family{
		engine.FamilyStream, engine.FamilyEvent, engine.FamilyRelation, engine.FamilyEntity, engine.FamilyRelationOrder,
	}
}

// Entry implements engine.Check.
func (c *Check) Entry(key engine.Key, value []byte, report engine.Report) {
	if err := c.entry(key, value); err != nil {
		report("%s", err)
	}
}

func (c *Check) entry(key engine.Key, value []byte) error {
	switch key.Family {
	case engine.FamilyStream:
		head, err := decodeHead(value)
		c.heads[streamID{key.Namespace, key.Rest}] = head
		c.Streams++
		return err
	case engine.FamilyEvent:
		return c.events(streamID{key.Namespace, key.Text}, Sequence(key.Number), value)
	case engine.FamilyRelation:
		c.related(relationID{key.Namespace, key.Text, key.Rest}, byEntity)
		_, _, err := decodeRelation(value)
		return err
	case engine.FamilyEntity:
		c.related(relationID{key.Namespace, key.Rest, key.Text}, byAggregate)
		return nil
	default:
		_, err := decodeOrder(value)
		return err
	}
}

// events checks an entry of a stream, whose head comes before it in the order of keys.
func (c *Check) events(id streamID, last Sequence, value []byte) error {
	if c.stream != id {
		c.stream, c.next = id, 0
	}
	e, err := parseEntry(last, bytes.Clone(value))
	if err != nil {
		return err
	}
	for block, err := range message.Blocks(e.Blocks) {
		if err == nil {
			err = block.Validate()
		}
		if err != nil {
			return fmt.Errorf("block %s: %w", block.ID(), err)
		}
	}
	first, head := c.next, c.heads[id]
	c.next = last + 1
	c.Events += uint64(e.Count)
	if e.First != first {
		return fmt.Errorf("begins at event %d, want %d", e.First, first)
	}
	if last > head.Last() {
		return fmt.Errorf("event %d is beyond %d, the last one that the head of the stream knows", last, head.Last())
	}
	if last == head.Last() {
		delete(c.heads, id)
	}
	return nil
}

// related notes one of the two ways round of a relation, and forgets those that are whole.
func (c *Check) related(id relationID, way int) {
	if c.relations[id] |= way; c.relations[id] == bothWays {
		delete(c.relations, id)
	}
}

// End implements engine.Check.
func (c *Check) End(report engine.Report) {
	for id, head := range c.heads {
		report("stream %s of %s: the head says that there are %d events, but the last of them is missing", id.aggregate, id.ns, head.Events)
	}
	for id := range c.relations {
		report("relation of entity %s to aggregate %s of %s: only one of its two keys is there", id.entity, id.aggregate, id.ns)
	}
}
