package recording

import (
	"fmt"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// Remove is the operation that removes an execution, unless it is pinned. Create it with Executions.NewRemove.
type Remove struct {
	// Removed says that it was there, Pinned that it is there still. Set by Apply.
	Removed, Pinned bool

	id      record.ID
	arrival uint64 // of the record that was read
	terms   []term
}

// NewRemove returns the operation that removes an execution, or nil when there is none.
func (x *Executions) NewRemove(ns message.Namespace, id record.ID) (*Remove, error) {
	view := x.engine.View()
	defer view.Close()
	r := reader{view, ns}
	at, ok, err := r.place(id)
	if err != nil || !ok {
		return nil, err
	}
	return r.newRemove(at)
}

func (r reader) newRemove(at place) (*Remove, error) {
	item, err := r.item(at)
	if err != nil {
		return nil, err
	}
	remove := &Remove{id: item.ID, arrival: item.Arrival, terms: summaryTerms(&item.Summary)}
	if item.Status == record.StatusRunning {
		return remove, nil
	}
	data, err := r.record(at)
	if err != nil {
		return nil, err
	}
	x, err := record.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%w: record of %s: %w", engine.ErrCorrupt, item.ID, err)
	}
	remove.terms = append(remove.terms, wordTerms(x)...)
	return remove, nil
}

// SizeBytes implements engine.Operation.
func (r *Remove) SizeBytes() int { return 32 * len(r.terms) }

// Apply implements engine.Operation. It is refused with engine.ErrConflict when the record was replaced since it was read.
func (r *Remove) Apply(tx *engine.Tx) error {
	item, at, err := readItem(tx, r.id)
	if err != nil || item == nil {
		return err
	}
	if item.Arrival != r.arrival {
		return engine.Conflict("execution %s has just been recorded anew", r.id)
	}
	if r.Pinned = item.Pinned; r.Pinned {
		return nil
	}
	r.Removed = true
	tx.Delete(leaseKey(tx.Namespace(), r.id))
	return remove(tx, item, at, r.terms)
}

// Pin is the operation that keeps an execution whatever the retention says, or lets it go again.
type Pin struct {
	ID    record.ID
	Unpin bool
	// Item is the execution after that, nil when there is none. Set by Apply.
	Item *Item
	// Changed says that it was not so before. Set by Apply.
	Changed bool
}

// SizeBytes implements engine.Operation.
func (p *Pin) SizeBytes() int { return maxSummaryText }

// Apply implements engine.Operation.
func (p *Pin) Apply(tx *engine.Tx) error {
	item, at, err := readItem(tx, p.ID)
	if err != nil || item == nil {
		return err
	}
	p.Item, p.Changed = item, item.Pinned == p.Unpin
	if !p.Changed {
		return nil
	}
	t, err := readTotals(tx)
	if err != nil {
		return err
	}
	t.add(item, -1)
	item.Pinned = !p.Unpin
	t.add(item, 1)
	t.write(tx)
	tx.Set(summaryKey(tx.Namespace(), at), item.encode())
	posting := postingKey(tx.Namespace(), newTerm(termPinned, ""), at)
	if p.Unpin {
		tx.Delete(posting)
	} else {
		tx.Set(posting, nil)
	}
	return nil
}
