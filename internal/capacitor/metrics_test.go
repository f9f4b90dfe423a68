package capacitor

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// metrics returns the types of the server's metrics, and their payloads.
func (s *server) metrics() (types []string, payloads []map[string]any) {
	s.t.Helper()
	c := s.dial("tracking/readmetrics", dialing{client: "watcher"})
	defer s.hangUp(c)
	for _, m := range c.ask("readFromIndex", `"minIndex":0,"maxSize":1000`).Messages {
		payload := map[string]any{}
		if err := json.Unmarshal(m.Data.Value, &payload); err != nil {
			s.t.Fatal(err)
		}
		types, payloads = append(types, *m.Data.Type), append(payloads, payload)
	}
	return types, payloads
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	item(t, 124, "sockets are told of", func(t *testing.T, s *server) {
		s.hangUp(s.dial("tracking/publishmetrics", dialing{}))
		s.hangUp(s.dial("tracking/readmetrics", dialing{}))
		s.hangUp(s.dial("tracking/readcommand", dialing{name: "orders app"}))
		types, payloads := s.awaitMetrics(2)
		if fmt.Sprint(types) != "[io.fluxcapacitor.common.api.ConnectEvent io.fluxcapacitor.common.api.DisconnectEvent]" {
			t.Fatalf("got %v", types)
		}
		for i, kind := range []string{"connectEvent", "disconnectEvent"} {
			p := payloads[i]
			if p["@type"] != kind || p["client"] != "orders app" || p["clientId"] != "c1" || p["service"] != "tracking/readcommand" ||
				p["sessionId"] == "" || p["timestamp"].(float64) < 1e12 {
				t.Errorf("got %v", p)
			}
		}
		if p := payloads[1]; p["code"] != 1000.0 || p["sessionId"] != payloads[0]["sessionId"] {
			t.Errorf("got %v", p)
		}
	})
	item(t, 125, "removed trackers are told of first", func(t *testing.T, s *server) {
		c := s.dial("tracking/readevent", dialing{})
		c.ask("read", reading("c", "b", 0, ""))
		c.send("read", reading("c", "a", minute, ""))
		s.eventually("two trackers", func() bool { return len(s.trackers("c")) == 2 })
		s.hangUp(c)
		types, payloads := s.awaitMetrics(4)
		const removed = "io.fluxcapacitor.common.api.tracking.DisconnectTracker"
		if types[1] != removed || types[2] != removed || !strings.HasSuffix(types[3], ".DisconnectEvent") {
			t.Fatalf("got %v", types)
		}
		for i, id := range []string{"a", "b"} {
			p := payloads[i+1]
			if p["@type"] != "disconnectTracker" || p["trackerId"] != id || p["consumer"] != "c" || p["messageType"] != "EVENT" {
				t.Errorf("got %v", p)
			}
		}
	})
	item(t, 126, "answers reach who asked", func(t *testing.T, s *server) {
		const filters = `"filterMessageTarget":true,"ignoreSegment":true,"clientControlledIndex":true,"lastIndex":-1`
		asking, other := s.dial("tracking/readwebresponse", dialing{}), s.dial("tracking/readwebresponse", dialing{client: "c2"})
		s.dial("tracking/publishwebrequest", dialing{}).appendAll(textOf("q", `"source":"c1","requestId":5`))
		request := s.log("tracking/readwebrequest", dialing{})[0]
		s.dial("tracking/publishwebresponse", dialing{client: "c3"}).appendAll(
			textOf("r", fmt.Sprintf(`"target":%q,"requestId":%d`, *request.Source, *request.RequestID)))
		got := asking.ask("read", reading("app_$request-handler", "t1", 0, filters)).Batch.Messages
		if ids(got) != "r" || *got[0].RequestID != 5 {
			t.Errorf("got %s", ids(got))
		}
		if got := other.ask("read", reading("other_$request-handler", "t2", 0, filters)).Batch; len(got.Messages) != 0 || got.LastIndex == nil {
			t.Errorf("got %+v", got)
		}
	})
	item(t, 127, "chunks keep their order", func(t *testing.T, s *server) {
		c := s.dial("tracking/publishwebresponse", dialing{})
		for _, final := range []bool{false, false, true} {
			c.send("append", fmt.Sprintf(`"messages":[{"data":{"value":"AA=="},"metadata":{"$finalChunk":"%v"},"messageId":"same","requestId":1}]`, final))
		}
		c.ask("append", `"messages":[],"guarantee":"STORED"`)
		var got []string
		for _, m := range s.log("tracking/readwebresponse", dialing{}) {
			got = append(got, m.Metadata["$finalChunk"])
		}
		if fmt.Sprint(got) != "[false false true]" {
			t.Errorf("got %v", got)
		}
	})
	item(t, 128, "a message for a tracker reaches it", func(t *testing.T, s *server) {
		a, b := s.twoTrackers(`"filterMessageTarget":true`)
		s.publishEvents(textOf("m1", `"segment":1,"target":"b"`), textOf("m2", `"segment":1`))
		if got := ids(b.wait(2).Batch.Messages); got != "m1" {
			t.Errorf("b got %s", got)
		}
		if got := ids(a.wait(1).Batch.Messages); got != "m2" {
			t.Errorf("a got %s", got)
		}
	})
}

// awaitMetrics waits for n metrics of the server.
func (s *server) awaitMetrics(n int) (types []string, payloads []map[string]any) {
	s.t.Helper()
	s.eventually(fmt.Sprint(n, " metrics"), func() bool {
		types, payloads = s.metrics()
		return len(types) >= n
	})
	return types, payloads
}

// Clients of the second generation look for the new names.
func TestMetricsOfFluxzeroClients(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Version: "v9"})
	header := http.Header{clientSessionHeader: {"0123456789ab"}, sdkVersionHeader: {"1.2.3"}}
	s.hangUp(s.dial("keyValue", dialing{header: header}))
	types, payloads := s.awaitMetrics(2)
	if fmt.Sprint(types) != "[io.fluxzero.common.api.ConnectEvent io.fluxzero.common.api.DisconnectEvent]" {
		t.Errorf("got %v", types)
	}
	if p := payloads[0]; p["sdkVersion"] != "1.2.3" || p["runtimeVersion"] != "v9" || !strings.HasPrefix(p["sessionId"].(string), "0123456789ab_") {
		t.Errorf("got %v", p)
	}
}
