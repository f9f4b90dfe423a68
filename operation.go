package flux

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/message"
)

// metaExecution is the metadata with the id of the execution that published a message. Handlers of the message are caused by it.
const metaExecution = "$executionId"

// boundary is how records name operations of this package.
const boundary = "flux"

// records reports whether somebody records what is done with ctx, or answers it, so that nothing is allocated when not.
func (a *App) records(ctx context.Context) bool {
	return a.offline || execution.FromContext(ctx) != nil || a.config.Recorder.Booting()
}

// operate does an operation, or answers it from the record of the execution that ctx belongs to. T goes through JSON.
func operate[T any](ctx context.Context, a *App, op execution.Op, do func(*execution.Call) (T, error)) (result T, err error) {
	op.Boundary = boundary
	c := a.config.Recorder.Start(ctx, op)
	if err := c.Err(); err != nil {
		return result, err
	}
	if cp := c.Recorded(); cp != nil {
		return recordedAnswer[T](cp)
	}
	if a.offline {
		err = fmt.Errorf("%w: %s %s by an App without a server", ErrUnavailable, op.Target, op.Shape)
	} else {
		result, err = do(c)
	}
	if err == nil {
		c.Finish(result, nil)
		return result, nil
	}
	if errors.Is(err, ErrUnavailable) || errors.Is(err, ErrClosed) {
		c.Doubt()
	}
	c.FinishFault(nil, faultOf(err))
	return result, err
}

// recordedAnswer returns the outcome that a checkpoint has.
func recordedAnswer[T any](cp *record.Checkpoint) (result T, err error) {
	if cp.Error != nil {
		return result, fault.Rebuild(cp.Error, errorKinds...)
	}
	if len(cp.Response.Data) == 0 {
		return result, nil // an operator says that it was done
	}
	if err := json.Unmarshal(cp.Response.Data, &result); err != nil {
		return result, fmt.Errorf("%w: op %d: %w", execution.ErrDiverged, cp.Number, err)
	}
	return result, nil
}

// errorKinds are the errors of this package, for records.
var errorKinds = []fault.Kind{
	{
		Name: "flux.Error",
		Of: func(err error) (any, bool) {
			e, ok := err.(*Error)
			return e, ok
		},
		Rebuild: func(fields []byte, wrapped []error) error {
			e := new(Error)
			if json.Unmarshal(fields, e) != nil {
				return nil
			}
			if len(wrapped) == 1 {
				e.cause = wrapped[0]
			}
			return e
		},
	},
	{Name: "flux.ErrClosed", Value: ErrClosed},
}

func faultOf(err error) *record.Error {
	f := fault.Of(err, errorKinds...)
	var e *Error
	if errors.As(err, &e) {
		f.Code = e.Code
	}
	return f
}

// operationRequest is what records have of the request of an operation. Which fields are set depends on the operation.
type operationRequest struct {
	Log       string `json:"log,omitempty"`
	Guarantee string `json:"guarantee,omitempty"`

	Aggregate string `json:"aggregate,omitempty"`
	After     *int64 `json:"after,omitempty"` // sequence number
	IfLast    *int64 `json:"ifLast,omitempty"`
	StoreOnly bool   `json:"storeOnly,omitempty"`

	Key      string `json:"key,omitempty"` // of a value
	Prefix   string `json:"prefix,omitempty"`
	AfterKey string `json:"afterKey,omitempty"`
	IfAbsent bool   `json:"ifAbsent,omitempty"`

	Schedule  string                  `json:"schedule,omitempty"`
	AfterMs   *int64                  `json:"afterMs,omitempty"`
	At        int64                   `json:"at,omitempty"` // ms since the Unix epoch
	AfterItem *fluxv1.PendingSchedule `json:"afterSchedule,omitempty"`

	*recordedMessage                    // the only one
	Messages         []*recordedMessage `json:"messages,omitempty"` // several
}

// with adds messages to the operation: to its request whole, to its identity without what each publication has of its own.
func (r operationRequest) with(ctx context.Context, op execution.Op, messages []*message.Message) execution.Op {
	x := execution.FromContext(ctx)
	whole, same := r, r
	for i, m := range messages {
		one := newRecordedMessage(x, m)
		whole.Messages, same.Messages = append(whole.Messages, one), append(same.Messages, one.identity())
		if i == 0 {
			op.Shape += " " + m.Type
		}
	}
	if len(messages) == 1 {
		whole.recordedMessage, same.recordedMessage = whole.Messages[0], same.Messages[0]
		whole.Messages, same.Messages = nil, nil
	}
	op.Request, op.Identity = &whole, &same
	return op
}

// named returns copies of messages that records can refer to: with ids, and with the execution that publishes them.
func named(ctx context.Context, messages ...*message.Message) []*message.Message {
	x := execution.FromContext(ctx)
	copies := make([]*message.Message, len(messages))
	for i, m := range messages {
		m = m.Clone()
		if m.ID == "" {
			m.ID = randomID()
		}
		if x != nil {
			m.Metadata = cloneMetadata(m.Metadata)
			m.Metadata[metaExecution] = x.ID().String()
		}
		copies[i] = m
	}
	return copies
}

// link ties an operation to messages that it made. first is the index of the first one, 0 when it is not known.
func link(c *execution.Call, log message.Log, messages []*message.Message, first message.Index) {
	for i, m := range messages {
		l := record.Link{Kind: record.LinkEffect, Log: log.String(), MessageID: m.ID}
		if first > 0 {
			l.Index = uint64(first) + uint64(i)
		}
		c.Link(l)
	}
}

// linkAnswer ties an operation to the execution that answered it.
func linkAnswer(c *execution.Call, answer *message.Message) {
	if c == nil || answer == nil {
		return
	}
	if id, err := record.ParseID(answer.Metadata[metaExecution]); err == nil {
		c.Link(record.Link{Kind: record.LinkEffect, Execution: id})
	}
}
