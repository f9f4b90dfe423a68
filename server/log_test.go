package server_test

import (
	"testing"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/message"
	"github.com/flux-go/flux/server"
)

func TestAppendedMessagesAreReadBackOverJSON(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	appended := mustPost(t, s, fluxv1connect.LogServiceAppendProcedure,
		`{"log":"custom/prices","messages":[{"type":"Price","json":{"eur":1.25},"key":"a"},{"type":"Price","data":"AAE="}]}`)
	if n := len(appended["indexes"].([]any)); n != 2 {
		t.Fatalf("%d indexes, want 2: %v", n, appended)
	}
	read := mustPost(t, s, fluxv1connect.LogServiceReadProcedure, `{"log":"custom/prices"}`)
	messages := read["messages"].([]any)
	if len(messages) != 2 || read["caughtUp"] != true {
		t.Fatalf("read %v", read)
	}
	first, second := messages[0].(map[string]any), messages[1].(map[string]any)
	if got := first["json"].(map[string]any)["eur"]; got != 1.25 {
		t.Errorf("json payload %v, want eur 1.25", first)
	}
	if got := first["segment"]; got != float64(message.SegmentOf("a")) {
		t.Errorf("segment %v, want that of the key, %d", got, message.SegmentOf("a"))
	}
	if second["data"] != "AAE=" || first["id"] == "" || first["index"] != appended["indexes"].([]any)[0] {
		t.Errorf("messages %v and %v, appended %v", first, second, appended)
	}
}

// block packs n messages of a type.
func block(t testing.TB, n int, typ string, c message.Compression) []byte {
	t.Helper()
	var w message.BlockWriter
	for range n {
		m := message.Message{Type: typ, Payload: []byte(`{"origin":"SFO","destination":"JFK","delay":12,"distance":2586}`)}
		if err := w.Add(&m); err != nil {
			t.Fatal(err)
		}
	}
	return w.Seal(nil, c)
}

func TestPublishAnswersInOrder(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	for name, options := range map[string][]connect.ClientOption{"connect": nil, "grpc": {connect.WithGRPC()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream := logClient(t, s, options...).Publish(t.Context())
			const n = 200
			go func() {
				for i := range n {
					log := "event"
					if i%10 == 3 {
						log = "nonsense"
					}
					tx := &fluxv1.Transaction{Appends: []*fluxv1.LogAppend{{Log: log, Blocks: block(t, 3, "Flight", message.LZ4)}}}
					if err := stream.Send(&fluxv1.PublishRequest{
						Producer: []byte("0123456789" + name + "0123456789")[:16], Sequence: uint64(i + 1), Transaction: tx,
					}); err != nil {
						t.Error(err)
					}
				}
				if err := stream.CloseRequest(); err != nil {
					t.Error(err)
				}
			}()
			var last int64
			for i := range n {
				answer, err := stream.Receive()
				if err != nil {
					t.Fatal(err)
				}
				if answer.GetSequence() != uint64(i+1) {
					t.Fatalf("answer %d is of %d", i+1, answer.GetSequence())
				}
				if i%10 == 3 {
					if answer.GetError().GetDetail().GetCode() != "bad_request" {
						t.Errorf("answer %v, want bad_request", answer)
					}
					continue
				}
				if answer.GetError() != nil || len(answer.GetFirstIndexes()) != 1 || answer.GetFirstIndexes()[0] <= last {
					t.Fatalf("answer %v after index %d", answer, last)
				}
				last = answer.GetFirstIndexes()[0]
			}
		})
	}
}
