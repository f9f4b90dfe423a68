package tracking

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/message"
)

func TestLagIsCountedPerRange(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		first := w.append(1, 2, 100, 101)
		<-time.After(time.Second)
		w.append(3, 3)
		<-time.After(2 * time.Second)
		w.append(100)
		w.store(orders, Batch{Segments: message.SegmentRange{Start: 0, End: 64}, Last: &first[0]})
		w.store(orders, Batch{Segments: message.SegmentRange{Start: 64, End: 128}, Last: &first[3]})
		w.read(tracker("a"))
		w.open(tracker("b"), time.Minute, nil)
		info, err := w.Consumer(w.ctx, public, orders)
		w.must(err)
		want := []Lag{
			{message.SegmentRange{Start: 0, End: 64}, first[0], 3, false, 3 * time.Second, "a"},
			{message.SegmentRange{Start: 64, End: 128}, first[3], 1, false, 0, "a"},
		}
		if !slices.Equal(info.Lag, want) {
			t.Errorf("lag %+v, want %+v", info.Lag, want)
		}
		if !slices.Equal(ids(info), []string{"a", "b"}) || !info.Trackers[0].Active || info.Trackers[1].Active {
			t.Errorf("trackers %+v", info.Trackers)
		}
	})
}

func ids(info ConsumerInfo) (all []string) {
	for _, t := range info.Trackers {
		all = append(all, t.ID)
	}
	return all
}

func TestLagIsCountedUpToALimit(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		block := pack(t, make([]message.Message, message.MaxBlockMessages))
		for range countLimit/message.MaxBlockMessages + 1 {
			w.appendBlocks(events, block)
		}
		w.store(orders, Batch{Segments: message.AllSegments, Last: at(message.Beginning)})
		info, err := w.Consumer(w.ctx, public, orders)
		w.must(err)
		if l := info.Lag[0]; len(info.Lag) != 1 || l.Messages != countLimit || !l.More || l.Behind < 0 || l.Behind > time.Minute {
			t.Errorf("lag %+v", info.Lag)
		}
	})
}

func TestConsumersAreThoseWithPositionOrTrackers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		command := message.Log{Type: message.Command}
		w.store(position.Consumer{Log: command, Name: "z"}, Batch{Segments: message.AllSegments, Last: at(7)})
		w.store(orders, Batch{Segments: message.AllSegments, Last: at(7)})
		controlled := tracker("a")
		controlled.Consumer, controlled.ClientControlled = "controlled", true
		w.open(controlled, time.Minute, nil)
		w.open(tracker("b"), time.Minute, nil)
		synctest.Wait()
		check := func(log *message.Log, want ...string) {
			t.Helper()
			all, err := w.Consumers(w.ctx, public, log)
			w.must(err)
			var got []string
			for _, info := range all {
				got = append(got, info.Consumer.Log.String()+" "+string(info.Consumer.Name))
			}
			if !slices.Equal(got, want) {
				t.Errorf("consumers %q, want %q", got, want)
			}
		}
		check(nil, "command z", "event controlled", "event orders")
		check(&command, "command z")
		unknown, err := w.Consumer(w.ctx, public, position.Consumer{Log: events, Name: "unknown"})
		w.must(err)
		if !unknown.Position.Empty() || len(unknown.Lag)+len(unknown.Trackers) > 0 {
			t.Errorf("unknown consumer %+v", unknown)
		}
	})
}
