package cli

import (
	"slices"
	"testing"

	"github.com/flux-go/flux/examples/flights"
	"github.com/flux-go/flux/message"
)

func TestDemoSeesEveryDifference(t *testing.T) {
	t.Parallel()
	file := flights.Board{"DFW": {Airport: "DFW", Flights: 2, Minutes: 9, Longest: 7}, "JFK": {Airport: "JFK", Flights: 1}}
	if got := differ("delays", file, file); got != nil {
		t.Errorf("a board differs from itself: %v", got)
	}
	board := flights.Board{"DFW": {Airport: "DFW", Flights: 3, Minutes: 9, Longest: 7}, "ORD": {Airport: "ORD", Flights: 1}}
	want := []string{
		"delays has {Airport:DFW Flights:3 Minutes:9 Longest:7}, the file {Airport:DFW Flights:2 Minutes:9 Longest:7}",
		"delays has {Airport: Flights:0 Minutes:0 Longest:0}, the file {Airport:JFK Flights:1 Minutes:0 Longest:0}",
		"delays has {Airport:ORD Flights:1 Minutes:0 Longest:0}, the file {Airport: Flights:0 Minutes:0 Longest:0}",
	}
	if got := differ("delays", board, file); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestDemoWaitsUntilInstancesShareAllSegments(t *testing.T) {
	t.Parallel()
	one := tracker{Client: "delays-1", Segments: segments{0, 64}}
	two := tracker{Client: "delays-2", Segments: segments{64, message.Segments}}
	all := tracker{Client: "delays-2", Segments: segments{0, message.Segments}}
	for _, c := range []struct {
		trackers  []tracker
		instances []string
		want      bool
	}{
		{[]tracker{one, two}, []string{"delays-1", "delays-2"}, true},
		{[]tracker{one, two}, []string{"delays-2"}, false},
		{[]tracker{two}, []string{"delays-2"}, false},
		{[]tracker{all}, []string{"delays-2"}, true},
		{[]tracker{all, {Client: "delays-1"}}, []string{"delays-1", "delays-2"}, false},
		{nil, []string{"delays-1"}, false},
	} {
		if got := shareAll(c.trackers, c.instances); got != c.want {
			t.Errorf("%v by %v: %v", c.trackers, c.instances, got)
		}
	}
}
