package messagelog

import (
	"bytes"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// Check verifies heads and entries: that values decode, blocks are sound to the last message, entries of a log follow each
// other without overlap, and heads agree with them. A Check is for one engine.View.Verify.
type Check struct {
	// Logs and Messages count what is in the store.
	Logs, Messages uint64

	heads map[logID]*checkedLog
	log   *checkedLog // of the entries being checked
}

// checkedLog is a head, which comes before all entries of its namespace, and what was seen of its entries.
type checkedLog struct {
	id       logID
	head     Head
	last     message.Index
	messages uint64
	bytes    uint64
}

// NewCheck returns a check of logs for engine.View.Verify.
func NewCheck() *Check { return &Check{heads: make(map[logID]*checkedLog)} }

// Families implements engine.Check.
func (c *Check) Families() []engine.Family {
	return []engine.Family{engine.FamilyHead, engine.FamilyMessage}
}

// Entry implements engine.Check.
func (c *Check) Entry(key engine.Key, value []byte, report engine.Report) {
	if key.Family == engine.FamilyHead {
		c.addHead(key, value, report)
	} else {
		c.addEntry(key, value, report)
	}
}

func (c *Check) addHead(key engine.Key, value []byte, report engine.Report) {
	head, err := decodeHead(value)
	if err != nil {
		report("%s", err)
		return
	}
	if key.Log != key.Log.Stored() {
		report("a log that is stored as %s has a head of its own", key.Log.Stored())
	}
	if head.Truncated > head.Last {
		report("truncated through %d, beyond the last index %d", head.Truncated, head.Last)
	}
	c.Logs++
	id := logID{key.Namespace, key.Log}
	c.heads[id] = &checkedLog{id: id, head: head, last: message.Beginning}
}

func (c *Check) addEntry(key engine.Key, value []byte, report engine.Report) {
	log := c.logOf(logID{key.Namespace, key.Log}, report)
	entry, err := newEntry(message.Index(key.Number), bytes.Clone(value))
	if err != nil || len(value) == 0 {
		report("entry of %d bytes has no sound blocks: %v", len(value), err)
		return
	}
	for block, err := range message.Blocks(value) {
		if err == nil {
			err = block.Validate()
		}
		if err == nil && block.Sparse() {
			err = ErrSparse
		}
		if err != nil {
			report("block %s: %s", block.ID(), err)
		}
	}
	if entry.First <= log.last {
		report("begins at index %d, but the entry before it ends at %d", entry.First, log.last)
	}
	if entry.Last <= log.head.Truncated {
		report("lies before the truncation at %d", log.head.Truncated)
	}
	count := uint64(entry.Last-entry.First) + 1
	c.Messages += count
	log.last = max(log.last, entry.Last)
	log.messages += count
	log.bytes += uint64(len(value))
}

// logOf returns the log of an entry. Entries of a log come together.
func (c *Check) logOf(id logID, report engine.Report) *checkedLog {
	if c.log == nil || c.log.id != id {
		log, ok := c.heads[id]
		if !ok {
			report("log has entries but no head")
			log = &checkedLog{id: id, head: Head{Last: message.Beginning, Truncated: message.Beginning}, last: message.Beginning}
			c.heads[id] = log
		}
		c.log = log
	}
	return c.log
}

// End implements engine.Check.
func (c *Check) End(report engine.Report) {
	for id, log := range c.heads {
		head := log.head
		switch {
		case log.last > head.Last:
			report("log %s of %s: has entries up to %d, but its head says %d", id.log, id.ns, log.last, head.Last)
		case log.last < head.Last && head.Truncated < head.Last:
			report("log %s of %s: has entries up to %d only, but its head says %d", id.log, id.ns, log.last, head.Last)
		}
		if log.messages > head.Messages || log.bytes > head.Bytes {
			report("log %s of %s: has %d messages of %d bytes, but its head says that %d of %d were appended",
				id.log, id.ns, log.messages, log.bytes, head.Messages, head.Bytes)
		}
	}
}
