package recording

import (
	"errors"
	"fmt"
	"strings"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

var (
	// ErrNotFound is returned when there is no such execution or issue.
	ErrNotFound = errors.New("not found")
	// ErrAmbiguous is returned for the beginning of an id that several have. Its text names some of them.
	ErrAmbiguous = errors.New("ambiguous")
)

// Executions reads the executions of an engine. Safe for concurrent use.
type Executions struct {
	engine *engine.Engine
	bells  bells
}

// New returns the reader of the engine's executions.
func New(e *engine.Engine) *Executions {
	x := &Executions{engine: e}
	x.bells.open = make(map[message.Namespace]chan struct{})
	e.Subscribe(x.bells.observe)
	return x
}

// reader reads executions of a namespace as they were at one moment.
type reader struct {
	view *engine.View
	ns   message.Namespace
}

// Found is an execution with its record.
type Found struct {
	*Item
	// Record is as it came, Boot that of the start of its process, nil unless it was asked for and is there.
	Record, Boot []byte
	// Lease is what somebody holds or held, nil for none.
	Lease *Lease
}

// Get returns an execution by its id or by a beginning of it, of at least 4 digits, that no other id has. With boot also the
// record of how its process started. Errors are record.ErrBadID, ErrNotFound, and ErrAmbiguous.
func (x *Executions) Get(ns message.Namespace, id string, boot bool) (Found, error) {
	view := x.engine.View()
	defer view.Close()
	r := reader{view, ns}
	at, err := r.resolve(id)
	if err != nil {
		return Found{}, err
	}
	return r.found(at, boot)
}

func (r reader) found(at place, boot bool) (f Found, err error) {
	if f.Item, err = r.item(at); err != nil {
		return Found{}, err
	}
	if f.Record, err = r.record(at); err != nil {
		return Found{}, err
	}
	if raw, err := r.view.Get(leaseKey(r.ns, f.ID)); err != nil || raw != nil {
		if f.Lease, err = decodeLease(f.ID, raw); err != nil {
			return Found{}, err
		}
	}
	if boot {
		f.Boot, err = r.boot(f.Record)
	}
	return f, err
}

// boot returns the record of how the process started that made a record, nil when there is none.
func (r reader) boot(data []byte) ([]byte, error) {
	x, err := record.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrCorrupt, err)
	}
	at, ok, err := r.place(x.Boot)
	if err != nil || !ok || x.Boot == x.ID {
		return nil, err
	}
	return r.record(at)
}

// Resolve returns the id that text is, or is the beginning of. Errors are as those of Get.
func (x *Executions) Resolve(ns message.Namespace, text string) (record.ID, error) {
	view := x.engine.View()
	defer view.Close()
	r := reader{view, ns}
	at, err := r.resolve(text)
	if err != nil {
		return record.ID{}, err
	}
	item, err := r.item(at)
	if err != nil {
		return record.ID{}, err
	}
	return item.ID, nil
}

// maxCandidates is how many ids an error names.
const maxCandidates = 5

// resolve returns the place of the execution whose id begins with text.
func (r reader) resolve(text string) (place, error) {
	first, last, err := record.ParsePrefix(text)
	if err != nil {
		return 0, err
	}
	it, err := r.view.Scan(executionKey(r.ns, first), append(executionKey(r.ns, last), 0))
	if err != nil {
		return 0, err
	}
	var candidates []string
	var at place
	for err == nil && len(candidates) <= maxCandidates && it.Next() {
		var key engine.Key
		var raw []byte
		if key, err = engine.ParseKey(it.Key()); err == nil {
			candidates = append(candidates, idOf(key).String())
			raw, err = it.Value()
		}
		if err == nil {
			at, err = decodePlace(raw)
		}
	}
	if err = errors.Join(err, it.Close()); err != nil {
		return 0, err
	}
	return at, choose("execution", text, candidates)
}

func idOf(key engine.Key) (id record.ID) {
	copy(id[:], key.Bytes)
	return id
}

// choose returns nil when there is one candidate.
func choose(what, text string, candidates []string) error {
	switch n := len(candidates); {
	case n == 0:
		return fmt.Errorf("%w: no %s %s", ErrNotFound, what, text)
	case n == 1:
		return nil
	case n > maxCandidates:
		candidates = append(candidates[:maxCandidates:maxCandidates], "and more")
	}
	return fmt.Errorf("%w: %s %s may be any of %s", ErrAmbiguous, what, text, strings.Join(candidates, ", "))
}

// place returns the place of an execution, and whether there is one.
func (r reader) place(id record.ID) (place, bool, error) {
	raw, err := r.view.Get(executionKey(r.ns, id))
	if err != nil || raw == nil {
		return 0, false, err
	}
	at, err := decodePlace(raw)
	return at, err == nil, err
}

// item returns the summary at a place where there must be one.
func (r reader) item(at place) (*Item, error) {
	raw, err := r.view.Get(summaryKey(r.ns, at))
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, fmt.Errorf("%w: no summary at place %d", engine.ErrCorrupt, at)
	}
	return decodeItem(raw)
}

// record returns the record at a place where there must be one.
func (r reader) record(at place) ([]byte, error) {
	raw, err := r.view.Get(recordKey(r.ns, at))
	if err == nil && raw == nil {
		err = fmt.Errorf("%w: no record at place %d", engine.ErrCorrupt, at)
	}
	return raw, err
}

// Totals are the figures of a namespace.
type Totals struct {
	Executions, Bytes uint64 // of those that are not pinned
	Pinned            uint64
	// Retention is what is in effect.
	Retention Retention
}

// Totals returns the figures of a namespace.
func (x *Executions) Totals(ns message.Namespace) (Totals, error) {
	view := x.engine.View()
	defer view.Close()
	t, err := reader{view, ns}.totals()
	return Totals{t.executions, t.bytes, t.pinned, t.retention.withDefaults()}, err
}

func (r reader) totals() (totals, error) {
	raw, err := r.view.Get(totalsKey(r.ns))
	if err != nil {
		return totals{}, err
	}
	return decodeTotals(raw)
}
