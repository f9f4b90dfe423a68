package tracking

import (
	"time"

	"github.com/flux-go/flux/message"
)

// balance brings sessions to even ranges. A session keeps its range for as long as it likes, so when trackers join or leave
// those whose range is not the even one are asked to finish what they have in hand and to come back. Segments can only be
// divided evenly while nobody holds them; so whoever is back waits a little for the others, but not longer: one slow
// handler must not stop the rest. Who comes back too late for that makes the others come back once more.
type balance struct {
	// settleAt is until when sessions that are back wait for their even range.
	settleAt time.Time
	// attempts counts how often sessions were asked since trackers joined or left.
	attempts int
}

const (
	patience    = 100 * time.Millisecond // doubles with every attempt
	maxAttempts = 5
)

// rebalanceLocked is called when trackers have joined or left.
func (c *cluster) rebalanceLocked() {
	c.mu.attempts = 0
	c.evenLocked()
}

// evenLocked asks the sessions to come back that do not have the even range.
func (c *cluster) evenLocked() {
	if len(c.mu.holders) == 0 {
		return
	}
	c.mu.settleAt = c.service.now().Add(patience << c.mu.attempts)
	for _, s := range c.mu.holders {
		if s.unevenLocked() {
			s.draining = true
		}
	}
	c.releaseLocked()
}

// retryLocked asks again when one of the sessions is still uneven after its time to settle.
func (c *cluster) retryLocked() {
	if c.mu.attempts == maxAttempts || c.service.now().Before(c.mu.settleAt) {
		return
	}
	for _, s := range c.mu.holders {
		if s.unevenLocked() {
			c.mu.attempts++
			c.evenLocked()
			return
		}
	}
}

// settlingLocked reports whether a tracker that could have segments had better wait for its even range.
func (c *cluster) settlingLocked(m *member, segments message.SegmentRange) bool {
	return !m.tracker.Single && c.service.now().Before(c.mu.settleAt) && segments != c.mu.division.Even(m.tracker.ID)
}

// releaseLocked makes all sessions wait that are to come back and have nothing in hand.
func (c *cluster) releaseLocked() {
	released := false
	for i := 0; i < len(c.mu.holders); {
		if s := c.mu.holders[i]; s.draining && s.idleLocked() {
			s.releaseLocked()
			released = true
			i = 0 // others may have been asked to come back by this
			continue
		}
		i++
	}
	if released {
		c.retryLocked()
	}
}

// releaseIdleLocked makes all sessions wait that have nothing in hand.
func (c *cluster) releaseIdleLocked() {
	for _, s := range c.mu.holders {
		s.draining = s.draining || s.idleLocked()
	}
	c.releaseLocked()
}
