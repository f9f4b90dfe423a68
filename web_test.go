package flux_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/message"
)

func TestWebRequestsAreServedByAnHTTPHandler(t *testing.T) {
	t.Parallel()
	url := startServer(t, "").URL()
	app := connect(t, url, flux.Config{})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /greet/{name}", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, r.Header.Get("X-Greeting")+" "+r.PathValue("name")+r.URL.Query().Get("mark")+string(body))
	})
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("a secret") })
	flux.HandleWebRequest(app, mux)
	run(t, app)
	for _, test := range []struct {
		method, url, headers string
		status, body         string
	}{
		{"POST", "/greet/Ann?mark=!", `{"x-greeting":["Hello"]}`, "201", "Hello Ann! body"},
		{"GET", "/nothing", "", "404", "404 page not found\n"},
		{"GET", "/panic", "", "500", "Internal Server Error\n"},
		{"GET", "/greet", "{", "400", "headers"},
	} {
		request := &message.Message{Payload: []byte(" body"), Metadata: map[string]string{"method": test.method, "url": test.url, "headers": test.headers}}
		response := askRaw(t, url, request)
		if got := response.Metadata["status"]; got != test.status || !strings.Contains(string(response.Payload), test.body) {
			t.Errorf("%s %s: %s %q, want %s %q", test.method, test.url, got, response.Payload, test.status, test.body)
		}
	}
}

// askRaw puts a web request into the log, as a gateway does, and returns the response.
func askRaw(t testing.TB, url string, request *message.Message) *message.Message {
	t.Helper()
	return exchange(t, url, message.Log{Type: message.WebRequest}, request, message.Log{Type: message.WebResponse})
}
