package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// callInput is what a recording has of a call of gRPC, as far as it is sent again: the program has the rest of it.
type callInput struct {
	address, nonce string

	Metadata map[string][]string `json:"metadata"` // binary values are base64, as on the wire
	TLS      bool                `json:"tls"`
	Messages []struct {
		JSON json.RawMessage `json:"json"`
		Wire *record.Body    `json:"wire"`
	} `json:"messages"`
}

// grpcUnimplemented is the status of a call of a method that a server does not have.
const grpcUnimplemented = "12"

// sendCall calls the recorded method, with the recorded metadata and one message, once it is known that the recorder is going to see
// it: nothing is to be done for real. The program is known to have made its server when that answers a call of no method.
func (r *rerun) sendCall(ctx context.Context) error {
	var input callInput
	of := r.bundle.Execution
	if err := json.Unmarshal(of.Input.Data, &input); err != nil {
		return fmt.Errorf("%w: its call cannot be read: %w", execution.ErrNotReplayable, err)
	}
	input.address, input.nonce = r.address, r.control.Nonce
	if _, err := input.call(ctx, noMethod); err != nil {
		return err
	}
	if !r.canTake() {
		return failf(serverOptionsHint, "the program answers on %s, but its recorder does not see the call", r.address)
	}
	answer, err := input.call(ctx, of.Trigger.Method)
	switch {
	case err != nil || r.hasBegun():
		return err
	case answer.taken:
		return fmt.Errorf("the program cannot begin it: %s", answer.text)
	case answer.status == grpcUnimplemented:
		return failf("register the service that has it before the server listens", "the program has no method %s", of.Trigger.Method)
	}
	return failf(serverOptionsHint,
		"the program answers on %s, but its recorder did not see the call: status %s %s", r.address, answer.status, answer.text)
}

const (
	noMethod          = "/flux.Nothing/Nothing"
	serverOptionsHint = "give its server fluxgrpc.ServerOptions, before other interceptors, with the recorder of execution.Connect"
)

// callAnswer is how a call ended.
type callAnswer struct {
	status, text string
	taken        bool // by the recorder
}

// call calls a method and waits for its end.
func (in *callInput) call(ctx context.Context, method string) (*callAnswer, error) {
	request, err := in.request(ctx, method)
	if err != nil {
		return nil, err
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	answer, err := onceTransport(protocols).RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if _, err = io.Copy(io.Discard, answer.Body); err != nil { // then the trailer is there
		return nil, err
	}
	status, text := callStatus(answer)
	return &callAnswer{cmp.Or(status, answer.Status), text, answer.Header.Get(execution.HeaderReplay) == in.nonce}, nil
}

// request makes the request of a call.
func (in *callInput) request(ctx context.Context, method string) (*http.Request, error) {
	target := url.URL{Scheme: "http", Host: in.address, Path: method}
	if in.TLS {
		target.Scheme = "https"
	}
	kind := "application/grpc"
	if own := in.Metadata["content-type"]; len(own) > 0 {
		kind = own[0]
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(in.message(kind)))
	if err != nil {
		return nil, err
	}
	for name, values := range in.Metadata {
		if !isReserved(name) {
			request.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	request.Header.Set("Content-Type", kind)
	request.Header.Set("Te", "trailers")
	request.Header.Set(execution.HeaderReplay, in.nonce)
	if authority := in.Metadata[":authority"]; len(authority) > 0 {
		request.Host = authority[0]
	}
	return request, nil
}

// isReserved says that metadata belongs to the connection, not to the call.
func isReserved(name string) bool {
	switch name {
	case "content-type", "te", "user-agent", "connection", "host", "content-length":
		return true
	}
	return strings.HasPrefix(name, ":") || strings.HasPrefix(name, "grpc-")
}

// message returns one message with its prefix. It is as it was recorded where the recording has what was on the wire, and empty
// where not: servers decode a message before the recorder can put the recorded one in its place.
func (in *callInput) message(kind string) []byte {
	var data []byte
	if len(in.Messages) > 0 {
		switch first := in.Messages[0]; {
		case first.Wire != nil && !first.Wire.Truncated:
			data = first.Wire.Data
		case strings.HasSuffix(kind, "+json"):
			data = first.JSON
		}
	}
	const uncompressed = 0
	return append(binary.BigEndian.AppendUint32([]byte{uncompressed}, uint32(len(data))), data...)
}

// callStatus returns the status of an answer and its text. A call that fails at once has them in the header.
func callStatus(answer *http.Response) (status, text string) {
	status = cmp.Or(answer.Trailer.Get("Grpc-Status"), answer.Header.Get("Grpc-Status"))
	text = cmp.Or(answer.Trailer.Get("Grpc-Message"), answer.Header.Get("Grpc-Message"))
	if plain, err := url.PathUnescape(text); err == nil {
		text = plain
	}
	return status, text
}
