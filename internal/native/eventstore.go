package native

import (
	"context"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/eventstore"
	"github.com/flux-go/flux/message"
)

// eventStoreService serves fluxv1connect.EventStoreServiceHandler.
type eventStoreService struct {
	*Service
	streams *eventstore.Streams
}

func (s *Service) eventOperation(in *fluxv1.EventAppend) (*eventstore.Append, error) {
	if in == nil {
		return nil, invalid("no append")
	}
	blocks, err := s.blocksOf("aggregate "+in.GetAggregate(), in.GetBlocks(), in.GetEvents(), in.IfLastSequence != nil)
	if err != nil {
		return nil, err
	}
	op, err := eventstore.NewAppend(in.GetAggregate(), blocks, in.GetStoreOnly())
	if err == nil {
		op.IfLast = sequenceOf(in.IfLastSequence)
	}
	return op, err
}

func sequenceOf(n *int64) *eventstore.Sequence {
	if n == nil {
		return nil
	}
	sequence := eventstore.Sequence(*n)
	return &sequence
}

// AppendEvents serves the procedure of this name.
func (s eventStoreService) AppendEvents(
	ctx context.Context, r *connect.Request[fluxv1.AppendEventsRequest],
) (*connect.Response[fluxv1.AppendEventsResponse], error) {
	op, err := s.eventOperation(r.Msg.GetAppend())
	if err != nil {
		return nil, err
	}
	answer, err := s.commit(ctx, []engine.Operation{op}, r.Msg.GetIdempotencyKey())
	if err != nil {
		return nil, err
	}
	out := &fluxv1.AppendEventsResponse{FirstSequence: int64(answer[0])}
	if index := int64(answer[1]); answer[1] != message.Beginning {
		out.FirstIndex = &index
	}
	return connect.NewResponse(out), nil
}

const defaultEventsSize = 1000

// sizeIn returns the size of a page: a default for 0, and an error beyond what one may ask for.
func sizeIn(size int32, byDefault int) (int, error) {
	switch {
	case size == 0:
		return byDefault, nil
	case size < 0 || size > maxReadSize:
		return 0, invalid("max_size %d: use 1 to %d", size, maxReadSize)
	}
	return int(size), nil
}

// GetEvents serves the procedure of this name.
func (s eventStoreService) GetEvents(
	ctx context.Context, r *connect.Request[fluxv1.GetEventsRequest],
) (*connect.Response[fluxv1.GetEventsResponse], error) {
	if err := eventstore.ValidateID("aggregate", r.Msg.GetAggregate()); err != nil {
		return nil, err
	}
	size, err := sizeIn(r.Msg.GetMaxSize(), defaultEventsSize)
	if err != nil {
		return nil, err
	}
	after := eventstore.Before
	if r.Msg.LastSequence != nil {
		after = eventstore.Sequence(r.Msg.GetLastSequence())
	}
	limit := eventstore.Limit{Events: size, Bytes: maxReadBytes}
	page, err := s.streams.Read(namespaceOf(ctx), r.Msg.GetAggregate(), after, limit)
	if err != nil {
		return nil, err
	}
	out := &fluxv1.GetEventsResponse{LastSequence: int64(page.Last), More: page.More}
	if r.Msg.GetBlocks() {
		for _, e := range page.Entries {
			out.Chunks = append(out.Chunks, &fluxv1.EventChunk{
				Blocks: e.Blocks, Skip: int32(e.Skip), Count: int32(e.Count), FirstIndex: int64(e.Index),
			})
		}
		return connect.NewResponse(out), nil
	}
	events, err := page.AppendMessages(nil, new(message.BlockReader))
	for i := range events {
		out.Events = append(out.Events, writeMessage(&events[i], r.Msg.GetRaw()))
	}
	return connect.NewResponse(out), err
}

// DeleteEvents serves the procedure of this name.
func (s eventStoreService) DeleteEvents(
	ctx context.Context, r *connect.Request[fluxv1.DeleteEventsRequest],
) (*connect.Response[fluxv1.DeleteEventsResponse], error) {
	op := &eventstore.Delete{Aggregate: r.Msg.GetAggregate(), IfLast: sequenceOf(r.Msg.IfLastSequence)}
	if err := s.propose(ctx, op); err != nil {
		return nil, err
	}
	return connect.NewResponse(&fluxv1.DeleteEventsResponse{Deleted: op.Deleted}), nil
}

// ListAggregates serves the procedure of this name.
func (s eventStoreService) ListAggregates(
	ctx context.Context, r *connect.Request[fluxv1.ListAggregatesRequest],
) (*connect.Response[fluxv1.ListAggregatesResponse], error) {
	size, err := sizeIn(r.Msg.GetMaxSize(), defaultReadSize)
	if err != nil {
		return nil, err
	}
	infos, more, err := s.streams.List(namespaceOf(ctx), r.Msg.GetPrefix(), r.Msg.GetAfter(), size)
	if err != nil {
		return nil, err
	}
	out := &fluxv1.ListAggregatesResponse{More: more}
	for _, info := range infos {
		out.Aggregates = append(out.Aggregates, &fluxv1.AggregateInfo{
			Aggregate: validText(info.Aggregate), Events: info.Events, Bytes: info.Bytes, ChangedAt: info.Milli,
		})
	}
	return connect.NewResponse(out), nil
}

// UpdateRelations serves the procedure of this name.
func (s eventStoreService) UpdateRelations(
	ctx context.Context, r *connect.Request[fluxv1.UpdateRelationsRequest],
) (*connect.Response[fluxv1.UpdateRelationsResponse], error) {
	op := &eventstore.Relate{Remove: readRelations(r.Msg.GetRemove()), Add: readRelations(r.Msg.GetAdd())}
	if err := s.propose(ctx, op); err != nil {
		return nil, err
	}
	return connect.NewResponse(&fluxv1.UpdateRelationsResponse{}), nil
}

func readRelations(in []*fluxv1.Relation) []eventstore.Relation {
	out := make([]eventstore.Relation, len(in))
	for i, r := range in {
		out[i] = eventstore.Relation{Entity: r.GetEntity(), Aggregate: r.GetAggregate(), AggregateType: r.GetAggregateType()}
	}
	return out
}

// RepairRelations serves the procedure of this name.
func (s eventStoreService) RepairRelations(
	ctx context.Context, r *connect.Request[fluxv1.RepairRelationsRequest],
) (*connect.Response[fluxv1.RepairRelationsResponse], error) {
	err := s.streams.Repair(ctx, namespaceOf(ctx), r.Msg.GetAggregate(), r.Msg.GetAggregateType(), r.Msg.GetEntities())
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&fluxv1.RepairRelationsResponse{}), nil
}

// GetRelations serves the procedure of this name.
func (s eventStoreService) GetRelations(
	ctx context.Context, r *connect.Request[fluxv1.GetRelationsRequest],
) (*connect.Response[fluxv1.GetRelationsResponse], error) {
	if err := eventstore.ValidateID("entity", r.Msg.GetEntity()); err != nil {
		return nil, err
	}
	relations, err := s.streams.Relations(namespaceOf(ctx), r.Msg.GetEntity())
	if err != nil {
		return nil, err
	}
	out := &fluxv1.GetRelationsResponse{}
	for _, r := range relations {
		out.Relations = append(out.Relations, &fluxv1.Relation{
			Entity: validText(r.Entity), Aggregate: validText(r.Aggregate), AggregateType: validText(r.AggregateType),
		})
	}
	return connect.NewResponse(out), nil
}
