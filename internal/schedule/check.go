package schedule

import (
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// Check verifies schedules: sound blocks of one message, and the same due time under the id as in the key of the message (T3).
// A Check is for one engine.View.Verify.
type Check struct {
	// Pending counts the schedules.
	Pending uint64

	due map[scheduleID]int64 // of messages whose id did not come yet
}

type scheduleID struct {
	ns message.Namespace
	id string
}

// NewCheck returns a check of schedules for engine.View.Verify.
func NewCheck() *Check { return &Check{due: make(map[scheduleID]int64)} }

// Families implements engine.Check.
func (c *Check) Families() []engine.Family {
	return []engine.Family{engine.FamilyDue, engine.FamilySchedule}
}

// Entry implements engine.Check. Messages come before ids.
func (c *Check) Entry(key engine.Key, value []byte, report engine.Report) {
	id := scheduleID{key.Namespace, key.Rest}
	if key.Family == engine.FamilyDue {
		c.Pending++
		if other, ok := c.due[id]; ok {
			report("the schedule is also due at %d", other)
		}
		c.due[id] = int64(key.Number)
		if err := checkMessage(value); err != nil {
			report("%s", err)
		}
		return
	}
	due, err := decodeDue(value)
	if err != nil {
		report("%s", err)
		return
	}
	if found, ok := c.due[id]; !ok || found != due {
		report("due at %d, but there is no message under that time", due)
		return
	}
	delete(c.due, id)
}

func checkMessage(raw []byte) error {
	if err := checkBlock(raw); err != nil {
		return err
	}
	block, _, err := message.ParseBlock(raw)
	if err != nil {
		return err
	}
	return block.Validate()
}

// End implements engine.Check.
func (c *Check) End(report engine.Report) {
	for id, due := range c.due {
		report("schedule %s of %s: a message is due at %d, but not under its id", id.id, id.ns, due)
	}
}
