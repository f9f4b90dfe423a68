package server_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/message"
	"github.com/flux-go/flux/server"
)

// tracker is a client of Track with a connection of its own.
type tracker struct {
	stream  *connect.BidiStreamForClient[fluxv1.TrackRequest, fluxv1.TrackResponse]
	batches chan *fluxv1.Batch
	stored  chan uint64
	ended   chan error
	// sever breaks the connection, as the operating system does when a process is killed.
	sever func()
	// mute makes the connection swallow what is written.
	mute func()
}

func track(t *testing.T, s *server.Server, open *fluxv1.Tracker) *tracker {
	t.Helper()
	dialer := &severable{}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols, DialContext: dialer.dial}}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	stream := fluxv1connect.NewTrackingServiceClient(client, s.URL()).Track(ctx)
	request := &fluxv1.TrackRequest{Request: &fluxv1.TrackRequest_Open{Open: &fluxv1.TrackOpen{Tracker: open}}}
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
	tr := &tracker{stream, make(chan *fluxv1.Batch, 100), make(chan uint64, 100), make(chan error, 1), dialer.sever, dialer.mute}
	go tr.receive()
	return tr
}

func (tr *tracker) receive() {
	for {
		response, err := tr.stream.Receive()
		if err != nil {
			tr.ended <- err
			return
		}
		switch response := response.GetResponse().(type) {
		case *fluxv1.TrackResponse_Batch:
			tr.batches <- response.Batch
		case *fluxv1.TrackResponse_Stored:
			tr.stored <- response.Stored
		}
	}
}

func (tr *tracker) handled(t *testing.T, batch uint64) {
	t.Helper()
	request := &fluxv1.TrackRequest{Request: &fluxv1.TrackRequest_Handled{Handled: &fluxv1.TrackHandled{Batch: batch}}}
	if err := tr.stream.Send(request); err != nil {
		t.Fatal(err)
	}
}

// countMessages returns how many messages the chunks of a batch have.
func countMessages(t *testing.T, batch *fluxv1.Batch) int {
	t.Helper()
	n := 0
	for _, chunk := range batch.GetChunks() {
		summary, err := message.SummarizeBlocks(chunk.GetBlocks())
		if err != nil {
			t.Fatal(err)
		}
		n += summary.Count
	}
	return n
}

// next waits for something that comes soon.
func next[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(20 * time.Second):
		t.Fatalf("no %s in 20 s", what)
		panic("unreachable")
	}
}

// publishTo appends one message to each segment of a log.
func publishTo(t *testing.T, s *server.Server, log string) {
	t.Helper()
	request := &fluxv1.AppendRequest{Log: log}
	for segment := range int32(message.Segments) {
		request.Messages = append(request.Messages, &fluxv1.Message{Type: "m", Segment: &segment})
	}
	if _, err := logClient(t, s).Append(t.Context(), connect.NewRequest(request)); err != nil {
		t.Fatal(err)
	}
}

func TestTrackerIsGivenBatchesAndToldWhatIsStored(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	publishTo(t, s, "event")
	first := int64(-1)
	tr := track(t, s, &fluxv1.Tracker{Log: "event", Consumer: "c", TrackerId: "a", LastIndex: &first})
	batch := next(t, "batch", tr.batches)
	if n := countMessages(t, batch); n != message.Segments || batch.GetSegments().GetEnd() != message.Segments || batch.GetId() != 1 {
		t.Fatalf("batch %d of segments %v with %d messages", batch.GetId(), batch.GetSegments(), n)
	}
	tr.handled(t, batch.GetId())
	if id := next(t, "stored", tr.stored); id != batch.GetId() {
		t.Errorf("stored %d", id)
	}
	consumer := mustPost(t, s, fluxv1connect.TrackingServiceGetConsumerProcedure, `{"log":"event","consumer":"c"}`)["consumer"].(map[string]any)
	ranges := consumer["position"].(map[string]any)["ranges"].([]any)
	if last := ranges[0].(map[string]any)["lastIndex"]; len(ranges) != 1 || last != fmt.Sprint(batch.GetLastIndex()) {
		t.Errorf("position %v, want %d", ranges, batch.GetLastIndex())
	}
}

// A killed process leaves no word: its machine closes the connection.
func TestSegmentsMoveWithinASecondWhenAConnectionBreaks(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	beginning := int64(-1)
	open := func(id string) *tracker {
		return track(t, s, &fluxv1.Tracker{Log: "event", Consumer: "c", TrackerId: id, LastIndex: &beginning})
	}
	a := open("a")
	publishTo(t, s, "event")
	held := next(t, "batch of a", a.batches)
	if countMessages(t, held) != message.Segments {
		t.Fatalf("a has %v", held.GetSegments())
	}
	b := open("b")
	a.sever()
	broken := time.Now()
	got := next(t, "batch of b", b.batches)
	if took := time.Since(broken); took > time.Second {
		t.Errorf("segments moved after %s", took)
	}
	if n := countMessages(t, got); n != message.Segments {
		t.Errorf("b was given %d messages in %v, want all that a had not handled", n, got.GetSegments())
	}
}

// A machine that loses its power or its network closes no connection.
func TestSegmentsMoveWhenAClientFallsSilent(t *testing.T) {
	t.Parallel()
	s := start(t, server.WithPings(server.Config{}, 300*time.Millisecond))
	beginning := int64(-1)
	silent := track(t, s, &fluxv1.Tracker{Log: "event", Consumer: "c", TrackerId: "a", LastIndex: &beginning})
	publishTo(t, s, "event")
	next(t, "batch", silent.batches)
	silent.mute()
	other := track(t, s, &fluxv1.Tracker{Log: "event", Consumer: "c", TrackerId: "b", LastIndex: &beginning})
	if n := countMessages(t, next(t, "batch of the other", other.batches)); n != message.Segments {
		t.Errorf("the other was given %d messages, want all", n)
	}
}

func TestTrackStreamEndsWithTheReason(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	replaced := track(t, s, &fluxv1.Tracker{Log: "event", Consumer: "c", TrackerId: "same"})
	publishTo(t, s, "event")
	next(t, "batch", replaced.batches)
	track(t, s, &fluxv1.Tracker{Log: "event", Consumer: "c", TrackerId: "same"})
	wantCode(t, next(t, "end", replaced.ended), connect.CodeAborted, "conflict")

	unknown := track(t, s, &fluxv1.Tracker{Log: "event", Consumer: "d", TrackerId: "a"})
	unknown.handled(t, 7)
	wantCode(t, next(t, "end", unknown.ended), connect.CodeInvalidArgument, "bad_request")

	badFilter := track(t, s, &fluxv1.Tracker{Log: "event", Consumer: "d", TrackerId: "a", TypeFilter: "("})
	wantCode(t, next(t, "end", badFilter.ended), connect.CodeInvalidArgument, "bad_request")
}

func TestTrackersOfManyConnectionsShareTheSegments(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	const n = 8
	for i := range n {
		track(t, s, &fluxv1.Tracker{Log: "event", Consumer: "c", TrackerId: fmt.Sprint(i)})
	}
	client := fluxv1connect.NewTrackingServiceClient(h2(t), s.URL())
	request := connect.NewRequest(&fluxv1.GetConsumerRequest{Log: "event", Consumer: "c"})
	eventually(t, "all trackers have their share", func() bool {
		answer, err := client.GetConsumer(t.Context(), request)
		if err != nil || len(answer.Msg.GetConsumer().GetTrackers()) != n {
			return false
		}
		for _, tr := range answer.Msg.GetConsumer().GetTrackers() {
			if tr.GetSegments().GetEnd()-tr.GetSegments().GetStart() != message.Segments/n {
				return false
			}
		}
		return true
	})
}
