package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/errgroup"

	"github.com/flux-go/flux/internal/engine"
)

// crashCuts is how often TestCrash cuts the power: FLUX_CRASH_CUTS times, or few enough for every day.
func crashCuts(t *testing.T) int {
	text := os.Getenv("FLUX_CRASH_CUTS")
	if text == "" {
		return 200
	}
	cuts, err := strconv.Atoi(text)
	if err != nil || cuts < 1 {
		t.Fatalf("FLUX_CRASH_CUTS=%s: want a number from 1", text)
	}
	return cuts
}

const cutsPerRun = 20

// TestCrash cuts the power again and again while clients write, with some of what was not synced surviving, and looks at what
// a new engine finds on each of the disks: all that was answered, nothing in part, and indexes that go on (E1, E2, L1, U1).
func TestCrash(t *testing.T) {
	t.Parallel()
	cuts := crashCuts(t)
	seed := rand.Uint64()
	for run := 0; run*cutsPerRun < cuts; run++ {
		seed := seed + uint64(run)
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			crashRun(t, seed, min(cutsPerRun, cuts-run*cutsPerRun))
		})
	}
}

func crashRun(t *testing.T, seed uint64, cuts int) {
	r := rand.New(rand.NewPCG(seed, 0))
	w := newWorkload(seed, 1+r.IntN(8), 40)
	fs := vfs.NewCrashableMem()
	e, err := engine.Open("store", w.options(fs))
	if err != nil {
		t.Fatal(err)
	}
	w.start(e)
	var checks errgroup.Group
	checks.SetLimit(2)
	for range cuts {
		<-w.after(1 + r.IntN(40))
		for range r.IntN(100) {
			runtime.Gosched() // the cut is to come at any point between two answers
		}
		answers := w.all()
		after := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 10, 50, 90, 100}[r.IntN(5)], RNG: r})
		again := r.IntN(4) == 0
		checks.Go(func() error { return w.checkDisk(after, answers, again) })
	}
	for _, err := range w.end() {
		t.Error(err)
	}
	if err := errors.Join(checks.Wait(), e.Close()); err != nil {
		t.Error(err)
	}
}

// checkDisk opens the store of a disk, looks at it, and writes to it. With again it then cuts the power once more.
func (w *workload) checkDisk(fs *vfs.MemFS, answers [][]answer, again bool) error {
	e, err := engine.Open("store", w.options(fs))
	if err != nil {
		return err
	}
	defer e.Close()
	f, err := w.check(e, answers)
	if err != nil {
		return err
	}
	if err := f.goOn(); err != nil || !again {
		return err
	}
	if err := w.checkDisk(fs.CrashClone(vfs.CrashCloneCfg{}), answers, false); err != nil {
		return fmt.Errorf("after a second cut: %w", err)
	}
	return nil
}
