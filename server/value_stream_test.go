package server_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/server"
)

type valueStream = *connect.BidiStreamForClient[fluxv1.ReadValuesRequest, fluxv1.ReadValuesResponse]

func readValues(t *testing.T, s *server.Server, token string) valueStream {
	t.Helper()
	stream := fluxv1connect.NewKeyValueServiceClient(h2(t), s.URL()).ReadValues(t.Context())
	stream.RequestHeader().Set("Authorization", "Bearer "+token)
	return stream
}

func putData(t *testing.T, s *server.Server, key string, data []byte) {
	t.Helper()
	put := &fluxv1.ValuePut{Key: key, Value: &fluxv1.Value{Type: "T", Payload: &fluxv1.Value_Data{Data: data}, Format: "application/octet-stream"}}
	values := fluxv1connect.NewKeyValueServiceClient(h2(t), s.URL())
	if _, err := values.PutValue(t.Context(), connect.NewRequest(&fluxv1.PutValueRequest{Put: put})); err != nil {
		t.Fatal(err)
	}
}

// collectValues receives until so many keys of each request are answered, and returns what came of them, with the number of
// responses.
func collectValues(t *testing.T, stream valueStream, keys map[uint64]int) (map[uint64][]*fluxv1.ReadValue, int) {
	t.Helper()
	all := make(map[uint64][]*fluxv1.ReadValue)
	responses := 0
	for missing := len(keys); missing > 0; responses++ {
		response, err := stream.Receive()
		if err != nil {
			t.Fatal(err)
		}
		n := response.GetNumber()
		if got := len(all[n]); int(response.GetAnswered()) != got {
			t.Fatalf("response to %d says %d keys were answered, of which %d are here", n, response.GetAnswered(), got)
		}
		if all[n] = append(all[n], response.GetValues()...); len(all[n]) == keys[n] {
			missing--
		}
	}
	return all, responses
}

func TestReadValuesAnswersEachKey(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	putData(t, s, "a", []byte("1"))
	putData(t, s, "empty", nil)
	stream := readValues(t, s, "")
	requests := map[uint64][]string{7: {"a", "none", "", "empty", "a"}, 8: {strings.Repeat("k", 3000)}, 3: {"none"}}
	want := map[uint64]string{7: `T "1"; none; bad_request; T ""; T "1"; `, 8: "bad_request; ", 3: "none; "}
	sizes := make(map[uint64]int)
	for number, keys := range requests {
		sizes[number] = len(keys)
		if err := stream.Send(&fluxv1.ReadValuesRequest{Number: number, Keys: keys}); err != nil {
			t.Fatal(err)
		}
	}
	got, _ := collectValues(t, stream, sizes)
	for number, values := range got {
		text := ""
		for _, read := range values {
			switch value := read.GetValue(); {
			case read.GetError() != nil && read.GetError().GetMessage() != "" && value == nil:
				text += read.GetError().GetDetail().GetCode() + "; "
			case value == nil:
				text += "none; "
			default:
				text += fmt.Sprintf("%s %q; ", value.GetType(), value.GetData())
			}
		}
		if text != want[number] {
			t.Errorf("answer to %d is %s, want %s", number, text, want[number])
		}
	}
	if err := stream.CloseRequest(); err != nil {
		t.Error(err)
	}
	if response, err := stream.Receive(); err == nil {
		t.Errorf("after the end of the requests came %v", response)
	}
}

// TestManyLargeValuesComeInSeveralResponses has several requests under way whose answers are larger than a response.
func TestManyLargeValuesComeInSeveralResponses(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	const size, n = 300_000, 10
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprint("large-", i)
		putData(t, s, keys[i], bytes.Repeat([]byte{byte(i)}, size))
	}
	stream := readValues(t, s, "")
	sizes := make(map[uint64]int)
	for number := range uint64(20) {
		sizes[number] = n
		if err := stream.Send(&fluxv1.ReadValuesRequest{Number: number, Keys: keys}); err != nil {
			t.Fatal(err)
		}
	}
	got, responses := collectValues(t, stream, sizes)
	for number, values := range got {
		for i, read := range values {
			if data := read.GetValue().GetData(); len(data) != size || data[0] != byte(i) || data[size-1] != byte(i) {
				t.Errorf("value %d of %d has %d bytes", i, number, len(data))
			}
		}
	}
	if least := 20 * size * n / (1<<20 + size); responses < least {
		t.Errorf("%d responses, want at least %d", responses, least)
	}
}

func TestReadValuesEndsWithWhatCannotBe(t *testing.T) {
	t.Parallel()
	s := startWithTokens(t, server.Config{})
	for name, test := range map[string]struct {
		token string
		keys  int
		code  string
		is    connect.Code
	}{
		"right": {writeToken, 1, "forbidden", connect.CodePermissionDenied},
		"keys":  {readToken, 1001, "bad_request", connect.CodeInvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream := readValues(t, s, test.token)
			_ = stream.Send(&fluxv1.ReadValuesRequest{Keys: make([]string, test.keys)}) // Receive returns the error
			_, err := stream.Receive()
			wantCode(t, err, test.is, test.code)
		})
	}
	status, answer := post(t, s, fluxv1connect.KeyValueServiceReadValuesProcedure, "{}", "Authorization", "Bearer "+readToken)
	wantJSONError(t, status, answer, http.StatusHTTPVersionNotSupported, "bad_request")
}
