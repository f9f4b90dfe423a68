package capacitor

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/flux-go/flux/message"
)

// paths are all endpoints of the protocol.
var paths = []string{
	"tracking/publishcommand", "tracking/publishevent", "tracking/publishquery", "tracking/publishresult",
	"tracking/publisherror", "tracking/publishmetrics", "tracking/publishwebrequest", "tracking/publishwebresponse",
	"tracking/publishcustom", "tracking/readcommand", "tracking/readevent", "tracking/readnotification", "tracking/readquery",
	"tracking/readresult", "tracking/readschedule", "tracking/readerror", "tracking/readmetrics", "tracking/readwebrequest",
	"tracking/readwebresponse", "tracking/readdocument", "tracking/readcustom", "eventSourcing", "keyValue", "scheduling", "search",
}

func TestConnection(t *testing.T) {
	t.Parallel()
	item(t, 1, "every path upgrades", func(t *testing.T, s *server) {
		if len(paths) != 25 {
			t.Fatal("not all paths")
		}
		for _, path := range paths {
			s.hangUp(s.dial(path, dialing{topic: "x"}))
			s.hangUp(s.dial(path+"/", dialing{topic: "x"}))
		}
	})
	item(t, 2, "the answer has what clients insist on", func(t *testing.T, s *server) {
		raw := s.handshake("/tracking/readevent?clientId=c&compression=LZ4", "")
		defer raw.Close()
		h := raw.response.Header
		if raw.response.StatusCode != http.StatusSwitchingProtocols || !slices.Equal(h["Connection"], []string{"Upgrade"}) ||
			!strings.EqualFold(h.Get("Upgrade"), "websocket") || h.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
			t.Errorf("got %s %v", raw.response.Status, h)
		}
		for _, name := range []string{"Sec-Websocket-Protocol", "Sec-Websocket-Extensions", serverSessionHeader} {
			if h.Get(name) != "" {
				t.Errorf("%s was not asked for: %v", name, h)
			}
		}
	})
	item(t, 3, "any origin is welcome", func(t *testing.T, s *server) {
		for _, origin := range []string{"", "Origin: https://elsewhere.example\r\n", "Origin: null\r\n", "Origin: ::\r\n"} {
			raw := s.handshake("/keyValue?clientId=c", origin)
			if raw.response.StatusCode != http.StatusSwitchingProtocols {
				t.Errorf("%q: %s", origin, raw.response.Status)
			}
			raw.Close()
		}
	})
	item(t, 4, "unknown paths are not found", func(t *testing.T, s *server) {
		for _, path := range []string{
			"tracking/readEvent", "tracking/publishnotification", "tracking/publishschedule", "tracking/publishdocument",
			"tracking/", "tracking/read", "tracking/readevent/more", "eventsourcing", "eventSourcing/x", "nowhere",
		} {
			if raw := s.handshake("/"+path+"?clientId=c&topic=x", ""); raw.response.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %s", path, raw.response.Status)
			}
		}
	})
	item(t, 5, "topics are demanded where they are needed", func(t *testing.T, s *server) {
		for _, path := range []string{"tracking/readcustom", "tracking/publishcustom", "tracking/readdocument"} {
			if raw := s.handshake("/"+path+"?clientId=c", ""); raw.response.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: %s", path, raw.response.Status)
			}
		}
	})
	item(t, 6, "parameters are decoded as forms", func(t *testing.T, s *server) {
		s.publish("tracking/publishcustom?clientId=c&compression=NONE&topic=a+b&projectId=p%20q", "m1")
		got := s.log("tracking/readcustom", dialing{topic: "a b", project: "p q"})
		if ids(got) != "m1" {
			t.Errorf("got %s", ids(got))
		}
		raw := s.handshake(`/tracking/readevent?clientId=c+d&clientName=orders+app&typeFilter=\Qa.b\E|[%]{2}^&compression=NONE`, "")
		defer raw.Close()
		if raw.response.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("a type filter as it is: %s", raw.response.Status)
		}
	})
	item(t, 7, "the default project is public", func(t *testing.T, s *server) {
		s.dial("tracking/publishevent", dialing{}).appendAll(textOf("m1", ""))
		if got := ids(s.log("tracking/readevent", dialing{project: "public"})); got != "m1" {
			t.Errorf("got %q", got)
		}
	})
	item(t, 8, "projects are isolated", func(t *testing.T, s *server) {
		s.dial("tracking/publishevent", dialing{project: "a"}).appendAll(textOf("m1", ""))
		if got := ids(s.log("tracking/readevent", dialing{project: "b"})); got != "" {
			t.Errorf("got %q", got)
		}
		c := s.dial("tracking/readevent", dialing{project: "a"})
		c.ask("storePosition", `"consumer":"c","segment":[0,128],"lastIndex":7,"guarantee":"STORED"`).expect(t, "void")
		if got := s.dial("tracking/readevent", dialing{project: "b"}).ask("getPosition", `"consumer":"c"`); string(got.Position) != "[]" {
			t.Errorf("got %s", got.raw)
		}
	})
	item(t, 9, "topics are isolated", func(t *testing.T, s *server) {
		s.dial("tracking/publishcustom", dialing{topic: "a"}).appendAll(textOf("m1", ""))
		if got := ids(s.log("tracking/readcustom", dialing{topic: "b"})); got != "" {
			t.Errorf("got %q", got)
		}
	})
	item(t, 12, "many fragments make one message", testFragments)
	item(t, 13, "a request of 64 MiB is accepted", testLargeRequest)
	item(t, 14, "text frames are dropped", func(t *testing.T, s *server) {
		c := s.dial("tracking/readevent", dialing{})
		if err := c.conn.Write(t.Context(), websocket.MessageText, []byte(request(77, "getPosition", `"consumer":"c"`))); err != nil {
			t.Fatal(err)
		}
		c.ask("getPosition", `"consumer":"c"`).expect(t, "getPositionResult")
		if n := len(c.received()); n != 1 {
			t.Errorf("%d results", n)
		}
	})
	item(t, 15, "an abort is a disconnect", testAbort)
}

// A ping is answered while a large result is written to a client that reads slowly.
func TestConnectionPongsPassLargeResults(t *testing.T) {
	t.Parallel()
	t.Run("011 pongs pass large results", func(t *testing.T) {
		t.Parallel()
		s := start(t, Options{MaxResultBytes: 1 << 30})
		for range 10 { // 10 times 20 MB of base64
			s.fill(make([]byte, 15<<20))
		}
		raw := s.handshake("/tracking/readevent?clientId=c&compression=NONE", "")
		defer raw.Close()
		raw.writeFrame(0x82, []byte(request(1, "readFromIndex", `"minIndex":0,"maxSize":10`)))
		total, pongs, sinceBegin := 0, 0, time.Time{}
		for {
			opcode, fin, n := raw.readFrame()
			if opcode == opPong {
				pongs++
				if late := time.Since(sinceBegin); late > 5*time.Second {
					t.Errorf("pong %d after %s", pongs, late)
				}
				continue
			}
			if total += n; total == n { // the first fragment
				sinceBegin = time.Now()
				raw.writeFrame(0x89, []byte("are you there?"))
			}
			if fin {
				break
			}
			if pongs == 0 && total > 100<<20 {
				t.Fatal("no pong in the first 100 MB")
			}
		}
		if total < 200_000_000 || pongs != 1 {
			t.Errorf("%d bytes, %d pongs", total, pongs)
		}
	})
}

func TestConnectionShutdown(t *testing.T) {
	t.Parallel()
	t.Run("016 shutdown closes with 1000", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		s := startOn(t, openDir(t, dir), Options{})
		c := s.dial("tracking/publishevent", dialing{})
		poll := s.dial("tracking/readevent", dialing{})
		poll.send("read", `"consumer":"c","trackerId":"t","maxTimeout":60000`)
		c.appendAll(textOf("m1", ""))
		s.stop()
		for _, c := range []*remote{c, poll} {
			if code := websocket.CloseStatus(c.closed()); code != websocket.StatusNormalClosure {
				t.Errorf("closed with %d", code)
			}
		}
		again := startOn(t, openDir(t, dir), Options{})
		if got := ids(again.log("tracking/readevent", dialing{})); got != "m1" {
			t.Errorf("after the restart: %q", got)
		}
	})
}

func testFragments(t *testing.T, s *server) {
	raw := s.handshake("/tracking/publishevent?clientId=c&compression=NONE", "")
	defer raw.Close()
	text := []byte(`{"@type":"append","messages":[{"data":{"value":"` + base64.StdEncoding.EncodeToString(make([]byte, 3<<20)) +
		`"},"messageId":"m1"}],"guarantee":"STORED","requestId":1}`)
	opcode := byte(0x02)
	for i := range 10_000 {
		n := min(1+i%1024, len(text)-9_999+i)
		if i == 9_999 {
			raw.writeFrame(0x80|opcode, text)
			break
		}
		raw.writeFrame(opcode, text[:n])
		text, opcode = text[n:], 0x00
	}
	raw.flush()
	if _, _, n := raw.readFrame(); n == 0 {
		t.Error("no result")
	}
	got := s.log("tracking/readevent", dialing{})
	if len(got) != 1 || len(got[0].Data.Value) != 3<<20 {
		t.Errorf("%d messages", len(got))
	}
}

func testLargeRequest(t *testing.T, _ *server) {
	// While the client of this test makes sense of so large a result, it reads no pings.
	s := start(t, Options{PingTimeout: patience})
	c := s.dial("tracking/publishevent", dialing{compression: "LZ4"})
	payload := make([]byte, 48<<20)
	_, _ = rand.Read(payload[:1<<20])
	c.ask("append", `"messages":[{"data":{"value":"`+base64.StdEncoding.EncodeToString(payload)+`"}}],"guarantee":"STORED"`).expect(t, "void")
	got := s.log("tracking/readevent", dialing{compression: "LZ4"})
	if len(got) != 1 || !bytes.Equal(got[0].Data.Value, payload) {
		t.Errorf("%d messages", len(got))
	}
}

// testAbort does as the Undertow client does after a ping timeout: a close frame with a code that no frame may have.
func testAbort(t *testing.T, s *server) {
	raw := s.handshake("/tracking/readevent?clientId=c1&compression=NONE", "")
	raw.writeFrame(0x82, []byte(request(1, "read", `"consumer":"c","trackerId":"t","maxTimeout":60000`)))
	raw.flush()
	s.eventually("the tracker waits", func() bool { return len(s.trackers("c")) == 1 })
	raw.writeFrame(0x88, append([]byte{0x03, 0xee}, "Session aborted"...))
	raw.flush()
	raw.Close()
	s.eventually("the socket and its tracker are gone", func() bool { return s.sockets() == 0 && len(s.trackers("c")) == 0 })
	s.dial("tracking/readevent", dialing{}).ask("getPosition", `"consumer":"c"`).expect(t, "getPositionResult")
}

// trackers returns the ids of a consumer's trackers of events.
func (s *server) trackers(consumer message.ConsumerName) (all []string) {
	log := message.Log{Type: message.Event}
	consumers, err := s.handler.Tracking.Consumers(context.Background(), message.DefaultNamespace, &log)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range consumers {
		if c.Consumer.Name != consumer {
			continue
		}
		for _, tracker := range c.Trackers {
			all = append(all, tracker.ID)
		}
	}
	return all
}

// publish appends a message over a socket with that path and query.
func (s *server) publish(target, id string) {
	s.t.Helper()
	raw := s.handshake("/"+target, "")
	defer raw.Close()
	if raw.response.StatusCode != http.StatusSwitchingProtocols {
		s.t.Fatal(raw.response.Status)
	}
	raw.writeFrame(0x82, []byte(request(1, "append", `"messages":[`+textOf(id, "")+`],"guarantee":"STORED"`)))
	raw.readFrame()
}

// rawSocket is a websocket of which a test sees every frame.
type rawSocket struct {
	t *testing.T
	net.Conn
	r        *bufio.Reader
	w        *bufio.Writer
	response *http.Response
}

const (
	opPing = 0x09
	opPong = 0x0a
)

// handshake sends a request for a websocket as it is given, with further header lines.
func (s *server) handshake(target, lines string) *rawSocket {
	s.t.Helper()
	u, err := url.Parse(s.http.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	raw := &rawSocket{t: s.t, Conn: conn, r: bufio.NewReaderSize(conn, 64<<10), w: bufio.NewWriterSize(conn, 64<<10)}
	fmt.Fprintf(raw.w, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n", target, u.Host, lines)
	raw.flush()
	if err := conn.SetDeadline(time.Now().Add(3 * patience)); err != nil {
		s.t.Fatal(err)
	}
	if raw.response, err = http.ReadResponse(raw.r, nil); err != nil {
		s.t.Fatal(err)
	}
	return raw
}

func (raw *rawSocket) flush() {
	if err := raw.w.Flush(); err != nil {
		raw.t.Fatal(err)
	}
}

// writeFrame writes a frame with the given first byte, masked with zeros.
func (raw *rawSocket) writeFrame(first byte, payload []byte) {
	header := []byte{first}
	switch n := len(payload); {
	case n < 126:
		header = append(header, 0x80|byte(n))
	case n < 1<<16:
		header = binary.BigEndian.AppendUint16(append(header, 0x80|126), uint16(n))
	default:
		header = binary.BigEndian.AppendUint64(append(header, 0x80|127), uint64(n))
	}
	_, err := raw.w.Write(append(append(header, 0, 0, 0, 0), payload...))
	if err != nil {
		raw.t.Fatal(err)
	}
	if raw.w.Buffered() < 1024 || first&0x80 != 0 {
		raw.flush()
	}
}

// readFrame reads a frame and returns the length of its payload, which it drops.
func (raw *rawSocket) readFrame() (opcode byte, fin bool, n int) {
	raw.t.Helper()
	header := make([]byte, 2)
	raw.full(header)
	n = int(header[1] & 0x7f)
	switch n {
	case 126:
		long := make([]byte, 2)
		raw.full(long)
		n = int(binary.BigEndian.Uint16(long))
	case 127:
		long := make([]byte, 8)
		raw.full(long)
		n = int(binary.BigEndian.Uint64(long))
	}
	if header[0]&0x0f == opPing { // the server's own, on a slow machine
		payload := make([]byte, n)
		raw.full(payload)
		raw.writeFrame(0x80|opPong, payload)
		return raw.readFrame()
	}
	if _, err := io.CopyN(io.Discard, raw.r, int64(n)); err != nil {
		raw.t.Fatal(err)
	}
	return header[0] & 0x0f, header[0]&0x80 != 0, n
}

func (raw *rawSocket) full(b []byte) {
	if _, err := io.ReadFull(raw.r, b); err != nil {
		raw.t.Fatal(err)
	}
}

func TestHandshakeOfFluxzeroClients(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Version: "v9"})
	raw := s.handshake("/tracking/readevent?clientId=c&compression=LZ4", "Fluxzero-Client-Session-Id: 0123456789ab\r\n"+
		"Fluxzero-Supported-Compression-Algorithms: BROTLI, ZSTD,LZ4\r\nFluxzero-Supported-Transport-Formats: BINARY,CBOR,JSON\r\n")
	defer raw.Close()
	h := raw.response.Header
	if h.Get(selectedCompressionHeader) != "ZSTD" || h.Get(selectedFormatHeader) != "BINARY" || h.Get(serverVersionHeader) != "v9" ||
		len(h.Get(serverSessionHeader)) != 12 {
		t.Errorf("got %v", h)
	}
}

func TestHandshakeRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	for target, want := range map[string]int{
		"/keyValue":                                   http.StatusBadRequest, // no client
		"/keyValue?clientId=c&compression=RAR":        http.StatusBadRequest,
		"/keyValue?clientId=c&projectId=a%00b":        http.StatusBadRequest,
		"/tracking/readcustom?clientId=c&topic=a%00b": http.StatusBadRequest,
	} {
		if raw := s.handshake(target, ""); raw.response.StatusCode != want {
			t.Errorf("%s: %s, want %d", target, raw.response.Status, want)
		}
	}
	response, err := http.Get(s.http.URL + "/keyValue?clientId=c")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("without upgrade: %s", response.Status)
	}
}

// A socket whose other end does not answer is closed, and its trackers lose their segments.
func TestSilentSocketIsClosed(t *testing.T) {
	t.Parallel()
	s := start(t, Options{PingEvery: 20 * time.Millisecond, PingTimeout: 50 * time.Millisecond})
	raw := s.handshake("/tracking/readevent?clientId=c1&compression=NONE", "")
	raw.writeFrame(0x82, []byte(request(1, "read", `"consumer":"c","trackerId":"t","maxTimeout":60000`)))
	s.eventually("the tracker is gone", func() bool { return s.sockets() == 0 && len(s.trackers("c")) == 0 })
	if alive := s.dial("tracking/readevent", dialing{}); alive.ask("getPosition", `"consumer":"c"`).Type != "getPositionResult" {
		t.Error("a socket that answers pings was closed too")
	}
}

// ignorePing reads a ping of the server and does not answer it.
func (raw *rawSocket) ignorePing() {
	raw.t.Helper()
	header := make([]byte, 2)
	if raw.full(header); header[0]&0x0f != opPing {
		raw.t.Fatalf("got frame %x", header)
	}
	raw.full(make([]byte, header[1]))
}

// A client that cannot answer pings because it is busy sending is not taken for dead.
func TestBusySocketIsNotClosed(t *testing.T) {
	t.Parallel()
	s := start(t, Options{PingEvery: 10 * time.Millisecond, PingTimeout: time.Second / 2})
	raw := s.handshake("/tracking/readevent?clientId=c1&compression=NONE", "")
	text := []byte(request(1, "getPosition", `"consumer":"c"`))
	for first := byte(0x02); first == 0x02 || len(text) > len(`"consumer":"c"}`); first = 0x00 {
		raw.writeFrame(first, text[:12])
		raw.flush()
		text = text[12:]
		raw.ignorePing() // the one before it had no answer for too long
	}
	raw.writeFrame(0x80, text)
	for opcode := byte(0); opcode != 0x02; {
		if opcode, _, _ = raw.readFrame(); opcode == 0x08 {
			t.Fatal("closed")
		}
	}
}

// stuck is a log that takes long to write.
type stuck struct {
	slog.Handler
	release chan struct{}
}

func (h stuck) Handle(context.Context, slog.Record) error {
	<-h.release
	return nil
}

// A client whose answers to pings are not read, because the server is busy with what came before them, is not taken for dead.
func TestSocketIsNotClosedWhileTheServerIsBusy(t *testing.T) {
	t.Parallel()
	const timeout = 50 * time.Millisecond
	log := stuck{slog.NewTextHandler(io.Discard, nil), make(chan struct{})}
	s := start(t, Options{PingEvery: timeout / 5, PingTimeout: timeout, Logger: slog.New(log)})
	defer close(log.release)
	raw := s.handshake("/tracking/readevent?clientId=c1&compression=NONE", "")
	raw.writeFrame(0x82, []byte("no request, which the server logs"))
	raw.flush()
	for range 3 { // each comes after the one before it had no answer for too long
		raw.ignorePing()
	}
}

func TestMessageBeyondTheLimitCloses(t *testing.T) {
	t.Parallel()
	s := start(t, Options{MaxMessageBytes: 1000})
	c := s.dial("tracking/publishevent", dialing{})
	c.send("append", `"x":"`+strings.Repeat("x", 2000)+`"`)
	if err := c.closed(); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("closed with %v", err)
	}
}
