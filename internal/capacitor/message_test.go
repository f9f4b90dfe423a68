package capacitor

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flux-go/flux/message"
)

func TestMessages(t *testing.T) {
	t.Parallel()
	item(t, 42, "messages come back as they were published", testRoundTrip)
	item(t, 43, "formats are resolved", func(t *testing.T, s *server) {
		got := s.published(`{"data":{"value":"MQ=="}}`, `{"data":{"value":"MQ==","format":"json"}}`, `{"data":{"value":"MQ==","format":null}}`)
		for _, m := range got {
			if m.Data.Format != "application/json" {
				t.Errorf("got %+v", m.Data)
			}
		}
	})
	item(t, 44, "no metadata is empty metadata", func(t *testing.T, s *server) {
		for _, m := range s.published(`{"data":{},"metadata":null}`, `{"data":{}}`) {
			if m.Metadata == nil || len(m.Metadata) > 0 {
				t.Errorf("got %v", m.Metadata)
			}
		}
	})
	item(t, 45, "metadata survives", func(t *testing.T, s *server) {
		const metadata = `{"$clientId":"c1","$trace.a.b":"x","naïve 日本😀":"ünï \"q\" \\ \n","empty":""}`
		var want map[string]string
		if err := json.Unmarshal([]byte(metadata), &want); err != nil {
			t.Fatal(err)
		}
		if got := s.published(`{"data":{},"metadata":` + metadata + `}`)[0].Metadata; !reflect.DeepEqual(got, want) {
			t.Errorf("got %v", got)
		}
	})
	item(t, 46, "segments are reduced", func(t *testing.T, s *server) {
		s.publishEvents(textOf("a", `"segment":300`), textOf("b", `"segment":-1`))
		got := s.readAll("c").Batch.Messages
		if *got[0].Segment != 44 || *got[1].Segment != 127 {
			t.Errorf("got %d and %d", *got[0].Segment, *got[1].Segment)
		}
		if stored := s.log("tracking/readevent", dialing{}); *stored[0].Segment != 300 {
			t.Errorf("without a tracker: %d", *stored[0].Segment)
		}
	})
	item(t, 47, "segments follow from ids", func(t *testing.T, s *server) {
		s.publishEvents(textOf("m1", `"segment":null`))
		if got := s.readAll("c").Batch.Messages; *got[0].Segment != 40 {
			t.Errorf("got %d", *got[0].Segment)
		}
		if stored := s.log("tracking/readevent", dialing{}); stored[0].Segment != nil {
			t.Errorf("without a tracker: %d", *stored[0].Segment)
		}
	})
	item(t, 48, "hashes", func(t *testing.T, s *server) {
		for id, want := range map[string]int{
			"a": 50, "abc": 6, "user-1": 29, "aggregate-1": 12, "hello, world": 127, "é": 7, "日本語": 105, "😀": 6, "0": 1, "EVENT": 14, "m1": 40,
		} {
			s.publishEvents(textOf(id, ""))
			got := s.readAll("c" + id).Batch.Messages
			if m := got[len(got)-1]; *m.MessageID != id || *m.Segment != want {
				t.Errorf("%s: got %s in %d, want %d", id, *m.MessageID, *m.Segment, want)
			}
		}
		if message.SegmentOf("") != 0 {
			t.Error("the empty key")
		}
	})
}

// published appends events and returns what a tracker gets.
func (s *server) published(messages ...string) []received {
	s.t.Helper()
	s.publishEvents(messages...)
	return s.readAll("c").Batch.Messages
}

func (s *server) publishEvents(messages ...string) {
	s.t.Helper()
	c := s.dial("tracking/publishevent", dialing{})
	c.appendAll(messages...)
	s.hangUp(c)
}

// readAll returns the first batch of a consumer of events that begins at the beginning.
func (s *server) readAll(consumer string) result {
	s.t.Helper()
	c := s.dial("tracking/readevent", dialing{})
	defer s.hangUp(c)
	return c.ask("read", fmt.Sprintf(`"consumer":%q,"trackerId":"t","maxSize":10000,"lastIndex":-1`, consumer)).expect(s.t, "readResult")
}

func testRoundTrip(t *testing.T, s *server) {
	for _, text := range []string{
		`{"data":{"value":null,"type":null,"revision":0,"format":"unknown"},"metadata":{},"source":null,"target":null,"requestId":null,"timestamp":1,"messageId":"x"}`,
		`{"data":{"value":"","type":"[B","revision":7,"format":"application/octet-stream"},"metadata":{"a":"b"},"source":"s","target":"t","requestId":0,"timestamp":-5,"messageId":"5b2f0c8e7d914c3aa1b2c3d4e5f60718"}`,
		`{"data":{"value":"//79/A==","type":"java.util.ArrayList<com.example.X>","revision":2147483647,"format":"text/html; charset=utf-8"},"metadata":{"a":"b","c":"d"},"source":"a b","target":"é","requestId":-2147483648,"timestamp":1756900800000,"messageId":"5B2F0C8E7D914C3AA1B2C3D4E5F60718"}`,
	} {
		var want, got map[string]any
		_ = json.Unmarshal([]byte(text), &want)
		project := dialing{project: fmt.Sprint("p", len(text))}
		c := s.dial("tracking/publishevent", project)
		c.appendAll(text)
		raw := s.dial("tracking/readevent", project).ask("read", `"consumer":"c","trackerId":"t","lastIndex":-1`).raw
		var batch struct {
			MessageBatch struct{ Messages []map[string]any }
		}
		if err := json.Unmarshal([]byte(raw), &batch); err != nil || len(batch.MessageBatch.Messages) != 1 {
			t.Fatal(raw, err)
		}
		got = batch.MessageBatch.Messages[0]
		for _, name := range []string{"index", "segment", "originalRevision"} {
			delete(got, name)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
}

func TestIndex(t *testing.T) {
	t.Parallel()
	item(t, 49, "an index is a time", func(t *testing.T, s *server) {
		before := message.IndexAt(time.Now())
		s.publishEvents(textOf("a", ""), textOf("b", ""))
		after := message.IndexAt(time.Now()) + 1<<16
		got := s.log("tracking/readevent", dialing{})
		if a, b := *got[0].Index, *got[1].Index; a < before || a > after || b != a+1 {
			t.Errorf("got %d and %d, between %d and %d", a, b, before, after)
		}
	})
	item(t, 50, "indexes increase", func(t *testing.T, s *server) {
		c := s.dial("tracking/publishevent", dialing{compression: "LZ4"})
		many := strings.Repeat(`{"data":{}},`, 9_999) + `{"data":{}}`
		for range 20 {
			c.send("append", `"messages":[`+many+`]`)
		}
		c.ask("append", `"messages":[],"guarantee":"STORED"`)
		got := s.indexes()
		for i := 1; i < len(got); i++ {
			if got[i] <= got[i-1] {
				t.Fatalf("%d after %d", got[i], got[i-1])
			}
		}
		if len(got) != 200_000 {
			t.Errorf("%d messages", len(got))
		}
	})
	t.Run("051 the clock may go back", func(t *testing.T) {
		t.Parallel()
		var back atomic.Int64
		s := start(t, Options{Clock: func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }})
		s.publishEvents(textOf("a", ""))
		back.Store(int64(time.Hour))
		s.publishEvents(textOf("b", ""))
		if got := s.log("tracking/readevent", dialing{}); *got[1].Index <= *got[0].Index {
			t.Errorf("%d after %d", *got[1].Index, *got[0].Index)
		}
	})
	t.Run("052 indexes go on after a restart", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		var back atomic.Int64
		clock := func() time.Time { return time.Now().Add(-time.Duration(back.Load())) }
		for _, id := range []string{"a", "b"} {
			s := startOn(t, openDir(t, dir), Options{Clock: clock})
			s.publishEvents(textOf(id, ""))
			if got := s.log("tracking/readevent", dialing{}); id == "b" && (len(got) != 2 || *got[1].Index <= *got[0].Index) {
				t.Errorf("got %d messages", len(got))
			}
			s.stop()
			back.Store(int64(time.Hour))
		}
	})
	item(t, 53, "no gap is filled later", testNoGaps)
	item(t, 54, "notifications have the indexes of events", func(t *testing.T, s *server) {
		s.publishEvents(textOf("a", ""))
		s.publishEvents(textOf("b", ""))
		events, notifications := s.log("tracking/readevent", dialing{}), s.log("tracking/readnotification", dialing{})
		if len(events) != 2 || !reflect.DeepEqual(events, notifications) {
			t.Errorf("got %v and %v", events, notifications)
		}
	})
}

func testNoGaps(t *testing.T, s *server) {
	const publishers, each = 4, 100
	for p := range publishers {
		c := s.dial("tracking/publishevent", dialing{client: fmt.Sprint("p", p)})
		for i := range each {
			c.send("append", `"messages":[`+textOf(fmt.Sprintf("%d-%d", p, i), "")+`]`)
		}
	}
	c := s.dial("tracking/readevent", dialing{})
	var seen []string
	for next := message.Index(0); len(seen) < publishers*each; {
		for _, m := range c.ask("readFromIndex", fmt.Sprintf(`"minIndex":%d,"maxSize":1000`, next)).Messages {
			seen = append(seen, *m.MessageID)
			next = *m.Index + 1
		}
	}
	if got := ids(s.log("tracking/readevent", dialing{})); got != strings.Join(seen, " ") {
		t.Errorf("saw  %v\nthere is %s", seen, got)
	}
}
