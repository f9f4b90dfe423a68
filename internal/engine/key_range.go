package engine

import (
	"bytes"
	"cmp"
	"container/heap"
	"slices"
	"strings"
)

// keyRange is a deletion of all keys in [start, end) and of those of the first entries of the group that lie in it.
type keyRange struct {
	start, end []byte
	entries    int
}

// A group may have thousands of deletions among thousands of writes. What follows finds those that meet without comparing
// each with each.

// keyOrder has keys in the order of their bytes, in runs of which each is at least twice as long as the next. Adding n keys
// in whatever portions takes O(n log n) comparisons in all.
type keyOrder struct{ runs [][]string }

// add adds keys, which it may sort. Some may be there already.
func (o *keyOrder) add(keys []string) {
	if len(keys) == 0 {
		return
	}
	slices.Sort(keys)
	run := slices.Compact(keys)
	for n := len(o.runs); n > 0 && len(o.runs[n-1]) < 2*len(run); n = len(o.runs) {
		run = mergeRuns(o.runs[n-1], run)
		o.runs = o.runs[:n-1]
	}
	o.runs = append(o.runs, run)
}

// mergeRuns returns the keys of both, each once.
func mergeRuns(a, b []string) []string {
	merged := make([]string, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch strings.Compare(a[0], b[0]) {
		case -1:
			merged, a = append(merged, a[0]), a[1:]
		case 1:
			merged, b = append(merged, b[0]), b[1:]
		default:
			a = a[1:]
		}
	}
	return append(append(merged, a...), b...)
}

// within returns the keys in [start, end), in order.
func (o *keyOrder) within(start, end string) []string {
	var found []string
	for _, run := range o.runs {
		from, _ := slices.BinarySearch(run, start)
		to, _ := slices.BinarySearch(run, end)
		if from < to {
			found = append(found, run[from:to]...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// coverage is the union of the first n ranges of a group, as ranges in order that do not touch.
type coverage struct {
	union []keyRange
	n     int
}

// contains reports whether one of the ranges of the group contains the key.
func (c *coverage) contains(ranges []keyRange, key []byte) bool {
	for ; c.n < len(ranges); c.n++ {
		c.add(ranges[c.n])
	}
	i, found := slices.BinarySearchFunc(c.union, key, func(r keyRange, key []byte) int { return bytes.Compare(r.start, key) })
	return found || i > 0 && bytes.Compare(key, c.union[i-1].end) < 0
}

// cut has to be called when all but the first n ranges of the group were taken back.
func (c *coverage) cut(n int) {
	if n < c.n {
		*c = coverage{union: c.union[:0]}
	}
}

func (c *coverage) add(r keyRange) {
	if bytes.Compare(r.start, r.end) >= 0 {
		return
	}
	from, _ := slices.BinarySearchFunc(c.union, r.start, func(u keyRange, start []byte) int { return bytes.Compare(u.end, start) })
	to := from
	for to < len(c.union) && bytes.Compare(c.union[to].start, r.end) <= 0 {
		to++
	}
	if from < to {
		r.start = slices.MinFunc([][]byte{r.start, c.union[from].start}, bytes.Compare)
		r.end = slices.MaxFunc([][]byte{r.end, c.union[to-1].end}, bytes.Compare)
	}
	c.union = slices.Replace(c.union, from, to, r)
}

// uncovered returns the entries that no later deletion reached: it goes through entries and ranges in the order of their
// keys, and looks at the range that was last to come of those that lie over an entry.
func uncovered(entries []entry, ranges []keyRange) []entry {
	type keyed struct {
		key []byte
		at  int // in entries
	}
	order := make([]keyed, len(entries))
	for i, e := range entries {
		order[i] = keyed{AppendUint64(bytes.Clone(e.prefix), e.at), i}
	}
	slices.SortFunc(order, func(a, b keyed) int { return bytes.Compare(a.key, b.key) })
	ranges = slices.Clone(ranges)
	slices.SortStableFunc(ranges, func(a, b keyRange) int { return bytes.Compare(a.start, b.start) })
	var open latestFirst
	gone := make([]bool, len(entries))
	for _, e := range order {
		for len(ranges) > 0 && bytes.Compare(ranges[0].start, e.key) <= 0 {
			heap.Push(&open, ranges[0])
			ranges = ranges[1:]
		}
		for len(open) > 0 && bytes.Compare(open[0].end, e.key) <= 0 {
			heap.Pop(&open)
		}
		gone[e.at] = len(open) > 0 && e.at < open[0].entries
	}
	var kept []entry
	for i, e := range entries {
		if !gone[i] {
			kept = append(kept, e)
		}
	}
	return kept
}

// latestFirst is a heap of ranges, the one that came last on top.
type latestFirst []keyRange

func (h latestFirst) Len() int           { return len(h) }
func (h latestFirst) Less(i, j int) bool { return cmp.Less(h[j].entries, h[i].entries) }
func (h latestFirst) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *latestFirst) Push(r any)        { *h = append(*h, r.(keyRange)) }

func (h *latestFirst) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
