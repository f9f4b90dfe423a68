package flux

import (
	"context"
	"fmt"
	"slices"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/message"
)

// commit sends a transaction on the way that messages take, so that it is sent again after a lost connection and takes effect
// once, and returns its answers when it is on disk. messages are those that are in it.
func (a *App) commit(ctx context.Context, t *fluxv1.Transaction, messages ...*message.Message) ([]int64, error) {
	if !a.records(ctx) {
		return a.commitNow(ctx, t)
	}
	answer, err := operate(ctx, a, changeOf(ctx, t, messages), func(c *execution.Call) (answered, error) {
		answers, err := a.commitNow(ctx, t)
		if len(t.GetSchedules()) > 0 {
			link(c, message.Log{Type: message.Schedule}, messages, 0)
		} else if len(messages) > 0 && err == nil {
			link(c, message.Log{Type: message.Event}, messages, message.Index(answers[1]))
		}
		return answered{answers}, err
	})
	if err == nil && len(answer.Answers) < answersOf(t) {
		err = fmt.Errorf("%w: the answer to a change of state is not known", execution.ErrDiverged)
	}
	return answer.Answers, err
}

// answered is what records have of the answers to a change of state.
type answered struct {
	Answers []int64 `json:"answers"`
}

func (a *App) commitNow(ctx context.Context, t *fluxv1.Transaction) ([]int64, error) {
	tx := newTransaction(t)
	if err := a.producer.submit(ctx, tx, nil); err != nil {
		return nil, err
	}
	if err := tx.wait(ctx); err != nil {
		return nil, err
	}
	return tx.firsts, nil
}

// effect is commit of a change that either has an effect or not.
func (a *App) effect(ctx context.Context, t *fluxv1.Transaction, messages ...*message.Message) (bool, error) {
	answers, err := a.commit(ctx, t, messages...)
	return err == nil && answers[0] == 1, err
}

// changeOf returns the operation of a transaction that changes one thing.
func changeOf(ctx context.Context, t *fluxv1.Transaction, messages []*message.Message) execution.Op {
	op := execution.Op{Effect: record.EffectWrite}
	var r operationRequest
	switch {
	case len(t.GetEvents()) > 0:
		in := t.GetEvents()[0]
		messages = slices.Clone(messages)
		for i, m := range messages {
			messages[i] = m.Clone() // the caller may use them again
		}
		op.Target, op.Shape = "events", "append"
		r.Aggregate, r.IfLast, r.StoreOnly = in.GetAggregate(), in.IfLastSequence, in.GetStoreOnly()
	case len(t.GetValues()) > 0:
		in := t.GetValues()[0]
		op.Target, op.Shape = "values", "put"
		r.Key, r.IfAbsent = in.GetKey(), in.GetIfAbsent()
		item := newRecordedItem(execution.FromContext(ctx), &fluxv1.Item{Key: in.GetKey(), Value: in.GetValue()})
		r.recordedMessage = &recordedMessage{recordedPayload: item.recordedPayload}
	case len(t.GetDeletedValues()) > 0:
		op.Target, op.Shape = "values", "delete"
		r.Key = t.GetDeletedValues()[0]
	case len(t.GetSchedules()) > 0:
		in := t.GetSchedules()[0]
		op.Target, op.Shape = "schedules", "schedule"
		r.Schedule, r.IfAbsent, r.At = in.GetScheduleId(), in.GetIfAbsent(), in.GetAt()
		if after, ok := in.GetWhen().(*fluxv1.SchedulePut_AfterMs); ok {
			r.AfterMs = &after.AfterMs
		}
	default:
		op.Target, op.Shape = "schedules", "cancel"
		r.Schedule = t.GetCanceledSchedules()[0]
	}
	return r.with(ctx, op, messages)
}

// packed returns messages as a block of their own, which nobody else uses.
func packed(messages ...*message.Message) ([]byte, error) {
	w := writers.Get().(*message.BlockWriter)
	defer writers.Put(w)
	for _, m := range messages {
		if err := w.Add(m); err != nil {
			w.Reset(message.BlockID{})
			return nil, tooLarge(err)
		}
	}
	return w.Seal(nil, message.Snappy), nil
}
