package server_test

import (
	"fmt"
	"math"
	"slices"
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

// TestTransactionsOfARequestAreAnsweredEachForItself sends several transactions in a request, some of which are refused, at once
// or by the store, and sends the request again over another stream, as clients do that have got no answer.
func TestTransactionsOfARequestAreAnsweredEachForItself(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	put := func(key string) *fluxv1.Transaction {
		value := &fluxv1.Value{Payload: &fluxv1.Value_Data{Data: []byte("1")}}
		return &fluxv1.Transaction{Values: []*fluxv1.ValuePut{{Key: key, Value: value, IfAbsent: true}}}
	}
	event := func(last int64) *fluxv1.Transaction {
		append := &fluxv1.EventAppend{Aggregate: "a", Events: []*fluxv1.Message{{Type: "E"}}, IfLastSequence: &last, StoreOnly: true}
		return &fluxv1.Transaction{Events: []*fluxv1.EventAppend{append}}
	}
	request := &fluxv1.PublishRequest{
		Producer: []byte("0123456789abcdef"), Sequence: 1, Transaction: put("k"),
		Others: []*fluxv1.Transaction{put(""), event(-1), event(-1), event(0), put("k"), nil},
	}
	for _, way := range []string{"first", "again"} {
		got := publishOnce(t, s, request)
		if fmt.Sprint(got.GetFirstIndexes()) != "[1 0 -1 1 -1 0]" || got.GetSequence() != 1 || got.GetOthers() != 6 || got.GetError() != nil {
			t.Errorf("%s: answer %v", way, got)
		}
		var refused []string
		for _, r := range got.GetRefusedOthers() {
			refused = append(refused, fmt.Sprintf("%d %s", r.GetSequence(), r.GetError().GetDetail().GetCode()))
		}
		if want := []string{"2 bad_request", "4 conflict", "7 bad_request"}; !slices.Equal(refused, want) {
			t.Errorf("%s: refused %v, want %v", way, refused, want)
		}
	}
}

func TestRequestsOfSeveralTransactionsAreChecked(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	valid := &fluxv1.Transaction{Appends: []*fluxv1.LogAppend{{Log: "event", Blocks: block(t, 1, "Flight", message.LZ4)}}}
	for name, test := range map[string]struct {
		sequence uint64
		others   int
		code     string
	}{
		"no number":     {0, 1, "bad_request"},
		"numbers wrap":  {math.MaxUint64, 1, "bad_request"},
		"too many":      {1, 1024, "too_large"},
		"as many as go": {1, 1023, ""},
	} {
		request := &fluxv1.PublishRequest{Producer: []byte("0123456789abcdef"), Sequence: test.sequence, Transaction: valid}
		for range test.others {
			request.Others = append(request.Others, valid)
		}
		got := publishOnce(t, s, request)
		if got.GetError().GetDetail().GetCode() != test.code || got.GetOthers() != int32(test.others) {
			t.Errorf("%s: answer to %d others with error %v, want %q", name, got.GetOthers(), got.GetError(), test.code)
		}
		if refused := len(got.GetRefusedOthers()); (refused > 0) != (test.code != "") || refused > 0 && refused != test.others {
			t.Errorf("%s: %d others were refused", name, refused)
		}
	}
}

// publishOnce sends a request over a stream of its own and returns the answer.
func publishOnce(t *testing.T, s *server.Server, request *fluxv1.PublishRequest) *fluxv1.PublishResponse {
	t.Helper()
	stream := logClient(t, s).Publish(t.Context())
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Receive()
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseRequest(); err != nil {
		t.Error(err)
	}
	return answer
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
