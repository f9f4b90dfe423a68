package tracking

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/flux-go/flux/message"
)

// seeded returns random numbers and prints how to get the same again when the test fails.
func seeded(t testing.TB, seed uint64) *rand.Rand {
	t.Helper()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// randomStep is a call of "active", "wait" or "remove".
type randomStep struct {
	kind  string
	id    string
	share Share
}

// randomSequence returns up to 500 steps, with a number of ids and a mix of steps of their own.
func randomSequence(random *rand.Rand, maxIDs, maxWeight int) []randomStep {
	ids, weight := 1+random.IntN(maxIDs), 1+random.IntN(maxWeight)
	waits, leaves := random.IntN(6), 1+random.IntN(3)
	steps := make([]randomStep, 1+random.IntN(500))
	for i := range steps {
		s := randomStep{"active", fmt.Sprintf("t%d", random.IntN(ids)), Share{Weight: 1 + random.IntN(weight)}}
		switch n := random.IntN(10); {
		case n < leaves:
			s.kind = "remove"
		case n < leaves+waits:
			s.kind = "wait"
		}
		steps[i] = s
	}
	return steps
}

func (s randomStep) take(d *Division) (changed []string) {
	switch s.kind {
	case "active":
		return d.MarkActive(s.id, s.share)
	case "wait":
		return d.MarkWaiting(s.id, s.share)
	}
	return d.Remove(s.id)
}

// rangesByID are the ranges of trackers.
type rangesByID map[string]message.SegmentRange

func rangesOf(d *Division) rangesByID {
	all := rangesByID{}
	for id := range d.IDs() {
		all[id] = d.Range(id)
	}
	return all
}

// forRandomSteps takes n random steps or some more and calls check after each, with the ranges before it. Sequences begin
// without trackers.
func forRandomSteps(
	t *testing.T, n, maxIDs, maxWeight int, check func(d *Division, s randomStep, before rangesByID, changed []string),
) {
	random := seeded(t, rand.Uint64())
	for taken := 0; taken < n && !t.Failed(); {
		var d Division
		var history []string
		for _, s := range randomSequence(random, maxIDs, maxWeight) {
			before := rangesOf(&d)
			changed := s.take(&d)
			check(&d, s, before, changed)
			history = append(history, fmt.Sprintf("%v: %s", s, d.tracked()))
			if taken++; t.Failed() {
				t.Fatalf("after\n%s", strings.Join(history[max(0, len(history)-20):], "\n"))
			}
		}
	}
}

func TestInvariantsHoldInRandomLives(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]struct{ steps, ids, weight int }{
		"few":      {60_000, 5, 1},
		"weighted": {60_000, 12, 40},
		"many":     {3_000, 200, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			active := map[string]bool{}
			check := func(d *Division, s randomStep, before rangesByID, changed []string) {
				if len(before) == 0 {
					clear(active)
				}
				checkD1D3(t, d)
				checkD2(t, d, s, before, active)
				checkD4D5(t, d)
				checkChanged(t, d, s, before, changed)
				active[s.id] = s.kind == "active"
				if d.Active(s.id) != active[s.id] || d.Known(s.id) == (s.kind == "remove") {
					t.Errorf("%v: known %v, active %v", s, d.Known(s.id), d.Active(s.id))
				}
			}
			forRandomSteps(t, size.steps, size.ids, size.weight, check)
		})
	}
}

// checkD1D3 checks that each segment belongs to exactly one tracker.
func checkD1D3(t *testing.T, d *Division) {
	var holders [message.Segments]int
	for id := range d.IDs() {
		for s := d.Range(id).Start; s < d.Range(id).End; s++ {
			holders[s]++
		}
	}
	for s, n := range holders {
		if n != min(d.Len(), 1) {
			t.Errorf("D1 or D3: segment %d belongs to %d trackers", s, n)
		}
	}
}

// checkD2 checks that no tracker that stayed active lost a segment.
func checkD2(t *testing.T, d *Division, s randomStep, before rangesByID, active map[string]bool) {
	for id, was := range before {
		now := d.Range(id)
		if id != s.id && active[id] && !was.Empty() && (now.Start > was.Start || now.End < was.End) {
			t.Errorf("D2: active %s had %s and has %s", id, was, now)
		}
	}
}

// checkD4D5 checks the sizes when all wait, which is so after a division in which nobody was pinned.
func checkD4D5(t *testing.T, d *Division) {
	weights := map[int]bool{}
	for _, c := range d.trackers {
		if c.active {
			return
		}
		weights[c.share.Weight] = true
	}
	var sizes []int
	for id := range d.IDs() {
		sizes = append(sizes, d.Range(id).Len())
	}
	if n := len(sizes); n > 0 && n <= message.Segments && slices.Min(sizes) == 0 {
		t.Errorf("D5: sizes %v", sizes)
	}
	if len(weights) == 1 && !slices.Equal(sizes, evenSizes(len(sizes))) {
		t.Errorf("D4: sizes %v, want %v", sizes, evenSizes(len(sizes)))
	}
}

func evenSizes(n int) []int {
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = message.Segments / n
		if n > message.Segments {
			sizes[i] = 0
			if i < message.Segments {
				sizes[i] = 1
			}
		} else if n-(i+1) < message.Segments%n {
			sizes[i]++
		}
	}
	return sizes
}

func checkChanged(t *testing.T, d *Division, s randomStep, before rangesByID, changed []string) {
	var want []string
	for id, now := range rangesOf(d) {
		if id != s.id && now != before[id] {
			want = append(want, id)
		}
	}
	if slices.Sort(want); !slices.Equal(changed, want) {
		t.Errorf("%v: changed %v, want %v", s, changed, want)
	}
}
