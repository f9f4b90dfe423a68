package capacitor

import (
	"fmt"
	"time"

	"github.com/flux-go/flux/internal/capacitor/wire"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/schedule"
	"github.com/flux-go/flux/message"
)

// schedules serves messages that are due later. They are delivered through the log of schedules.
type schedules struct {
	*socket
	writer message.BlockWriter
}

func (s *schedules) flush() {}

func (s *schedules) handle(r wire.Request) error {
	switch r := r.(type) {
	case *wire.Schedule:
		return s.put(r)
	case *wire.CancelSchedule:
		return s.submit(&r.Base, &schedule.Cancel{ID: r.ScheduleID})
	case *wire.GetSchedule:
		s.briefly(&r.Base, func() ([]byte, error) { return s.get(r) })
		return nil
	}
	return s.unsupported(r)
}

func (s *schedules) put(r *wire.Schedule) error {
	now := s.handler.Clock()
	s.writer.Now = s.handler.Clock
	operations := make([]engine.Operation, len(r.Messages))
	for i := range r.Messages {
		m := &r.Messages[i]
		op, err := s.newPut(m, now)
		if err != nil {
			return fmt.Errorf("schedule %q: %w", m.ID, err)
		}
		operations[i] = op
	}
	return s.submit(&r.Base, operations...)
}

func (s *schedules) newPut(m *wire.ScheduledMessage, now time.Time) (*schedule.Put, error) {
	if err := checkMessage(&m.Message); err != nil {
		return nil, err
	}
	if err := s.writer.Add(&m.Message); err != nil {
		return nil, err
	}
	op, err := schedule.NewPut(m.ID, time.UnixMilli(m.Deadline), now, s.writer.Seal(nil, message.Snappy))
	if err != nil {
		return nil, err
	}
	op.IfAbsent = m.IfAbsent
	return op, nil
}

func (s *schedules) get(r *wire.GetSchedule) ([]byte, error) {
	pending, ok, err := s.handler.Schedules.Get(s.namespace, r.ScheduleID)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return s.result(&r.Base).AppendSchedule(nil, nil), nil
	}
	m, err := pending.Message()
	if err != nil {
		return nil, err
	}
	found := wire.ScheduledMessage{ID: r.ScheduleID, Deadline: pending.Due.UnixMilli(), Message: m}
	return s.result(&r.Base).AppendSchedule(nil, &found), nil
}
