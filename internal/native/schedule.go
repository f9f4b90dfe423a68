package native

import (
	"context"
	"math"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/internal/schedule"
)

// scheduleService serves fluxv1connect.ScheduleServiceHandler.
type scheduleService struct {
	*Service
	schedules *schedule.Schedules
}

func (s *Service) scheduleOperation(in *fluxv1.SchedulePut) (*schedule.Put, error) {
	now := s.clock()
	due, err := dueTime(in, now)
	if err != nil {
		return nil, err
	}
	var messages []*fluxv1.Message
	if in.GetMessage() != nil {
		messages = append(messages, in.GetMessage())
	}
	block, err := s.blocksOf("schedule "+in.GetScheduleId(), in.GetBlock(), messages, false)
	if err != nil {
		return nil, err
	}
	op, err := schedule.NewPut(in.GetScheduleId(), due, now, block)
	if err == nil {
		op.IfAbsent = in.GetIfAbsent()
	}
	return op, err
}

func dueTime(in *fluxv1.SchedulePut, now time.Time) (time.Time, error) {
	switch when := in.GetWhen().(type) {
	case *fluxv1.SchedulePut_At:
		return time.UnixMilli(when.At), nil
	case *fluxv1.SchedulePut_AfterMs:
		if when.AfterMs > math.MaxInt64-now.UnixMilli() {
			return now, invalid("after_ms %d is too long", when.AfterMs)
		}
		return time.UnixMilli(now.UnixMilli() + when.AfterMs), nil
	}
	return now, invalid("schedule %s has no time: set at or after_ms", in.GetScheduleId())
}

// Schedule serves the procedure of this name.
func (s scheduleService) Schedule(
	ctx context.Context, r *connect.Request[fluxv1.ScheduleRequest],
) (*connect.Response[fluxv1.ScheduleResponse], error) {
	op, err := s.scheduleOperation(r.Msg.GetSchedule())
	if err != nil {
		return nil, err
	}
	if err := s.propose(ctx, op); err != nil {
		return nil, err
	}
	return connect.NewResponse(&fluxv1.ScheduleResponse{Stored: op.Stored, Due: op.Due().UnixMilli()}), nil
}

// CancelSchedule serves the procedure of this name.
func (s scheduleService) CancelSchedule(
	ctx context.Context, r *connect.Request[fluxv1.CancelScheduleRequest],
) (*connect.Response[fluxv1.CancelScheduleResponse], error) {
	op := &schedule.Cancel{ID: r.Msg.GetScheduleId()}
	if err := s.propose(ctx, op); err != nil {
		return nil, err
	}
	return connect.NewResponse(&fluxv1.CancelScheduleResponse{Canceled: op.Canceled}), nil
}

// GetSchedule serves the procedure of this name.
func (s scheduleService) GetSchedule(
	ctx context.Context, r *connect.Request[fluxv1.GetScheduleRequest],
) (*connect.Response[fluxv1.GetScheduleResponse], error) {
	id := r.Msg.GetScheduleId()
	if err := schedule.ValidateID(id); err != nil {
		return nil, err
	}
	pending, ok, err := s.schedules.Get(namespaceOf(ctx), id)
	if err == nil && !ok {
		err = hinted{notFoundf("no schedule %q is pending", id), "see whether its message is in the log \"schedule\" already"}
	}
	if err != nil {
		return nil, err
	}
	out, err := writePending(pending, r.Msg.GetRaw())
	return connect.NewResponse(&fluxv1.GetScheduleResponse{Schedule: out}), err
}

func writePending(p schedule.Pending, raw bool) (*fluxv1.PendingSchedule, error) {
	m, err := p.Message()
	if err != nil {
		return nil, err
	}
	return &fluxv1.PendingSchedule{ScheduleId: validText(p.ID), Due: p.Due.UnixMilli(), Message: writeMessage(&m, raw)}, nil
}

// ListSchedules serves the procedure of this name.
func (s scheduleService) ListSchedules(
	ctx context.Context, r *connect.Request[fluxv1.ListSchedulesRequest],
) (*connect.Response[fluxv1.ListSchedulesResponse], error) {
	size, err := sizeIn(r.Msg.GetMaxSize(), defaultReadSize)
	if err != nil {
		return nil, err
	}
	var after schedule.Place
	if place := r.Msg.GetAfter(); place != nil {
		after = schedule.Place{Due: time.UnixMilli(place.GetDue()), ID: place.GetScheduleId()}
	}
	all, more, err := s.schedules.List(namespaceOf(ctx), after, size)
	if err != nil {
		return nil, err
	}
	out := &fluxv1.ListSchedulesResponse{More: more}
	for _, p := range all {
		pending, err := writePending(p, r.Msg.GetRaw())
		if err != nil {
			return nil, err
		}
		out.Schedules = append(out.Schedules, pending)
	}
	return connect.NewResponse(out), nil
}
