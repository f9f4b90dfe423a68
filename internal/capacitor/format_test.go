package capacitor

import (
	"bytes"
	"context"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/flux-go/flux/internal/capacitor/wire"
	"github.com/flux-go/flux/message"
)

// The first format of the offer that is known is chosen. BINARY_V2 is not: its description lacks what null looks like.
func TestFormatIsTheFirstThatIsKnown(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	for offer, want := range map[string]string{
		"BINARY_V2,BINARY,CBOR,JSON": "BINARY", "CBOR,JSON": "CBOR", "JSON,CBOR": "JSON", "BINARY_V2, JSON": "JSON", "BINARY_V2": "", "": "",
	} {
		header := ""
		if offer != "" {
			header = offeredFormatHeader + ": " + offer + "\r\n"
		}
		raw := s.handshake("/keyValue?clientId=c", header)
		if got := raw.response.Header.Get(selectedFormatHeader); got != want {
			t.Errorf("%s: got %q, want %q", offer, got, want)
		}
		_ = raw.Close()
	}
}

// noon stands still, so that results are known byte by byte.
var noon = time.UnixMilli(1756900800000)

// rawPeer is a client whose messages are bytes.
type rawPeer struct {
	t      *testing.T
	conn   *websocket.Conn
	format wire.Format
}

func (s *server) dialFormat(path string, format wire.Format) *rawPeer {
	s.t.Helper()
	header := http.Header{offeredFormatHeader: {format.String() + ",JSON"}}
	target := s.http.URL + "/" + path + "?" + dialing{compression: "NONE"}.query()
	conn, _, err := websocket.Dial(s.t.Context(), target, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return &rawPeer{s.t, conn, format}
}

// result begins the result that is expected for a request.
func (p *rawPeer) result(id int64) wire.Result {
	return wire.Result{ID: id, Timestamp: noon.UnixMilli(), Format: p.format}
}

// says sends a message, in hexadecimal.
func (p *rawPeer) says(parts ...string) {
	p.t.Helper()
	content, err := hex.DecodeString(strings.ReplaceAll(strings.Join(parts, ""), " ", ""))
	if err == nil {
		err = p.conn.Write(p.t.Context(), websocket.MessageBinary, content)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// hears fails unless the next message is the one that is wanted.
func (p *rawPeer) hears(want []byte) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	_, got, err := p.conn.Read(ctx)
	if err != nil || !bytes.Equal(got, want) {
		p.t.Fatalf("got  %x %v\nwant %x", got, err, want)
	}
}

// The messages are written by hand from the description of the protocol: an append of two messages in compact form, one
// without a reply, a read, and what is CBOR all the same.
func TestBinaryClientsPublishAndTrack(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Clock: func() time.Time { return noon }})
	publisher := s.dialFormat("tracking/publishevent", wire.BINARY)
	publisher.says("465a5457 01 02 00000002", // append batch
		"03 00000001 54 00000010 6170706c69636174696f6e2f6a736f6e", // type T, format application/json
		"0000000000000001 01 00 00000001", "00000001 30 00000000 00000000 00 00 ffffffff ffffffff 00 01 000001990f72b600 00000001 61",
		"0000000000000002 01 02 00000001", "00000001 31 00000007 00000001 00000001 6b 00000001 76 01 0000002a 00", // segment 42
		"00000001 73 ffffffff 00 01 000001990f72b600 00000001 62")
	publisher.hears(publisher.result(2).AppendVoid(nil))

	tracker := s.dialFormat("tracking/readevent", wire.BINARY)
	tracker.says("465a5457 01 03 00000001 0000000000000007 01 00000001 63 00000001 74", // consumer c, tracker t
		"00000400 0000000006400000 0000000000000000 ffffffff 00 01 0000000000000000 00") // from the beginning, without waiting
	first := message.Index(noon.UnixMilli()) << 16
	list := tracker.result(7).BeginRead(nil, message.AllSegments)
	list.Add(&message.Message{Type: "T", Payload: []byte("0"), Index: first, Timestamp: noon.UnixMilli(), ID: "a"})
	list.Add(&message.Message{
		Type: "T", Payload: []byte("1"), Revision: 7, Metadata: map[string]string{"k": "v"}, Routed: true, Segment: 42, Index: first + 1,
		Source: "s", Timestamp: noon.UnixMilli(), ID: "b",
	})
	last := first + 1
	tracker.hears(list.EndRead(&last, message.NewPosition(message.AllSegments, 0), true))

	tracker.says("a3 65 4074797065 6b 676574506f736974696f6e 68 636f6e73756d6572 61 78 69 726571756573744964 08") // getPosition of x
	tracker.hears(tracker.result(8).AppendPosition(nil, message.Position{}))
}

// Results of reads are messages of their own, whatever else there is to send.
func TestBinaryResultsOfReadsAreAlone(t *testing.T) {
	t.Parallel()
	o := outbox{ready: make(chan struct{}, 1), joins: wire.BINARY.Joins}
	void, read := wire.Result{Format: wire.BINARY}.AppendVoid(nil), []byte("FZTW and more")
	o.put(void, void, read, read, void)
	var sizes []int
	for batch := o.take(); len(batch) > 0; batch = o.take() {
		sizes = append(sizes, len(batch))
	}
	if len(sizes) != 4 || sizes[0] != 2 {
		t.Errorf("got messages of %v results", sizes)
	}
}

// {"@type":"storeValues","values":[{"key":"k","value":{"value":h'0001ff',"type":"T"}}],"guarantee":"STORED","requestId":1}
// and a batch of the same value's getValue and of a request of an unknown type.
func TestCBORClientsKeepBytesAsTheyAre(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Clock: func() time.Time { return noon }})
	values := s.dialFormat("keyValue", wire.CBOR)
	values.says("bf 65 4074797065 6b 73746f726556616c756573 66 76616c756573 81 a2 63 6b6579 61 6b 65 76616c7565",
		"a2 65 76616c7565 43 0001ff 64 74797065 61 54 69 67756172616e746565 66 53544f524544 69 726571756573744964 01 ff")
	values.hears(values.result(1).AppendVoid(nil))
	values.says("a3 65 4074797065 68 67657456616c7565 63 6b6579 61 6b 69 726571756573744964 02")
	values.hears(values.result(2).AppendValue(nil, &wire.Data{Value: []byte{0, 1, 0xff}, Type: "T"}))
	values.says("a2 65 4074797065 63 787878 69 726571756573744964 03")
	values.hears(values.result(3).AppendError(nil, `unsupported request: "xxx" at keyValue`))
	values.says("ff") // is nothing, and does no harm
	values.says("a2 65 4074797065 63 787878 69 726571756573744964 04")
	values.hears(values.result(4).AppendError(nil, `unsupported request: "xxx" at keyValue`))
}

// What a socket leaves behind goes to another one of the same format, which alone can read it.
func TestResultsStayInTheirFormat(t *testing.T) {
	t.Parallel()
	open := func(format wire.Format) *socket {
		s := &socket{opening: opening{format: format}}
		s.outbox.ready = make(chan struct{}, 1)
		return s
	}
	closing, same, newest := open(wire.CBOR), open(wire.CBOR), open(wire.JSON)
	p := new(peers)
	for _, s := range []*socket{closing, same, newest} {
		p.add(s)
	}
	closing.outbox.put([]byte("left"))
	p.remove(closing)
	p.deliver(closing, []byte("late"))
	if got, other := len(same.outbox.take()), len(newest.outbox.take()); got != 2 || other != 0 {
		t.Errorf("%d results went to the socket that can read them, %d to the other", got, other)
	}
}
