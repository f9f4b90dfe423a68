package capacitor

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestCluster(t *testing.T) {
	t.Parallel()
	item(t, 84, "two trackers", func(t *testing.T, s *server) {
		c := s.dial("tracking/readevent", dialing{})
		c.send("read", reading("c", "b", minute, ""))
		c.send("read", reading("c", "a", minute, ""))
		s.awaitRanges("c", "a[0,64) b[64,128)")
	})
	item(t, 85, "more trackers", func(t *testing.T, s *server) {
		for n, want := range map[int]string{
			3: "0[0,42) 1[42,85) 2[85,128)", 5: "0[0,25) 1[25,50) 2[50,76) 3[76,102) 4[102,128)",
		} {
			s.waitTogether(n, want)
		}
		var all []string
		for i := range 130 {
			segments := fmt.Sprintf("[%d,%d)", i, i+1)
			if i >= 128 {
				segments = "[0,0)"
			}
			all = append(all, fmt.Sprintf("%03d%s", i, segments))
		}
		s.waitTogether(130, strings.Join(all, " "))
	})
	item(t, 86, "a batch in hand keeps its segments", func(t *testing.T, s *server) {
		s.publishEvents(textOf("m1", `"segment":100`))
		c := s.dial("tracking/readevent", dialing{})
		first := c.ask("read", reading("c", "a", minute, "")).Batch
		if ids(first.Messages) != "m1" {
			t.Fatalf("got %s", ids(first.Messages))
		}
		b := c.send("read", reading("c", "b", minute, ""))
		s.awaitRanges("c", "a[0,128)* b[0,0)")
		s.publishEvents(textOf("m2", `"segment":100`))
		c.ask("storePosition", storing("c", 0, 128, *first.LastIndex)).expect(t, "void")
		c.send("read", reading("c", "a", minute, ""))
		got := c.wait(b).Batch
		if ids(got.Messages) != "m2" || fmt.Sprint(got.Segment) != "[64 128]" {
			t.Errorf("got %+v", got)
		}
		s.awaitRanges("c", "a[0,64) b[64,128)*")
	})
	item(t, 87, "the life of a cluster", testLife)
	item(t, 88, "nobody gets what others have", testNoDoubleDelivery)
	item(t, 90, "one tracker gets everything", func(t *testing.T, s *server) {
		c := s.dial("tracking/readevent", dialing{})
		a := c.send("read", reading("c", "a", 300*time.Millisecond, `"singleTracker":true`))
		b := c.send("read", reading("c", "b", 300*time.Millisecond, `"singleTracker":true`))
		if got := [2]string{fmt.Sprint(c.wait(a).Batch.Segment), fmt.Sprint(c.wait(b).Batch.Segment)}; got != [2]string{"[0 128]", "[0 0]"} {
			t.Errorf("got %v", got)
		}
	})
	item(t, 91, "another single tracker takes over", func(t *testing.T, s *server) {
		a, b := s.dial("tracking/readevent", dialing{}), s.dial("tracking/readevent", dialing{})
		a.send("read", reading("c", "a", minute, `"singleTracker":true`))
		s.eventually("a is there", func() bool { return len(s.trackers("c")) == 1 })
		id := b.send("read", reading("c", "b", minute, `"singleTracker":true`))
		s.eventually("b is there", func() bool { return len(s.trackers("c")) == 2 })
		s.hangUp(a)
		s.publishEvents(textOf("m1", `"segment":1`), textOf("m2", `"segment":100`))
		if got := b.wait(id).Batch; ids(got.Messages) != "m1 m2" || fmt.Sprint(got.Segment) != "[0 128]" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestClusterLeaving(t *testing.T) {
	t.Parallel()
	item(t, 92, "a waiting tracker leaves with its socket", func(t *testing.T, s *server) {
		a, b := s.twoTrackers("")
		s.hangUp(a)
		s.awaitRanges("c", "b[0,128)")
		s.publishEvents(textOf("m1", `"segment":1`), textOf("m2", `"segment":100`))
		if got := b.wait(2).Batch; ids(got.Messages) != "m1 m2" {
			t.Errorf("got %s", ids(got.Messages))
		}
	})
	item(t, 93, "an active tracker leaves with its socket", func(t *testing.T, s *server) {
		s.publishEvents(textOf("m1", `"segment":1`))
		a, b := s.dial("tracking/readevent", dialing{}), s.dial("tracking/readevent", dialing{})
		a.ask("read", reading("c", "a", minute, ""))
		id := b.send("read", reading("c", "b", minute, ""))
		s.awaitRanges("c", "a[0,128)* b[0,0)")
		s.hangUp(a)
		if got := b.wait(id).Batch; ids(got.Messages) != "m1" {
			t.Errorf("got %s", ids(got.Messages))
		}
	})
	item(t, 94, "a tracker is disconnected", func(t *testing.T, s *server) {
		c := s.dial("tracking/readevent", dialing{})
		for _, final := range []bool{true, false} {
			consumer := fmt.Sprint("c", final)
			id := c.send("read", reading(consumer, "t", minute, ""))
			s.eventually("it waits", func() bool { return s.ranges(asConsumer(consumer)) == "t[0,128)" })
			c.ask("disconnectTracker", fmt.Sprintf(`"consumer":%q,"trackerId":"t","sendFinalEmptyBatch":%v,"guarantee":"STORED"`, consumer, final))
			if !final {
				c.ask("getPosition", `"consumer":"c"`)
				for _, r := range c.received() {
					if *r.RequestID == id {
						t.Errorf("got %s", r.raw)
					}
				}
				continue
			}
			got := c.wait(id).Batch
			if fmt.Sprint(got.Segment) != "[0 0]" || len(got.Messages) > 0 || got.LastIndex != nil || string(got.Position) != "[]" || !got.CaughtUp {
				t.Errorf("got %+v", got)
			}
		}
	})
	item(t, 95, "a tracker that takes too long is removed", func(t *testing.T, s *server) {
		s.publishEvents(textOf("m1", ""))
		c := s.dial("tracking/readevent", dialing{})
		c.ask("read", reading("c", "a", minute, `"purgeTimeout":1000`))
		b := c.send("read", reading("c", "b", minute, ""))
		if got := c.wait(b).Batch; fmt.Sprint(got.Segment) != "[0 128]" {
			t.Errorf("got %+v", got)
		}
	})
	item(t, 96, "a tracker may take its time", func(t *testing.T, s *server) {
		s.publishEvents(textOf("m1", ""))
		c := s.dial("tracking/readevent", dialing{})
		c.ask("read", reading("c", "a", minute, ""))
		if got := c.ask("read", reading("c", "b", 2*time.Second, "")).Batch; fmt.Sprint(got.Segment) != "[0 0]" {
			t.Errorf("got %+v", got)
		}
		if got := s.ranges("c"); !strings.HasPrefix(got, "a[0,128)*") {
			t.Errorf("got %s", got)
		}
	})
}

func TestClusterRequests(t *testing.T) {
	t.Parallel()
	item(t, 97, "a newer read replaces an older one", func(t *testing.T, s *server) {
		c, d := s.dial("tracking/readevent", dialing{}), s.dial("tracking/readevent", dialing{})
		first := c.send("read", reading("c", "t", minute, ""))
		s.awaitRanges("c", "t[0,128)")
		second := d.send("read", reading("c", "t", minute, ""))
		if got := c.wait(first).expect(t, "readResult").Batch; len(got.Messages) > 0 {
			t.Errorf("got %+v", got)
		}
		s.publishEvents(textOf("m1", ""))
		if got := d.wait(second).Batch; ids(got.Messages) != "m1" {
			t.Errorf("got %s", ids(got.Messages))
		}
	})
	item(t, 98, "endpoints are independent", func(t *testing.T, s *server) {
		for path, topic := range map[string]string{
			"tracking/readevent": "", "tracking/readnotification": "", "tracking/readcommand": "", "tracking/readcustom": "a", "tracking/readcustom/": "b",
		} {
			c := s.dial(path, dialing{topic: topic})
			if got := c.ask("getPosition", `"consumer":"c"`); string(got.Position) != "[]" {
				t.Errorf("%s: %s", path, got.raw)
			}
			c.ask("storePosition", storing("c", 0, 128, 5)).expect(t, "void")
			if got := c.ask("read", reading("c", "t", 0, "")).Batch; fmt.Sprint(got.Segment) != "[0 128]" {
				t.Errorf("%s: %+v", path, got)
			}
		}
	})
	item(t, 99, "a claim keeps its segments", func(t *testing.T, s *server) {
		c := s.dial("tracking/readevent", dialing{})
		got := c.ask("claimSegment", reading("c", "a", minute, `"lastIndex":7`)).expect(t, "claimSegmentResult")
		if fmt.Sprint(got.Segment) != "[0 128]" || string(got.Position) != "[[0,128],7]" {
			t.Errorf("got %s", got.raw)
		}
		late := c.ask("claimSegment", reading("c", "b", 200*time.Millisecond, "")).expect(t, "claimSegmentResult")
		if fmt.Sprint(late.Segment) != "[0 0]" || string(late.Position) != "[]" {
			t.Errorf("got %s", late.raw)
		}
	})
	item(t, 100, "a tracker may change its socket", func(t *testing.T, s *server) {
		sockets := []*remote{s.dial("tracking/readevent", dialing{}), s.dial("tracking/readevent", dialing{})}
		for i := range 6 {
			s.publishEvents(textOf(fmt.Sprint("m", i), ""))
			got := sockets[i%2].ask("read", reading("c", "t", minute, "")).Batch
			if ids(got.Messages) != fmt.Sprint("m", i) {
				t.Fatalf("got %s", ids(got.Messages))
			}
			sockets[i%2].ask("storePosition", storing("c", 0, 128, *got.LastIndex)).expect(t, "void")
		}
		s.hangUp(sockets[0]) // the latest read came over the other one
		if got := s.ranges("c"); got != "t[0,128)*" {
			t.Errorf("got %s", got)
		}
	})
}

// waitTogether opens reads of n trackers of a new consumer and waits until they have the ranges.
func (s *server) waitTogether(n int, want string) {
	s.t.Helper()
	c, consumer := s.dial("tracking/readevent", dialing{}), fmt.Sprint("c", n)
	for i := range n {
		id := fmt.Sprint(i)
		if n > 100 {
			id = fmt.Sprintf("%03d", i)
		}
		c.send("read", reading(consumer, id, minute, ""))
	}
	s.awaitRanges(asConsumer(consumer), want)
}

// testLife goes through the table of the protocol's description. Every tracker has a socket of its own; a batch is an
// empty one that comes at once.
func testLife(t *testing.T, s *server) {
	sockets := map[string]*remote{}
	for _, id := range []string{"a", "b", "c"} {
		sockets[id] = s.dial("tracking/readevent", dialing{})
	}
	active := func(id string) { sockets[id].ask("read", reading("c", id, 0, "")) }
	waits := func(id string) { sockets[id].send("read", reading("c", id, minute, "")) }
	step := func(what, want string, f func()) {
		t.Helper()
		f()
		s.eventually(what+": "+want+", not "+s.ranges("c"), func() bool { return s.ranges("c") == want })
	}
	step("a reads", "a[0,128)*", func() { active("a") })
	step("b waits", "a[0,128)* b[0,0)", func() { waits("b") })
	step("a reads again", "a[0,64)* b[64,128)", func() { active("a") })
	step("b is answered", "a[0,64)* b[64,128)*", func() { active("b") })
	step("c waits", "a[0,64)* b[64,128)* c[0,0)", func() { waits("c") })
	step("a reads again", "a[0,42)* b[64,128)* c[42,64)", func() { active("a") })
	step("b reads again", "a[0,42)* b[42,85)* c[85,128)", func() { active("b") })
	step("c is answered", "a[0,42)* b[42,85)* c[85,128)*", func() { active("c") })
	step("b leaves", "a[0,42)* c[42,128)*", func() { s.hangUp(sockets["b"]) })
	step("a leaves", "c[0,128)*", func() { s.hangUp(sockets["a"]) })
}

// testNoDoubleDelivery has trackers come, read, store and read again while messages are published. None leaves.
func testNoDoubleDelivery(t *testing.T, s *server) {
	const messages, trackers = 400, 4
	got := make(chan string, 10*messages)
	for i := range trackers {
		c := s.dial("tracking/readevent", dialing{client: fmt.Sprint("c", i)})
		go func() {
			for {
				r, ok := c.poll("read", reading("c", fmt.Sprint("t", i), minute, `"lastIndex":-1`))
				if !ok {
					return
				}
				for _, m := range r.Batch.Messages {
					got <- *m.MessageID
				}
				if b := r.Batch; b.LastIndex != nil {
					if _, ok := c.poll("storePosition", storing("c", b.Segment[0], b.Segment[1], *b.LastIndex)); !ok {
						return
					}
				}
			}
		}()
	}
	publisher := s.dial("tracking/publishevent", dialing{})
	for i := range messages {
		publisher.appendAll(textOf(fmt.Sprint("m", i), fmt.Sprintf(`"segment":%d`, rand.IntN(128))))
	}
	seen := make(map[string]int)
	for deadline := time.After(patience); len(seen) < messages; {
		select {
		case id := <-got:
			if seen[id]++; seen[id] > 1 {
				t.Fatalf("%s was delivered twice", id)
			}
		case <-deadline:
			t.Fatalf("%d of %d messages", len(seen), messages)
		}
	}
}
