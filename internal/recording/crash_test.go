package recording

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flux-go/flux/execution/record"
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

// TestCrashKeepsWhatWasAnswered cuts the power again and again while executions are recorded, replaced, pinned and removed, with
// some of what was not synced surviving. On each of the disks what was answered is there, as it came, under its terms, and
// everything fits together.
func TestCrashKeepsWhatWasAnswered(t *testing.T) {
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
	e := open(t, engine.Options{FS: fs})
	l := ledger{e: e, x: New(e), last: make(map[record.ID]fate)}
	l.change.L = &l.mu
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for client := range 4 {
		clients.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					l.write(t, byte(client), i)
				}
			}
		})
	}
	for range cuts {
		l.await(1 + r.IntN(30))
		for range r.IntN(10) {
			runtime.Gosched() // the cut is to come at any point between two answers
		}
		answered := l.answered()
		disk := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 10, 50, 90, 100}[r.IntN(5)], RNG: r})
		l.pause.Lock() // or the store would grow faster than it is looked at
		checkDisk(t, disk, answered)
		l.pause.Unlock()
	}
	close(stop)
	clients.Wait()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// fate is what became of an execution in the end.
type fate struct {
	data   []byte // of its record, nil when it was removed
	pinned bool
}

// ledger is what was answered.
type ledger struct {
	e      *engine.Engine
	x      *Executions
	pause  sync.RWMutex // held for reading by who writes
	mu     sync.Mutex
	change sync.Cond
	last   map[record.ID]fate // of executions to which nothing happens any more
}

// write takes an execution through one of four lives: it ends, it runs and ends, it is pinned, it is removed.
func (l *ledger) write(t *testing.T, client byte, i int) {
	l.pause.RLock()
	defer l.pause.RUnlock()
	x := failing(request(client, fmt.Sprintf("/orders/%d", i)), fmt.Sprintf("failure number %d", i%5))
	x.ID[10], x.ID[11], x.ID[12] = byte(i>>16), byte(i>>8), byte(i)
	x.Start = start.Add(time.Duration(i/8) * time.Millisecond)
	if i%4 == 1 {
		running := *x
		running.Status, running.Error = record.StatusRunning, nil
		propose(t, l.e, newRecord(t, &running))
	}
	end := fate{data: record.Append(nil, x)}
	propose(t, l.e, newRecord(t, x))
	switch i % 4 {
	case 2:
		propose(t, l.e, &Pin{ID: x.ID})
		end.pinned = true
	case 3:
		propose(t, l.e, newRemove(t, l.x, x.ID))
		end.data = nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last[x.ID] = end
	l.change.Broadcast()
}

// await returns when n more executions were done with.
func (l *ledger) await(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for want := len(l.last) + n; len(l.last) < want; {
		l.change.Wait()
	}
}

func (l *ledger) answered() map[record.ID]fate {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.last)
}

// checkDisk looks at a store after the power was cut.
func checkDisk(t *testing.T, disk vfs.FS, answered map[record.ID]fate) {
	e, err := engine.Open("store", engine.Options{FS: disk})
	if err != nil {
		t.Error(err)
		return
	}
	defer e.Close()
	wantSound(t, e)
	x := New(e)
	for id, end := range answered {
		found, err := x.Get(ns, id.String(), false)
		switch {
		case end.data == nil && !errors.Is(err, ErrNotFound):
			t.Errorf("%s was removed and is there (%v)", id, err)
		case end.data != nil && (err != nil || !bytes.Equal(found.Record, end.data) || found.Pinned != end.pinned):
			t.Errorf("%s was recorded and is %+v (%v)", id, found.Item, err)
		}
	}
}
