package capacitor

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flux-go/flux/message"
)

// commands are those of each endpoint that answer void when they are to be stored.
var commands = map[string][]string{
	"tracking/publishevent": {`"@type":"append","messages":[` + textOf("m1", "") + `]`, `"@type":"append","messages":[]`, `"@type":"setRetentionTime","retentionTimeInSeconds":3600`},
	"tracking/readevent": {
		`"@type":"storePosition","consumer":"c","segment":[0,64],"lastIndex":5`, `"@type":"resetPosition","consumer":"c","lastIndex":-1`,
		`"@type":"disconnectTracker","consumer":"c","trackerId":"t","sendFinalEmptyBatch":false`,
	},
	"eventSourcing": {
		`"@type":"appendEvents","eventBatches":[{"aggregateId":"a","events":[` + textOf("m1", "") + `],"storeOnly":false}]`,
		`"@type":"deleteEvents","aggregateId":"a"`,
		`"@type":"updateRelationships","associations":[{"aggregateId":"a","aggregateType":"A","entityId":"e"}],"dissociations":[]`,
		`"@type":"repairRelationships","aggregateId":"a","aggregateType":"A","entityIds":["e"]`,
	},
	"keyValue":   {`"@type":"storeValues","values":[{"key":"k","value":{"value":"MQ=="}}]`, `"@type":"deleteValue","key":"k"`},
	"scheduling": {`"@type":"schedule","messages":[{"scheduleId":"s","timestamp":4102444800000,"message":` + textOf("m1", "") + `}]`, `"@type":"cancelSchedule","scheduleId":"s"`},
}

func TestGuarantees(t *testing.T) {
	t.Parallel()
	item(t, 31, "append without STORED has no result", func(t *testing.T, s *server) {
		c := s.dial("tracking/publishevent", dialing{})
		for _, guarantee := range []string{`,"guarantee":"NONE"`, `,"guarantee":"SENT"`, `,"guarantee":null`, ``} {
			c.send("append", `"messages":[`+textOf("m1", "")+`]`+guarantee)
		}
		c.ask("append", `"messages":[],"guarantee":"STORED"`).expect(t, "void") // answers come in the order of commits
		if n := len(c.received()); n != 1 {
			t.Errorf("%d results", n)
		}
		if n := len(s.log("tracking/readevent", dialing{})); n != 4 {
			t.Errorf("%d messages", n)
		}
	})
	item(t, 32, "STORED is answered once and after it is readable", func(t *testing.T, s *server) {
		c := s.dial("tracking/publishevent", dialing{})
		reader := s.dial("tracking/readevent", dialing{})
		for i := range 50 {
			c.appendAll(textOf(fmt.Sprint("m", i), ""))
			if n := len(reader.ask("readFromIndex", `"minIndex":0,"maxSize":100`).Messages); n != i+1 {
				t.Fatalf("%d messages after %d", n, i+1)
			}
		}
		if n := len(c.received()); n != 50 {
			t.Errorf("%d results", n)
		}
	})
	item(t, 33, "commands are answered when they are to be stored only", func(t *testing.T, s *server) {
		for path, all := range commands {
			c := s.dial(path, dialing{})
			for i, members := range all {
				c.write(fmt.Sprintf(`{%s,"guarantee":"SENT","requestId":%d}`, members, 100+i))
				c.write(fmt.Sprintf(`{%s,"guarantee":"STORED","requestId":%d}`, members, 200+i))
				c.wait(int64(200+i)).expect(t, "void")
			}
			if n := len(c.received()); n != len(all) {
				t.Errorf("%s: %d results for %d commands", path, n, len(all))
			}
		}
	})
	item(t, 34, "storeValueIfAbsent is always answered", func(t *testing.T, s *server) {
		c := s.dial("keyValue", dialing{})
		const pair = `"value":{"key":"k","value":{"value":"MQ=="}}`
		if r := c.ask("storeValueIfAbsent", pair).expect(t, "boolean"); !r.Success {
			t.Errorf("%s", r.raw)
		}
		if r := c.ask("storeValueIfAbsent", pair+`,"guarantee":"SENT"`).expect(t, "boolean"); r.Success {
			t.Errorf("%s", r.raw)
		}
	})
}

func TestCommands(t *testing.T) {
	t.Parallel()
	item(t, 35, "failures are answered", func(t *testing.T, s *server) {
		for path, requests := range map[string][]string{
			"tracking/readevent": {
				`"@type":"read","consumer":"","trackerId":"t"`, `"@type":"read","consumer":"c","trackerId":"t","typeFilter":"(unclosed"`,
				`"@type":"read","consumer":"c","trackerId":"t","typeFilter":"a(?=b)"`, `"@type":"storePosition","consumer":"","segment":[0,1],"guarantee":"STORED"`,
			},
			"keyValue":      {`"@type":"storeValues","values":[{"key":"","value":{}}],"guarantee":"STORED"`},
			"eventSourcing": {`"@type":"deleteEvents","aggregateId":"","guarantee":"STORED"`, `"@type":"getEvents","aggregateId":{}`},
			"scheduling":    {`"@type":"cancelSchedule","scheduleId":"","guarantee":"STORED"`},
			"tracking/publishevent": {
				`"@type":"append","messages":[{"data":{"value":"*"}}],"guarantee":"STORED"`, `"@type":"append","messages":[{}],"guarantee":"STORED"`,
			},
		} {
			c := s.dial(path, dialing{})
			for i, members := range requests {
				c.write(fmt.Sprintf(`{%s,"requestId":%d}`, members, i))
				if r := c.wait(int64(i)); r.Type != "error" || r.Message == "" {
					t.Errorf("%s: %s: %s", path, members, r.raw)
				}
			}
		}
	})
	item(t, 36, "requests at the wrong endpoint are errors", func(t *testing.T, s *server) {
		for path, kind := range map[string]string{
			"keyValue": "read", "tracking/readevent": "append", "tracking/publishevent": "getValue", "eventSourcing": "schedule",
			"scheduling": "getEvents", "search": "searchDocuments",
		} {
			if r := s.dial(path, dialing{}).ask(kind, `"guarantee":"STORED"`).expect(t, "error"); !strings.Contains(r.Message, kind) {
				t.Errorf("%s: %s", path, r.raw)
			}
		}
		if r := s.dial("search", dialing{}).ask("hasDocument", `"id":"d","collection":"c"`); r.Type != "error" {
			t.Errorf("search: %s", r.raw)
		}
	})
	item(t, 37, "appends keep their order", func(t *testing.T, s *server) {
		c := s.dial("tracking/publishevent", dialing{})
		var want []string
		for i := range 500 {
			id := fmt.Sprint("m", i)
			want = append(want, id)
			c.send("append", `"messages":[`+textOf(id, "")+`]`)
		}
		c.ask("append", `"messages":[],"guarantee":"STORED"`)
		if got := ids(s.log("tracking/readevent", dialing{})); got != strings.Join(want, " ") {
			t.Errorf("got %s", got)
		}
	})
	item(t, 38, "positions keep their order", func(t *testing.T, s *server) {
		c := s.dial("tracking/readevent", dialing{})
		for i := range 100 {
			c.send("storePosition", `"consumer":"c","segment":[0,128],"lastIndex":1000`)
			c.send("resetPosition", fmt.Sprintf(`"consumer":"c","lastIndex":%d`, i))
		}
		c.ask("storePosition", `"consumer":"c","segment":[0,64],"lastIndex":500,"guarantee":"STORED"`).expect(t, "void")
		if got := c.ask("getPosition", `"consumer":"c"`); string(got.Position) != "[[0,64],500,[64,128],99]" {
			t.Errorf("got %s", got.raw)
		}
	})
	item(t, 39, "commands that are sent again take effect once", testResend)
	item(t, 40, "results find another socket of their client", testReroute)
	item(t, 41, "results find no socket of anybody else", testNoReroute)
}

func testResend(t *testing.T, s *server) {
	text := request(5, "append", `"messages":[`+textOf("m1", "")+`],"guarantee":"STORED"`)
	for range 3 {
		c := s.dial("tracking/publishevent", dialing{})
		c.write(text)
		c.wait(5).expect(t, "void")
		s.hangUp(c)
	}
	// The same number from a process that began anew, and from another client.
	c := s.dial("tracking/publishevent", dialing{})
	c.write(strings.Replace(text, "m1", "m2", 1))
	c.wait(5).expect(t, "void")
	other := s.dial("tracking/publishevent", dialing{client: "c2"})
	other.write(text)
	other.wait(5).expect(t, "void")
	if got := ids(s.log("tracking/readevent", dialing{})); got != "m1 m2 m1" {
		t.Errorf("got %q", got)
	}
	kv := s.dial("keyValue", dialing{})
	for i := range 2 {
		kv.write(request(9, "storeValueIfAbsent", `"value":{"key":"k","value":{"value":"MQ=="}}`))
		kv.until("another result", func(all []result) bool { return len(all) == i+1 })
	}
	for _, r := range kv.received() {
		if !r.expect(t, "boolean").Success {
			t.Errorf("%s", r.raw)
		}
	}
}

// testReroute closes a socket while the result of one of its requests is held back.
func testReroute(t *testing.T, s *server) {
	first := s.dial("tracking/readevent", dialing{})
	release := s.hold(first)
	second := s.dial("tracking/readevent", dialing{})
	second.ask("areYouThere", "")
	s.hangUp(first)
	release()
	second.wait(77).expect(t, "void")
}

func testNoReroute(t *testing.T, s *server) {
	others := []*remote{
		s.dial("tracking/readevent", dialing{client: "other"}), s.dial("tracking/readevent", dialing{project: "other"}),
		s.dial("tracking/readcommand", dialing{}), s.dial("keyValue", dialing{}), s.dial("tracking/readcustom", dialing{topic: "x"}),
	}
	for _, c := range others {
		c.ask("areYouThere", "")
	}
	first := s.dial("tracking/readevent", dialing{})
	release := s.hold(first)
	s.hangUp(first)
	release()
	for _, c := range others {
		c.ask("areYouThere", "")
		if n := len(c.received()); n != 2 {
			t.Errorf("%d results at another socket", n)
		}
	}
}

// hold makes the result of request 77 of a socket come when release is called.
func (s *server) hold(c *remote) (release func()) {
	s.t.Helper()
	c.ask("areYouThere", "")
	s.handler.registry.mu.Lock()
	defer s.handler.registry.mu.Unlock()
	for socket := range s.handler.registry.mu.sockets {
		if socket.clientID == "c1" && socket.log.Type == message.Event && socket.kind == trackingKind && socket.namespace == "public" {
			return func() { socket.answer([]byte(`{"@type":"void","requestId":77,"timestamp":1756900800000}`)) }
		}
	}
	s.t.Fatal("no such socket")
	return nil
}

// A command that is under way when it is sent again is carried out once, and its end is told at both sockets: the server
// cannot know that the first is dead.
func TestResendWhileUnderWay(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	text := request(1, "append", `"messages":[`+strings.Repeat(textOf("", "")+",", 20000)+textOf("last", "")+`],"guarantee":"STORED"`)
	sockets := []*remote{s.dial("tracking/publishevent", dialing{}), s.dial("tracking/publishevent", dialing{})}
	for _, c := range sockets {
		c.write(text)
	}
	for _, c := range sockets {
		c.wait(1).expect(t, "void")
	}
	if n := len(s.log("tracking/readevent", dialing{})); n != 20001 {
		t.Errorf("%d messages", n)
	}
}

// Clients are remembered for a while after their last socket, and forgotten then.
func TestClientsAreForgotten(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	s.hangUp(s.dial("keyValue", dialing{}))
	open := s.dial("keyValue", dialing{client: "c2"})
	open.ask("areYouThere", "")
	clients := func() int {
		s.handler.registry.mu.Lock()
		defer s.handler.registry.mu.Unlock()
		return len(s.handler.registry.mu.clients)
	}
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{idleTime - time.Minute, 2}, {idleTime + time.Minute, 1}} {
		s.handler.registry.forget(time.Now().Add(step.after))
		if n := clients(); n != step.want {
			t.Errorf("after %s: %d clients, want %d", step.after, n, step.want)
		}
	}
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	var h history
	for i := range int64(3 * maxHistory) {
		if h.begin(i, 1, nil) != fresh {
			t.Fatal("not fresh")
		}
		outcomes := []outcome{succeeded, fresh}
		h.end(i, 1, outcomes[i%2]) // every other fails
	}
	if len(h.mu.entries) > maxHistory || len(h.mu.order) > maxHistory {
		t.Errorf("%d entries, %d in order", len(h.mu.entries), len(h.mu.order))
	}
	if o := h.begin(3*maxHistory-2, 1, nil); o != succeeded {
		t.Errorf("the last success is %d", o)
	}
	if o := h.begin(3*maxHistory-1, 1, nil); o != fresh {
		t.Errorf("the last failure is %d", o)
	}
}

// A client that sends much and reads nothing is read no further, and harms nobody else.
func TestOutboxStopsReading(t *testing.T) {
	t.Parallel()
	var o outbox
	o.ready = make(chan struct{}, 1)
	big := bytes.Repeat([]byte{'x'}, maxOutboxBytes/2)
	if o.put(big); o.full() != nil {
		t.Error("full when half full")
	}
	o.put(big, big)
	room := o.full()
	if room == nil {
		t.Fatal("not full")
	}
	var waiting sync.WaitGroup
	waiting.Go(func() { <-room })
	if n := len(o.take()); n != 1 {
		t.Errorf("%d large results in one message", n)
	}
	waiting.Wait()
	if left := o.close(); len(left) != 2 {
		t.Errorf("%d results left", len(left))
	}
	if o.put(big) {
		t.Error("a closed outbox takes results")
	}
}
