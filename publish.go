package flux

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/message"
)

// Guarantee says how far publishing waits.
type Guarantee uint8

const (
	// Stored waits until the message is on the disk of the server. Being the zero value, it is the default.
	Stored Guarantee = iota
	// Sent waits until the message was handed to the connection.
	Sent
	// None waits for nothing but room in the window.
	None
)

// name is "" for the default.
func (g Guarantee) name() string { return [...]string{"", "sent", "none"}[g] }

// PublishOptions are what a publication may say besides its payload. Nil means all defaults.
type PublishOptions struct {
	// RoutingKey decides which messages are handled in order. Defaults to what the payload says, see [Routed].
	RoutingKey string
	// Metadata goes with the message. Names that begin with "$" belong to Flux, except for those that begin with "$trace.":
	// they are copied to everything that is published while the message is handled, and so on. Defaults to none.
	Metadata map[string]string
	// Guarantee is how far to wait. Defaults to [Stored].
	Guarantee Guarantee
	// ID is the id of the message, unique in the namespace. Defaults to one that is.
	ID string
	// Target is the client that the message is meant for, for consumers that heed it. Defaults to everyone.
	Target string
}

// Publish publishes events and returns when they are on disk, all of them or none. In a handler of an atomic consumer they
// are committed with the batch instead; see [Consumer].
func Publish(ctx context.Context, app *App, events ...any) error {
	return publishAll(ctx, app, message.Log{Type: message.Event}, events)
}

// Send publishes commands whose answers do not matter to the sender, and returns when they are on disk, all of them or none.
func Send(ctx context.Context, app *App, commands ...any) error {
	return publishAll(ctx, app, message.Log{Type: message.Command}, commands)
}

// PublishTo publishes to any log, such as that of a custom topic, with options.
func PublishTo(ctx context.Context, app *App, log message.Log, payload any, options *PublishOptions) error {
	m, err := newMessage(payload, options)
	if err != nil {
		return err
	}
	guarantee := Stored
	if options != nil {
		guarantee = options.Guarantee
	}
	return app.publish(ctx, log, []*message.Message{m}, guarantee)
}

func publishAll(ctx context.Context, app *App, log message.Log, payloads []any) error {
	messages := make([]*message.Message, len(payloads))
	for i, payload := range payloads {
		m, err := newMessage(payload, nil)
		if err != nil {
			return err
		}
		messages[i] = m
	}
	return app.publish(ctx, log, messages, Stored)
}

// publish publishes messages as one, with the correlation of ctx.
func (a *App) publish(ctx context.Context, log message.Log, messages []*message.Message, guarantee Guarantee) error {
	log = log.Stored()
	if err := log.Validate(); err != nil || len(messages) == 0 {
		return err
	}
	for _, m := range messages {
		a.correlateMessage(ctx, m)
	}
	if !a.records(ctx) {
		_, err := a.publishNow(ctx, log, messages, guarantee)
		return err
	}
	return a.publishRecorded(ctx, log, messages, guarantee)
}

// publishRecorded publishes messages that are complete as an operation.
func (a *App) publishRecorded(ctx context.Context, log message.Log, messages []*message.Message, guarantee Guarantee) error {
	op := execution.Op{Target: log.String(), Shape: "publish", Effect: record.EffectWrite, Transaction: Current(ctx).unitOf(a)}
	op = operationRequest{Log: op.Target, Guarantee: guarantee.name()}.with(ctx, op, messages)
	_, err := operate(ctx, a, op, func(c *execution.Call) (firstIndex, error) {
		first, err := a.publishNow(ctx, log, messages, guarantee)
		link(c, log, messages, first)
		return firstIndex{first}, err
	})
	return err
}

// firstIndex is what records have of the answer to messages: the index of the first one, if that is known already.
type firstIndex struct {
	Index message.Index `json:"index,omitempty"`
}

// publishNow publishes messages that are complete, and returns the index of the first one, 0 when that is not known yet.
func (a *App) publishNow(
	ctx context.Context, log message.Log, messages []*message.Message, guarantee Guarantee,
) (message.Index, error) {
	var then func(error)
	if i := Current(ctx); i != nil && i.session.app == a {
		if i.keep(log, messages) {
			return 0, nil
		}
		then = i.hold()
	}
	t, place, err := a.enqueue(ctx, log, messages, then)
	if err != nil {
		if then != nil {
			then(err)
		}
		return 0, err
	}
	switch guarantee {
	case None:
		return 0, nil
	case Sent:
		return 0, a.producer.waitSent(ctx, t)
	}
	if err := t.wait(ctx); err != nil {
		return 0, err
	}
	return message.Index(t.firsts[0]) + message.Index(place), nil
}

// errorKind is the type of published errors.
const errorKind = "flux.Error"

// newMessage returns the message of a payload.
func newMessage(payload any, options *PublishOptions) (*message.Message, error) {
	if options == nil {
		options = &PublishOptions{}
	}
	m := &message.Message{ID: options.ID, Target: options.Target, Metadata: cloneMetadata(options.Metadata)}
	key := options.RoutingKey
	if payload != nil {
		k := kindOf(reflect.TypeOf(payload))
		data, err := json.Marshal(payload)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrBadRequest, k.name, err)
		}
		m.Type, m.Revision, m.Payload = k.name, k.revision, data
		if key == "" {
			key = k.routingKey(payload)
		}
	}
	if key != "" {
		m.Route(key)
	}
	return m, nil
}
