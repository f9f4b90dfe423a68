package tracking

import (
	"iter"
	"slices"
	"strings"

	"github.com/flux-go/flux/message"
)

// Division divides the segments of a log over the trackers of one consumer. A tracker is active from the moment it is given
// messages until it asks for more, and waiting otherwise. The zero value has no trackers.
//
// A tracker that is active may be handling messages of all its segments, so none of them may go to another one yet.
// Trackers that wait share what is left, evenly when nobody is active. These hold after every call:
//
//	D1: no segment belongs to two trackers
//	D2: an active tracker loses no segment
//	D3: while there is a tracker, every segment belongs to one
//	D4: when all wait and have equal weights, trackers in the order of their ids have equal numbers of segments; what does
//	    not divide gives one more to the last ones, or when there are more trackers than segments, one to the first ones
//	D5: when all wait and are no more than the segments, each has one at least
//
// The range of an active tracker may grow. Ids are ordered by their bytes. A Division reads no clock, takes no locks and
// does the same after the same calls; it is not safe for concurrent use.
//
// The outcome is that of the Flux Capacitor protocol, but for two things. Its origin can merge active trackers whose ranges
// do not touch into one interval, against D1 and D3; see [mergeIntervals]. And it has no weights; see [evenGrid].
type Division struct {
	trackers []*claimant // ascending by id
	// intervals are all segments, ascending, each interval with the tracker it belongs to.
	intervals []interval
	// even has the borders of the ranges when all trackers wait.
	even grid
}

// Share says how large a part of the segments a tracker should have.
type Share struct {
	// Weight is how many handlers work side by side for the tracker, 1 to 2^20. Values outside count as the nearest
	// inside.
	Weight int
	// Single asks for all segments or none: the tracker that has segment 0 handles them all. Trackers of a consumer should
	// agree on it, because the invariants are those of the ranges before this rule.
	Single bool
}

const maxWeight = 1 << 20

// claimant is a tracker as the division sees it.
type claimant struct {
	id       string
	share    Share
	active   bool
	segments message.SegmentRange // its interval, or empty
}

// pinned reports whether the segments of the tracker must stay where they are.
func (c *claimant) pinned() bool { return c.active && !c.segments.Empty() }

// view returns what a tracker that was given r works on.
func (c *claimant) view(r message.SegmentRange) message.SegmentRange {
	switch {
	case !c.share.Single:
		return r
	case r.Contains(0):
		return message.AllSegments
	default:
		return message.SegmentRange{}
	}
}

type interval struct {
	segments message.SegmentRange
	holder   *claimant
}

// grid has true for each segment, and the end of them all, at which an interval begins or ends.
type grid [message.Segments + 1]bool

// MarkWaiting says that the tracker waits for messages, and adds it when it is new. It returns the ids of the other trackers
// whose [Division.Range] changed, ascending.
func (d *Division) MarkWaiting(id string, share Share) (changed []string) {
	c := d.join(id, share)
	c.active = false
	return d.divide(c)
}

// MarkActive says that the tracker is given messages of its range. A waiting tracker keeps the range it has; one that is new
// or was active already, and so has asked for more, gets a new range first, as by [Division.MarkWaiting]. The range may be
// empty, in which case there is nothing to give. It returns the ids of the other trackers whose [Division.Range] changed,
// ascending.
func (d *Division) MarkActive(id string, share Share) (changed []string) {
	if at, known := d.search(id); !known || d.trackers[at].active {
		changed = d.MarkWaiting(id, share)
	}
	d.join(id, share).active = true
	return changed
}

// Remove forgets the tracker, if it is known. It returns the ids of the trackers whose [Division.Range] changed, ascending.
func (d *Division) Remove(id string) (changed []string) {
	at, known := d.search(id)
	if !known {
		return nil
	}
	c := d.trackers[at]
	c.active = false
	d.trackers = slices.Delete(d.trackers, at, at+1)
	d.even = evenGrid(d.trackers)
	return d.divide(c)
}

// Range returns the segments of which the tracker may be given messages. It is empty when there are none, and for unknown
// trackers.
func (d *Division) Range(id string) message.SegmentRange {
	at, known := d.search(id)
	if !known {
		return message.SegmentRange{}
	}
	c := d.trackers[at]
	return c.view(c.segments)
}

// Even returns the range that the tracker would have if all were waiting.
func (d *Division) Even(id string) message.SegmentRange {
	at, known := d.search(id)
	if !known {
		return message.SegmentRange{}
	}
	start, rank := 0, 0
	for end := 1; end < len(d.even); end++ {
		if !d.even[end] {
			continue
		}
		if rank == at {
			return d.trackers[at].view(message.SegmentRange{Start: start, End: end})
		}
		start, rank = end, rank+1
	}
	return message.SegmentRange{}
}

// Known reports whether the tracker has joined and was not removed since.
func (d *Division) Known(id string) bool {
	_, known := d.search(id)
	return known
}

// Active reports whether the tracker is known and active.
func (d *Division) Active(id string) bool {
	at, known := d.search(id)
	return known && d.trackers[at].active
}

// Len returns the number of trackers.
func (d *Division) Len() int { return len(d.trackers) }

// IDs yields the ids of the trackers, ascending. The division must not change meanwhile.
func (d *Division) IDs() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, c := range d.trackers {
			if !yield(c.id) {
				return
			}
		}
	}
}

func (d *Division) search(id string) (at int, known bool) {
	return slices.BinarySearchFunc(d.trackers, id, func(c *claimant, id string) int { return strings.Compare(c.id, id) })
}

// join returns the tracker with its newest share, after adding it when it is new.
func (d *Division) join(id string, share Share) *claimant {
	share.Weight = min(max(share.Weight, 1), maxWeight)
	at, known := d.search(id)
	if !known {
		d.trackers = slices.Insert(d.trackers, at, &claimant{id: id})
	}
	c := d.trackers[at]
	reweighted := c.share.Weight != share.Weight
	c.share = share
	if reweighted { // as a new tracker is too
		d.even = evenGrid(d.trackers)
	}
	return c
}

// divide gives every segment to a tracker: the one that has it when that is active, else any. It returns the ids of the
// trackers whose view changed, ascending, without the one that caused it.
//
// There are never more than [message.Segments] intervals, so the effort does not grow with the number of trackers.
func (d *Division) divide(cause *claimant) (changed []string) {
	if len(d.trackers) == 0 {
		return d.replace(nil, cause)
	}
	next := cutIntervals(d.even, d.pinned())
	next = mergeIntervals(next, len(d.trackers))
	others := d.trackers
	for i := range next {
		if next[i].holder != nil {
			continue
		}
		for others[0].pinned() {
			others = others[1:]
		}
		next[i].holder, others = others[0], others[1:]
	}
	return d.replace(next, cause)
}

func (d *Division) pinned() []interval {
	pinned := make([]interval, 0, len(d.intervals))
	for _, iv := range d.intervals {
		if iv.holder.active {
			pinned = append(pinned, iv)
		}
	}
	return pinned
}

// cutIntervals cuts all segments at the borders of g and of the pinned intervals, but not inside of these. Of the intervals
// it returns, those that contain pinned ones have their holder, the others have none.
func cutIntervals(g grid, pinned []interval) []interval {
	for _, iv := range pinned {
		g[iv.segments.Start], g[iv.segments.End] = true, true
		clear(g[iv.segments.Start+1 : iv.segments.End])
	}
	var intervals []interval
	start := 0
	for end := 1; end < len(g); end++ {
		if !g[end] {
			continue
		}
		iv := interval{segments: message.SegmentRange{Start: start, End: end}}
		if len(pinned) > 0 && pinned[0].segments.Start == start {
			iv.holder, pinned = pinned[0].holder, pinned[1:]
		}
		intervals = append(intervals, iv)
		start = end
	}
	return intervals
}

// mergeIntervals merges neighbours until at most limit intervals are left: always the shortest interval with the next one,
// of equally short ones the lowest, but never two that have holders, for then D1 or D2 would break. Limit is at least the
// number of holders, so there are always two that can be merged.
//
// The origin spares only neighbours with holders that its grid cuts exactly where one ends and the other begins. It merges
// holders that were apart at first and have grown towards each other since.
func mergeIntervals(intervals []interval, limit int) []interval {
	for len(intervals) > limit {
		shortest := -1
		for i := range len(intervals) - 1 {
			if intervals[i].holder != nil && intervals[i+1].holder != nil {
				continue
			}
			if shortest < 0 || intervals[i].segments.Len() < intervals[shortest].segments.Len() {
				shortest = i
			}
		}
		first, second := &intervals[shortest], intervals[shortest+1]
		first.segments.End = second.segments.End
		if second.holder != nil {
			first.holder = second.holder
		}
		intervals = slices.Delete(intervals, shortest+1, shortest+2)
	}
	return intervals
}

// replace makes next the intervals and returns the ids of the trackers whose view changed, but for the cause.
func (d *Division) replace(next []interval, cause *claimant) (changed []string) {
	compare := func(c *claimant, before, after message.SegmentRange) {
		if c != cause && c.view(before) != c.view(after) {
			changed = append(changed, c.id)
		}
	}
	for _, iv := range next {
		if iv.holder.segments.Empty() {
			compare(iv.holder, message.SegmentRange{}, iv.segments)
		}
	}
	for _, iv := range d.intervals {
		iv.holder.segments = message.SegmentRange{}
	}
	for _, iv := range next {
		iv.holder.segments = iv.segments
	}
	for _, iv := range d.intervals {
		compare(iv.holder, iv.segments, iv.holder.segments)
	}
	d.intervals = next
	slices.Sort(changed)
	return changed
}

// evenGrid returns the borders of the ranges of waiting trackers. Each tracker gets a segment. Each further one goes to the
// tracker that then has the fewest segments per handler, and so keeps the busiest handler as idle as can be; when several
// are equal, to the last of them.
func evenGrid(trackers []*claimant) (g grid) {
	n := min(len(trackers), message.Segments)
	if n == 0 {
		return g
	}
	trackers = trackers[:n]
	sizes := slices.Repeat([]int{1}, n)
	for range message.Segments - n {
		best := 0
		for i, c := range trackers {
			// (sizes[i]+1) / weight of i <= (sizes[best]+1) / weight of best, without fractions
			if (sizes[i]+1)*trackers[best].share.Weight <= (sizes[best]+1)*c.share.Weight {
				best = i
			}
		}
		sizes[best]++
	}
	border := 0
	g[border] = true
	for _, size := range sizes {
		border += size
		g[border] = true
	}
	return g
}
