package engine

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

// TestGroupsAgreeWithModel applies random groups of random transactions, some of which are refused half-way, to an engine and
// to a map, and compares what operations read on the way and what the store has after each group.
func TestGroupsAgreeWithModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e, err := Open("store", Options{FS: vfs.NewMem()})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		m := &groupModel{kept: make(map[string]string), at: 1}
		for range rapid.IntRange(1, 6).Draw(t, "groups") {
			m.group = nil
			var group []*Transaction
			for range rapid.IntRange(1, 6).Draw(t, "transactions") {
				group = append(group, m.drawTransaction(t))
			}
			commitGroup(e, group...)
			m.commit()
			v := e.View()
			if got, want := dump(t, v), m.dump(); got != want {
				t.Fatalf("store has\n%swant\n%s", got, want)
			}
			v.Close()
		}
	})
}

// groupModel is a map from key to value, and the writes of the group being made, applied as they are drawn. Entries are kept
// one by one, and packed when the group commits.
type groupModel struct {
	kept  map[string]string
	group []modelEntry
	at    uint64
}

type modelEntry struct {
	prefix string
	at     uint64
	value  string
}

func (e modelEntry) key() string { return string(AppendUint64([]byte(e.prefix), e.at)) }

func (m *groupModel) drawTransaction(t *rapid.T) *Transaction {
	before, entries := maps.Clone(m.kept), slices.Clone(m.group)
	tx := transaction()
	for range rapid.IntRange(0, 6).Draw(t, "operations") {
		tx.Operations = append(tx.Operations, m.draw(t))
	}
	if rapid.IntRange(0, 3).Draw(t, "refused") == 0 {
		tx.Operations = append(tx.Operations, refuse(ErrConflict))
		m.kept, m.group = before, entries
	}
	return tx
}

// draw applies a random operation to the model and returns the one that does the same to the engine.
func (m *groupModel) draw(t *rapid.T) Operation {
	ids := rapid.ByteRange(0, 9)
	k := key(ids.Draw(t, "key"))
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		value := fmt.Sprint("v", m.next())
		m.kept[string(k)] = value
		return do(func(tx *Tx) error { tx.Set(k, []byte(value)); return nil })
	case 1:
		delete(m.kept, string(k))
		return do(func(tx *Tx) error { tx.Delete(k); return nil })
	case 2:
		end := key(ids.Draw(t, "end"))
		m.deleteRange(string(k), string(end))
		return do(func(tx *Tx) error { tx.DeleteRange(k, end); return nil })
	case 3:
		e := modelEntry{string(k), m.next(), fmt.Sprint("e", m.at)}
		m.group = append(m.group, e)
		return do(func(tx *Tx) error { tx.Extend(k, e.at, []byte(e.value)); return nil })
	default:
		want, found := m.kept[string(k)]
		return do(func(tx *Tx) error {
			if got, err := tx.Get(k); err != nil || string(got) != want || (got != nil) != found {
				t.Errorf("operation sees %q (%v) at %q, want %q", got, err, k, want)
			}
			return nil
		})
	}
}

func (m *groupModel) next() uint64 {
	m.at++
	return m.at
}

func (m *groupModel) deleteRange(start, end string) {
	within := func(k string) bool { return start <= k && k < end }
	maps.DeleteFunc(m.kept, func(k, _ string) bool { return within(k) })
	m.group = slices.DeleteFunc(m.group, func(e modelEntry) bool { return within(e.key()) })
}

// commit packs the entries of the group under each prefix into one.
func (m *groupModel) commit() {
	packed := make(map[string]modelEntry)
	for _, e := range m.group {
		e.value = packed[e.prefix].value + e.value
		packed[e.prefix] = e
	}
	for _, e := range packed {
		m.kept[e.key()] = e.value
	}
}

func (m *groupModel) dump() string {
	var out strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m.kept)) {
		fmt.Fprintf(&out, "%q = %q\n", k, m.kept[k])
	}
	return out.String()
}

func TestEntriesArePackedUpToABound(t *testing.T) {
	t.Parallel()
	e := open(t, Options{})
	part := bytes.Repeat([]byte("x"), maxEntryBytes/4)
	var group []*Transaction
	for at := range uint64(10) {
		group = append(group, transaction(do(func(tx *Tx) error { tx.Extend(key(1), at, part); return nil })))
	}
	huge := bytes.Repeat([]byte("y"), 2*maxEntryBytes)
	group = append(group, transaction(do(func(tx *Tx) error { tx.Extend(key(1), 10, huge); return nil })))
	commitGroup(e, group...)
	v := e.View()
	defer v.Close()
	for at, size := range map[uint64]int{3: 4 * len(part), 7: 4 * len(part), 9: 2 * len(part), 10: len(huge)} {
		if value, err := v.Get(AppendUint64(key(1), at)); len(value) != size {
			t.Errorf("entry at %d has %d bytes (%v), want %d", at, len(value), err, size)
		}
	}
}

// BenchmarkDeletions commits groups whose transactions each write, delete a range and read. What a transaction costs must not
// grow with the group.
func BenchmarkDeletions(b *testing.B) {
	for _, n := range []int{64, 512, maxGroupLen} {
		b.Run(fmt.Sprint("transactions=", n), func(b *testing.B) {
			e, err := Open("store", Options{FS: vfs.NewMem()})
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			var group []*Transaction
			for i := range n {
				prefix := fmt.Appendf(nil, "%08d/", i*7919%n)
				group = append(group, transaction(do(func(tx *Tx) error {
					tx.Set(append(bytes.Clone(prefix), 'a'), []byte("value"))
					tx.Extend(prefix, uint64(i), []byte("entry"))
					tx.DeleteRange(prefix, append(bytes.Clone(prefix), 0xff))
					_, err := tx.Get(append(bytes.Clone(prefix), 'b'))
					return err
				})))
			}
			for b.Loop() {
				commitGroup(e, group...)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/transaction")
		})
	}
}
