package recording

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// ErrBadExecution is returned for records that cannot be stored: damaged ones, those of a newer version of Flux, and those
// without an id, a start or a status.
var ErrBadExecution = errors.New("bad execution")

// MaxRecordBytes is the largest record, as it comes.
const MaxRecordBytes = 32 << 20

// maxSummaryText bounds the texts by which executions are listed.
const maxSummaryText = 4 << 10

// Outcome says what became of a record.
type Outcome string

// The outcomes.
const (
	Stored   Outcome = "stored"
	Replaced Outcome = "replaced" // the record of the same execution while it was running
	Known    Outcome = "known"    // its end had been recorded before, and nothing was changed
)

// Record is the operation that stores the record of an execution. Create it with NewRecord.
type Record struct {
	// Outcome says what became of it. Set by Apply.
	Outcome Outcome

	summary record.Summary
	data    []byte
	terms   []term
	failure *Issue // the issue that it is an occurrence of; nil for none
}

// NewRecord returns the operation that stores a record, which must not change afterwards. The error is ErrBadExecution.
func NewRecord(data []byte) (*Record, error) {
	if len(data) > MaxRecordBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrBadExecution, len(data), MaxRecordBytes)
	}
	x, err := record.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadExecution, err)
	}
	s := record.Summarize(x)
	if err := validate(&s); err != nil {
		return nil, err
	}
	return &Record{summary: s, data: data, terms: append(summaryTerms(&s), wordTerms(x)...), failure: issueOf(x, &s)}, nil
}

func validate(s *record.Summary) error {
	switch {
	case s.ID.IsZero():
		return fmt.Errorf("%w: it has no id", ErrBadExecution)
	case !slices.Contains(record.Statuses, s.Status):
		return fmt.Errorf("%w: %s has the unknown status %q", ErrBadExecution, s.ID, s.Status)
	case s.Start.UnixMilli() < 0 || s.Start.UnixMilli() > maxMilli:
		return fmt.Errorf("%w: %s started at %s", ErrBadExecution, s.ID, s.Start)
	}
	for _, text := range []string{
		s.RequestID, s.Service, s.Instance, s.Environment, s.Version, s.Commit, s.Method, s.Route, s.Path, s.Fingerprint,
		string(s.Relation), string(s.Kind), string(s.ErrorClass), s.Error, s.Kept, string(s.Level),
	} {
		if len(text) > maxSummaryText {
			return fmt.Errorf("%w: %s has a name or path of %d bytes, at most %d", ErrBadExecution, s.ID, len(text), maxSummaryText)
		}
	}
	if strings.IndexByte(s.Fingerprint, 0) >= 0 {
		return fmt.Errorf("%w: %s has a NUL in its fingerprint", ErrBadExecution, s.ID)
	}
	return nil
}

// ID is the execution's.
func (r *Record) ID() record.ID { return r.summary.ID }

// SizeBytes implements engine.Operation.
func (r *Record) SizeBytes() int {
	const perTerm, summary = 32, 512
	return len(r.data) + perTerm*len(r.terms) + summary
}

// arrived is the event of a record that came.
type arrived struct{ ns message.Namespace }

// Apply implements engine.Operation.
func (r *Record) Apply(tx *engine.Tx) error {
	before, at, err := readItem(tx, r.summary.ID)
	if err != nil {
		return err
	}
	r.Outcome = Stored
	pinned := false
	if before != nil {
		if before.Status != record.StatusRunning {
			r.Outcome = Known
			return nil
		}
		r.Outcome, pinned = Replaced, before.Pinned
		if err := remove(tx, before, at, summaryTerms(&before.Summary)); err != nil {
			return err
		}
	}
	if err := r.insert(tx, pinned); err != nil {
		return err
	}
	tx.Notify(arrived{tx.Namespace()})
	return r.failure.occur(tx)
}

func (r *Record) insert(tx *engine.Tx, pinned bool) error {
	ns := tx.Namespace()
	t, err := readTotals(tx)
	if err != nil {
		return err
	}
	at, err := freePlace(tx, r.summary.ID, r.summary.Start)
	if err != nil {
		return err
	}
	t.arrival++
	item := &Item{Summary: r.summary, Pinned: pinned, Recorded: tx.Milli(), Arrival: t.arrival, Bytes: uint64(len(r.data))}
	t.add(item, 1)
	t.write(tx)
	tx.Set(executionKey(ns, r.summary.ID), at.encode())
	tx.Set(summaryKey(ns, at), item.encode())
	tx.Set(recordKey(ns, at), r.data)
	tx.Set(arrivalKey(ns, item.Arrival), at.encode())
	for _, term := range r.terms {
		tx.Set(postingKey(ns, term, at), nil)
	}
	if pinned {
		tx.Set(postingKey(ns, newTerm(termPinned, ""), at), nil)
	}
	return nil
}

// readItem returns the summary of an execution and its place, or nil.
func readItem(tx *engine.Tx, id record.ID) (*Item, place, error) {
	raw, err := tx.Get(executionKey(tx.Namespace(), id))
	if err != nil || raw == nil {
		return nil, 0, err
	}
	at, err := decodePlace(raw)
	if err != nil {
		return nil, 0, err
	}
	if raw, err = tx.Get(summaryKey(tx.Namespace(), at)); err != nil {
		return nil, 0, err
	}
	if raw == nil {
		return nil, 0, fmt.Errorf("%w: execution %s has no summary", engine.ErrCorrupt, id)
	}
	item, err := decodeItem(raw)
	return item, at, err
}

// remove removes all of an execution, which has the terms, but for what it did to an issue.
func remove(tx *engine.Tx, i *Item, at place, terms []term) error {
	ns := tx.Namespace()
	t, err := readTotals(tx)
	if err != nil {
		return err
	}
	t.add(i, -1)
	t.write(tx)
	for _, key := range [][]byte{executionKey(ns, i.ID), summaryKey(ns, at), recordKey(ns, at), arrivalKey(ns, i.Arrival)} {
		tx.Delete(key)
	}
	for _, term := range terms {
		tx.Delete(postingKey(ns, term, at))
	}
	if i.Pinned {
		tx.Delete(postingKey(ns, newTerm(termPinned, ""), at))
	}
	return nil
}
