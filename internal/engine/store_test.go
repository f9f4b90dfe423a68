package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
)

func TestStoreKeepsItsDataAndVersion(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "store") // the parent is made too
	for i := range 3 {
		e, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for id := range byte(i) {
			if got := getNow(t, e, id); got != fmt.Sprint(id) {
				t.Errorf("after %d openings key %d has %q", i, id, got)
			}
		}
		propose(t, e, set(byte(i), fmt.Sprint(i)))
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if version, err := atomicfs.ReadMarker(vfs.Default, dir, versionMarker); version != fmt.Sprint(storeVersion) {
		t.Errorf("store version %q (%v), want %d", version, err, storeVersion)
	}
}

func TestOtherStoreVersions(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]error{
		fmt.Sprint(storeVersion):     nil,
		fmt.Sprint(storeVersion + 1): ErrNewerStore,
		"0":                          ErrCorrupt,
		"-1":                         ErrCorrupt,
		"one":                        ErrCorrupt,
	} {
		fs := vfs.NewMem()
		e, err := Open("store", Options{FS: fs})
		if err == nil {
			err = e.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		setVersion(t, fs, version)
		before := files(t, fs, "store")
		for _, readOnly := range []bool{true, false} {
			e, err := Open("store", Options{FS: fs, ReadOnly: readOnly})
			if !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("store of version %q: %v, want %v", version, err, want)
			}
			if err == nil {
				err = e.Close()
			} else if !maps.Equal(files(t, fs, "store"), before) {
				t.Errorf("store of version %q was changed", version)
			}
			if err != nil && want == nil {
				t.Error(err)
			}
		}
	}
}

func setVersion(t *testing.T, fs vfs.FS, version string) {
	t.Helper()
	marker, _, err := atomicfs.LocateMarker(fs, "store", versionMarker)
	if err == nil {
		err = errors.Join(marker.Move(version), marker.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestStoreIsOpenOnce(t *testing.T) {
	t.Parallel()
	for name, fs := range map[string]vfs.FS{"memory": vfs.NewMem(), "disk": vfs.Default} {
		dir := filepath.Join(t.TempDir(), "store")
		e, err := Open(dir, Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		for _, readOnly := range []bool{true, false} {
			if _, err := Open(dir, Options{FS: fs, ReadOnly: readOnly}); !errors.Is(err, ErrInUse) {
				t.Errorf("%s: second Open, reading only %v: %v, want ErrInUse", name, readOnly, err)
			}
		}
		propose(t, e, set(1, "still works"))
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		e, err = Open(dir, Options{FS: fs})
		if err != nil {
			t.Fatalf("%s: Open after Close: %v", name, err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadOnlyOpenChangesNoByte(t *testing.T) {
	t.Parallel()
	for _, removed := range []string{"no file", "LOCK"} {
		t.Run("without "+removed, func(t *testing.T) {
			t.Parallel()
			readOnlyOpenChangesNoByte(t, removed)
		})
	}
}

// readOnlyOpenChangesNoByte opens a store from which a file was removed, if it has one of that name.
func readOnlyOpenChangesNoByte(t *testing.T, removed string) {
	dir := t.TempDir()
	e, err := Open(dir, Options{MemTableBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 { // some of it in tables, some in the log only
		propose(t, e, set(byte(i), strings.Repeat("x", 1000)))
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, removed)); (err == nil) != (removed == "LOCK") {
		t.Fatal(err)
	}
	before := files(t, vfs.Default, dir)
	e, err = Open(dir, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := dumpNow(t, e); strings.Count(got, "\n") != 256 {
		t.Errorf("the store has\n%s, want 256 keys", got)
	}
	if err := e.Propose(t.Context(), transaction(set(1, "x"))); !errors.Is(err, ErrReadOnly) {
		t.Errorf("Propose: %v, want ErrReadOnly", err)
	}
	if err := e.Checkpoint(filepath.Join(dir, "copy")); !errors.Is(err, ErrReadOnly) {
		t.Errorf("Checkpoint: %v, want ErrReadOnly", err)
	}
	if err := e.Err(); err != nil {
		t.Errorf("Err: %v, want none: the disk is well", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	after := files(t, vfs.Default, dir)
	if !maps.Equal(before, after) {
		t.Errorf("files before: %v, after: %v", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
	}
}

func TestReadOnlyOpenOfNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"missing", "."} {
		if e, err := Open(filepath.Join(dir, name), Options{ReadOnly: true}); err == nil {
			t.Errorf("%s: opened for reading only, want an error", name)
			_ = e.Close()
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory was made: %v", err)
	}
}

func TestCheckpointIsAStoreOfItsMoment(t *testing.T) {
	t.Parallel()
	for name, fs := range map[string]vfs.FS{"memory": vfs.NewMem(), "disk": vfs.Default} {
		dir := t.TempDir()
		e, err := Open(filepath.Join(dir, "store"), Options{FS: fs, MemTableBytes: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			propose(t, e, set(byte(i), strings.Repeat("x", 1000)))
		}
		want := dumpNow(t, e)
		backup := filepath.Join(dir, "backup")
		if err := e.Checkpoint(backup); err != nil {
			t.Fatal(err)
		}
		if err := e.Checkpoint(backup); !errors.Is(err, os.ErrExist) {
			t.Errorf("%s: checkpoint over another: %v, want that it exists", name, err)
		}
		propose(t, e, set(1, "later"))
		restored, err := Open(backup, Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		if got := dumpNow(t, restored); got != want {
			t.Errorf("%s: checkpoint has\n%s, want\n%s", name, got, want)
		}
		if err := errors.Join(restored.Close(), e.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheckpointThatFailsLeavesNothingAndHarmsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, err := Open(filepath.Join(dir, "store"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	missing := filepath.Join(dir, "missing", "backup")
	if err := os.WriteFile(filepath.Join(dir, "missing"), nil, 0o600); err != nil { // a file where a directory should be
		t.Fatal(err)
	}
	if err := e.Checkpoint(missing); err == nil {
		t.Error("checkpoint to a place that cannot be, want an error")
	}
	propose(t, e, set(1, "x"))
}

func TestDamagedTableIsAnErrorNotTheEnd(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	e := open(t, Options{FS: fs, MemTableBytes: 64 << 10})
	for i := range 500 {
		propose(t, e, set(byte(i), strings.Repeat(fmt.Sprint(i), 300)))
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	damageTables(t, fs)
	e, err := Open("store", Options{FS: fs, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	v := e.View()
	defer v.Close()
	figures, err := v.Verify(context.Background(), nil, nil)
	if !errors.Is(err, ErrCorrupt) || figures.Found == 0 {
		t.Errorf("verifying a damaged store: %d problems, %v, want ErrCorrupt", figures.Found, err)
	}
}

// damageTables flips a bit in the middle of each table.
func damageTables(t *testing.T, fs *vfs.MemFS) {
	t.Helper()
	damaged := 0
	for name := range files(t, fs, "store") {
		if !isTable(name) {
			continue
		}
		data, err := fs.UnsafeGetFileDataBuffer("store/" + name)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/3] ^= 0x10
		damaged++
	}
	if damaged == 0 {
		t.Fatal("there is no table to damage")
	}
}
