package capacitor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flux-go/flux/message"
)

// reading returns the members of a read.
func reading(consumer, tracker string, wait time.Duration, more string) string {
	if more != "" {
		more = "," + more
	}
	return fmt.Sprintf(`"consumer":%q,"trackerId":%q,"maxTimeout":%d,"maxSize":1024%s`, consumer, tracker, wait.Milliseconds(), more)
}

const minute = time.Minute

// storing returns the members of a command that stores a position.
func storing(consumer string, start, end int, last message.Index) string {
	return fmt.Sprintf(`"consumer":%q,"segment":[%d,%d],"lastIndex":%d,"guarantee":"STORED"`, consumer, start, end, last)
}

func TestTrackingBasics(t *testing.T) {
	t.Parallel()
	item(t, 55, "an empty log is waited for", func(t *testing.T, s *server) {
		c, began := s.dial("tracking/readevent", dialing{}), time.Now()
		got := c.ask("read", reading("c", "t", 500*time.Millisecond, "")).expect(t, "readResult").Batch
		if took := time.Since(began); took < 490*time.Millisecond || took > 5*time.Second {
			t.Errorf("took %s", took)
		}
		if len(got.Messages) != 0 || got.LastIndex != nil || !got.CaughtUp || fmt.Sprint(got.Segment) != "[0 128]" {
			t.Errorf("got %+v", got)
		}
	})
	item(t, 56, "without waiting", func(t *testing.T, s *server) {
		s.dial("tracking/readevent", dialing{}).ask("read", reading("c", "t", 0, "")).expect(t, "readResult")
	})
	item(t, 57, "a message ends the wait", func(t *testing.T, s *server) {
		c := s.dial("tracking/readevent", dialing{})
		id := c.send("read", reading("c", "t", minute, ""))
		s.eventually("the tracker waits", func() bool { return len(s.trackers("c")) == 1 })
		s.publishEvents(textOf("m1", ""))
		if got := c.wait(id).Batch; ids(got.Messages) != "m1" || *got.LastIndex != *got.Messages[0].Index {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("058 a new consumer begins a second ago", func(t *testing.T) {
		t.Parallel()
		clock := newClock()
		s := start(t, Options{Clock: clock.now})
		s.publishEvents(textOf("old", ""))
		clock.advance(1500 * time.Millisecond)
		s.publishEvents(textOf("new", ""))
		clock.advance(500 * time.Millisecond)
		if got := s.dial("tracking/readevent", dialing{}).ask("read", reading("c", "t", 0, "")).Batch; ids(got.Messages) != "new" {
			t.Errorf("got %s", ids(got.Messages))
		}
	})
	item(t, 59, "from the beginning", func(t *testing.T, s *server) {
		s.publishEvents(textOf("a", ""), textOf("b", ""))
		if got := s.readAll("c").Batch; ids(got.Messages) != "a b" {
			t.Errorf("got %s", ids(got.Messages))
		}
	})
	item(t, 60, "after an index", func(t *testing.T, s *server) {
		all := s.published(textOf("a", ""), textOf("b", ""))
		c := s.dial("tracking/readevent", dialing{})
		got := c.ask("read", reading("d", "t", 0, fmt.Sprintf(`"lastIndex":%d`, *all[0].Index))).Batch
		if ids(got.Messages) != "b" {
			t.Errorf("got %s", ids(got.Messages))
		}
	})
	item(t, 61, "the stored position rules", func(t *testing.T, s *server) {
		c, all := s.stored()
		if got := c.ask("read", reading("c", "t", 0, `"lastIndex":-1`)).Batch; ids(got.Messages) != "b c" {
			t.Errorf("got %s of %d", ids(got.Messages), len(all))
		}
	})
	item(t, 62, "a client may control its index", func(t *testing.T, s *server) {
		c, _ := s.stored()
		if got := c.ask("read", reading("c", "t", 0, `"lastIndex":-1,"clientControlledIndex":true`)).Batch; ids(got.Messages) != "a b c" {
			t.Errorf("got %s", ids(got.Messages))
		}
	})
	item(t, 63, "a single tracker goes on after the larger index", func(t *testing.T, s *server) {
		c, all := s.stored()
		last := fmt.Sprintf(`"singleTracker":true,"lastIndex":%d`, *all[1].Index)
		if got := c.ask("read", reading("c", "t", 0, last)).Batch; ids(got.Messages) != "c" {
			t.Errorf("got %s", ids(got.Messages))
		}
		if got := c.ask("read", reading("c", "t", 0, `"singleTracker":true,"lastIndex":-1`)).Batch; ids(got.Messages) != "b c" {
			t.Errorf("got %s", ids(got.Messages))
		}
	})
}

func TestTrackingPositions(t *testing.T) {
	t.Parallel()
	item(t, 64, "positions hold per segment", func(t *testing.T, s *server) {
		all := s.published(textOf("a", `"segment":1`), textOf("b", `"segment":100`))
		c := s.dial("tracking/readevent", dialing{})
		c.ask("storePosition", storing("d", 64, 128, *all[1].Index)).expect(t, "void")
		c.ask("storePosition", storing("d", 0, 64, -1)).expect(t, "void")
		if got := c.ask("read", reading("d", "t", 0, "")).Batch; ids(got.Messages) != "a" {
			t.Errorf("got %s", ids(got.Messages))
		}
	})
	item(t, 65, "positions do not go back", func(t *testing.T, s *server) {
		s.expectPosition("[[0,128],9]", storing("c", 0, 128, 9), storing("c", 0, 128, 3))
	})
	item(t, 66, "positions of other segments stay", func(t *testing.T, s *server) {
		s.expectPosition("[[0,64],9]", storing("c", 0, 64, 9))
	})
	item(t, 67, "equal neighbours are merged", func(t *testing.T, s *server) {
		s.expectPosition("[[0,128],9]", storing("c", 0, 64, 9), storing("c", 64, 128, 9))
	})
	item(t, 68, "a reset goes back", func(t *testing.T, s *server) {
		c, _ := s.stored()
		c.ask("resetPosition", `"consumer":"c","lastIndex":-1,"guarantee":"STORED"`).expect(t, "void")
		if got := c.ask("read", reading("c", "t", 0, "")).Batch; ids(got.Messages) != "a b c" {
			t.Errorf("got %s", ids(got.Messages))
		}
	})
	item(t, 69, "an unknown consumer has no position", func(t *testing.T, s *server) {
		s.expectPosition("[]")
	})
	item(t, 70, "a batch tells the position before it", func(t *testing.T, s *server) {
		c, all := s.stored()
		want := fmt.Sprintf("[[0,128],%d]", *all[0].Index)
		if got := c.ask("read", reading("c", "t", 0, "")).Batch; string(got.Position) != want {
			t.Errorf("got %s, want %s", got.Position, want)
		}
	})
	item(t, 71, "the last index covers the batch", func(t *testing.T, s *server) {
		c, all := s.stored()
		if got := c.ask("read", reading("c", "t", 0, "")).Batch; *got.LastIndex < *all[2].Index {
			t.Errorf("got %d", *got.LastIndex)
		}
	})
}

func TestTrackingEnds(t *testing.T) {
	t.Parallel()
	item(t, 72, "rejected messages are passed", testRejected)
	t.Run("073 old rejected messages are answered", func(t *testing.T) {
		t.Parallel()
		clock := newClock()
		s := start(t, Options{Clock: clock.now})
		s.publishEvents(textOf("a", ""))
		clock.advance(time.Hour)
		c := s.dial("tracking/readevent", dialing{})
		got := c.ask("read", reading("c", "t", minute, `"lastIndex":-1,"typeFilter":"nothing"`)).Batch
		if len(got.Messages) != 0 || got.LastIndex == nil || got.CaughtUp {
			t.Errorf("got %+v", got)
		}
	})
	item(t, 74, "caught up means the end", func(t *testing.T, s *server) {
		s.publishEvents(textOf("a", ""), textOf("b", ""), textOf("c", ""))
		c := s.dial("tracking/readevent", dialing{})
		const begin = `"consumer":"c","trackerId":"t","maxTimeout":0,"lastIndex":-1,"maxSize":`
		got := c.ask("read", begin+"2").Batch
		if got.CaughtUp || len(got.Messages) > 2 || *got.LastIndex != *got.Messages[len(got.Messages)-1].Index {
			t.Errorf("got %+v", got)
		}
		if got := c.ask("read", begin+"100").Batch; !got.CaughtUp || len(got.Messages) != 3 {
			t.Errorf("got %+v", got)
		}
	})
	item(t, 75, "reading without a consumer", func(t *testing.T, s *server) {
		c, all := s.stored()
		got := c.ask("readFromIndex", fmt.Sprintf(`"minIndex":%d,"maxSize":10`, *all[1].Index)).Messages
		if ids(got) != "b c" {
			t.Errorf("got %s", ids(got))
		}
	})
	item(t, 76, "reading without a consumer is bounded", func(t *testing.T, s *server) {
		c, _ := s.stored()
		if got := c.ask("readFromIndex", `"minIndex":-9223372036854775808,"maxSize":2`).Messages; ids(got) != "a b" {
			t.Errorf("got %s", ids(got))
		}
		if got := c.ask("readFromIndex", `"minIndex":0`).Messages; got == nil || len(got) != 0 {
			t.Errorf("got %s", ids(got))
		}
	})
}

// stored publishes a, b and c, and stores a as the position of consumer c.
func (s *server) stored() (*remote, []received) {
	s.t.Helper()
	all := s.published(textOf("a", ""), textOf("b", ""), textOf("c", ""))
	c := s.dial("tracking/readevent", dialing{})
	c.ask("resetPosition", `"consumer":"c","lastIndex":-1,"guarantee":"STORED"`).expect(s.t, "void")
	c.ask("storePosition", storing("c", 0, 128, *all[0].Index)).expect(s.t, "void")
	return c, all
}

// expectPosition stores positions and looks at the result.
func (s *server) expectPosition(want string, commands ...string) {
	s.t.Helper()
	c := s.dial("tracking/readevent", dialing{})
	for _, members := range commands {
		c.ask("storePosition", members).expect(s.t, "void")
	}
	if got := c.ask("getPosition", `"consumer":"c"`).expect(s.t, "getPositionResult"); string(got.Position) != want {
		s.t.Errorf("got %s, want %s", got.Position, want)
	}
}

func testRejected(t *testing.T, s *server) {
	var many []string
	for i := range 5000 {
		many = append(many, textOf(fmt.Sprint("m", i), ""))
	}
	s.publishEvents(many...)
	all := s.log("tracking/readevent", dialing{})
	last := *all[len(all)-1].Index
	c := s.dial("tracking/readevent", dialing{})
	got := c.ask("read", reading("c", "t", time.Second, `"lastIndex":-1,"typeFilter":"nothing"`)).Batch
	if len(got.Messages) != 0 {
		t.Fatalf("%d messages", len(got.Messages))
	}
	if got.LastIndex == nil || *got.LastIndex < last {
		if position := string(c.ask("getPosition", `"consumer":"c"`).Position); position != fmt.Sprintf("[[0,128],%d]", last) {
			t.Errorf("neither %v nor %s is beyond %d", got.LastIndex, position, last)
		}
	}
	id := c.send("read", reading("c", "t", minute, `"typeFilter":"wanted"`))
	s.publishEvents(`{"data":{"type":"wanted"},"messageId":"w"}`)
	if got := c.wait(id).Batch; ids(got.Messages) != "w" {
		t.Errorf("got %s", ids(got.Messages))
	}
}

func TestTrackingFilters(t *testing.T) {
	t.Parallel()
	typed := func(kind, id string) string {
		return fmt.Sprintf(`{"data":{"value":"e30=","type":%s},"messageId":%q,"segment":%d}`, kind, id, len(id))
	}
	for number, c := range map[int]struct{ filter, want string }{
		77: {`.*Created`, "created none"},
		78: {`\Qcom.example.A$B\E`, "inner none"},
		79: {`nothing at all`, "none"},
	} {
		item(t, number, "type filter "+c.filter, func(t *testing.T, s *server) {
			s.publishEvents(typed(`"com.example.UserCreated"`, "created"), typed(`"com.example.UserCreatedX"`, "createdX"),
				typed(`"com.example.A$B"`, "inner"), typed(`"com.example.A$BC"`, "innerC"), typed(`null`, "none"))
			filter := fmt.Sprintf(`"lastIndex":-1,"typeFilter":%q`, c.filter)
			got := s.dial("tracking/readevent", dialing{}).ask("read", reading("c", "t", 0, filter)).expect(t, "readResult").Batch
			if ids(got.Messages) != c.want {
				t.Errorf("got %s, want %s", ids(got.Messages), c.want)
			}
		})
	}
	item(t, 80, "targets", testTargets)
	item(t, 81, "targets do not matter without a filter", func(t *testing.T, s *server) {
		if got := s.published(textOf("a", `"target":"somebody"`), textOf("b", "")); ids(got) != "a b" {
			t.Errorf("got %s", ids(got))
		}
	})
	item(t, 82, "all segments for each tracker that has any", func(t *testing.T, s *server) {
		a, b := s.twoTrackers(`"ignoreSegment":true,"clientControlledIndex":true,"lastIndex":-1`)
		s.publishEvents(textOf("m1", `"segment":1`), textOf("m2", `"segment":100`))
		for _, r := range []result{a.wait(1), b.wait(2)} {
			if ids(r.Batch.Messages) != "m1 m2" {
				t.Errorf("got %s", r.raw)
			}
		}
	})
	item(t, 83, "notifications reach every tracker", func(t *testing.T, s *server) {
		s.publishEvents(textOf("m1", `"segment":1`), textOf("m2", `"segment":100`))
		c := s.dial("tracking/readnotification", dialing{})
		c.ask("storePosition", storing("c", 0, 128, 1<<62)).expect(t, "void")
		for range 2 {
			if got := c.ask("read", reading("c", "t", 0, `"lastIndex":-1`)).Batch; ids(got.Messages) != "m1 m2" {
				t.Errorf("got %s", ids(got.Messages))
			}
		}
	})
}

// twoTrackers opens reads 1 and 2 of trackers a and b of consumer c, which share the segments.
func (s *server) twoTrackers(more string) (a, b *remote) {
	s.t.Helper()
	a, b = s.dial("tracking/readevent", dialing{}), s.dial("tracking/readevent", dialing{client: "c2"})
	a.write(request(1, "read", reading("c", "a", minute, more)))
	b.write(request(2, "read", reading("c", "b", minute, more)))
	s.awaitRanges("c", "a[0,64) b[64,128)")
	return a, b
}

func testTargets(t *testing.T, s *server) {
	const filter = `"filterMessageTarget":true,"lastIndex":-1`
	a, b := s.twoTrackers(filter)
	s.publishEvents(
		textOf("1", `"segment":100,"target":"a"`), // for tracker a, though its segment is b's
		textOf("2", `"segment":1,"target":"c1"`),  // for the client of a, in a's segments
		textOf("3", `"segment":100,"target":"c1"`),
		textOf("4", `"segment":1,"target":"other"`), textOf("5", `"segment":1`), textOf("6", `"segment":100`), textOf("7", `"segment":1,"target":"c2"`),
	)
	if got := ids(a.wait(1).Batch.Messages); got != "1 2 5" {
		t.Errorf("a got %s", got)
	}
	if got := ids(b.wait(2).Batch.Messages); got != "6" {
		t.Errorf("b got %s", got)
	}
	if got := a.ask("read", reading("d", "x", 0, filter+`,"ignoreSegment":true`)).Batch.Messages; ids(got) != "2 3 5 6" {
		t.Errorf("another consumer got %s", ids(got))
	}
}

// clock is a clock that a test moves.
type clock struct{ milli chan int64 }

func newClock() *clock {
	c := &clock{make(chan int64, 1)}
	c.milli <- time.Now().UnixMilli()
	return c
}

func (c *clock) now() time.Time {
	milli := <-c.milli
	defer func() { c.milli <- milli }()
	return time.UnixMilli(milli)
}

func (c *clock) advance(d time.Duration) { c.milli <- <-c.milli + d.Milliseconds() }

// ranges describes the trackers of a consumer of events.
func (s *server) ranges(consumer message.ConsumerName) string {
	log := message.Log{Type: message.Event}
	consumers, err := s.handler.Tracking.Consumers(s.t.Context(), message.DefaultNamespace, &log)
	if err != nil {
		s.t.Fatal(err)
	}
	var all []string
	for _, c := range consumers {
		if c.Consumer.Name != consumer {
			continue
		}
		for _, tracker := range c.Trackers {
			text := tracker.ID + tracker.Segments.String()
			if tracker.Active {
				text += "*"
			}
			all = append(all, text)
		}
	}
	return strings.Join(all, " ")
}

// awaitRanges waits until the trackers of a consumer are as described: active ones have a star.
func (s *server) awaitRanges(consumer message.ConsumerName, want string) {
	s.t.Helper()
	s.eventually(want, func() bool { return s.ranges(consumer) == want })
}
