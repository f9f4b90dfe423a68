package server_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/message"
	"github.com/flux-go/flux/server"
)

func TestBadRequestsGetAClearError(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	for _, test := range []struct{ name, procedure, body, say string }{
		{"no JSON", fluxv1connect.LogServiceAppendProcedure, `{"log":`, "unexpected"},
		{"empty body", fluxv1connect.LogServiceAppendProcedure, ``, "empty body"},
		{"unknown field", fluxv1connect.LogServiceAppendProcedure, `{"lgo":"event"}`, `unknown field "lgo"`},
		{"wrong type", fluxv1connect.LogServiceAppendProcedure, `{"log":5}`, "log"},
		{"no log", fluxv1connect.LogServiceAppendProcedure, `{"messages":[{"type":"a"}]}`, "no log"},
		{"no messages", fluxv1connect.LogServiceAppendProcedure, `{"log":"event"}`, "no messages"},
		{"unknown log", fluxv1connect.LogServiceAppendProcedure, `{"log":"evnet","messages":[{}]}`, "evnet"},
		{"no topic", fluxv1connect.LogServiceAppendProcedure, `{"log":"custom","messages":[{}]}`, "topic"},
		{"JSON of another format", fluxv1connect.LogServiceAppendProcedure, `{"log":"event","messages":[{"json":1,"format":"text/plain"}]}`, "format"},
		{"key and segment", fluxv1connect.LogServiceAppendProcedure, `{"log":"event","messages":[{"key":"a","segment":1}]}`, "both"},
		{"empty transaction", fluxv1connect.LogServiceCommitProcedure, `{"transaction":{}}`, "without"},
		{"nothing to append", fluxv1connect.LogServiceCommitProcedure, `{"transaction":{"appends":[{"log":"event"}]}}`, "neither"},
		{"no block", fluxv1connect.LogServiceCommitProcedure, `{"transaction":{"appends":[{"log":"event","blocks":"AAAA"}]}}`, "not a message block"},
		{"half a block", fluxv1connect.LogServiceCommitProcedure, `{"transaction":{"appends":[{"log":"event","blocks":"Rmx4"}]}}`, "block"},
		{"bad range", fluxv1connect.LogServiceCommitProcedure, `{"transaction":{"positions":[{"log":"event","consumer":"c","segments":{"start":5,"end":1}}]}}`, "range"},
		{"no consumer", fluxv1connect.LogServiceCommitProcedure, `{"transaction":{"positions":[{"log":"event"}]}}`, "consumer"},
		{"overlap", fluxv1connect.LogServiceCommitProcedure, `{"transaction":{"positions":[{"log":"event","consumer":"c","ifPosition":{"ranges":[{"start":0,"end":9},{"start":5,"end":6}]}}]}}`, "overlaps"},
		{"bad size", fluxv1connect.LogServiceReadProcedure, `{"log":"event","maxSize":-1}`, "max_size"},
		{"absurd size", fluxv1connect.LogServiceReadProcedure, `{"log":"event","maxSize":2000000000}`, "max_size"},
		{"absurd time", fluxv1connect.LogServiceReadProcedure, `{"log":"event","since":"9223372036854775807"}`, "time"},
		{"bad filter", fluxv1connect.LogServiceReadProcedure, `{"log":"event","typeFilter":"a)|(b"}`, "filter"},
		{"not a request", fluxv1connect.LogServiceRequestProcedure, `{"log":"event","message":{}}`, "not answered"},
		{"endless wait", fluxv1connect.LogServiceRequestProcedure, `{"log":"query","message":{},"timeoutMs":"99999999"}`, "timeout_ms"},
		{"bad retention", fluxv1connect.LogServiceSetRetentionProcedure, `{"log":"event","seconds":"-2"}`, "retention"},
		{"absurd retention", fluxv1connect.LogServiceSetRetentionProcedure, `{"log":"event","seconds":"9223372036854775807"}`, "retention"},
		{"bad index", fluxv1connect.LogServiceTruncateProcedure, `{"log":"event","throughIndex":"-1"}`, "index"},
		{"reset to nothing", fluxv1connect.TrackingServiceResetPositionProcedure, `{"log":"event","consumer":"c"}`, "neither"},
		{"reset before the beginning", fluxv1connect.TrackingServiceResetPositionProcedure, `{"log":"event","consumer":"c","lastIndex":"-2"}`, "last_index"},
		{"no tracker", fluxv1connect.TrackingServicePollProcedure, `{}`, "no log"},
		{"no tracker id", fluxv1connect.TrackingServicePollProcedure, `{"tracker":{"log":"event","consumer":"c"}}`, "id"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			status, answer := post(t, s, test.procedure, test.body)
			wantJSONError(t, status, answer, http.StatusBadRequest, "bad_request")
			if text, _ := answer["message"].(string); !strings.Contains(text, test.say) {
				t.Errorf("message %q does not say %q", text, test.say)
			}
		})
	}
}

func TestWhatIsNotServedSaysSo(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	for _, test := range []struct {
		name, method, path, content string
		status                      int
		code                        string
	}{
		{"path", http.MethodGet, "/nothing", "", http.StatusNotFound, "not_found"},
		{"root", http.MethodGet, "/", "", http.StatusNotFound, "not_found"},
		{"procedure", http.MethodPost, "/flux.v1.LogService/Nothing", "application/json", http.StatusNotFound, "not_found"},
		{"service", http.MethodPost, "/flux.v9.LogService/Append", "application/json", http.StatusNotFound, "not_found"},
		{"method", http.MethodGet, fluxv1connect.LogServiceReadProcedure, "", http.StatusMethodNotAllowed, "bad_request"},
		{"content", http.MethodPost, fluxv1connect.LogServiceReadProcedure, "application/x-www-form-urlencoded", http.StatusUnsupportedMediaType, "bad_request"},
		{"stream over HTTP/1.1", http.MethodPost, fluxv1connect.LogServicePublishProcedure, "application/json", http.StatusHTTPVersionNotSupported, "bad_request"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(t.Context(), test.method, s.URL()+test.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", test.content)
			status, answer := send(t, request)
			wantJSONError(t, status, answer, test.status, test.code)
		})
	}
	status, answer := post(t, s, fluxv1connect.TrackingServiceGetConsumerProcedure, `{"log":"event","consumer":"nobody"}`)
	wantJSONError(t, status, answer, http.StatusNotFound, "not_found")
}

// zeros is a body of so many bytes that does not say how long it is.
type zeros struct{ left int }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), z.left)
	clear(p[:n])
	z.left -= n
	return n, nil
}

func TestTooLargeRequestsAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{MaxMessageBytes: 1 << 20})
	const tooMany = 100 << 20
	for name, body := range map[string]io.Reader{
		"known length": bytes.NewReader(make([]byte, 2<<20)), "unknown length": &zeros{tooMany},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+fluxv1connect.LogServiceAppendProcedure, body)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/json")
			response, err := h2(t).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			raw, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode/100 != 4 || !bytes.Contains(raw, []byte("max-message-bytes")) {
				t.Errorf("status %d, %s, %v: want a hint that names the limit", response.StatusCode, raw, err)
			}
		})
	}
	t.Run("packed", func(t *testing.T) {
		t.Parallel()
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := io.Copy(w, &zeros{8 << 20}); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		status, answer := post(t, s, fluxv1connect.LogServiceAppendProcedure, packed.String(), "Content-Encoding", "gzip")
		if status != http.StatusTooManyRequests || answer["code"] != "resource_exhausted" {
			t.Errorf("status %d, %v", status, answer)
		}
	})
	t.Run("stream", func(t *testing.T) {
		t.Parallel()
		for _, option := range []connect.ClientOption{connect.WithProtoJSON(), connect.WithGRPC()} {
			stream := logClient(t, s, option).Publish(t.Context())
			tx := &fluxv1.Transaction{Appends: []*fluxv1.LogAppend{{Log: "event", Blocks: make([]byte, 2<<20)}}}
			if err := stream.Send(&fluxv1.PublishRequest{Transaction: tx}); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			_, err := stream.Receive()
			wantCode(t, err, connect.CodeResourceExhausted, "too_large")
		}
	})
	t.Run("block that is large when unpacked", func(t *testing.T) {
		t.Parallel()
		var w message.BlockWriter
		if err := w.Add(&message.Message{Payload: make([]byte, 2<<20)}); err != nil {
			t.Fatal(err)
		}
		tx := &fluxv1.Transaction{Appends: []*fluxv1.LogAppend{{Log: "event", Blocks: w.Seal(nil, message.LZ4)}}}
		_, err := logClient(t, s).Commit(t.Context(), connect.NewRequest(&fluxv1.CommitRequest{Transaction: tx}))
		wantCode(t, err, connect.CodeResourceExhausted, "too_large")
	})
}

func TestHalfAFrameEndsOnlyItsStream(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	for name, frame := range map[string][]byte{
		"half a header":  {0, 0},
		"half a message": binary.BigEndian.AppendUint32([]byte{0}, 100),
		"unknown flags":  {0x70, 0, 0, 0, 0},
		"no message":     {0, 0, 0, 0, 3, 0xff, 0xff, 0xff},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(
				t.Context(), http.MethodPost, s.URL()+fluxv1connect.LogServicePublishProcedure, bytes.NewReader(frame))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/connect+proto")
			response, err := h2(t).Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			raw, err := io.ReadAll(response.Body)
			if err != nil || !bytes.Contains(raw, []byte(`"bad_request"`)) {
				t.Errorf("%q, %v: want bad_request", raw, err)
			}
			mustPost(t, s, fluxv1connect.LogServiceReadProcedure, `{"log":"event"}`)
		})
	}
}

func TestGarbageInsteadOfHTTPHarmsNobody(t *testing.T) {
	t.Parallel()
	s := start(t, server.Config{})
	for _, garbage := range []string{"\x00\x01\x02\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "GET / HTTP/9\r\n\r\n"} {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, garbage); err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, conn) // until the server has given up on it
		_ = conn.Close()
	}
	mustPost(t, s, fluxv1connect.LogServiceReadProcedure, `{"log":"event"}`)
}
