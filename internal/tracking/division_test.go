package tracking

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/flux-go/flux/message"
)

// tracked writes the ranges of all trackers in the order of their ids, active ones with a star: "a 0-64* b 64-128 c -".
func (d *Division) tracked() string {
	var text []string
	for id := range d.IDs() {
		star := ""
		if d.Active(id) {
			star = "*"
		}
		if r := d.Range(id); r.Empty() {
			text = append(text, fmt.Sprintf("%s -%s", id, star))
		} else {
			text = append(text, fmt.Sprintf("%s %d-%d%s", id, r.Start, r.End, star))
		}
	}
	return strings.Join(text, " ")
}

// Source: the protocol's table of even divisions.
func TestWaitingTrackersShareEvenly(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{
		1:  "0-128",
		2:  "0-64 64-128",
		3:  "0-42 42-85 85-128",
		4:  "0-32 32-64 64-96 96-128",
		5:  "0-25 25-50 50-76 76-102 102-128",
		6:  "0-21 21-42 42-63 63-84 84-106 106-128",
		7:  "0-18 18-36 36-54 54-72 72-90 90-109 109-128",
		10: "0-12 12-24 24-37 37-50 50-63 63-76 76-89 89-102 102-115 115-128",
	} {
		var d Division
		for _, i := range rand.Perm(n) { // the order of joining does not matter
			d.MarkWaiting(fmt.Sprintf("t%03d", i), Share{})
		}
		var got []string
		for id := range d.IDs() {
			r := d.Range(id)
			got = append(got, fmt.Sprintf("%d-%d", r.Start, r.End))
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%d trackers: %s, want %s", n, text, want)
		}
	}
}

func TestTrackersBeyondTheSegmentsGetNothing(t *testing.T) {
	t.Parallel()
	var d Division
	for _, i := range rand.Perm(130) {
		d.MarkWaiting(fmt.Sprintf("t%03d", i), Share{Weight: 1 + i%3})
	}
	for i := range 130 {
		want := message.SegmentRange{Start: i, End: i + 1}
		if i >= message.Segments {
			want = message.SegmentRange{}
		}
		if got := d.Range(fmt.Sprintf("t%03d", i)); got != want {
			t.Errorf("tracker %d has %s, want %s", i, got, want)
		}
	}
}

// divisionStep is what happens to one tracker, and the division after it.
type divisionStep struct{ tracker, does, want string }

func (s divisionStep) take(d *Division) []string {
	switch s.does {
	case "reads": // when it has a range, it is active now
		changed := d.MarkActive(s.tracker, Share{})
		if d.Range(s.tracker).Empty() {
			changed = append(changed, d.MarkWaiting(s.tracker, Share{})...)
		}
		return changed
	case "waits":
		return d.MarkWaiting(s.tracker, Share{})
	case "leaves":
		return d.Remove(s.tracker)
	}
	panic(s.does)
}

func takeSteps(t *testing.T, steps []divisionStep) {
	t.Helper()
	var d Division
	for i, s := range steps {
		s.take(&d)
		if got := d.tracked(); got != s.want {
			t.Fatalf("step %d, %s %s: %q, want %q", i, s.tracker, s.does, got, s.want)
		}
	}
}

// Source: the protocol's table of the life of a cluster.
func TestLifeOfADivision(t *testing.T) {
	t.Parallel()
	takeSteps(t, []divisionStep{
		{"a", "reads", "a 0-128*"},
		{"b", "reads", "a 0-128* b -"},
		{"a", "reads", "a 0-64* b 64-128"},
		{"b", "reads", "a 0-64* b 64-128*"},
		{"c", "reads", "a 0-64* b 64-128* c -"},
		{"a", "reads", "a 0-42* b 64-128* c 42-64"},
		{"b", "reads", "a 0-42* b 42-85* c 85-128"},
		{"c", "reads", "a 0-42* b 42-85* c 85-128*"},
		{"b", "leaves", "a 0-42* c 42-128*"},
		{"a", "leaves", "c 0-128*"},
		{"c", "leaves", ""},
	})
}

// In the origin, b and d would both have 64-128 in the end, and nobody 42-64.
func TestActiveTrackersThatDoNotTouchAreNotMerged(t *testing.T) {
	t.Parallel()
	takeSteps(t, defectSteps("b 42-85* c 0-42 d 85-128*"))
}

func defectSteps(end string) []divisionStep {
	return []divisionStep{
		{"c", "waits", "c 0-128"},
		{"a", "reads", "a 0-64* c 64-128"},
		{"b", "reads", "a 0-64* b 64-85* c 85-128"},
		{"d", "reads", "a 0-64* b 64-85* c 85-96 d 96-128*"},
		{"a", "leaves", end},
	}
}

func TestWeightedTrackersShareByWeight(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		weights []int
		sizes   []int
	}{
		{[]int{1, 3}, []int{32, 96}},
		{[]int{3, 1}, []int{96, 32}},
		{[]int{16, 16, 16}, []int{42, 43, 43}},
		{[]int{50, 50}, []int{64, 64}},
		{[]int{100, 100}, []int{64, 64}},
		{[]int{1, 2, 4}, []int{18, 36, 74}},
		{[]int{0, -7, 1}, []int{42, 43, 43}},
		{[]int{1, 1_000_000, 1}, []int{1, 126, 1}},
		{[]int{maxWeight, maxWeight << 3}, []int{64, 64}},
	} {
		var d Division
		for i, weight := range test.weights {
			d.MarkWaiting(fmt.Sprint(i), Share{Weight: weight})
		}
		var sizes []int
		for id := range d.IDs() {
			sizes = append(sizes, d.Range(id).Len())
		}
		if !slices.Equal(sizes, test.sizes) {
			t.Errorf("weights %v give %v, want %v", test.weights, sizes, test.sizes)
		}
	}
}

func TestNewWeightCountsFromTheNextDivision(t *testing.T) {
	t.Parallel()
	var d Division
	d.MarkWaiting("a", Share{})
	d.MarkWaiting("b", Share{})
	d.MarkActive("b", Share{Weight: 3})
	if got, want := d.tracked(), "a 0-64 b 64-128*"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	d.MarkWaiting("b", Share{Weight: 3})
	if got, want := d.tracked(), "a 0-32 b 32-128"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSingleTrackerHasAllSegmentsOrNone(t *testing.T) {
	t.Parallel()
	var d Division
	single := Share{Single: true}
	d.MarkActive("b", single)
	if changed := d.MarkWaiting("a", single); changed != nil || d.tracked() != "a - b 0-128*" {
		t.Fatalf("a joins: %s, changed %v", d.tracked(), changed)
	}
	if changed := d.MarkWaiting("b", single); !slices.Equal(changed, []string{"a"}) || d.tracked() != "a 0-128 b -" {
		t.Fatalf("b waits: %s, changed %v", d.tracked(), changed)
	}
	if changed := d.MarkWaiting("c", single); changed != nil || d.tracked() != "a 0-128 b - c -" {
		t.Fatalf("c joins: %s, changed %v", d.tracked(), changed)
	}
	if changed := d.Remove("a"); !slices.Equal(changed, []string{"b"}) || d.tracked() != "b 0-128 c -" {
		t.Fatalf("a leaves: %s, changed %v", d.tracked(), changed)
	}
}

func TestUnknownTracker(t *testing.T) {
	t.Parallel()
	var d Division
	if changed := d.Remove("a"); changed != nil || d.Known("a") || d.Active("a") || !d.Range("a").Empty() || d.Len() != 0 {
		t.Error("an empty division knows a tracker")
	}
	d.MarkActive("b", Share{})
	d.Remove("a")
	if got, want := d.tracked(), "b 0-128*"; got != want || d.Known("a") {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTrackersAreOrderedByTheBytesOfTheirIDs(t *testing.T) {
	t.Parallel()
	var d Division
	ids := []string{"é", "b", "", "a10", "a9", "B", "😀", "\uffff"}
	for _, id := range ids {
		d.MarkWaiting(id, Share{})
	}
	slices.Sort(ids)
	if got := slices.Collect(d.IDs()); !slices.Equal(got, ids) {
		t.Errorf("%q, want %q", got, ids)
	}
}

func TestTenThousandTrackers(t *testing.T) {
	t.Parallel()
	var d Division
	const n = 10_000
	id := func(i int) string { return fmt.Sprintf("tracker-%05d", i) }
	for _, i := range rand.Perm(n) {
		d.MarkActive(id(i), Share{})
	}
	checkD1D3(t, &d)
	for i := range n { // everyone comes back, as the first did with all segments
		d.MarkWaiting(id(i), Share{})
	}
	checkD1D3(t, &d)
	checkD4D5(t, &d)
	for i := range n - 3 {
		d.Remove(id(i))
	}
	if got, want := d.tracked(), "tracker-09997 0-42 tracker-09998 42-85 tracker-09999 85-128"; got != want {
		t.Errorf("in the end %q, want %q", got, want)
	}
}

func BenchmarkDivision(b *testing.B) {
	for _, n := range []int{1, 8, 64, 128, 10_000} {
		ids := make([]string, n)
		for i := range ids {
			ids[i] = fmt.Sprintf("tracker-%05d", i)
		}
		b.Run(fmt.Sprintf("read/trackers=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			var d Division
			for _, id := range ids {
				d.MarkWaiting(id, Share{})
			}
			for _, id := range ids {
				d.MarkActive(id, Share{})
			}
			for i := 0; b.Loop(); i++ {
				d.MarkActive(ids[i%n], Share{})
			}
		})
		b.Run(fmt.Sprintf("join all/trackers=%d", n), func(b *testing.B) {
			order := rand.Perm(n)
			for b.Loop() {
				var d Division
				for _, i := range order {
					d.MarkActive(ids[i], Share{Weight: 1 + i%4})
				}
			}
		})
	}
}
