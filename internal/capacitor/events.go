package capacitor

import (
	"fmt"

	"github.com/flux-go/flux/internal/capacitor/wire"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/eventstore"
	"github.com/flux-go/flux/message"
)

// events serves the streams of aggregates, and the relations of entities to them.
type events struct {
	*socket
	writer message.BlockWriter
}

func (e *events) flush() {}

func (e *events) handle(r wire.Request) error {
	switch r := r.(type) {
	case *wire.AppendEvents:
		return e.append(r)
	case *wire.DeleteEvents:
		return e.submit(&r.Base, &eventstore.Delete{Aggregate: r.AggregateID})
	case *wire.UpdateRelationships:
		return e.submit(&r.Base, &eventstore.Relate{Remove: relations(r.Dissociations), Add: relations(r.Associations)})
	case *wire.RepairRelationships:
		return e.repair(r)
	case *wire.GetEvents:
		e.briefly(&r.Base, func() ([]byte, error) { return e.read(r) })
	case *wire.GetAggregateIDs:
		e.briefly(&r.Base, func() ([]byte, error) {
			all, err := e.relationships(r.EntityID)
			return e.result(&r.Base).AppendAggregateIDs(nil, all), err
		})
	case *wire.GetRelationships:
		e.briefly(&r.Base, func() ([]byte, error) {
			all, err := e.relationships(r.EntityID)
			return e.result(&r.Base).AppendRelationships(nil, all), err
		})
	default:
		return e.unsupported(r)
	}
	return nil
}

// append appends the events of all batches in one transaction.
func (e *events) append(r *wire.AppendEvents) error {
	operations := make([]engine.Operation, 0, len(r.Batches))
	for _, batch := range r.Batches {
		blocks, err := e.pack(batch.Events)
		if err != nil {
			return fmt.Errorf("aggregate %s: %w", batch.AggregateID, err)
		}
		op, err := eventstore.NewAppend(batch.AggregateID, blocks, batch.StoreOnly)
		if err != nil {
			return err
		}
		operations = append(operations, op)
	}
	return e.submit(&r.Base, operations...)
}

func (e *events) pack(messages []message.Message) ([]byte, error) {
	for i := range messages {
		if err := checkMessage(&messages[i]); err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
	}
	e.writer.Now = e.handler.Clock
	blocks, err := pack(nil, &e.writer, messages)
	return e.writer.Seal(blocks, message.Snappy), err
}

func relations(wanted []wire.Relationship) []eventstore.Relation {
	all := make([]eventstore.Relation, len(wanted))
	for i, r := range wanted {
		all[i] = eventstore.Relation{Entity: r.EntityID, Aggregate: r.AggregateID, AggregateType: r.AggregateType}
	}
	return all
}

// repair waits until it is done: what comes after it must not be done before. It is rare.
func (e *events) repair(r *wire.RepairRelationships) error {
	err := e.handler.Streams.Repair(e.handler.ctx, e.namespace, r.AggregateID, r.AggregateType, r.EntityIDs)
	if err != nil {
		return err
	}
	e.end(&r.Base, nil)
	return nil
}

func (e *events) relationships(entity string) ([]wire.Relationship, error) {
	found, err := e.handler.Streams.Relations(e.namespace, entity)
	all := make([]wire.Relationship, len(found))
	for i, r := range found {
		all[i] = wire.Relationship{EntityID: r.Entity, AggregateID: r.Aggregate, AggregateType: r.AggregateType}
	}
	return all, err
}

// read writes a page of a stream. However long it gets, it is not shortened: to clients that would be the end of the stream.
func (e *events) read(r *wire.GetEvents) ([]byte, error) {
	after, limit := eventstore.Sequence(r.LastSequence), eventstore.Limit{Events: int(max(r.BatchSize, 0))}
	page, err := e.handler.Streams.Read(e.namespace, r.AggregateID, after, limit)
	if err != nil {
		return nil, err
	}
	list := e.result(&r.Base).BeginEvents(nil, r.AggregateID)
	var reader message.BlockReader
	var buf []message.Message
	for i := range page.Entries {
		one := eventstore.Page{Entries: page.Entries[i : i+1]}
		if buf, err = one.AppendMessages(buf[:0], &reader); err != nil {
			return nil, err
		}
		for j := range buf {
			if buf[j].Index == message.Beginning {
				list.AddUnindexed(&buf[j])
			} else {
				list.Add(&buf[j])
			}
		}
		reader.Reset()
	}
	if list.Len() == 0 {
		return list.EndEvents(r.LastSequence), nil
	}
	return list.EndEvents(int64(page.Last)), nil
}
