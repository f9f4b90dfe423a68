package message

import (
	"encoding/json"
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Vectors of the Flux Capacitor protocol, computed by the origin's own class.
var hashVectors = []struct {
	key     string
	hash    int32
	segment int
}{
	{"", 0, 0},
	{"a", 1009084850, 50},
	{"abc", -1277324294, 6},
	{"user-1", -123566237, 29},
	{"aggregate-1", -784788748, 12},
	{"hello, world", 345750399, 127},
	{"é", 269551495, 7},
	{"日本語", -1515949417, 105},
	{"😀", -1095487750, 6},
	{"0", -764297089, 1},
	{"EVENT", -454922766, 14},
	{"m1", 387785384, 40},
}

func TestSegmentOfVectors(t *testing.T) {
	t.Parallel()
	for _, v := range hashVectors {
		if hash := int32(murmur3(v.key)); hash != v.hash {
			t.Errorf("murmur3(%q) = %d, want %d", v.key, hash, v.hash)
		}
		if segment := SegmentOf(v.key); segment != v.segment {
			t.Errorf("SegmentOf(%q) = %d, want %d", v.key, segment, v.segment)
		}
		if segment := segmentOf([]byte(v.key)); segment != v.segment {
			t.Errorf("segmentOf of the bytes of %q = %d, want %d", v.key, segment, v.segment)
		}
	}
}

func TestSegmentOfDoesNotAllocate(t *testing.T) {
	key := "a routing key of ordinary length"
	if n := testing.AllocsPerRun(100, func() { SegmentOf(key) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestRoutingSegment(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		message Message
		want    int
	}{
		{Message{ID: "m1"}, 40},
		{Message{ID: "m1", Segment: 7}, 40},
		{Message{ID: "m1", Routed: true}, 0},
		{Message{Routed: true, Segment: 127}, 127},
		{Message{Routed: true, Segment: 128}, 0},
		{Message{Routed: true, Segment: 300}, 44},
		{Message{Routed: true, Segment: -1}, 127},
		{Message{Routed: true, Segment: -128}, 0},
		{Message{Routed: true, Segment: -300}, 84},
		{Message{Routed: true, Segment: math.MinInt32}, 0},
		{Message{Routed: true, Segment: math.MaxInt32}, 127},
	} {
		if got := test.message.RoutingSegment(); got != test.want {
			t.Errorf("%+v has routing segment %d, want %d", test.message, got, test.want)
		}
	}
}

func TestSegmentRangeValidate(t *testing.T) {
	t.Parallel()
	for _, valid := range []SegmentRange{{}, {0, 128}, {128, 128}, {5, 5}, {127, 128}} {
		if err := valid.Validate(); err != nil {
			t.Errorf("%s: %v", valid, err)
		}
	}
	for _, bad := range []SegmentRange{{-1, 0}, {0, 129}, {5, 4}, {129, 129}, {math.MinInt, math.MaxInt}} {
		if err := bad.Validate(); !errors.Is(err, ErrBadRange) {
			t.Errorf("%s: %v, want ErrBadRange", bad, err)
		}
	}
}

func TestSegmentRangeJSON(t *testing.T) {
	t.Parallel()
	var r SegmentRange
	if err := json.Unmarshal([]byte(" [ 3 , 64 ] "), &r); err != nil || r != (SegmentRange{3, 64}) {
		t.Errorf("got %s, %v", r, err)
	}
	if data, err := json.Marshal(r); err != nil || string(data) != "[3,64]" {
		t.Errorf("got %s, %v", data, err)
	}
	for _, bad := range []string{
		"[]", "[1]", "[1,2,3]", "[2,1]", "[0,129]", "[-1,3]", "[null,3]", `["1",3]`, "[1.0,3]", "[1e0,3]", "null", "{}", "7",
		"[1,99999999999999999999]",
	} {
		r = SegmentRange{3, 64}
		if err := json.Unmarshal([]byte(bad), &r); !errors.Is(err, ErrBadRange) {
			t.Errorf("%s: %v, want ErrBadRange", bad, err)
		}
		if r != (SegmentRange{3, 64}) {
			t.Errorf("%s changed the range to %s", bad, r)
		}
	}
}

// anyRange draws ranges that need not be valid.
func anyRange(t *rapid.T, label string) SegmentRange {
	edge := rapid.IntRange(-3, Segments+3)
	return SegmentRange{edge.Draw(t, label+" start"), edge.Draw(t, label+" end")}
}

func TestRangesAndSetsAgreeWithSegmentBySegment(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r, other := anyRange(t, "range"), anyRange(t, "other range")
		var a, b SegmentSet
		for _, segment := range rapid.SliceOf(rapid.IntRange(0, Segments-1)).Draw(t, "a") {
			a.Add(segment)
		}
		for _, segment := range rapid.SliceOf(rapid.IntRange(0, Segments-1)).Draw(t, "b") {
			b.Add(segment)
		}
		rangesMeet, setMeets, within, length := false, false, true, 0
		for s := range Segments {
			in := r.Contains(s)
			rangesMeet = rangesMeet || in && other.Contains(s)
			setMeets = setMeets || in && a.Has(s)
			within = within && (in || !a.Has(s))
			if a.Has(s) {
				length++
			}
			if r.Set().Has(s) != in {
				t.Fatalf("%s.Set() is wrong about %d", r, s)
			}
			if a.Union(b).Has(s) != (a.Has(s) || b.Has(s)) {
				t.Fatalf("union is wrong about %d", s)
			}
		}
		inside := SegmentRange{max(r.Start, 0), min(r.End, Segments)}
		otherInside := SegmentRange{max(other.Start, 0), min(other.End, Segments)}
		check := func(name string, got, want any) {
			if got != want {
				t.Fatalf("%s of %s, %s: %v, want %v", name, r, other, got, want)
			}
		}
		check("Intersects", inside.Intersects(otherInside), rangesMeet)
		check("Set.Intersects", a.Intersects(r), setMeets)
		check("Set.Within", a.Within(r), within)
		check("Set.Len", a.Len(), length)
		check("Set.Empty", a.Empty(), length == 0)
		check("Len", inside.Len(), r.Set().Len())
		check("Empty", inside.Empty(), r.Set().Empty())
	})
}

func TestSegmentSetOutsideTheSegments(t *testing.T) {
	t.Parallel()
	full := AllSegments.Set()
	for _, segment := range []int{-1, Segments, math.MinInt, math.MaxInt} {
		if full.Has(segment) {
			t.Errorf("the set has %d", segment)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Add(%d) does not panic", segment)
				}
			}()
			full.Add(segment)
		}()
	}
}

func BenchmarkSegmentOf(b *testing.B) {
	key := "0190b3a2-6f1e-7c3d-9a55-3f2b6c1d8e77"
	b.SetBytes(int64(len(key)))
	for b.Loop() {
		SegmentOf(key)
	}
}
