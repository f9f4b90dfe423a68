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
