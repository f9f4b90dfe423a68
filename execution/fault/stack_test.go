package fault_test

import (
	"reflect"
	"runtime"
	"slices"
	"sort"
	"sync"
	"testing"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// both returns the frames of where it was called, by Here and by runtime.Callers.
//
//go:noinline
func both() (here, callers []record.Frame) {
	counters := make([]uintptr, 64)
	here, callers = fault.Here(1).Frames(), fault.Frames(counters[:runtime.Callers(2, counters)])
	return here, callers
}

// TestHereIsWhereCallersSays asks twice from each place: the second time the place is known.
func TestHereIsWhereCallersSays(t *testing.T) {
	t.Parallel()
	ways := map[string]func(f func()){
		"plain":          func(f func()) { f() },
		"inlined":        inlined,
		"deep":           func(f func()) { deep(12, f) },
		"sort":           func(f func()) { sort.Slice([]int{2, 1}, func(int, int) bool { f(); return false }) },
		"generic":        func(f func()) { slices.SortFunc([]string{"b", "a"}, func(string, string) int { f(); return 0 }) },
		"reflection":     func(f func()) { reflect.ValueOf(f).Call(nil) },
		"another thread": func(f func()) { onThread(f) },
		"deferred":       func(f func()) { defer f() },
		"of a panic": func(f func()) {
			defer func() {
				f()
				_ = recover()
			}()
			var missing *order
			missing.total++
		},
		"after the stack moved": func(f func()) { deep(5000, func() {}); f() },
	}
	for name, way := range ways {
		for turn := range 2 {
			way(func() {
				if here, callers := both(); !slices.Equal(here, callers) || len(here) == 0 {
					t.Errorf("%s, turn %d: frames are %+v, want %+v", name, turn, here, callers)
				}
			})
		}
	}
}

func inlined(f func()) { f() }

func onThread(f func()) {
	var done sync.WaitGroup
	done.Go(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		f()
	})
	done.Wait()
}

func TestHereTellsLinesApart(t *testing.T) {
	t.Parallel()
	var lines []int
	for range 2 {
		a, b := fault.Here(0), fault.Here(0)
		c := fault.Here(0)
		lines = append(lines, a.Call().Line, b.Call().Line, c.Call().Line)
	}
	if lines[0] != lines[1] || lines[2] != lines[0]+1 || !slices.Equal(lines[:3], lines[3:]) {
		t.Errorf("lines are %v", lines)
	}
}

func TestHereAllocatesOnceForAPlace(t *testing.T) {
	if allocs := testing.AllocsPerRun(100, func() { fault.Here(0) }); allocs > 0 && runtime.GOARCH == "amd64" {
		t.Errorf("%v allocations", allocs)
	}
}

// TestHereInManyGoroutines is for the race detector.
func TestHereInManyGoroutines(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for n := range 40 {
				deep(n, func() {
					if here, callers := both(); !slices.Equal(here, callers[:len(here)]) {
						t.Errorf("frames are %+v, want %+v", here, callers)
					}
				})
			}
		})
	}
	all.Wait()
}
