package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/flux-go/flux/internal/engine"
)

// fault makes the writes of a disk fail from some point on, or once.
type fault struct {
	kinds  []errorfs.OpKind // nil means all that change something
	files  string           // the part of their names that failing files have in common
	err    error
	once   bool
	after  int64 // how many such writes succeed
	writes atomic.Int64
	hits   atomic.Int64
}

// MaybeError implements errorfs.Injector.
func (f *fault) MaybeError(op errorfs.Op) error {
	switch {
	case op.Kind.ReadOrWrite() != errorfs.OpIsWrite || op.Kind == errorfs.OpLock || op.Kind == errorfs.OpFileClose,
		f.kinds != nil && !slices.Contains(f.kinds, op.Kind),
		!strings.Contains(path.Base(op.Path), f.files):
		return nil
	}
	n := f.writes.Add(1) - 1
	if n < f.after || f.once && n > f.after {
		return nil
	}
	f.hits.Add(1)
	return f.err
}

func (f *fault) String() string {
	return fmt.Sprintf("%v of writes %v to files with %q after %d, once %v", f.err, f.kinds, f.files, f.after, f.once)
}

var (
	syncs = []errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo}
	// fatal are the writes that may not fail. Removing a file and reserving room for one may.
	fatal = append([]errorfs.OpKind{
		errorfs.OpCreate, errorfs.OpLink, errorfs.OpRename, errorfs.OpReuseForWrite, errorfs.OpFileWrite, errorfs.OpFileWriteAt,
	}, syncs...)
)

func drawFault(r *rand.Rand) *fault {
	f := &fault{err: syscall.ENOSPC, once: r.IntN(2) == 0, after: r.Int64N(80)}
	f.files = []string{"", "", ".log", ".log", ".sst", ".blob", "MANIFEST", "marker"}[r.IntN(8)]
	if r.IntN(2) == 0 {
		f.err = syscall.EIO
	}
	if r.IntN(2) == 0 {
		f.kinds = syncs
	}
	if f.files != "" && f.files != ".log" {
		f.after = r.Int64N(6) // these are written rarely
	}
	return f
}

// TestFailingDisk has the disk fail while clients write, and checks E5: no answer is lost, nothing is written any more, what
// was visible stays readable, closing works; and a new engine on the mended disk, or after a power cut, has all answers.
func TestFailingDisk(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	var failed atomic.Int64
	t.Run("faults", func(t *testing.T) {
		for i := range uint64(60) {
			seed := seed + i
			t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
				t.Parallel()
				if failingDiskRun(t, seed) {
					failed.Add(1)
				}
			})
		}
	})
	if n := failed.Load(); n < 20 {
		t.Errorf("the disk failed in %d of 60 runs, which says little", n)
	}
}

func failingDiskRun(t *testing.T, seed uint64) (failed bool) {
	r := rand.New(rand.NewPCG(seed, 0))
	disk, f := vfs.NewCrashableMem(), drawFault(r)
	t.Log(f)
	w := newWorkload(seed, 1+r.IntN(8), 0)
	e, err := engine.Open("store", w.options(errorfs.Wrap(disk, f)))
	if err != nil {
		if f.hits.Load() == 0 {
			t.Error(err)
		}
		checkMended(t, w, disk)
		return true
	}
	for _, err := range w.run(e, 400) {
		if !errors.Is(err, engine.ErrReadOnly) || !errors.Is(err, f.err) {
			t.Errorf("a client was told %v, want ErrReadOnly and %v", err, f.err)
		}
	}
	if e.Err() != nil {
		failed = true
		checkReadOnly(t, w, e, f)
	}
	crashed := disk.CrashClone(vfs.CrashCloneCfg{})
	if err := e.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	checkMended(t, w, crashed)
	checkMended(t, w, disk)
	return failed
}

// checkReadOnly checks that an engine whose disk has failed refuses to write, and reads what it has answered.
func checkReadOnly(t *testing.T, w *workload, e *engine.Engine, f *fault) {
	t.Helper()
	tx := &engine.Transaction{Namespace: ns}
	if err := e.Propose(context.Background(), tx); !errors.Is(err, engine.ErrReadOnly) || !errors.Is(err, f.err) {
		t.Errorf("Propose after %v: %v, want ErrReadOnly with its cause", f.err, err)
	}
	if err := e.Checkpoint("copy"); !errors.Is(err, engine.ErrReadOnly) {
		t.Errorf("Checkpoint after %v: %v, want ErrReadOnly", f.err, err)
	}
	if _, err := w.check(e, w.all()); err != nil {
		t.Errorf("reading after %v: %v", f.err, err)
	}
}

func checkMended(t *testing.T, w *workload, disk *vfs.MemFS) {
	t.Helper()
	if err := w.checkDisk(disk, w.all(), false); err != nil {
		t.Errorf("on the mended disk: %v", err)
	}
}

// TestOpenOnFailingDisk has each of the first writes of Open fail, on a store with much in its log that is in no table yet.
func TestOpenOnFailingDisk(t *testing.T) {
	t.Parallel()
	w := newWorkload(1, 4, 0)
	options := w.options(nil)
	options.MemTableBytes = 1 << 20
	disk := vfs.NewCrashableMem()
	options.FS = disk
	e, err := engine.Open("store", options)
	if err != nil {
		t.Fatal(err)
	}
	if errs := w.run(e, 200); len(errs) > 0 {
		t.Fatal(errs)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	failures := 0
	for after := range int64(60) {
		copied := disk.CrashClone(vfs.CrashCloneCfg{})
		f := &fault{err: syscall.ENOSPC, kinds: fatal, after: after, once: after%2 == 0}
		options.FS = errorfs.Wrap(copied, f)
		if e, err = engine.Open("store", options); err == nil {
			err = errors.Join(e.Close(), e.Err()) // closing writes too
		}
		switch {
		case (err == nil) != (f.hits.Load() == 0):
			t.Errorf("%v: %d writes failed, Open says %v", f, f.hits.Load(), err)
		case err != nil && !errors.Is(err, syscall.ENOSPC):
			t.Errorf("%v: %v, want the cause", f, err)
		}
		if err != nil {
			failures++
		}
		checkMended(t, w, copied)
	}
	if failures < 10 {
		t.Errorf("Open failed %d times, want often", failures)
	}
}
