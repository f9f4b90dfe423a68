package capacitor

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/pierrec/lz4/v4"
)

func TestFraming(t *testing.T) {
	t.Parallel()
	item(t, 17, "LZ4 is a length and a block", func(t *testing.T, s *server) {
		packed := s.answerTo("LZ4", func(text []byte) []byte {
			block := make([]byte, lz4.CompressBlockBound(len(text)))
			n, err := lz4.CompressBlock(text, block, nil)
			if err != nil {
				t.Fatal(err)
			}
			return append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), block[:n]...)
		})
		text := make([]byte, binary.BigEndian.Uint32(packed))
		n, err := lz4.UncompressBlock(packed[4:], text)
		if err != nil || n != len(text) || !isVoid(text) {
			t.Errorf("%d bytes of %d, %q, %v", n, len(text), text, err)
		}
	})
	item(t, 18, "GZIP takes plain text too", func(t *testing.T, s *server) {
		packed := s.answerTo("GZIP", func(text []byte) []byte { return text })
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(r); err != nil || !isVoid(text) {
			t.Errorf("%q, %v", text, err)
		}
	})
	item(t, 19, "NONE is plain text", func(t *testing.T, s *server) {
		if text := s.answerTo("NONE", func(text []byte) []byte { return text }); !isVoid(text) {
			t.Errorf("%q", text)
		}
	})
	item(t, 20, "payloads that do not shrink", func(t *testing.T, s *server) {
		payload := make([]byte, 1<<20)
		_, _ = rand.Read(payload)
		for _, compression := range []string{"LZ4", "GZIP", "NONE"} {
			topic := dialing{topic: compression, compression: compression}
			c := s.dial("tracking/publishcustom", topic)
			c.appendAll(fmt.Sprintf(`{"data":{"value":%q}}`, base64.StdEncoding.EncodeToString(payload)))
			got := s.log("tracking/readcustom", topic)
			if len(got) != 1 || !bytes.Equal(got[0].Data.Value, payload) {
				t.Errorf("%s: %d messages came back, or changed", compression, len(got))
			}
		}
	})
	item(t, 21, "the type may come last", func(t *testing.T, s *server) {
		c := s.dial("tracking/publishevent", dialing{})
		c.write(`{"messages":[` + textOf("m1", "") + `],"requestId":1,"guarantee":"STORED","@type":"append"}`)
		c.wait(1).expect(t, "void")
		if got := s.log("tracking/readevent", dialing{}); ids(got) != "m1" || string(got[0].Data.Value) != "{}" {
			t.Errorf("got %q", ids(got))
		}
	})
	item(t, 22, "unknown members are skipped", func(t *testing.T, s *server) {
		c := s.dial("tracking/readevent", dialing{})
		c.ask("getPosition", `"future":{"@type":"x","y":[1,2,{"z":null}]},"consumer":"c"`).expect(t, "getPositionResult")
	})
	item(t, 23, "absent members have defaults", func(t *testing.T, s *server) {
		s.dial("tracking/publishevent", dialing{}).appendAll(`{"data":{}}`)
		c := s.dial("tracking/readevent", dialing{})
		got := c.ask("read", `"consumer":"c","trackerId":"t","lastIndex":-1`).expect(t, "readResult").Batch
		if len(got.Messages) != 1 || got.Messages[0].Data.Value != nil || len(*got.Messages[0].MessageID) != 32 || *got.Messages[0].Timestamp == 0 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestFramingBatches(t *testing.T) {
	t.Parallel()
	item(t, 24, "unreadable messages leave the socket open", func(t *testing.T, s *server) {
		c := s.dial("tracking/readevent", dialing{compression: "LZ4"})
		for _, garbage := range []string{"", "x", "\x00\x00\x00\x05hello", "\x7f\xff\xff\xff\x00", "\xff\x00\x09\x00\x00\x00\x01x"} {
			if err := c.conn.Write(t.Context(), websocket.MessageBinary, []byte(garbage)); err != nil {
				t.Fatal(err)
			}
		}
		c.write(`{"@type":"getPosition","requestId":`)
		c.write(`{"requestId":5}`)
		c.write(`[1,2,3]`)
		c.ask("getPosition", `"consumer":"c"`).expect(t, "getPositionResult")
		if n := len(c.received()); n != 1 {
			t.Errorf("%d results", n)
		}
	})
	item(t, 25, "a batch has a result for each request", testBatch)
	item(t, 26, "results are batched only together", testResultBatches)
	item(t, 27, "a long poll delays nobody", func(t *testing.T, s *server) {
		c := s.dial("tracking/readevent", dialing{})
		c.write(`{"@type":"requestBatch","requests":[` +
			request(1, "read", `"consumer":"c","trackerId":"t","maxTimeout":60000`) + `,` + request(2, "getPosition", `"consumer":"other"`) + `]}`)
		c.wait(2).expect(t, "getPositionResult")
		if n := len(c.received()); n != 1 {
			t.Errorf("%d results", n)
		}
	})
	item(t, 28, "every result has what all have", testCommonMembers)
	item(t, 29, "indexes beyond 2^53 stay as they are", func(t *testing.T, s *server) {
		s.dial("tracking/publishevent", dialing{}).appendAll(textOf("m1", ""))
		c := s.dial("tracking/readevent", dialing{})
		index := *c.ask("readFromIndex", `"minIndex":9007199254740993,"maxSize":1`).Messages[0].Index
		if index < 1<<53 {
			t.Fatal("not a large index")
		}
		c.ask("storePosition", fmt.Sprintf(`"consumer":"c","segment":[0,128],"lastIndex":%d,"guarantee":"STORED"`, index|1)).expect(t, "void")
		if got := c.ask("getPosition", `"consumer":"c"`); string(got.Position) != fmt.Sprintf("[[0,128],%d]", index|1) {
			t.Errorf("got %s", got.raw)
		}
	})
	item(t, 30, "no list is null", func(t *testing.T, s *server) {
		for path, requests := range map[string][]string{
			"tracking/readevent": {
				request(1, "read", `"consumer":"c","trackerId":"t","maxTimeout":0`), request(2, "readFromIndex", `"minIndex":0,"maxSize":5`),
				request(3, "getPosition", `"consumer":"x"`), request(4, "claimSegment", `"consumer":"c","trackerId":"t2","maxTimeout":0`),
			},
			"eventSourcing": {
				request(1, "getEvents", `"aggregateId":"a","batchSize":8192`), request(2, "getAggregateIds", `"entityId":"e"`),
				request(3, "getRelationships", `"entityId":"e"`),
			},
		} {
			c := s.dial(path, dialing{})
			for i, text := range requests {
				c.write(text)
				raw := c.wait(int64(i + 1)).raw
				for _, name := range []string{"messages", "events", "relationships", "aggregateIds", "position", "segment", "metadata"} {
					if strings.Contains(raw, `"`+name+`":null`) {
						t.Errorf("%s", raw)
					}
				}
				if strings.Contains(raw, `"@type":"error"`) {
					t.Errorf("%s", raw)
				}
			}
		}
	})
}

func isVoid(text []byte) bool {
	var r result
	return json.Unmarshal(text, &r) == nil && r.Type == "void" && *r.RequestID == 1
}

// answerTo sends an append, packed as given, and returns the packed answer.
func (s *server) answerTo(compression string, pack func(text []byte) []byte) []byte {
	s.t.Helper()
	d := dialing{compression: compression}
	conn, _, err := websocket.Dial(s.t.Context(), s.http.URL+"/tracking/publishevent?"+d.query(), nil) //nolint:bodyclose // a websocket has none
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.CloseNow()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	text := request(1, "append", `"messages":[`+textOf("m1", "")+`],"guarantee":"STORED"`)
	if err := conn.Write(ctx, websocket.MessageBinary, pack([]byte(text))); err != nil {
		s.t.Fatal(err)
	}
	_, packed, err := conn.Read(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return packed
}

func testBatch(t *testing.T, s *server) {
	c := s.dial("tracking/publishevent", dialing{compression: "LZ4"})
	var requests []string
	for i := range 1024 {
		requests = append(requests, request(int64(i), "append", `"messages":[`+textOf(fmt.Sprint("m", i), "")+`],"guarantee":"STORED"`))
	}
	c.write(`{"@type":"requestBatch","requests":[` + strings.Join(requests, ",") + `]}`)
	c.until("all results", func(all []result) bool { return len(all) >= 1024 })
	seen := make(map[int64]bool)
	for _, r := range c.received() {
		seen[*r.expect(t, "void").RequestID] = true
	}
	if len(seen) != 1024 {
		t.Errorf("%d different results", len(seen))
	}
	got := s.log("tracking/readevent", dialing{})
	for i, m := range got {
		if *m.MessageID != fmt.Sprint("m", i) {
			t.Fatalf("message %d is %s", i, *m.MessageID)
		}
	}
}

func testResultBatches(t *testing.T, s *server) {
	c := s.dial("tracking/readevent", dialing{})
	for range 10 {
		c.ask("getPosition", `"consumer":"c"`)
	}
	var requests []string
	for i := range 500 {
		requests = append(requests, request(int64(1000+i), "getPosition", `"consumer":"c"`))
	}
	c.write(`{"@type":"requestBatch","requests":[` + strings.Join(requests, ",") + `]}`)
	c.until("all results", func(all []result) bool { return len(all) == 510 })
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, n := range c.mu.messages {
		if n == 1 || n > 1024 || i < 10 && n != 0 {
			t.Errorf("message %d has a batch of %d", i, n)
		}
	}
}

func testCommonMembers(t *testing.T, s *server) {
	c := s.dial("tracking/readevent", dialing{})
	c.send("read", `"consumer":"c","trackerId":"t","maxTimeout":0`)
	c.send("claimSegment", `"consumer":"d","trackerId":"t","maxTimeout":0`)
	c.send("getPosition", `"consumer":"c"`)
	c.send("readFromIndex", `"minIndex":0,"maxSize":1`)
	c.send("storePosition", `"consumer":"c","segment":[0,128],"lastIndex":1,"guarantee":"STORED"`)
	c.send("nothingWeKnow", "")
	c.until("all results", func(all []result) bool { return len(all) == 6 })
	for _, r := range c.received() {
		if r.Type == "" || r.RequestID == nil || r.Timestamp == nil || *r.Timestamp < 1e12 {
			t.Errorf("%s", r.raw)
		}
	}
}

// Codes that Fluxzero clients negotiate work in both directions.
func TestFramingWithZSTD(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	c := s.dial("tracking/publishevent", dialing{compression: "ZSTD"})
	c.appendAll(textOf("m1", ""))
	if got := s.log("tracking/readevent", dialing{compression: "ZSTD"}); ids(got) != "m1" {
		t.Errorf("got %q", ids(got))
	}
}

// One bad request of a batch spoils no other, and is answered if its number can be read.
func TestFramingBatchWithBadRequests(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	c := s.dial("tracking/readevent", dialing{})
	c.write(`{"@type":"requestBatch","requests":[` + request(1, "flyToTheMoon", "") + `,` + request(2, "getPosition", `"consumer":{}`) + `,` +
		request(3, "getPosition", `"consumer":"c"`) + `,7,` + request(4, "flyToTheMoon", `"guarantee":"SENT"`) + `]}`)
	c.wait(1).expect(t, "error")
	c.wait(2).expect(t, "error")
	c.wait(3).expect(t, "getPositionResult")
	c.ask("getPosition", `"consumer":"c"`)
	if n := len(c.received()); n != 4 {
		t.Errorf("%d results", n)
	}
}
