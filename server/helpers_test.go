package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/server"
)

// start starts a server in memory, on a free port unless the config says otherwise, that ends with the test.
func start(t testing.TB, c server.Config) *server.Server {
	t.Helper()
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	s, err := server.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Shutdown(t.Context()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return s
}

// h2 returns a client of HTTP/2 without encryption, with a connection of its own.
func h2(t testing.TB) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func logClient(t testing.TB, s *server.Server, options ...connect.ClientOption) fluxv1connect.LogServiceClient {
	t.Helper()
	return fluxv1connect.NewLogServiceClient(h2(t), s.URL(), options...)
}

// post calls a procedure as curl would and returns the status and the answer.
func post(t testing.TB, s *server.Server, procedure, body string, headers ...string) (int, map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+procedure, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return send(t, request)
}

// send returns the status and the JSON of the answer.
func send(t testing.TB, request *http.Request) (int, map[string]any) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(raw, &answer); err != nil {
		t.Fatalf("%s %s: status %d, not JSON: %q", request.Method, request.URL.Path, response.StatusCode, raw)
	}
	return response.StatusCode, answer
}

// mustPost is post for calls that go well.
func mustPost(t testing.TB, s *server.Server, procedure, body string, headers ...string) map[string]any {
	t.Helper()
	status, answer := post(t, s, procedure, body, headers...)
	if status != http.StatusOK {
		t.Fatalf("%s %s: status %d: %v", procedure, body, status, answer)
	}
	return answer
}

// severable dials connections that can be cut, and muted.
type severable struct {
	mu struct {
		sync.Mutex
		conns []net.Conn
		muted bool
	}
}

func (d *severable) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		d.mu.Lock()
		d.mu.conns = append(d.mu.conns, conn)
		d.mu.Unlock()
	}
	return &mutable{conn, d}, err
}

func (d *severable) sever() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, conn := range d.mu.conns {
		_ = conn.Close()
	}
	d.mu.conns = nil
}

func (d *severable) mute() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.muted = true
}

// mutable is a connection whose writing can be muted.
type mutable struct {
	net.Conn
	of *severable
}

func (c *mutable) Write(p []byte) (int, error) {
	c.of.mu.Lock()
	muted := c.of.mu.muted
	c.of.mu.Unlock()
	if muted {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// wantCode checks the status and the code of an error from a client.
func wantCode(t testing.TB, err error, status connect.Code, code string) {
	t.Helper()
	if got := detailOf(err); connect.CodeOf(err) != status || got.GetCode() != code || got.GetHint() == "" {
		t.Errorf("error %v: status %s, detail %v, want %s and %s with a hint", err, connect.CodeOf(err), got, status, code)
	}
}

// detailOf returns the detail of an error, or nil.
func detailOf(err error) *fluxv1.ErrorDetail {
	var wire *connect.Error
	if !errors.As(err, &wire) {
		return nil
	}
	for _, d := range wire.Details() {
		if value, err := d.Value(); err == nil {
			if out, ok := value.(*fluxv1.ErrorDetail); ok {
				return out
			}
		}
	}
	return nil
}

// get returns the status and the body at a path.
func get(t testing.TB, s *server.Server, path string, headers ...string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}
