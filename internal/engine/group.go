package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// maxEntryBytes is where Extend begins a new entry. It bounds what a reader must load to get at one message.
const maxEntryBytes = 1 << 20

// group collects the writes of the transactions that are applied together. Writes are kept in order in lists, so that the
// end of a list can be cut off when a transaction is taken back.
type group struct {
	db    *pebble.DB
	milli int64

	writes  []write
	latest  map[string]int // key → place of its newest write in writes
	ranges  []keyRange
	entries []entry
	events  []any

	// What is needed once there are ranges: the keys of the first ordered writes, and what the ranges cover.
	order   keyOrder
	ordered int
	covered coverage
}

// write sets a key, or deletes it when value is nil.
type write struct {
	key, value []byte
	prev       int // place of the write of the same key before this one, or -1
}

// entry is one value that Extend or StartEntry was given.
type entry struct {
	prefix []byte
	at     uint64
	value  []byte
	starts bool // it is not joined to the one before
}

// mark is a point to which a group can be cut back.
type mark struct{ writes, ranges, entries, events int }

func newGroup(db *pebble.DB) *group { return &group{db: db, latest: make(map[string]int)} }

// keepWrites is the number of writes from which a group does not keep its memory for the next: to clear a large map takes
// long, and most groups are small.
const keepWrites = 1024

// begin returns an empty group for transactions at a time. It is g with its memory, unless that was large, but for the events,
// which others have.
func (g *group) begin(milli int64) *group {
	if len(g.writes) > keepWrites {
		g = newGroup(g.db)
	}
	clear(g.latest)
	g.writes, g.ranges, g.entries = g.writes[:0], g.ranges[:0], g.entries[:0]
	g.order, g.ordered, g.covered = keyOrder{}, 0, coverage{}
	g.milli, g.events = milli, nil
	return g
}

func (g *group) mark() mark {
	return mark{len(g.writes), len(g.ranges), len(g.entries), len(g.events)}
}

func (g *group) rollback(m mark) {
	for i := len(g.writes) - 1; i >= m.writes; i-- {
		if w := g.writes[i]; w.prev < 0 {
			delete(g.latest, string(w.key))
		} else {
			g.latest[string(w.key)] = w.prev
		}
	}
	g.writes = g.writes[:m.writes]
	g.ordered = min(g.ordered, m.writes)
	g.ranges = g.ranges[:m.ranges]
	g.covered.cut(m.ranges)
	g.entries = g.entries[:m.entries]
	g.events = g.events[:m.events]
}

func (g *group) empty() bool {
	return len(g.writes) == 0 && len(g.ranges) == 0 && len(g.entries) == 0
}

func (g *group) get(key []byte) ([]byte, error) {
	if value, ok := g.written(key); ok {
		return value, nil
	}
	return getCopy(g.db, key)
}

// written returns the value of a key that the group has set or deleted, nil for the latter, and whether it has.
func (g *group) written(key []byte) ([]byte, bool) {
	if i, ok := g.latest[string(key)]; ok {
		return g.writes[i].value, true
	}
	return nil, len(g.ranges) > 0 && g.covered.contains(g.ranges, key)
}

// getCopy returns a copy of a key's value, or nil if there is none.
func getCopy(r pebble.Reader, key []byte) ([]byte, error) {
	value, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	value = copied(value)
	return value, closer.Close()
}

// copied returns a copy that is never nil, even when empty.
func copied(value []byte) []byte { return append(make([]byte, 0, len(value)+1), value...) }

func (g *group) set(key, value []byte) {
	prev, ok := g.latest[string(key)]
	if !ok {
		prev = -1
	}
	g.latest[string(key)] = len(g.writes)
	g.writes = append(g.writes, write{key, value, prev})
}

// deleteRange also deletes what the group itself has written in the range, in the order of the keys.
func (g *group) deleteRange(start, end []byte) {
	fresh := make([]string, 0, len(g.writes)-g.ordered)
	for _, w := range g.writes[g.ordered:] {
		fresh = append(fresh, string(w.key))
	}
	g.order.add(fresh)
	g.ordered = len(g.writes)
	for _, key := range g.order.within(string(start), string(end)) {
		if i, ok := g.latest[key]; ok && g.writes[i].value != nil { // it may have been taken back, or deleted
			g.set([]byte(key), nil)
		}
	}
	g.ranges = append(g.ranges, keyRange{bytes.Clone(start), bytes.Clone(end), len(g.entries)})
}

func (g *group) extend(e entry) { g.entries = append(g.entries, e) }

// writeTo puts the group into a batch: range deletions first, then the newest write of each key, then the packed entries.
// The order depends on nothing but the group's transactions (E4).
func (g *group) writeTo(b *pebble.Batch) error {
	for _, r := range g.ranges {
		if err := b.DeleteRange(r.start, r.end, nil); err != nil {
			return err
		}
	}
	for i, w := range g.writes {
		if g.latest[string(w.key)] != i {
			continue
		}
		var err error
		if w.value == nil {
			err = b.Delete(w.key, nil)
		} else {
			err = b.Set(w.key, w.value, nil)
		}
		if err != nil {
			return err
		}
	}
	return g.writeEntries(b)
}

func (g *group) writeEntries(b *pebble.Batch) error {
	entries := g.keptEntries()
	slices.SortStableFunc(entries, func(x, y entry) int { return bytes.Compare(x.prefix, y.prefix) })
	for rest := entries; len(rest) > 0; {
		n, size := 1, len(rest[0].value)
		for n < len(rest) && rest[n].joins(rest[0], size) {
			size += len(rest[n].value)
			n++
		}
		if err := writeEntry(b, rest[:n], size); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// joins reports whether e may be stored with the entries from first on, which have size bytes and all come before it.
func (e entry) joins(first entry, size int) bool {
	return !e.starts && bytes.Equal(e.prefix, first.prefix) && size+len(e.value) <= maxEntryBytes
}

// keptEntries returns the entries that no later deletion reached.
func (g *group) keptEntries() []entry {
	if len(g.ranges) == 0 {
		return g.entries
	}
	return uncovered(g.entries, g.ranges)
}

func writeEntry(b *pebble.Batch, run []entry, size int) error {
	last := run[len(run)-1]
	op := b.SetDeferred(len(last.prefix)+8, size)
	binary.BigEndian.PutUint64(op.Key[copy(op.Key, last.prefix):], last.at)
	value := op.Value[:0]
	for _, e := range run {
		value = append(value, e.value...)
	}
	return op.Finish()
}
