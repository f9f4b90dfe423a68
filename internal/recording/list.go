package recording

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// ErrBadCursor is returned for text that no list returned as the place to go on.
var ErrBadCursor = errors.New("bad cursor")

// Page is a part of a list.
type Page struct {
	Items []Item
	// Next is where to go on. Empty when there are no more. A page may have fewer items than it was to have, or none, when many
	// executions had to be looked at.
	Next string
	// SearchedTo is the start of the last execution that was looked at, in milliseconds since the Unix epoch; when there are no
	// more, the beginning of time, or Filter.Since.
	SearchedTo int64
}

// maxWork bounds one call of List, in the units below, so that it takes a fraction of a second however much there is.
const maxWork = 40_000

// What the steps of a list cost, in units of about two microseconds.
const (
	workRow    = 1  // a summary read in sequence
	workSeek   = 1  // a step in a list of postings
	workLookup = 3  // a summary read by its place
	workRecord = 15 // a record read and decoded, and another unit for each bytesPerWork of it

	bytesPerWork = 128
)

// List returns up to size executions that pass a filter, those that started last first. Cursor is the Next of the page before,
// or empty. The error is ErrBadCursor.
func (x *Executions) List(ns message.Namespace, f *Filter, cursor string, size int) (Page, error) {
	from := newest
	if cursor != "" {
		n, err := strconv.ParseUint(cursor, 16, 64)
		if err != nil || len(cursor) != 16 {
			return Page{}, fmt.Errorf("%w: %q", ErrBadCursor, cursor)
		}
		from = place(n)
	}
	view := x.engine.View()
	defer view.Close()
	return reader{view, ns}.list(f, from, size)
}

func (r reader) list(f *Filter, from place, size int) (page Page, err error) {
	first, last := f.places()
	s := search{reader: r, filter: f, left: maxWork}
	if err := s.open(f.terms(), max(from, first), last); err != nil {
		return page, errors.Join(err, s.close())
	}
	for len(page.Items) < size {
		item, err := s.next()
		if err != nil {
			return Page{}, errors.Join(err, s.close())
		}
		if item == nil {
			break
		}
		page.Items = append(page.Items, *item)
	}
	page.SearchedTo = last.milli()
	if !s.ended {
		page.Next, page.SearchedTo = fmt.Sprintf("%016x", uint64(s.at)), s.at.milli()
	}
	return page, s.close()
}

// places returns the first and last place of what may have started between Since and Until.
func (f *Filter) places() (first, last place) {
	first, last = newest, oldest
	if !f.Until.IsZero() {
		first = placeAt(clampMilli(f.Until.UnixMilli()), 0) + 1
	}
	if !f.Since.IsZero() {
		last = placeAt(clampMilli(f.Since.UnixMilli()), 0)
	}
	return first, last
}

func clampMilli(milli int64) int64 { return min(max(milli, 0), maxMilli) }

// search walks over the executions that pass a filter.
type search struct {
	reader
	filter *Filter
	lists  []list
	// summaries is the list of all summaries, nil unless it is the only one.
	summaries *walk
	at        place // everything before was looked at
	ended     bool  // there is nothing at or after at
	left      int   // work that may be done
}

// open starts a search from one place to another, both included, for executions that have a term of each set.
func (s *search) open(sets [][]term, from, last place) error {
	s.at, s.ended = from, from > last
	if s.ended {
		return nil
	}
	if len(sets) == 0 {
		w, err := s.openWalk(engine.AppendKey(nil, s.ns, engine.FamilySummary), from, last)
		s.summaries = w
		return s.add(w, err)
	}
	for _, set := range sets {
		if err := s.openSet(set, from, last); err != nil {
			return err
		}
	}
	return nil
}

// openSet adds the list of what has any of some terms.
func (s *search) openSet(set []term, from, last place) error {
	var any union
	for _, t := range set {
		w, err := s.openWalk(termKey(s.ns, t), from, last)
		if err != nil {
			return errors.Join(err, any.close())
		}
		any = append(any, w)
	}
	if len(any) == 1 {
		return s.add(any[0], nil)
	}
	return s.add(any, nil)
}

func (s *search) add(l list, err error) error {
	if err == nil {
		s.lists = append(s.lists, l)
	}
	return err
}

func (s *search) openWalk(prefix []byte, from, last place) (*walk, error) {
	w := &walk{prefix: slices.Clip(prefix)}
	end := engine.PrefixEnd(w.prefix)
	if last != oldest {
		end = w.key(last + 1)
	}
	var err error
	w.it, err = s.view.Scan(w.key(from), end)
	return w, err
}

func (s *search) close() error {
	var err error
	for _, l := range s.lists {
		err = errors.Join(err, l.close())
	}
	return err
}

// next returns the next execution that passes, or nil when there are none or enough work was done.
func (s *search) next() (*Item, error) {
	for s.left > 0 && !s.ended {
		found, err := s.align()
		if err != nil || !found {
			return nil, err
		}
		at := s.at
		item, err := s.item()
		if err != nil {
			return nil, err
		}
		if s.ended = at == oldest; !s.ended {
			s.at++
		}
		if !s.filter.picks(item) {
			continue
		}
		if ok, err := s.conditions(item, at); err != nil || ok {
			return item, err
		}
	}
	return nil, nil
}

// align moves to the first place, from s.at on, that all lists have. It returns false when there is none, or enough work was
// done.
func (s *search) align() (bool, error) {
	for agreed, i := 0, 0; agreed < len(s.lists); i = (i + 1) % len(s.lists) {
		if s.left -= workSeek; s.left <= 0 {
			return false, nil
		}
		at, ok, err := s.lists[i].seek(s.at)
		if err != nil || !ok {
			s.ended = true
			return false, err
		}
		if at == s.at {
			agreed++
			continue
		}
		s.at, agreed = at, 1
	}
	return true, nil
}

// item returns the summary at s.at, where all lists are.
func (s *search) item() (*Item, error) {
	if s.summaries != nil {
		s.left -= workRow
		raw, err := s.summaries.it.Value()
		if err != nil {
			return nil, err
		}
		return decodeItem(raw)
	}
	s.left -= workLookup
	return s.reader.item(s.at)
}

// conditions compares fields of the record at a place, if there are conditions.
func (s *search) conditions(i *Item, at place) (bool, error) {
	if len(s.filter.Where) == 0 {
		return true, nil
	}
	s.left -= workRecord + int(i.Bytes/bytesPerWork)
	data, err := s.record(at)
	if err != nil {
		return false, err
	}
	x, err := record.Decode(data)
	if err != nil {
		return false, fmt.Errorf("%w: record of %s: %w", engine.ErrCorrupt, i.ID, err)
	}
	return holdAll(s.filter.Where, x), nil
}

// passes says whether a filter picks an execution, words and conditions included.
func (r reader) passes(f *Filter, i *Item, at place) (bool, error) {
	if !f.picks(i) {
		return false, nil
	}
	for _, word := range f.words() {
		found, err := r.view.Get(postingKey(r.ns, newTerm(termWord, word), at))
		if err != nil || found == nil {
			return false, err
		}
	}
	s := search{reader: r, filter: f}
	return s.conditions(i, at)
}
