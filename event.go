package flux

import (
	"context"
	"fmt"
	"iter"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/message"
)

// NoEvents is the sequence number of the last event of an aggregate that has none.
const NoEvents int64 = -1

// AppendOptions are what an append of events may say. Nil means all defaults.
type AppendOptions struct {
	// IfLast makes the append conditional: it returns [ErrConflict] unless this is the sequence number of the aggregate's last
	// event, which is [NoEvents] when it has none. Nil means no condition.
	IfLast *int64
	// StoreOnly keeps the events out of the event log, so that no handler sees them.
	StoreOnly bool
}

// AppendEvents appends events to the stream of an aggregate, and publishes them too unless options say otherwise, all or none.
// It returns the sequence number of the first when they are on disk; the others follow. The events get the correlation of
// ctx. [Aggregate] does this, and more, for aggregates with a type.
func (a *App) AppendEvents(ctx context.Context, aggregate string, o *AppendOptions, events ...*message.Message) (int64, error) {
	if o == nil {
		o = &AppendOptions{}
	}
	for _, m := range events {
		m.Metadata = cloneMetadata(m.Metadata)
		a.correlateMessage(ctx, m)
	}
	blocks, err := packed(events...)
	if err != nil {
		return 0, err
	}
	in := &fluxv1.EventAppend{Aggregate: aggregate, Blocks: blocks, StoreOnly: o.StoreOnly, IfLastSequence: o.IfLast}
	answers, err := a.commit(ctx, &fluxv1.Transaction{Events: []*fluxv1.EventAppend{in}}, events...)
	if err != nil {
		return 0, err
	}
	return answers[0], nil
}

// Events returns the events of an aggregate after a sequence number, in their order; after [NoEvents] that is all of them. The
// sequence number of an event is one more than that of the event before. It ends with the first error.
func (a *App) Events(ctx context.Context, aggregate string, after int64) iter.Seq2[*message.Message, error] {
	return a.events(ctx, "read", aggregate, after)
}

// events is Events, as operations of a shape.
func (a *App) events(ctx context.Context, shape, aggregate string, after int64) iter.Seq2[*message.Message, error] {
	return func(yield func(*message.Message, error) bool) {
		for more := true; more; {
			page, err := a.eventPage(ctx, shape, aggregate, after)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range page.events {
				if !yield(&page.events[i], nil) {
					return
				}
			}
			after, more = page.last, page.more
		}
	}
}

const eventPageSize = 8192

// eventPage is some events of an aggregate.
type eventPage struct {
	events []message.Message
	last   int64 // sequence number of the last of them
	more   bool
}

func (a *App) eventPage(ctx context.Context, shape, aggregate string, after int64) (eventPage, error) {
	if !a.records(ctx) {
		return a.eventPageNow(ctx, aggregate, after)
	}
	op := execution.Op{
		Target: "events", Shape: shape, Effect: record.EffectRead, Request: &operationRequest{Aggregate: aggregate, After: new(after)},
	}
	recorded, err := operate(ctx, a, op, func(c *execution.Call) (recordedEvents, error) {
		page, err := a.eventPageNow(ctx, aggregate, after)
		return newRecordedEvents(c.Execution(), page), err
	})
	if err != nil {
		return eventPage{}, err
	}
	return recorded.page()
}

// recordedEvents is an eventPage as records have it.
type recordedEvents struct {
	Events []*recordedMessage `json:"events"`
	Last   int64              `json:"last"`
	More   bool               `json:"more,omitempty"`
}

func newRecordedEvents(x *execution.Execution, p eventPage) recordedEvents {
	r := recordedEvents{Last: p.last, More: p.more, Events: make([]*recordedMessage, len(p.events))}
	for i := range p.events {
		r.Events[i] = newRecordedMessage(x, &p.events[i])
	}
	return r
}

func (r *recordedEvents) page() (eventPage, error) {
	p := eventPage{last: r.Last, more: r.More, events: make([]message.Message, len(r.Events))}
	for i, one := range r.Events {
		m, err := one.message()
		if err != nil {
			return eventPage{}, err
		}
		p.events[i] = *m
	}
	return p, nil
}

func (a *App) eventPageNow(ctx context.Context, aggregate string, after int64) (page eventPage, err error) {
	request := &fluxv1.GetEventsRequest{Aggregate: aggregate, LastSequence: &after, MaxSize: eventPageSize, Blocks: true}
	answer, err := a.conn.events.GetEvents(ctx, connect.NewRequest(request))
	if err != nil {
		return page, ofServer(err)
	}
	var reader message.BlockReader
	for _, chunk := range answer.Msg.GetChunks() {
		if page.events, err = appendChunk(page.events, &reader, chunk); err != nil {
			return eventPage{}, fmt.Errorf("%w: events of %s: %w", ErrInternal, aggregate, err)
		}
	}
	page.last, page.more = answer.Msg.GetLastSequence(), answer.Msg.GetMore()
	return page, nil
}

// appendChunk appends the events of a chunk that are part of the answer.
func appendChunk(dst []message.Message, r *message.BlockReader, chunk *fluxv1.EventChunk) ([]message.Message, error) {
	start, index := len(dst), message.Index(chunk.GetFirstIndex())
	for block, err := range message.Blocks(chunk.GetBlocks()) {
		if err == nil {
			dst, err = r.AppendMessages(dst, block, index)
		}
		if err != nil {
			return nil, err
		}
		index += message.Index(block.Span())
	}
	skip, count := int(chunk.GetSkip()), int(chunk.GetCount())
	if all := len(dst) - start; skip < 0 || count < 0 || skip+count > all {
		return nil, fmt.Errorf("%d and %d of %d events", skip, count, all)
	}
	shown := append(dst[:start], dst[start+skip:start+skip+count]...)
	if chunk.GetFirstIndex() < 0 {
		for i := range shown[start:] {
			shown[start+i].Index = message.Beginning
		}
	}
	return shown, nil
}

// DeleteEvents removes the stream of an aggregate. What was published of it stays published. It needs the right to administer
// the namespace.
func (a *App) DeleteEvents(ctx context.Context, aggregate string) error {
	if !a.records(ctx) {
		return a.deleteEventsNow(ctx, aggregate)
	}
	op := execution.Op{
		Target: "events", Shape: "delete", Effect: record.EffectWrite, Request: &operationRequest{Aggregate: aggregate},
	}
	_, err := operate(ctx, a, op, func(*execution.Call) (Nothing, error) { return Nothing{}, a.deleteEventsNow(ctx, aggregate) })
	return err
}

func (a *App) deleteEventsNow(ctx context.Context, aggregate string) error {
	_, err := a.conn.events.DeleteEvents(ctx, connect.NewRequest(&fluxv1.DeleteEventsRequest{Aggregate: aggregate}))
	return ofServer(err)
}
