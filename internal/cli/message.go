package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

// shown is a message as --json writes it.
type shown struct {
	Log       string            `json:"log"`
	Index     message.Index     `json:"index"`
	Time      string            `json:"time"` // when it was stored
	Type      string            `json:"type,omitempty"`
	Revision  int32             `json:"revision,omitempty"`
	ID        string            `json:"id"`
	Segment   int               `json:"segment"`
	Created   string            `json:"created"`
	Source    string            `json:"source,omitempty"`
	Target    string            `json:"target,omitempty"`
	RequestID *int32            `json:"requestId,omitempty"`
	Metadata  map[string]string `json:"metadata,omitempty"`
	Format    string            `json:"format,omitempty"`
	Payload   json.RawMessage   `json:"payload,omitempty"` // when it is JSON
	Text      string            `json:"text,omitempty"`    // when it is UTF-8, but not JSON
	Data      []byte            `json:"data,omitempty"`    // when it is neither
}

// show returns what to show of a message.
func show(log message.Log, m *message.Message) shown {
	s := shown{
		Log: log.String(), Index: m.Index, Time: m.Index.Time().Format(timeFormat), Type: m.Type, Revision: m.Revision,
		ID: m.MessageID(), Segment: m.RoutingSegment(), Created: milli(m.Timestamp), Source: m.Source, Target: m.Target,
		Metadata: m.Metadata, Format: m.Format,
	}
	if m.Request.Valid {
		s.RequestID = &m.Request.N
	}
	switch {
	case isJSON(m.Format) && json.Valid(m.Payload):
		s.Payload = m.Payload
	case utf8.Valid(m.Payload):
		s.Text = string(m.Payload)
	default:
		s.Data = m.Payload
	}
	return s
}

func isJSON(format string) bool { return format == "" || format == "application/json" }

// content is the payload on one line.
func (s shown) content() string {
	switch {
	case s.Payload != nil:
		var line bytes.Buffer
		if err := json.Compact(&line, s.Payload); err == nil {
			return line.String()
		}
	case s.Data != nil:
		return fmt.Sprintf("(%s)", plural(len(s.Data), "byte"))
	}
	return s.Text
}

// print writes a message on one line.
func (p *program) print(s shown) error {
	if p.json {
		return p.out.printJSON(s)
	}
	index := p.out.dim(fmt.Sprintf("%d  %s", s.Index, s.Time))
	return p.out.printf("%s  %s  %s\n", index, p.out.bold(s.Type), s.content())
}

// fromProto returns a message that was asked for with its payload raw.
func fromProto(m *fluxv1.Message) *message.Message {
	out := &message.Message{
		Type: m.GetType(), Revision: m.GetRevision(), Format: m.GetFormat(), Metadata: m.GetMetadata(), ID: m.GetId(),
		Timestamp: m.GetTimestamp(), Routed: m.Segment != nil, Segment: m.GetSegment(), Index: message.Index(m.GetIndex()),
		Payload: m.GetData(), Source: m.GetSource(), Target: m.GetTarget(),
	}
	if m.RequestId != nil {
		out.Request = message.NewRequestID(m.GetRequestId())
	}
	return out
}
