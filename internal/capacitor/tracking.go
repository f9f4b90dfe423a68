package capacitor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flux-go/flux/internal/capacitor/wire"
	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/internal/tracking"
	"github.com/flux-go/flux/message"
)

// trackers serves the trackers of a log.
type trackers struct{ *socket }

func (t *trackers) flush() {}

func (t *trackers) handle(r wire.Request) error {
	switch r := r.(type) {
	case *wire.Read:
		return t.read(r)
	case *wire.StorePosition:
		op := &position.Store{Consumer: t.consumer(r.Consumer), Segments: r.Segment, Last: r.LastIndex}
		return t.submit(&r.Base, op)
	case *wire.ResetPosition:
		return t.reset(r)
	case *wire.GetPosition:
		t.briefly(&r.Base, func() ([]byte, error) { return t.position(r) })
	case *wire.ReadFromIndex:
		t.briefly(&r.Base, func() ([]byte, error) { return t.readFromIndex(r) })
	case *wire.DisconnectTracker:
		return t.disconnect(r)
	default:
		return t.unsupported(r)
	}
	return nil
}

func (t *trackers) consumer(name string) position.Consumer {
	return position.Consumer{Log: t.log, Name: message.ConsumerName(name)}
}

func (t *trackers) reset(r *wire.ResetPosition) error {
	if err := t.mayAdminister(&r.Base); err != nil {
		return err
	}
	return t.submit(&r.Base, &position.Reset{Consumer: t.consumer(r.Consumer), Last: r.LastIndex})
}

func (t *trackers) position(r *wire.GetPosition) ([]byte, error) {
	p, err := t.handler.Positions.Get(t.namespace, t.consumer(r.Consumer))
	if err != nil {
		return nil, err
	}
	return t.result(&r.Base).AppendPosition(nil, p), nil
}

// disconnect removes a tracker once the commands before it are on disk: whoever gets its segments has to see the position
// that it stored.
func (t *trackers) disconnect(r *wire.DisconnectTracker) error {
	return t.submitThen(func(err error) {
		if err == nil {
			t.handler.Tracking.Disconnect(t.namespace, t.consumer(r.Consumer), r.TrackerID, r.SendFinalEmptyBatch)
		}
		t.end(&r.Base, err)
	})
}

// read lets a tracker wait for messages, or for segments only.
func (t *trackers) read(r *wire.Read) error {
	select {
	case t.polls <- struct{}{}:
	default:
		return fmt.Errorf("more than %d reads are open on this socket", maxPolls)
	}
	t.waiting.Go(func() {
		defer func() { <-t.polls }()
		result, err := t.poll(r)
		switch {
		case errors.Is(err, tracking.ErrLeft), errors.Is(err, context.Canceled):
			// The protocol has no answer for a tracker that was removed: it asks no more, or it asks again.
		case err != nil:
			t.fail(&r.Base, err)
		default:
			t.answer(result)
		}
	})
	return nil
}

// maxWait bounds the time that a tracker says it waits.
const maxWait = 24 * time.Hour

func (t *trackers) poll(r *wire.Read) ([]byte, error) {
	wait := millis(r.MaxTimeout)
	if r.ClaimOnly {
		claim, err := t.handler.Tracking.Claim(t.ctx, t.tracker(r), wait, t.socket)
		if err != nil {
			return nil, err
		}
		return t.result(&r.Base).AppendClaim(nil, claim.Segments, claim.Position), nil
	}
	batch, err := t.handler.Tracking.Read(t.ctx, t.tracker(r), wait, t.socket)
	if err != nil {
		return nil, err
	}
	return t.readResult(r, batch)
}

// millis returns a duration in milliseconds, at least 0.
func millis(n int64) time.Duration {
	return time.Duration(min(max(n, 0), maxWait.Milliseconds())) * time.Millisecond
}

func (t *trackers) tracker(r *wire.Read) tracking.Tracker {
	tracker := tracking.Tracker{
		Namespace:        t.namespace,
		Log:              t.log,
		Consumer:         message.ConsumerName(r.Consumer),
		ID:               r.TrackerID,
		ClientID:         t.clientID,
		Protocol:         "capacitor",
		TypeFilter:       r.TypeFilter,
		FilterTarget:     r.FilterMessageTarget,
		IgnoreSegment:    r.IgnoreSegment,
		Single:           r.SingleTracker,
		ClientControlled: r.ClientControlledIndex,
		Last:             r.LastIndex,
		MaxSize:          int(max(r.MaxSize, 0)),
		MaxBytes:         t.maxResultBytes(r.MaxBytes),
	}
	if r.PurgeTimeout != nil {
		tracker.PurgeTimeout = max(millis(*r.PurgeTimeout), time.Millisecond)
	}
	return tracker
}

// maxResultBytes returns the bound of a client, or the server's when it has none.
func (s *socket) maxResultBytes(wanted int64) int {
	if wanted <= 0 {
		return s.handler.MaxResultBytes
	}
	return int(min(wanted, 1<<31-1))
}

// readResult writes a batch. When that gets too long it ends early: the client goes on reading after what it was given.
func (t *trackers) readResult(r *wire.Read, b tracking.Batch) ([]byte, error) {
	list := t.result(&r.Base).BeginRead(nil, b.Segments)
	c := copier{list: &list, maxMessages: 1<<31 - 1, maxBytes: t.maxResultBytes(r.MaxBytes)}
	for _, chunk := range b.Chunks {
		if err := c.copyBlocks(chunk.First, chunk.Blocks); err != nil {
			return nil, err
		}
		if c.full {
			return list.EndRead(&c.last, b.Position, false), nil
		}
	}
	return list.EndRead(b.Last, b.Position, b.CaughtUp), nil
}

// readFromIndex reads a log without a consumer.
func (t *trackers) readFromIndex(r *wire.ReadFromIndex) ([]byte, error) {
	list := t.result(&r.Base).BeginReadFromIndex(nil)
	head, err := t.handler.Logs.Head(t.namespace, t.log)
	if err != nil {
		return nil, err
	}
	c := copier{
		list: &list, after: max(r.MinIndex-1, head.Truncated), maxMessages: int(max(r.MaxSize, 0)), maxBytes: t.maxResultBytes(r.MaxBytes),
	}
	if r.MinIndex == -1<<63 {
		c.after = head.Truncated // there is nothing before it
	}
	for c.maxMessages > 0 && !c.full {
		entries, err := t.handler.Logs.Read(t.namespace, t.log, c.after, readAhead)
		if err != nil || len(entries) == 0 {
			return list.EndReadFromIndex(), err
		}
		for _, e := range entries {
			if err := c.copyBlocks(e.First, e.Blocks); err != nil {
				return nil, err
			}
			c.after = e.Last
		}
	}
	return list.EndReadFromIndex(), nil
}
