package engine

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

// TestLookupsFindWhatGetFinds writes and deletes random keys in several groups, and in the one that looks them up, and compares
// a lookup of some of them, in their order, with single gets.
func TestLookupsFindWhatGetFinds(t *testing.T) {
	t.Parallel()
	ids := rapid.SliceOfN(rapid.ByteRange(0, 30), 0, 20)
	rapid.Check(t, func(t *rapid.T) {
		e, err := Open("store", Options{FS: vfs.NewMem()})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		for range rapid.IntRange(0, 3).Draw(t, "groups before") {
			commitGroup(e, transaction(drawWrites(t, ids)...))
		}
		wanted, deleted := ids.Draw(t, "wanted"), ids.Draw(t, "deleted meanwhile")
		slices.Sort(wanted)
		look := do(func(tx *Tx) error { return compareLookup(tx, wanted, deleted) })
		if err := commitGroup(e, transaction(append(drawWrites(t, ids), look)...))[0]; err != nil {
			t.Fatal(err)
		}
	})
}

// compareLookup looks keys up, deleting some of them as soon as they were found.
func compareLookup(tx *Tx, wanted, deleted []byte) error {
	lookup := tx.Lookup(key(255))
	for _, id := range wanted {
		got, err := lookup.Get(key(id))
		want, wantErr := tx.Get(key(id))
		if err != nil || wantErr != nil || (got == nil) != (want == nil) || string(got) != string(want) {
			return errors.Join(fmt.Errorf("key %d is %q (%v) by a lookup, %q (%v) by a get", id, got, err, want, wantErr), lookup.Close())
		}
		if slices.Contains(deleted, id) {
			tx.Delete(key(id))
		}
	}
	return lookup.Close()
}

// drawWrites returns operations that set, delete, and delete ranges.
func drawWrites(t *rapid.T, ids *rapid.Generator[[]byte]) []Operation {
	var ops []Operation
	for _, id := range ids.Draw(t, "set") {
		ops = append(ops, set(id, rapid.SampledFrom([]string{"", "a", "bc"}).Draw(t, "value")))
	}
	for _, id := range ids.Draw(t, "deleted") {
		ops = append(ops, do(func(tx *Tx) error { tx.Delete(key(id)); return nil }))
	}
	if rapid.Bool().Draw(t, "range") {
		start := rapid.ByteRange(0, 30).Draw(t, "start")
		ops = append(ops, do(func(tx *Tx) error { tx.DeleteRange(key(start), key(start+5)); return nil }))
	}
	return ops
}
