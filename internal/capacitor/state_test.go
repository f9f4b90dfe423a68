package capacitor

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flux-go/flux/internal/auth"
	"github.com/flux-go/flux/message"
)

// appending returns the members of a command that appends events.
func appending(aggregate string, storeOnly bool, events ...string) string {
	return fmt.Sprintf(`"eventBatches":[{"aggregateId":%q,"events":[%s],"storeOnly":%v}],"guarantee":"STORED"`, aggregate, strings.Join(events, ","), storeOnly)
}

func getting(aggregate string, after, size int) string {
	return fmt.Sprintf(`"aggregateId":%q,"lastSequenceNumber":%d,"batchSize":%d`, aggregate, after, size)
}

// numbered returns n messages with ids from m0 on.
func numbered(n int) (all []string) {
	for i := range n {
		all = append(all, textOf(fmt.Sprint("m", i), ""))
	}
	return all
}

func TestEventSourcing(t *testing.T) {
	t.Parallel()
	item(t, 101, "events are stored, and published unless stored only", func(t *testing.T, s *server) {
		c := s.dial("eventSourcing", dialing{})
		c.ask("appendEvents", appending("a", false, textOf("m1", ""))).expect(t, "void")
		c.ask("appendEvents", appending("a", true, textOf("m2", ""))).expect(t, "void")
		got := c.ask("getEvents", getting("a", -1, 8192)).expect(t, "getEventsResult").EventBatch
		if ids(got.Events) != "m1 m2" || got.AggregateID != "a" || *got.StoreOnly || got.Events[1].Index != nil {
			t.Errorf("got %+v", got)
		}
		for _, path := range []string{"tracking/readevent", "tracking/readnotification"} {
			if log := s.log(path, dialing{}); ids(log) != "m1" || *log[0].Index != *got.Events[0].Index {
				t.Errorf("%s: %s", path, ids(log))
			}
		}
	})
	item(t, 102, "all events in order", func(t *testing.T, s *server) {
		c := s.withEvents(10)
		if r := c.ask("getEvents", getting("a", -1, 8192)); ids(r.EventBatch.Events) != "m0 m1 m2 m3 m4 m5 m6 m7 m8 m9" || *r.LastSequence != 9 {
			t.Errorf("got %s", r.raw)
		}
	})
	item(t, 103, "events after a number", func(t *testing.T, s *server) {
		c := s.withEvents(8)
		if r := c.ask("getEvents", getting("a", 4, 8192)); ids(r.EventBatch.Events) != "m5 m6 m7" || *r.LastSequence != 7 {
			t.Errorf("got %s", r.raw)
		}
		if r := c.ask("getEvents", getting("a", 4, 0)); len(r.EventBatch.Events) != 0 || *r.LastSequence != 4 {
			t.Errorf("got %s", r.raw)
		}
	})
	item(t, 104, "the end of a stream", func(t *testing.T, s *server) {
		c := s.withEvents(3)
		for _, after := range []int{2, 100} {
			if r := c.ask("getEvents", getting("a", after, 8192)); r.EventBatch.Events == nil || len(r.EventBatch.Events) != 0 || *r.LastSequence != int64(after) {
				t.Errorf("got %s", r.raw)
			}
		}
		if r := c.ask("getEvents", getting("unknown", -1, 8192)); r.EventBatch.Events == nil || *r.LastSequence != -1 {
			t.Errorf("got %s", r.raw)
		}
	})
	item(t, 105, "pages", func(t *testing.T, s *server) {
		c := s.withEvents(20_000)
		last := int64(-1)
		for _, want := range []int{8192, 8192, 3616} {
			r := c.ask("getEvents", getting("a", int(last), 8192))
			if len(r.EventBatch.Events) != want || *r.LastSequence != last+int64(want) {
				t.Fatalf("%d events up to %d", len(r.EventBatch.Events), *r.LastSequence)
			}
			last = *r.LastSequence
		}
	})
	item(t, 106, "a stream is deleted", func(t *testing.T, s *server) {
		c := s.withEvents(3)
		c.ask("deleteEvents", `"aggregateId":"a","guarantee":"STORED"`).expect(t, "void")
		if r := c.ask("getEvents", getting("a", -1, 8192)); len(r.EventBatch.Events) != 0 {
			t.Errorf("got %s", r.raw)
		}
		c.ask("appendEvents", appending("a", false, textOf("new", ""))).expect(t, "void")
		if r := c.ask("getEvents", getting("a", -1, 8192)); ids(r.EventBatch.Events) != "new" || *r.LastSequence != 0 {
			t.Errorf("got %s", r.raw)
		}
		if got := ids(s.log("tracking/readevent", dialing{})); got != "m0 m1 m2 new" {
			t.Errorf("the log has %s", got)
		}
	})
}

func TestRelationships(t *testing.T) {
	t.Parallel()
	item(t, 107, "retention spares streams", func(t *testing.T, s *server) {
		c := s.withEvents(3)
		g := s.dial("tracking/publishevent", dialing{})
		g.ask("truncate", "").expect(t, "void")
		if got := s.log("tracking/readevent", dialing{}); len(got) != 0 {
			t.Errorf("the log has %s", ids(got))
		}
		if r := c.ask("getEvents", getting("a", -1, 8192)); ids(r.EventBatch.Events) != "m0 m1 m2" {
			t.Errorf("got %s", r.raw)
		}
	})
	item(t, 108, "dissociations come first", func(t *testing.T, s *server) {
		c := s.dial("eventSourcing", dialing{})
		const relation = `{"aggregateId":"a","aggregateType":"A","entityId":"e"}`
		c.ask("updateRelationships", `"associations":[`+relation+`],"dissociations":[`+relation+`],"guarantee":"STORED"`).expect(t, "void")
		if r := c.ask("getAggregateIds", `"entityId":"e"`).expect(t, "getAggregateIdsResult"); fmt.Sprint(r.AggregateIDs) != "map[a:A]" {
			t.Errorf("got %s", r.raw)
		}
		c.ask("updateRelationships", `"dissociations":[`+relation+`],"guarantee":"STORED"`).expect(t, "void")
		if r := c.ask("getAggregateIds", `"entityId":"e"`); len(r.AggregateIDs) != 0 {
			t.Errorf("got %s", r.raw)
		}
	})
	item(t, 109, "relations are repaired", func(t *testing.T, s *server) {
		c := s.dial("eventSourcing", dialing{})
		c.ask("repairRelationships", `"aggregateId":"a","aggregateType":"A","entityIds":["e","f"],"guarantee":"STORED"`).expect(t, "void")
		r := c.ask("getRelationships", `"entityId":"f"`).expect(t, "getRelationshipsResult")
		if fmt.Sprint(r.Relationships) != "[map[aggregateId:a aggregateType:A entityId:f]]" {
			t.Errorf("got %s", r.raw)
		}
		c.ask("repairRelationships", `"aggregateId":"a","aggregateType":"A","entityIds":[],"guarantee":"STORED"`).expect(t, "void")
		for _, entity := range []string{"e", "f"} {
			if r := c.ask("getRelationships", fmt.Sprintf(`"entityId":%q`, entity)); len(r.Relationships) != 0 {
				t.Errorf("got %s", r.raw)
			}
		}
	})
	item(t, 110, "unknown entities", func(t *testing.T, s *server) {
		c := s.dial("eventSourcing", dialing{})
		if r := c.ask("getAggregateIds", `"entityId":"e"`); !strings.Contains(r.raw, `"aggregateIds":{}`) {
			t.Errorf("got %s", r.raw)
		}
		if r := c.ask("getRelationships", `"entityId":"e"`); !strings.Contains(r.raw, `"relationships":[]`) {
			t.Errorf("got %s", r.raw)
		}
	})
}

// withEvents returns a socket after n events of aggregate a.
func (s *server) withEvents(n int) *remote {
	s.t.Helper()
	c := s.dial("eventSourcing", dialing{compression: "LZ4"})
	c.ask("appendEvents", appending("a", false, numbered(n)...)).expect(s.t, "void")
	return c
}

func TestKeyValue(t *testing.T) {
	t.Parallel()
	item(t, 111, "put, get, delete", func(t *testing.T, s *server) {
		c := s.dial("keyValue", dialing{})
		c.ask("storeValues", `"values":[{"key":"k","value":{"value":"MQ=="}}],"guarantee":"STORED"`).expect(t, "void")
		if r := c.ask("getValue", `"key":"k"`).expect(t, "getValueResult"); string(r.Value.Value) != "1" {
			t.Errorf("got %s", r.raw)
		}
		c.ask("deleteValue", `"key":"k","guarantee":"STORED"`).expect(t, "void")
		if r := c.ask("getValue", `"key":"k"`); r.Value != nil {
			t.Errorf("got %s", r.raw)
		}
	})
	item(t, 112, "put if absent", func(t *testing.T, s *server) {
		var callers sync.WaitGroup
		stored := make(chan bool, 8)
		for i := range cap(stored) {
			c := s.dial("keyValue", dialing{client: fmt.Sprint("c", i)})
			callers.Go(func() {
				stored <- c.ask("storeValueIfAbsent", `"value":{"key":"k","value":{"value":"MQ=="}}`).expect(t, "boolean").Success
			})
		}
		callers.Wait()
		winners := 0
		for range cap(stored) {
			if <-stored {
				winners++
			}
		}
		if winners != 1 {
			t.Errorf("%d winners", winners)
		}
		c := s.dial("keyValue", dialing{})
		c.ask("deleteValue", `"key":"k","guarantee":"STORED"`)
		if !c.ask("storeValueIfAbsent", `"value":{"key":"k","value":{"value":"MQ=="}}`).Success {
			t.Error("not after a delete")
		}
	})
	item(t, 113, "values come back as they were", func(t *testing.T, s *server) {
		c := s.dial("keyValue", dialing{})
		for i, value := range []string{
			`{"value":"AP8=","type":"[B","revision":7,"format":"application/octet-stream"}`, `{"value":null,"type":null,"revision":0,"format":"application/json"}`,
			`{"value":"","type":"java.lang.String","revision":0,"format":"application/json"}`,
		} {
			c.ask("storeValues", fmt.Sprintf(`"values":[{"key":"k%d","value":%s}],"guarantee":"STORED"`, i, value)).expect(t, "void")
			if r := c.ask("getValue", fmt.Sprintf(`"key":"k%d"`, i)); !strings.Contains(r.raw, `"value":`+value) {
				t.Errorf("got %s, want %s", r.raw, value)
			}
		}
	})
}

// scheduling returns the members of a command that schedules a message.
func scheduling(id string, due time.Time, message string, more string) string {
	return fmt.Sprintf(`"messages":[{"scheduleId":%q,"timestamp":%d,"message":%s%s}],"guarantee":"STORED"`, id, due.UnixMilli(), message, more)
}

func TestScheduling(t *testing.T) {
	t.Parallel()
	item(t, 114, "a schedule comes when it is due", func(t *testing.T, s *server) {
		c, tracker := s.dial("scheduling", dialing{}), s.dial("tracking/readschedule", dialing{})
		id := tracker.send("read", reading("c", "t", minute, ""))
		due := time.Now().Add(2 * time.Second)
		c.ask("schedule", scheduling("s", due, textOf("m1", ""), "")).expect(t, "void")
		got := tracker.wait(id).Batch
		if late := time.Since(due); ids(got.Messages) != "m1" || late < -time.Millisecond || late > 2*time.Second {
			t.Errorf("got %s after %s", ids(got.Messages), late)
		}
	})
	item(t, 115, "its index is its deadline", func(t *testing.T, s *server) {
		due := time.Now().Add(300 * time.Millisecond)
		s.dial("scheduling", dialing{}).ask("schedule", scheduling("s", due, textOf("m1", ""), "")).expect(t, "void")
		got := s.awaitScheduled(1)
		if got[0].Index.Milli() != due.UnixMilli() {
			t.Errorf("got %d, want %d", got[0].Index.Milli(), due.UnixMilli())
		}
	})
	item(t, 116, "a schedule in the past comes at once", func(t *testing.T, s *server) {
		now := time.Now()
		s.dial("scheduling", dialing{}).ask("schedule", scheduling("s", now.Add(-time.Hour), textOf("m1", ""), "")).expect(t, "void")
		if got := s.awaitScheduled(1); *got[0].Index < message.IndexAt(now) {
			t.Errorf("got %d", *got[0].Index)
		}
	})
	item(t, 117, "many schedules of one time", func(t *testing.T, s *server) {
		due := time.Now().Add(time.Second)
		c := s.dial("scheduling", dialing{})
		for i := range 1000 {
			members := scheduling(fmt.Sprint("s", i), due, textOf(fmt.Sprint("m", i), ""), "")
			c.send("schedule", strings.Replace(members, "STORED", "SENT", 1))
		}
		seen := make(map[message.Index]bool)
		for _, m := range s.awaitScheduled(1000) {
			seen[*m.Index] = true
		}
		if len(seen) != 1000 {
			t.Errorf("%d indexes", len(seen))
		}
	})
	item(t, 118, "a schedule is replaced", func(t *testing.T, s *server) {
		c := s.dial("scheduling", dialing{})
		c.ask("schedule", scheduling("s", time.Now().Add(400*time.Millisecond), textOf("old", ""), "")).expect(t, "void")
		c.ask("schedule", scheduling("s", time.Now().Add(600*time.Millisecond), textOf("new", ""), "")).expect(t, "void")
		if got := s.awaitScheduled(1); ids(got) != "new" {
			t.Errorf("got %s", ids(got))
		}
	})
	item(t, 119, "if absent", func(t *testing.T, s *server) {
		c := s.dial("scheduling", dialing{})
		due := time.Now().Add(time.Hour)
		c.ask("schedule", scheduling("s", due, textOf("old", ""), "")).expect(t, "void")
		c.ask("schedule", scheduling("s", due.Add(time.Hour), textOf("new", ""), `,"ifAbsent":true`)).expect(t, "void")
		if r := c.ask("getSchedule", `"scheduleId":"s"`).expect(t, "getScheduleResult"); *r.Schedule.Message.MessageID != "old" {
			t.Errorf("got %s", r.raw)
		}
	})
	item(t, 120, "a schedule is cancelled", func(t *testing.T, s *server) {
		c := s.dial("scheduling", dialing{})
		c.ask("schedule", scheduling("s", time.Now().Add(300*time.Millisecond), textOf("m1", ""), "")).expect(t, "void")
		c.ask("schedule", scheduling("t", time.Now().Add(500*time.Millisecond), textOf("m2", ""), "")).expect(t, "void")
		c.ask("cancelSchedule", `"scheduleId":"s","guarantee":"STORED"`).expect(t, "void")
		c.ask("cancelSchedule", `"scheduleId":"unknown","guarantee":"STORED"`).expect(t, "void")
		if got := s.awaitScheduled(1); ids(got) != "m2" {
			t.Errorf("got %s", ids(got))
		}
	})
	item(t, 121, "a schedule is shown", func(t *testing.T, s *server) {
		c := s.dial("scheduling", dialing{})
		due := time.Now().Add(time.Hour)
		c.ask("schedule", scheduling("s", due, textOf("m1", `"segment":42`), "")).expect(t, "void")
		r := c.ask("getSchedule", `"scheduleId":"s"`)
		if m := r.Schedule; m.ScheduleID != "s" || m.Timestamp != due.UnixMilli() || m.IfAbsent || *m.Message.Segment != 42 ||
			m.Message.Index.Milli() != due.UnixMilli() {
			t.Errorf("got %s", r.raw)
		}
		if r := c.ask("getSchedule", `"scheduleId":"t"`); r.Schedule != nil {
			t.Errorf("got %s", r.raw)
		}
	})
	t.Run("122 schedules survive a restart", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		s := startOn(t, openDir(t, dir), Options{})
		c := s.dial("scheduling", dialing{})
		c.ask("schedule", scheduling("later", time.Now().Add(time.Hour), textOf("later", ""), "")).expect(t, "void")
		c.ask("schedule", scheduling("soon", time.Now().Add(700*time.Millisecond), textOf("soon", ""), "")).expect(t, "void")
		s.stop()
		again := startOn(t, openDir(t, dir), Options{})
		if got := again.awaitScheduled(1); ids(got) != "soon" {
			t.Errorf("got %s", ids(got))
		}
		if r := again.dial("scheduling", dialing{}).ask("getSchedule", `"scheduleId":"later"`); r.Schedule == nil {
			t.Errorf("got %s", r.raw)
		}
	})
}

// awaitScheduled waits until n messages were due, and returns them.
func (s *server) awaitScheduled(n int) (all []received) {
	s.t.Helper()
	c := s.dial("tracking/readschedule", dialing{})
	s.eventually(fmt.Sprint(n, " scheduled messages"), func() bool {
		all = c.ask("readFromIndex", `"minIndex":0,"maxSize":10000`).Messages
		return len(all) >= n
	})
	if len(all) > n {
		s.t.Errorf("%d scheduled messages, want %d", len(all), n)
	}
	return all
}

// Truncating a log empties it, sends its trackers away with a last batch, and forgets how far its consumers were.
func TestTruncate(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	s.publishEvents(numbered(3)...)
	c, n := s.dial("tracking/readevent", dialing{}), s.dial("tracking/readnotification", dialing{})
	c.ask("storePosition", storing("c", 0, 128, 1<<61)).expect(t, "void")
	c.ask("storePosition", storing("idle", 0, 128, 1<<61)).expect(t, "void")
	waiting := c.send("read", reading("c", "t", minute, ""))
	s.awaitRanges("c", "t[0,128)")
	watching := n.send("read", reading("n", "t", minute, `"lastIndex":`+fmt.Sprint(int64(1)<<61)))
	n.ask("getPosition", `"consumer":"n"`)
	s.eventually("both wait", func() bool { return s.notified("n") })
	s.dial("tracking/publishevent", dialing{}).ask("truncate", `"guarantee":null`).expect(t, "void")
	for _, r := range []result{c.wait(waiting), n.wait(watching)} {
		if b := r.expect(t, "readResult").Batch; len(b.Messages) > 0 || fmt.Sprint(b.Segment) != "[0 0]" || !b.CaughtUp {
			t.Errorf("got %s", r.raw)
		}
	}
	for _, consumer := range []string{"c", "idle"} {
		if r := c.ask("getPosition", fmt.Sprintf(`"consumer":%q`, consumer)); string(r.Position) != "[]" {
			t.Errorf("got %s", r.raw)
		}
	}
	id := c.send("read", reading("c", "t", minute, ""))
	s.publishEvents(textOf("after", ""))
	if got := c.wait(id).Batch; ids(got.Messages) != "after" {
		t.Errorf("got %s", ids(got.Messages))
	}
}

// notified reports whether a consumer of notifications has a tracker that waits.
func (s *server) notified(consumer message.ConsumerName) bool {
	log := message.Log{Type: message.Notification}
	consumers, err := s.handler.Tracking.Consumers(s.t.Context(), message.DefaultNamespace, &log)
	return err == nil && len(consumers) == 1 && consumers[0].Consumer.Name == consumer && len(consumers[0].Trackers) == 1 &&
		!consumers[0].Trackers[0].Active
}

// Where the server asks for tokens, a client has one in its base URL or, behind a proxy, in a header.
func TestTokens(t *testing.T) {
	t.Parallel()
	tokens, err := auth.Parse([]byte(`[
		{"name": "shop", "token": "a-long-token-of-the-shop", "namespaces": ["shop"], "rights": ["read", "write"]},
		{"name": "reader", "token": "a-long-token-of-a-reader", "namespaces": ["*"], "rights": ["read"]}]`))
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{Tokens: tokens})
	for _, c := range []struct {
		target, header string
		want           int
	}{
		{"/keyValue?clientId=c&projectId=shop", "", http.StatusUnauthorized},
		{"/token/wrong/keyValue?clientId=c&projectId=shop", "", http.StatusUnauthorized},
		{"/token/a-long-token-of-the-shop/keyValue?clientId=c", "", http.StatusForbidden},
		{"/token/a-long-token-of-the-shop/nowhere?clientId=c&projectId=shop", "", http.StatusNotFound},
		{"/token/a-long-token-of-the-shop/keyValue/?clientId=c&projectId=shop", "", http.StatusSwitchingProtocols},
		{"/keyValue?clientId=c&projectId=shop", "Authorization: Bearer a-long-token-of-the-shop\r\n", http.StatusSwitchingProtocols},
		{"/token/a-long-token-of-a-reader/tracking/readevent?clientId=c", "", http.StatusSwitchingProtocols},
		{"/token/a-long-token-of-a-reader/tracking/publishevent?clientId=c", "", http.StatusForbidden},
	} {
		raw := s.handshake(c.target, c.header)
		if raw.response.StatusCode != c.want {
			t.Errorf("%s: %s, want %d", c.target, raw.response.Status, c.want)
		}
		raw.Close()
	}
	shop := s.dial("token/a-long-token-of-the-shop/tracking/publishevent", dialing{project: "shop"})
	shop.appendAll(textOf("m1", ""))
	for _, command := range []string{"setRetentionTime", "truncate"} {
		shop.ask(command, `"guarantee":"STORED"`).expect(t, "error")
	}
}

// Names that cannot be keys are refused with an error, at every endpoint, and harm nothing. See Deviations.
func TestNamesThatCannotBeKeysAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	for _, bad := range []string{``, `a\u0000b`} {
		for path, requests := range map[string][]string{
			"keyValue": {
				`storeValues "values":[{"key":"BAD","value":{"value":"MQ=="}}],"guarantee":"STORED"`,
				`storeValueIfAbsent "value":{"key":"BAD","value":{"value":"MQ=="}}`, `deleteValue "key":"BAD","guarantee":"STORED"`,
			},
			"eventSourcing": {
				`appendEvents "eventBatches":[{"aggregateId":"BAD","events":[` + textOf("m", "") + `]}],"guarantee":"STORED"`,
				`deleteEvents "aggregateId":"BAD","guarantee":"STORED"`,
				`updateRelationships "associations":[{"aggregateId":"a","aggregateType":"A","entityId":"BAD"}],"guarantee":"STORED"`,
			},
			"scheduling": {
				`schedule "messages":[{"scheduleId":"BAD","timestamp":1,"message":` + textOf("m", "") + `}],"guarantee":"STORED"`,
				`cancelSchedule "scheduleId":"BAD","guarantee":"STORED"`,
			},
			"tracking/readevent": {
				`storePosition "consumer":"BAD","segment":[0,128],"lastIndex":1,"guarantee":"STORED"`, `read "consumer":"BAD","trackerId":"t"`,
			},
		} {
			c := s.dial(path, dialing{})
			for _, one := range requests {
				kind, members, _ := strings.Cut(one, " ")
				if got := c.ask(kind, strings.ReplaceAll(members, "BAD", bad)); got.Type != "error" {
					t.Errorf("%s with %q: %s", kind, bad, got.raw)
				}
			}
		}
	}
}
