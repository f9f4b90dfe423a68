package server_test

import (
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/flux-go/flux/server"
)

// Clients of Flux Capacitor are served on the same port, and told when the server ends.
func TestCapacitorClientsAreServed(t *testing.T) {
	t.Parallel()
	srv, err := server.Start(t.Context(), server.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	conn, _, err := websocket.Dial(t.Context(), srv.URL()+"/keyValue?clientId=c1&clientName=app&compression=NONE", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	for request, want := range map[string]string{
		`{"@type":"getValue","key":"k","requestId":1}`:                                      `{"@type":"getValueResult","requestId":1,"value":null,`,
		`{"@type":"storeValues","values":[{"key":"a"}],"guarantee":"STORED","requestId":2}`: `{"@type":"void","requestId":2,`,
	} {
		if err := conn.Write(t.Context(), websocket.MessageBinary, []byte(request)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.Read(t.Context()); err != nil || !strings.HasPrefix(string(got), want) {
			t.Errorf("%s: %s, %v", request, got, err)
		}
	}
	for _, want := range []string{
		`flux_capacitor_sockets{path="keyValue"} 1`, `flux_capacitor_sockets_opened_total{path="keyValue"} 1`,
		`flux_capacitor_frames_total{direction="in",path="keyValue"} 2`, `flux_capacitor_bytes_total{direction="out",path="keyValue"} `,
		`flux_capacitor_errors_total{path="keyValue",what="request"} 0`, `flux_capacitor_errors_total{path="keyValue",what="unreadable"} 0`,
	} {
		if _, body := get(t, srv, "/metrics"); !strings.Contains(body, want) {
			t.Errorf("no figure %s", want)
		}
	}
	closed := make(chan error, 1)
	go func() {
		_, _, err := conn.Read(t.Context())
		closed <- err
	}()
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-closed; websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("closed with %v", err)
	}
}
