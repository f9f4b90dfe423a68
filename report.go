package flux

import (
	"fmt"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

// report tells the server which batches are settled, in order, after their outputs were committed if the consumer is atomic.
// It returns when the session is drained or broken.
func (s *session) report() {
	for range s.settled {
		for {
			b, drained := s.nextSettled()
			if drained {
				return
			}
			if b == nil {
				break
			}
			if err := s.settle(b); err != nil {
				s.fail(err)
				return
			}
		}
	}
}

// nextSettled takes the oldest open batch if it is settled. Drained says that no batch will settle any more.
func (s *session) nextSettled() (b *batch, drained bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.open) == 0 {
		return nil, s.mu.draining
	}
	b = s.mu.open[0]
	if b.failed.Load() {
		return nil, true // the position stays before it, and so before those behind it
	}
	if b.pending.Load() > 0 {
		return nil, false
	}
	s.mu.open = s.mu.open[1:]
	return b, false
}

// settle stores the position after a batch, or has the server do it.
func (s *session) settle(b *batch) error {
	kept := b.end || s.Atomic
	switch {
	case !b.examined:
	case s.Atomic:
		if err := s.commit(b); err != nil {
			return err
		}
	case b.end:
		if err := s.store(s.ctx, advance{b.id, b.segments, b.last}); err != nil {
			return err
		}
	}
	s.mu.Lock()
	if b.examined {
		last := b.last
		s.last = &last
	}
	s.mu.reported = b.id
	if b.examined && !kept {
		s.mu.advances = append(s.mu.advances, advance{b.id, b.segments, b.last})
	}
	s.mu.Unlock()

	end := b.end
	handled := &fluxv1.TrackHandled{Batch: b.id, PositionKept: kept}
	err := s.stream.Send(&fluxv1.TrackRequest{Request: &fluxv1.TrackRequest_Handled{Handled: handled}})
	s.batches.give(b)
	switch {
	case end:
		return errEnd
	case err != nil:
		return nil // receive knows why
	}
	return nil
}

// commit stores what the handlers of a batch published together with the position after it, unless the position is no
// longer what it was before the batch: then others have the segments, and ErrConflict is returned.
func (s *session) commit(b *batch) error {
	appends, err := b.appends()
	if err != nil {
		return err
	}
	s.mu.Lock()
	before := b.position.Merge(s.mu.committed).In(b.segments)
	s.mu.Unlock()
	t := newTransaction(&fluxv1.Transaction{Appends: appends, Positions: []*fluxv1.PositionUpdate{{
		Log: s.table.log.String(), Consumer: string(s.name), LastIndex: int64(b.last),
		Segments: toRange(b.segments), IfPosition: toPosition(before),
	}}})
	if err := s.app.producer.submit(s.ctx, t, nil); err != nil {
		return err
	}
	if err := t.wait(s.ctx); err != nil {
		return fmt.Errorf("committing a batch: %w", err)
	}
	s.mu.Lock()
	s.mu.committed = s.mu.committed.With(b.segments, b.last)
	s.mu.Unlock()
	return nil
}

func toRange(r message.SegmentRange) *fluxv1.SegmentRange {
	return &fluxv1.SegmentRange{Start: int32(r.Start), End: int32(r.End)}
}

func toPosition(p message.Position) *fluxv1.Position {
	out := &fluxv1.Position{}
	for r, last := range p.Ranges() {
		out.Ranges = append(out.Ranges, &fluxv1.Position_Range{Start: int32(r.Start), End: int32(r.End), LastIndex: int64(last)})
	}
	return out
}

func fromPosition(p *fluxv1.Position) (position message.Position) {
	for _, r := range p.GetRanges() {
		position = position.With(message.SegmentRange{Start: int(r.GetStart()), End: int(r.GetEnd())}, message.Index(r.GetLastIndex()))
	}
	return position
}
