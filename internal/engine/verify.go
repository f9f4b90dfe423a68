package engine

import (
	"bytes"
	"context"
	"fmt"
)

// Check is what a family knows about its own keys, for Verify. It is given all keys of its families in order.
type Check interface {
	// Families are the families that the check is for.
	Families() []Family
	// Entry looks at one key and its value, which are valid until it returns, and reports what is wrong with them.
	Entry(key Key, value []byte, report Report)
	// End is called after the last key, for what could not be seen before.
	End(report Report)
}

// Report takes one problem, said as fmt.Printf would.
type Report func(format string, args ...any)

// Problem is one thing that is wrong with a store. All problems are of the class ErrCorrupt.
type Problem struct {
	// Key is where the problem was found, as Key.String says it. Empty for problems of no key in particular.
	Key string
	// Text says what is wrong.
	Text string
}

func (p Problem) String() string {
	if p.Key == "" {
		return p.Text
	}
	return p.Key + ": " + p.Text
}

// maxProblems bounds the problems that are kept; all are counted.
const maxProblems = 1000

// Figures is what Verify found.
type Figures struct {
	Keys, Bytes uint64
	// Families counts the keys of each family by its name.
	Families map[string]uint64
	// Found is the number of problems, of which Problems has the first 1000.
	Found    int
	Problems []Problem
}

// progressEvery is after how many keys progress is told.
const progressEvery = 4096

// Verify walks over all keys of the view and returns what the checks say about them. Keys that no family of the table could
// have written, and keys of families that have no check, are problems too. Reading verifies the checksums of the store's
// own blocks on the way. Progress, unless nil, is called now and then on the caller's goroutine. An error means that the
// walk ended early: ctx, or a part of the store that cannot be read, which is a problem as well.
func (v *View) Verify(ctx context.Context, checks []Check, progress func(Figures)) (Figures, error) {
	w := walk{figures: Figures{Families: make(map[string]uint64)}, checks: make(map[Family]Check)}
	for _, c := range checks {
		for _, f := range c.Families() {
			w.checks[f] = c
		}
	}
	it, err := v.Scan(nil, nil)
	if err != nil {
		return w.figures, err
	}
	for ctx.Err() == nil && it.Next() && w.entry(it) {
		if progress != nil && w.figures.Keys%progressEvery == 0 {
			progress(w.figures)
		}
	}
	if err := it.Close(); err != nil {
		w.problem("", "reading stopped after %d keys: %s", w.figures.Keys, err)
		return w.figures, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err := ctx.Err(); err != nil {
		return w.figures, err
	}
	for _, c := range checks {
		c.End(func(format string, args ...any) { w.problem("", format, args...) })
	}
	return w.figures, nil
}

type walk struct {
	figures Figures
	checks  map[Family]Check
	last    []byte
}

// entry looks at the key under the iterator. It returns false when the value cannot be read; the iterator knows why.
func (w *walk) entry(it *Iterator) bool {
	raw := it.Key()
	value, err := it.Value()
	if err != nil {
		return false
	}
	w.figures.Keys++
	w.figures.Bytes += uint64(len(raw) + len(value))
	if bytes.Compare(raw, w.last) <= 0 {
		w.problem(fmt.Sprintf("%q", raw), "not after key %q", w.last)
	}
	w.last = append(w.last[:0], raw...)
	key, err := ParseKey(raw)
	if err != nil {
		w.problem("", "%s", err)
		return true
	}
	l, _ := layoutOf(key.Family)
	w.figures.Families[l.name]++
	if check, ok := w.checks[key.Family]; ok {
		check.Entry(key, value, func(format string, args ...any) { w.problem(key.String(), format, args...) })
	} else {
		w.problem(key.String(), "no check knows this family")
	}
	return true
}

func (w *walk) problem(key, format string, args ...any) {
	w.figures.Found++
	if len(w.figures.Problems) < maxProblems {
		w.figures.Problems = append(w.figures.Problems, Problem{key, fmt.Sprintf(format, args...)})
	}
}

// CheckFunc is a Check of one family whose entries have nothing to do with each other. It returns what is wrong, or nil.
type CheckFunc struct {
	Family Family
	Check  func(key Key, value []byte) error
}

// Families implements Check.
func (c CheckFunc) Families() []Family { return []Family{c.Family} }

// Entry implements Check.
func (c CheckFunc) Entry(key Key, value []byte, report Report) {
	if err := c.Check(key, value); err != nil {
		report("%s", err)
	}
}

// End implements Check.
func (c CheckFunc) End(Report) {}
