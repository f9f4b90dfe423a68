package eventstore

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// Relations returns the relations of an entity in the order in which they were added.
func (s *Streams) Relations(ns message.Namespace, entity string) ([]Relation, error) {
	view := s.engine.View()
	defer view.Close()
	it, err := view.ScanPrefix(relationPrefix(ns, entity))
	if err != nil {
		return nil, err
	}
	var all []orderedRelation
	for err == nil && it.Next() {
		var r orderedRelation
		r, err = relationAt(it)
		all = append(all, r)
	}
	if err := errors.Join(err, it.Close()); err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b orderedRelation) int { return cmp.Compare(a.order, b.order) })
	relations := make([]Relation, len(all))
	for i, r := range all {
		relations[i] = r.Relation
	}
	return relations, nil
}

type orderedRelation struct {
	Relation
	order uint64
}

func relationAt(it *engine.Iterator) (orderedRelation, error) {
	key, err := engine.ParseKey(it.Key())
	if err != nil {
		return orderedRelation{}, err
	}
	raw, err := it.Value()
	if err != nil {
		return orderedRelation{}, err
	}
	order, aggregateType, err := decodeRelation(raw)
	return orderedRelation{Relation{key.Text, key.Rest, aggregateType}, order}, err
}

// Entities returns the entities of an aggregate in the order of the bytes of their ids.
func (s *Streams) Entities(ns message.Namespace, aggregate string) ([]string, error) {
	view := s.engine.View()
	defer view.Close()
	return entities(view, ns, aggregate)
}

func entities(view *engine.View, ns message.Namespace, aggregate string) ([]string, error) {
	it, err := view.ScanPrefix(entityPrefix(ns, aggregate))
	if err != nil {
		return nil, err
	}
	var all []string
	for it.Next() {
		key, err := engine.ParseKey(it.Key())
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		all = append(all, key.Rest)
	}
	return all, it.Close()
}

// Repair makes the entities of an aggregate exactly those that are given, as if all its relations were removed and these
// added in their order, in one commit. Errors are ErrBadID, those of engine.Propose, and that of ctx.
//
// An operation cannot scan. So Repair reads the relations that there are and proposes to remove them on condition that they
// have not changed meanwhile, and begins again when they have. Each time round somebody else has made a change, so it waits
// for others only as long as they keep changing this one aggregate.
func (s *Streams) Repair(ctx context.Context, ns message.Namespace, aggregate, aggregateType string, entities []string) error {
	for {
		r, err := s.newRepair(ns, aggregate, aggregateType, entities)
		if err != nil {
			return err
		}
		err = s.engine.Propose(ctx, &engine.Transaction{Namespace: ns, Operations: []engine.Operation{r}})
		if !errors.Is(err, engine.ErrConflict) || ctx.Err() != nil {
			return err
		}
	}
}

// repair is Relate on the condition that the relations of an aggregate are those of a change.
type repair struct {
	Relate
	aggregate string
	ifChange  uint64
}

func (s *Streams) newRepair(ns message.Namespace, aggregate, aggregateType string, wanted []string) (*repair, error) {
	if err := ValidateID("aggregate", aggregate); err != nil {
		return nil, err
	}
	view := s.engine.View()
	defer view.Close()
	present, err := entities(view, ns, aggregate)
	if err != nil {
		return nil, err
	}
	r := &repair{aggregate: aggregate}
	for _, entity := range present {
		r.Remove = append(r.Remove, Relation{Entity: entity, Aggregate: aggregate})
	}
	for _, entity := range wanted {
		r.Add = append(r.Add, Relation{entity, aggregate, aggregateType})
	}
	r.ifChange, err = loadOrder(view, orderKey(ns, aggregate))
	return r, err
}

// Apply implements engine.Operation.
func (r *repair) Apply(tx *engine.Tx) error {
	number, err := loadOrder(tx, orderKey(tx.Namespace(), r.aggregate))
	if err != nil {
		return err
	}
	if number != r.ifChange {
		return engine.Conflict("relations of aggregate %s have changed", r.aggregate)
	}
	return r.Relate.Apply(tx)
}
