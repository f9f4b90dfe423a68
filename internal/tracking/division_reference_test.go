package tracking

import (
	"maps"
	"slices"
	"testing"

	"github.com/flux-go/flux/message"
)

func TestDivisionEqualsReference(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]struct{ steps, ids int }{
		"few":  {100_000, 7},
		"some": {10_000, 30},
		"many": {1_000, 160},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c *reference
			forRandomSteps(t, size.steps, size.ids, 1, func(d *Division, s randomStep, before rangesByID, _ []string) {
				if len(before) == 0 {
					c = newReference()
				}
				switch s.kind {
				case "active":
					c.markActive(s.id)
				case "wait":
					c.markWaiting(s.id)
				default:
					c.remove(s.id)
				}
				if got := rangesOf(d); !maps.Equal(got, c.ranges) {
					t.Errorf("%v: %v, want %v", s, got, c.ranges)
				}
			})
		})
	}
}

// The reference shows the defect that the protocol's text reports, so it is a faithful transcription there.
func TestReferenceShowsTheKnownDefect(t *testing.T) {
	t.Parallel()
	c := newReference()
	c.defect = true
	c.markWaiting("c")
	for _, id := range []string{"a", "b", "d"} {
		c.markActive(id)
	}
	c.remove("a")
	want := rangesByID{"b": {Start: 64, End: 128}, "c": {Start: 0, End: 42}, "d": {Start: 64, End: 128}}
	if !maps.Equal(c.ranges, want) {
		t.Errorf("%v, want %v", c.ranges, want)
	}
}

// reference is the protocol's text, written down as literally as Go allows.
type reference struct {
	ranges rangesByID
	active map[string]bool
	// defect leaves out the repair of step 6.
	defect bool
}

func (c *reference) markWaiting(t string) {
	if _, known := c.ranges[t]; !known {
		c.ranges[t] = message.SegmentRange{}
	}
	delete(c.active, t)
	c.recalculate()
}

func (c *reference) markActive(t string) {
	if _, known := c.ranges[t]; !known || c.active[t] {
		c.markWaiting(t)
	}
	c.active[t] = true
}

func (c *reference) remove(t string) {
	if _, known := c.ranges[t]; known {
		delete(c.ranges, t)
		delete(c.active, t)
		c.recalculate()
	}
}

func (c *reference) recalculate() {
	const N = 128
	T := slices.Sorted(maps.Keys(c.ranges))
	n := len(T)
	if n == 0 {
		return
	}

	// 1. pinned = active trackers whose prev range is not [0,0]
	var pinned []message.SegmentRange
	for _, t := range T {
		if c.active[t] && c.ranges[t] != (message.SegmentRange{}) {
			pinned = append(pinned, c.ranges[t])
		}
	}
	slices.SortFunc(pinned, func(a, b message.SegmentRange) int { return a.Start - b.Start })

	// 2. grid = {0}; for i = 1..n add the running sum of slice sizes
	points := map[int]bool{0: true}
	sum := 0
	for i := 1; i <= n; i++ {
		sum += N / n
		if n-i < N%n {
			sum++
		}
		points[sum] = true
	}
	// 3. add start and end of every pinned range to grid
	for _, p := range pinned {
		points[p.Start], points[p.End] = true, true
	}
	// 4. drop every grid point lying strictly inside a pinned range
	for _, p := range pinned {
		maps.DeleteFunc(points, func(point int, _ bool) bool { return p.Start < point && point < p.End })
	}
	grid := slices.Sorted(maps.Keys(points))

	// 5. keep = {0, N} + every point where one pinned range ends and the next pinned range begins
	keep := map[int]bool{0: true, N: true}
	for i := 1; i < len(pinned); i++ {
		if pinned[i-1].End == pinned[i].Start {
			keep[pinned[i].Start] = true
		}
	}
	// 6. while grid has more than n + 1 points: drop the end of the shortest interval whose end is not in keep
	for len(grid) > n+1 {
		var intervals [][2]int
		for i := 1; i < len(grid); i++ {
			intervals = append(intervals, [2]int{grid[i-1], grid[i]})
		}
		slices.SortStableFunc(intervals, func(a, b [2]int) int { return (a[1] - a[0]) - (b[1] - b[0]) })
		for _, interval := range intervals {
			end := interval[1]
			without := slices.DeleteFunc(slices.Clone(grid), func(point int) bool { return point == end })
			if !keep[end] && (c.defect || keepsPinnedApart(without, pinned)) {
				grid = without
				break
			}
		}
	}
	// 7. intervals = consecutive pairs of grid, ascending
	free := make([]message.SegmentRange, 0, n)
	for i := 1; i < len(grid); i++ {
		free = append(free, message.SegmentRange{Start: grid[i-1], End: grid[i]})
	}
	// 8. each pinned tracker gets the interval containing the start of its prev range
	next := rangesByID{}
	intervals := slices.Clone(free)
	for _, t := range T {
		if c.active[t] && c.ranges[t] != (message.SegmentRange{}) {
			for _, interval := range intervals {
				if interval.Start <= c.ranges[t].Start && c.ranges[t].Start < interval.End {
					next[t] = interval
					free = slices.DeleteFunc(free, func(r message.SegmentRange) bool { return r == interval })
				}
			}
		}
	}
	// 9. the intervals not used in 8 go, ascending, to the other trackers in order; when they run out: [0,0]
	for _, t := range T {
		if _, done := next[t]; done {
			continue
		}
		if len(free) == 0 {
			next[t] = message.SegmentRange{}
			continue
		}
		next[t], free = free[0], free[1:]
	}
	c.ranges = next
}

// keepsPinnedApart is the repair: between the end of a pinned range and the start of the next, both included, lies a point.
func keepsPinnedApart(grid []int, pinned []message.SegmentRange) bool {
	for i := 1; i < len(pinned); i++ {
		if !slices.ContainsFunc(grid, func(p int) bool { return pinned[i-1].End <= p && p <= pinned[i].Start }) {
			return false
		}
	}
	return true
}

func newReference() *reference {
	return &reference{ranges: rangesByID{}, active: map[string]bool{}}
}
