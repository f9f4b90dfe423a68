package flux

import (
	"context"
	"fmt"
	"iter"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/message"
)

// ScheduleOptions are what a schedule may say besides its payload. Nil means all defaults.
type ScheduleOptions struct {
	// IfAbsent leaves a pending schedule with the same id as it is, instead of replacing it.
	IfAbsent bool
	// RoutingKey and Metadata are as in [PublishOptions].
	RoutingKey string
	Metadata   map[string]string
}

// Schedule has a message handled after a delay, by handlers registered with [HandleSchedule], and returns when that is on disk.
// It replaces the pending schedule with the same id, if there is one. It takes effect at once, also in a handler of an atomic
// consumer.
func Schedule(ctx context.Context, app *App, id string, after time.Duration, payload any) error {
	_, err := app.schedule(ctx, &fluxv1.SchedulePut{ScheduleId: id, When: &fluxv1.SchedulePut_AfterMs{AfterMs: millis(after)}}, payload, nil)
	return err
}

// ScheduleAt is [Schedule] for a time, which is now if it has passed, with options. It reports whether the message was
// scheduled; it always is unless options say IfAbsent.
func ScheduleAt(ctx context.Context, app *App, id string, due time.Time, payload any, options *ScheduleOptions) (bool, error) {
	put := &fluxv1.SchedulePut{ScheduleId: id, When: &fluxv1.SchedulePut_At{At: millisUp(due)}}
	return app.schedule(ctx, put, payload, options)
}

// millis rounds up, so that nothing is early.
func millis(d time.Duration) int64 { return int64((d + time.Millisecond - 1) / time.Millisecond) }

func millisUp(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

func (a *App) schedule(ctx context.Context, put *fluxv1.SchedulePut, payload any, o *ScheduleOptions) (bool, error) {
	if o == nil {
		o = &ScheduleOptions{}
	}
	m, err := newMessage(payload, &PublishOptions{RoutingKey: o.RoutingKey, Metadata: o.Metadata})
	if err != nil {
		return false, err
	}
	a.correlateMessage(ctx, m)
	m.Metadata[metaScheduleID] = put.ScheduleId
	if put.Block, err = packed(m); err != nil {
		return false, err
	}
	put.IfAbsent = o.IfAbsent
	return a.effect(ctx, &fluxv1.Transaction{Schedules: []*fluxv1.SchedulePut{put}}, m)
}

// metaScheduleID is the metadata with the id of a schedule. Source: section 3.2 of the Flux Capacitor protocol.
const metaScheduleID = "$scheduleId"

// CancelSchedule removes a pending schedule and reports whether there was one. Once a schedule is due it cannot be canceled.
func CancelSchedule(ctx context.Context, app *App, id string) (bool, error) {
	return app.effect(ctx, &fluxv1.Transaction{CanceledSchedules: []string{id}})
}

// PendingSchedule is a schedule that is not due yet.
type PendingSchedule struct {
	ID  string
	Due time.Time
	// Message has no index yet.
	Message *message.Message
}

// GetSchedule returns the pending schedule with an id. It returns [ErrNotFound] when there is none; its message may be in the
// log already.
func (a *App) GetSchedule(ctx context.Context, id string) (PendingSchedule, error) {
	if !a.records(ctx) {
		return a.getScheduleNow(ctx, id)
	}
	op := execution.Op{
		Target: "schedules", Shape: "get", Effect: record.EffectRead, Request: &operationRequest{Schedule: id},
	}
	recorded, err := operate(ctx, a, op, func(c *execution.Call) (recordedSchedule, error) {
		s, err := a.getScheduleNow(ctx, id)
		if err != nil {
			return recordedSchedule{}, err
		}
		return newRecordedSchedule(c.Execution(), s), nil
	})
	if err != nil {
		return PendingSchedule{}, err
	}
	return recorded.pending()
}

func (a *App) getScheduleNow(ctx context.Context, id string) (PendingSchedule, error) {
	answer, err := a.conn.schedules.GetSchedule(ctx, connect.NewRequest(&fluxv1.GetScheduleRequest{ScheduleId: id, Raw: true}))
	if err != nil {
		return PendingSchedule{}, ofServer(err)
	}
	return pendingOf(answer.Msg.GetSchedule()), nil
}

// recordedSchedule is a pending schedule as records have it.
type recordedSchedule struct {
	ID      string           `json:"id"`
	Due     time.Time        `json:"due"`
	Message *recordedMessage `json:"message"`
}

func newRecordedSchedule(x *execution.Execution, s PendingSchedule) recordedSchedule {
	return recordedSchedule{s.ID, s.Due, newRecordedMessage(x, s.Message)}
}

func (r *recordedSchedule) pending() (PendingSchedule, error) {
	if r.Message == nil {
		return PendingSchedule{}, fmt.Errorf("%w: the schedule is not known", execution.ErrDiverged)
	}
	m, err := r.Message.message()
	return PendingSchedule{ID: r.ID, Due: r.Due, Message: m}, err
}

// Schedules returns the pending schedules in the order in which they are due. It ends with the first error.
func (a *App) Schedules(ctx context.Context) iter.Seq2[PendingSchedule, error] {
	return func(yield func(PendingSchedule, error) bool) {
		var after *fluxv1.PendingSchedule
		for more := true; more; {
			page, rest, err := a.schedulePage(ctx, after)
			if err != nil {
				yield(PendingSchedule{}, err)
				return
			}
			for _, s := range page {
				if !yield(s, nil) {
					return
				}
				after = &fluxv1.PendingSchedule{ScheduleId: s.ID, Due: s.Due.UnixMilli()}
			}
			more = rest
		}
	}
}

func (a *App) schedulePage(ctx context.Context, after *fluxv1.PendingSchedule) (page []PendingSchedule, more bool, err error) {
	if !a.records(ctx) {
		return a.schedulePageNow(ctx, after)
	}
	op := execution.Op{
		Target: "schedules", Shape: "list", Effect: record.EffectRead, Request: &operationRequest{AfterItem: after},
	}
	recorded, err := operate(ctx, a, op, func(c *execution.Call) (recordedSchedules, error) {
		page, more, err := a.schedulePageNow(ctx, after)
		out := recordedSchedules{More: more}
		for _, s := range page {
			out.Schedules = append(out.Schedules, newRecordedSchedule(c.Execution(), s))
		}
		return out, err
	})
	for i := range recorded.Schedules {
		s, bad := recorded.Schedules[i].pending()
		if bad != nil {
			return nil, false, bad
		}
		page = append(page, s)
	}
	return page, recorded.More, err
}

// recordedSchedules is a page of pending schedules as records have it.
type recordedSchedules struct {
	Schedules []recordedSchedule `json:"schedules"`
	More      bool               `json:"more,omitempty"`
}

func (a *App) schedulePageNow(ctx context.Context, after *fluxv1.PendingSchedule) (page []PendingSchedule, more bool, err error) {
	request := &fluxv1.ListSchedulesRequest{MaxSize: 1000, Raw: true, After: after}
	answer, err := a.conn.schedules.ListSchedules(ctx, connect.NewRequest(request))
	if err != nil {
		return nil, false, ofServer(err)
	}
	for _, in := range answer.Msg.GetSchedules() {
		page = append(page, pendingOf(in))
	}
	return page, answer.Msg.GetMore(), nil
}

func pendingOf(in *fluxv1.PendingSchedule) PendingSchedule {
	m := messageOf(in.GetMessage())
	m.Index = 0
	return PendingSchedule{ID: in.GetScheduleId(), Due: time.UnixMilli(in.GetDue()).UTC(), Message: m}
}

// messageOf returns a message that was asked for with its payload raw.
func messageOf(in *fluxv1.Message) *message.Message {
	m := &message.Message{
		Type: in.GetType(), Revision: in.GetRevision(), Format: in.GetFormat(), Metadata: in.GetMetadata(), ID: in.GetId(),
		Timestamp: in.GetTimestamp(), Routed: in.Segment != nil, Segment: in.GetSegment(), Index: message.Index(in.GetIndex()),
		Payload: in.GetData(), Source: in.GetSource(), Target: in.GetTarget(),
	}
	if in.RequestId != nil {
		m.Request = message.NewRequestID(in.GetRequestId())
	}
	return m
}
