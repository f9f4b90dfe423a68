package eventstore

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// Relation says that an entity is a part of an aggregate.
type Relation struct {
	Entity    string
	Aggregate string
	// AggregateType names the type of the aggregate. It may be empty.
	AggregateType string
}

// Validate returns ErrBadID for ids that cannot be.
func (r Relation) Validate() error {
	if err := ValidateID("entity", r.Entity); err != nil {
		return err
	}
	if err := ValidateID("aggregate", r.Aggregate); err != nil {
		return err
	}
	if len(r.AggregateType) > MaxIDLen {
		return fmt.Errorf("%w: type of aggregate %s has %d bytes, at most %d", ErrBadID, r.Aggregate, len(r.AggregateType), MaxIDLen)
	}
	return nil
}

// Relate is the operation that removes relations and then adds others. Adding one that is there sets its type. Removing one
// that is not there is no error; its type does not matter.
type Relate struct {
	Remove, Add []Relation
}

// SizeBytes implements engine.Operation.
func (r *Relate) SizeBytes() int {
	n := 0
	for _, all := range [][]Relation{r.Remove, r.Add} {
		for _, relation := range all {
			n += 64 + 2*len(relation.Entity) + 2*len(relation.Aggregate) + len(relation.AggregateType)
		}
	}
	return n
}

// Apply implements engine.Operation.
func (r *Relate) Apply(tx *engine.Tx) error {
	for _, relation := range slices.Concat(r.Remove, r.Add) {
		if err := relation.Validate(); err != nil {
			return err
		}
	}
	c, err := beginChange(tx)
	if err != nil {
		return err
	}
	for _, relation := range r.Remove {
		if err := c.remove(relation); err != nil {
			return err
		}
	}
	for _, relation := range r.Add {
		if err := c.add(relation); err != nil {
			return err
		}
	}
	c.end()
	return nil
}

// change numbers the relations that are added, from 1 up in their namespace, so that those of an entity can be shown in
// their order. The number that was reached when the relations of an aggregate changed last also tells whether they have
// changed since somebody read them.
type change struct {
	tx     *engine.Tx
	number uint64
	dirty  bool
}

func beginChange(tx *engine.Tx) (*change, error) {
	number, err := loadOrder(tx, orderKey(tx.Namespace(), ""))
	return &change{tx: tx, number: number}, err
}

func (c *change) remove(r Relation) error {
	key := relationKey(c.tx.Namespace(), r.Entity, r.Aggregate)
	raw, err := c.tx.Get(key)
	if err != nil || raw == nil {
		return err
	}
	c.tx.Delete(key)
	c.tx.Delete(entityKey(c.tx.Namespace(), r.Aggregate, r.Entity))
	c.touch(r.Aggregate)
	return nil
}

func (c *change) add(r Relation) error {
	key := relationKey(c.tx.Namespace(), r.Entity, r.Aggregate)
	raw, err := c.tx.Get(key)
	if err != nil {
		return err
	}
	c.touch(r.Aggregate)
	order := c.number
	if raw != nil {
		if order, _, err = decodeRelation(raw); err != nil {
			return err
		}
	}
	c.tx.Set(key, encodeRelation(order, r.AggregateType))
	c.tx.Set(entityKey(c.tx.Namespace(), r.Aggregate, r.Entity), nil)
	return nil
}

// touch takes the next number, and notes it as that of the last change of an aggregate.
func (c *change) touch(aggregate string) {
	c.number++
	c.dirty = true
	c.tx.Set(orderKey(c.tx.Namespace(), aggregate), binary.AppendUvarint(nil, c.number))
}

func (c *change) end() {
	if c.dirty {
		c.tx.Set(orderKey(c.tx.Namespace(), ""), binary.AppendUvarint(nil, c.number))
	}
}

// relationPrefix is the beginning of the keys of an entity's relations.
func relationPrefix(ns message.Namespace, entity string) []byte {
	return engine.AppendText(engine.AppendKey(make([]byte, 0, 128), ns, engine.FamilyRelation), entity)
}

func relationKey(ns message.Namespace, entity, aggregate string) []byte {
	return append(relationPrefix(ns, entity), aggregate...)
}

// entityPrefix is the beginning of the keys of an aggregate's entities.
func entityPrefix(ns message.Namespace, aggregate string) []byte {
	return engine.AppendText(engine.AppendKey(make([]byte, 0, 128), ns, engine.FamilyEntity), aggregate)
}

func entityKey(ns message.Namespace, aggregate, entity string) []byte {
	return append(entityPrefix(ns, aggregate), entity...)
}

// orderKey is the key of the number of an aggregate's last change or, without an aggregate, of the namespace's.
func orderKey(ns message.Namespace, aggregate string) []byte {
	return append(engine.AppendKey(make([]byte, 0, 64), ns, engine.FamilyRelationOrder), aggregate...)
}

func loadOrder(from getter, key []byte) (uint64, error) {
	raw, err := from.Get(key)
	if err != nil || raw == nil {
		return 0, err
	}
	return decodeOrder(raw)
}

func decodeOrder(raw []byte) (uint64, error) {
	n, size := binary.Uvarint(raw)
	if size <= 0 || size != len(raw) {
		return 0, fmt.Errorf("%w: order of relations %x", engine.ErrCorrupt, raw)
	}
	return n, nil
}

// encodeRelation writes the value of a relation; docs/format/keys.md, relation.
func encodeRelation(order uint64, aggregateType string) []byte {
	b := binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen64+len(aggregateType)), order)
	return append(b, aggregateType...)
}

func decodeRelation(raw []byte) (order uint64, aggregateType string, err error) {
	order, size := binary.Uvarint(raw)
	if size <= 0 {
		return 0, "", fmt.Errorf("%w: relation %x", engine.ErrCorrupt, raw)
	}
	return order, string(raw[size:]), nil
}
