package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// isAsked says that the program begins only when it gets a request or a call. Others begin by themselves.
func (r *rerun) isAsked() bool {
	kind := r.bundle.Execution.Trigger.Kind
	return kind == record.TriggerHTTP || kind == record.TriggerGRPC
}

// ask sends what makes the program begin: it stands for what was recorded, which the program has. The error says nothing once it has
// begun: a program may die of what it does.
func (r *rerun) ask(ctx context.Context) error {
	if !r.wait(ctx, "the program to listen on "+r.address, func() bool { return isListening(ctx, r.address) }) {
		return r.gone(ctx, "before it listened on "+r.address)
	}
	send := r.sendRequest
	if r.bundle.Execution.Trigger.Kind == record.TriggerGRPC {
		send = r.sendCall
	}
	return send(ctx)
}

// canTake says that the recorder of the program sees what begins as the recording did. It does by the time the program answers.
func (r *rerun) canTake() bool {
	_, err := os.Stat(execution.ReadyPath(r.control.Ready, r.bundle.Execution.Trigger.Kind))
	return err == nil
}

// sendRequest sends a harmless request in place of the recorded one. When nothing took it, because of how the program routes, another
// has the recorded method, but only when the recorder is going to see it: nothing is to be done for real.
func (r *rerun) sendRequest(ctx context.Context) error {
	taken, err := r.sendMethod(ctx, http.MethodOptions)
	if !taken && err == nil && r.canTake() {
		taken, err = r.sendMethod(ctx, r.bundle.Execution.Trigger.Method)
	}
	if taken || err != nil {
		return err
	}
	return failf("wrap its handler with Recorder.Middleware, and connect with execution.Connect",
		"the program answers on %s, but its recorder does not see the request", r.address)
}

// sendMethod returns whether the recorder of the program took the request.
func (r *rerun) sendMethod(ctx context.Context, method string) (taken bool, err error) {
	var input struct {
		URL  string           `json:"url"`
		Host string           `json:"host"`
		TLS  *json.RawMessage `json:"tls"`
	}
	if err := json.Unmarshal(r.bundle.Execution.Input.Data, &input); err != nil {
		return false, fmt.Errorf("%w: its request cannot be read: %w", execution.ErrNotReplayable, err)
	}
	target, err := url.ParseRequestURI(input.URL)
	if err != nil {
		return false, err
	}
	target.Scheme, target.Host = "http", r.address
	if input.TLS != nil {
		target.Scheme = "https"
	}
	request, err := http.NewRequestWithContext(ctx, method, target.String(), nil)
	if err != nil {
		return false, err
	}
	request.Host = input.Host
	request.Header.Set(execution.HeaderReplay, r.control.Nonce)
	answer, err := onceTransport(nil).RoundTrip(request)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close()
	taken = answer.Header.Get(execution.HeaderReplay) == r.control.Nonce
	var text bytes.Buffer
	_, err = io.Copy(&text, answer.Body) // to its end: a program may notice that nobody listens
	if taken && answer.StatusCode == http.StatusUnprocessableEntity {
		err = fmt.Errorf("the program cannot begin it: %s", text.String())
	}
	return taken, err
}

// onceTransport is for one request to a program on this machine. Its certificate is for the name that it has where it was recorded.
func onceTransport(protocols *http.Protocols) *http.Transport {
	return &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: protocols}
}
