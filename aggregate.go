package flux

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/flux-go/flux/message"
)

// Aggregate is a kind of things whose state S is made of their events, such as orders or accounts. It lists what each type of
// events does to the state:
//
//	type Order struct { Items []Item; Shipped bool }
//
//	func (o Order) placed(e OrderPlaced) Order   { o.Items = e.Items; return o }
//	func (o Order) shipped(e OrderShipped) Order { o.Shipped = true; return o }
//
//	var orders = flux.NewAggregate(flux.On(Order.placed), flux.On(Order.shipped))
//
//	order, err := orders.Load(ctx, app, id)
//	err = order.Apply(ctx, OrderShipped{…})
//
// The compiler holds the functions to their types. An Aggregate is safe for concurrent use.
type Aggregate[S any] struct {
	name   string
	shape  string // of the operation that loads one
	events map[string]func(S, *message.Message) (S, error)
}

// Evolution is what one type of events does to a state. See [On].
type Evolution[S any] struct {
	event string
	apply func(S, *message.Message) (S, error)
}

// On says what events of type E do to a state. The function must not change what the old state refers to.
func On[S, E any](apply func(S, E) S) Evolution[S] {
	return Evolution[S]{kindOf(reflect.TypeFor[E]()).name, func(state S, m *message.Message) (S, error) {
		e, err := decode[E](m)
		if err != nil {
			return state, err
		}
		return apply(state, e), nil
	}}
}

// NewAggregate returns a kind of aggregates. It panics if a type of events is listed twice.
func NewAggregate[S any](evolutions ...Evolution[S]) *Aggregate[S] {
	a := &Aggregate[S]{
		name: kindOf(reflect.TypeFor[S]()).name, events: make(map[string]func(S, *message.Message) (S, error), len(evolutions)),
	}
	a.shape = "load " + a.name
	for _, e := range evolutions {
		if a.events[e.event] != nil {
			panic(fmt.Sprintf("flux: aggregate %s: two functions for %s", a.name, e.event))
		}
		a.events[e.event] = e.apply
	}
	return a
}

// Loaded is an aggregate as it was when it was loaded, with what was applied to it since. It is for one goroutine.
type Loaded[S any] struct {
	ID string
	// State is the zero value as long as there are no events.
	State S
	// Last is the sequence number of the last event, or [NoEvents].
	Last int64

	kind *Aggregate[S]
	app  *App
	past bool
}

// Load returns an aggregate in its current state. One that has no events is in the zero state.
func (a *Aggregate[S]) Load(ctx context.Context, app *App, id string) (*Loaded[S], error) {
	return a.load(ctx, app, id, time.Time{})
}

// LoadAsOf returns an aggregate in the state of a time in the past, by the times at which its events were created. Nothing can
// be applied to it.
func (a *Aggregate[S]) LoadAsOf(ctx context.Context, app *App, id string, t time.Time) (*Loaded[S], error) {
	return a.load(ctx, app, id, t)
}

func (a *Aggregate[S]) load(ctx context.Context, app *App, id string, until time.Time) (*Loaded[S], error) {
	l := &Loaded[S]{ID: id, Last: NoEvents, kind: a, app: app, past: !until.IsZero()}
	for m, err := range app.events(ctx, a.shape, id, NoEvents) {
		if err != nil {
			return nil, err
		}
		if l.past && m.Timestamp > until.UnixMilli() {
			break
		}
		if l.State, err = a.evolve(l.State, m); err != nil {
			return nil, fmt.Errorf("event %d of %s %s: %w", l.Last+1, a.name, id, err)
		}
		l.Last++
	}
	return l, nil
}

func (a *Aggregate[S]) evolve(state S, m *message.Message) (S, error) {
	apply, ok := a.events[m.Type]
	if !ok {
		return state, fmt.Errorf("%w: nothing says what %s does: add an On", ErrBadRequest, m.Type)
	}
	return apply(state, m)
}

// Apply applies events: it appends them to the stream of the aggregate and publishes them, all or none, and returns when they
// are on disk, with the state changed. It returns [ErrConflict], and changes nothing, when others have applied events since
// this one was loaded: load it again and decide again, or use [Aggregate.Update]. In a handler of an atomic consumer it takes
// effect at once.
func (l *Loaded[S]) Apply(ctx context.Context, events ...any) error {
	if l.past {
		return fmt.Errorf("%w: events cannot be applied to the past of %s %s", ErrBadRequest, l.kind.name, l.ID)
	}
	state, messages := l.State, make([]*message.Message, len(events))
	for i, event := range events {
		m, err := newMessage(event, &PublishOptions{RoutingKey: l.ID, Metadata: l.metadata(i)})
		if err != nil {
			return err
		}
		if state, err = l.kind.evolve(state, m); err != nil {
			return err
		}
		messages[i] = m
	}
	if len(events) == 0 {
		return nil
	}
	if _, err := l.app.AppendEvents(ctx, l.ID, &AppendOptions{IfLast: &l.Last}, messages...); err != nil {
		return err
	}
	l.State, l.Last = state, l.Last+int64(len(events))
	return nil
}

// metadata is that of the event at a place among those that are applied. Source: section 3.2 of the Flux Capacitor protocol.
func (l *Loaded[S]) metadata(place int) map[string]string {
	return map[string]string{
		"$aggregateId": l.ID, "$aggregateType": l.kind.name, "$sequenceNumber": strconv.FormatInt(l.Last+1+int64(place), 10),
	}
}

// Update loads an aggregate, calls decide with its state, and applies the events that decide returns; when others were faster,
// it begins again, until ctx ends. It returns the error of decide as it is.
func (a *Aggregate[S]) Update(ctx context.Context, app *App, id string, decide func(S) ([]any, error)) (*Loaded[S], error) {
	for {
		l, err := a.Load(ctx, app, id)
		if err != nil {
			return nil, err
		}
		events, err := decide(l.State)
		if err != nil {
			return nil, err
		}
		if err = l.Apply(ctx, events...); err == nil {
			return l, nil
		}
		if !errors.Is(err, ErrConflict) || ctx.Err() != nil {
			return nil, err
		}
	}
}
