package fluxgrpc

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// recordedMessage is a message as records have it: JSON or wire bytes.
type recordedMessage struct {
	Type string          `json:"type,omitempty"`
	JSON json.RawMessage `json:"json,omitempty"`
	Wire *record.Body    `json:"wire,omitempty"`
}

// A captured is a message as it passed by. Its bytes are taken at once, for the program may change the message; the JSON is made
// when somebody wants it.
type captured struct {
	recordedMessage
	kind protoreflect.MessageType // nil for what needs no more to be done
	wire []byte
}

// capture takes a message for the record of x, which is nil for the start of the process.
func capture(x *execution.Execution, m any) *captured {
	p := protoOf(m)
	if p == nil {
		data, err := json.Marshal(m)
		if err != nil {
			data = nil
		}
		return &captured{recordedMessage: recordedMessage{Type: reflect.TypeOf(m).String(), JSON: data}}
	}
	c := &captured{recordedMessage: recordedMessage{Type: string(p.ProtoReflect().Descriptor().FullName())}}
	wire, err := proto.MarshalOptions{Deterministic: true, AllowPartial: true}.Marshal(p)
	if err != nil {
		return c
	}
	if x != nil && (len(wire) > x.BodyLimit() || !x.Reserve(len(wire))) {
		body := record.NewBody(wire, 0)
		c.Wire = &body
		return c
	}
	c.kind, c.wire = p.ProtoReflect().Type(), wire
	return c
}

func protoOf(m any) proto.Message {
	switch m := m.(type) {
	case proto.Message:
		return m
	case protoadapt.MessageV1:
		return protoadapt.MessageV2Of(m)
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (c *captured) MarshalJSON() ([]byte, error) {
	out := c.recordedMessage
	if c.kind != nil {
		if out.JSON = c.json(); out.JSON == nil {
			body := record.NewBody(c.wire, len(c.wire))
			out.Wire = &body
		}
	}
	return json.Marshal(out)
}

// json returns the message as JSON, nil when that would not hold all of it.
func (c *captured) json() []byte {
	m, again := c.kind.New().Interface(), c.kind.New().Interface()
	if proto.Unmarshal(c.wire, m) != nil {
		return nil
	}
	data, err := protojson.Marshal(m)
	if err != nil || protojson.Unmarshal(data, again) != nil || !proto.Equal(m, again) {
		return nil
	}
	return data
}

// into fills a message of the program. The error is execution.ErrDiverged.
func (r *recordedMessage) into(m any) error {
	err := r.decode(m)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", execution.ErrDiverged, r.Type, err)
	}
	return nil
}

func (r *recordedMessage) decode(m any) error {
	p := protoOf(m)
	switch {
	case r.Wire != nil && r.Wire.Truncated:
		return fmt.Errorf("the record has %d of its %d bytes", len(r.Wire.Data), r.Wire.Bytes)
	case p == nil:
		return json.Unmarshal(r.JSON, m)
	case r.Wire != nil:
		return proto.Unmarshal(r.Wire.Data, p)
	case r.JSON == nil:
		return fmt.Errorf("the record does not have it")
	}
	return protojson.UnmarshalOptions{DiscardUnknown: true, AllowPartial: true}.Unmarshal(r.JSON, p)
}

// document is a request or a response as records have it. Which fields are set depends on what it is.
type document struct {
	Method   string        `json:"method,omitempty"`
	Metadata metadata.MD   `json:"metadata,omitempty"`
	Timeout  time.Duration `json:"timeoutNs,omitempty"`
	TLS      bool          `json:"tls,omitempty"` // the call came over TLS
	Header   metadata.MD   `json:"header,omitempty"`
	Trailer  metadata.MD   `json:"trailer,omitempty"`
	Messages []*captured   `json:"messages,omitempty"`
	// Order of a stream that both sides write to: s for a message sent, r for one received, e for the end of what is received.
	Order string `json:"order,omitempty"`
}

// A live document is still filled. It marshals as it is at that moment.
type live struct {
	mu sync.Mutex
	document
}

// MarshalJSON implements json.Marshaler.
func (l *live) MarshalJSON() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.document
	out.Metadata, out.Header, out.Trailer = textOf(out.Metadata), textOf(out.Header), textOf(out.Trailer)
	return json.Marshal(out)
}

func (l *live) update(change func(d *document)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.document)
}

func (l *live) add(m *captured) {
	l.update(func(d *document) { d.Messages = append(d.Messages, m) })
}

func decodeDocument(p record.Payload) (*document, error) {
	d := &document{Header: metadata.MD{}, Trailer: metadata.MD{}} // as gRPC has them when there is nothing in them
	if len(p.Data) == 0 {
		return d, nil
	}
	if err := json.Unmarshal(p.Data, d); err != nil {
		return nil, err
	}
	for _, md := range []metadata.MD{d.Metadata, d.Header, d.Trailer} {
		for name, values := range md {
			for i := range values {
				if data, err := base64.StdEncoding.DecodeString(values[i]); err == nil && isBinary(name) {
					values[i] = string(data)
				}
			}
		}
	}
	return d, nil
}

func isBinary(name string) bool { return strings.HasSuffix(name, "-bin") }

// textOf returns metadata whose binary values are base64.
func textOf(md metadata.MD) metadata.MD {
	for name := range md {
		if !isBinary(name) {
			continue
		}
		md = md.Copy()
		for name, values := range md {
			for i := range values {
				if isBinary(name) {
					values[i] = base64.StdEncoding.EncodeToString([]byte(values[i]))
				}
			}
		}
		return md
	}
	return md
}

// identity is what makes a call the same as another.
type identity struct {
	Method   string      `json:"method"`
	Messages []*captured `json:"messages,omitempty"`
	Key      string      `json:"idempotencyKey,omitempty"`
}

// lazyIdentity is the identity of a call whose messages are still to come.
type lazyIdentity struct {
	request *live
	bare    bool // messages are compared in another way
}

// MarshalJSON implements json.Marshaler.
func (i lazyIdentity) MarshalJSON() ([]byte, error) {
	i.request.mu.Lock()
	defer i.request.mu.Unlock()
	out := identity{Method: i.request.Method, Messages: i.request.Messages, Key: first(i.request.Metadata, keyIdempotency)}
	if i.bare {
		out.Messages = nil
	}
	return json.Marshal(out)
}

func first(md metadata.MD, name string) string {
	if values := md.Get(name); len(values) > 0 {
		return values[0]
	}
	return ""
}
