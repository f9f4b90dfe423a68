package schedule

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flux-go/flux/internal/engine"
)

// crashCuts is how often TestCrash cuts the power: FLUX_CRASH_CUTS times, or few enough for every day.
func crashCuts(t *testing.T) int {
	text := os.Getenv("FLUX_CRASH_CUTS")
	if text == "" {
		return 30
	}
	cuts, err := strconv.Atoi(text)
	if err != nil || cuts < 1 {
		t.Fatalf("FLUX_CRASH_CUTS=%s: want a number from 1", text)
	}
	return cuts
}

const cutsPerRun = 10

// TestCrashFiresExactlyOnce cuts the power again and again while schedules are put, cancelled and fired, with some of what was
// not synced surviving. On each of the disks another scheduler fires what is left. What was answered is then in the log once,
// what was cancelled and had not fired is not there, and what was not answered is there at most once (T1).
func TestCrashFiresExactlyOnce(t *testing.T) {
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
	fs := vfs.NewCrashableMem()
	w := newWorld(t, fs)
	var l ledger
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for client := range 4 {
		clients.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					l.write(w, fmt.Sprintf("%d-%d", client, i), i)
				}
			}
		})
	}
	var checks sync.WaitGroup
	for range cuts {
		l.await(1 + r.IntN(60))
		for range r.IntN(100) {
			runtime.Gosched() // the cut is to come at any point between two answers
		}
		answered := l.answered()
		disk := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 10, 50, 90, 100}[r.IntN(5)], RNG: r})
		checks.Go(func() { checkDisk(t, disk, answered) })
	}
	close(stop)
	clients.Wait()
	checks.Wait()
	w.stop()
}

// ledger is what was answered.
type ledger struct {
	mu       sync.Mutex
	change   sync.Cond // of mu
	put      []string
	canceled []string // those that were pending
}

// write puts a schedule that is due within a few milliseconds, and cancels every third.
func (l *ledger) write(w *world, id string, i int) {
	w.put(id, w.clock.now().Add(time.Duration(i%5)*time.Millisecond))
	c := &Cancel{ID: id}
	if i%3 == 0 {
		propose(w, w.engine, ns, c)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.Canceled {
		l.canceled = append(l.canceled, id)
	} else {
		l.put = append(l.put, id)
	}
	if l.change.L != nil {
		l.change.Broadcast()
	}
}

// await returns when n more schedules were answered.
func (l *ledger) await(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.change.L = &l.mu
	for want := len(l.put) + n; len(l.put) < want; {
		l.change.Wait()
	}
}

// answered returns, for each id that was answered, how often its message must be in the log.
func (l *ledger) answered() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	times := make(map[string]int)
	for _, id := range l.put {
		times[id] = 1
	}
	for _, id := range l.canceled {
		times[id] = 0
	}
	return times
}

// checkDisk fires what is left on a disk, and looks at the log.
func checkDisk(t *testing.T, disk vfs.FS, answered map[string]int) {
	later := func() time.Time { return time.Now().Add(time.Hour) }
	e, err := engine.Open("store", engine.Options{FS: disk, Clock: later})
	if err != nil {
		t.Error(err)
		return
	}
	defer e.Close()
	s := NewScheduler(e, Options{Clock: later})
	if err := s.begin(); err != nil {
		t.Error(err)
	}
	s.fireDue(context.Background())
	found := make(map[string]int)
	for _, f := range log(t, e, ns) {
		if found[f.payload]++; found[f.payload] > 1 {
			t.Errorf("schedule %s fired twice", f.payload)
		}
	}
	for id, want := range answered {
		if found[id] != want {
			t.Errorf("schedule %s is in the log %d times, want %d", id, found[id], want)
		}
	}
	if pending, _, err := New(e).List(ns, Place{}, 1); err != nil || len(pending) > 0 {
		t.Errorf("still pending: %v (%v)", pending, err)
	}
}
