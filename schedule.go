package flux

import (
	"context"
	"iter"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
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
	a.correlate(ctx, m.Metadata)
	m.Metadata[metaScheduleID] = put.ScheduleId
	if put.Block, err = packed(m); err != nil {
		return false, err
	}
	put.IfAbsent = o.IfAbsent
	return a.effect(ctx, &fluxv1.Transaction{Schedules: []*fluxv1.SchedulePut{put}})
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
	answer, err := a.conn.schedules.GetSchedule(ctx, connect.NewRequest(&fluxv1.GetScheduleRequest{ScheduleId: id, Raw: true}))
	if err != nil {
		return PendingSchedule{}, ofServer(err)
	}
	return pendingOf(answer.Msg.GetSchedule()), nil
}

// Schedules returns the pending schedules in the order in which they are due. It ends with the first error.
func (a *App) Schedules(ctx context.Context) iter.Seq2[PendingSchedule, error] {
	return func(yield func(PendingSchedule, error) bool) {
		request := &fluxv1.ListSchedulesRequest{MaxSize: 1000, Raw: true}
		for more := true; more; {
			answer, err := a.conn.schedules.ListSchedules(ctx, connect.NewRequest(request))
			if err != nil {
				yield(PendingSchedule{}, ofServer(err))
				return
			}
			for _, in := range answer.Msg.GetSchedules() {
				if !yield(pendingOf(in), nil) {
					return
				}
				request.After = &fluxv1.PendingSchedule{ScheduleId: in.GetScheduleId(), Due: in.GetDue()}
			}
			more = answer.Msg.GetMore()
		}
	}
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
