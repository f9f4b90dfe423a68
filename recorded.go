package flux

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/message"
)

// recordedPayload is a payload as records have it: JSON as it is, so that it can be redacted by its fields, and anything else
// as a body.
type recordedPayload struct {
	Type     string          `json:"type,omitempty"`
	Revision int32           `json:"revision,omitempty"`
	Format   string          `json:"format,omitempty"`
	Payload  json.RawMessage `json:"payload,omitempty"`
	Body     *record.Body    `json:"body,omitempty"` // what is not JSON, or too large to be kept whole
}

// newRecordedPayload returns a payload as a part of the record of x, which is nil for the start of the process. It does not copy.
func newRecordedPayload(x *execution.Execution, kind string, revision int32, format string, data []byte) recordedPayload {
	r := recordedPayload{Type: kind, Revision: revision, Format: format}
	limit := len(data)
	if x != nil {
		if limit = min(limit, x.BodyLimit()); !x.Reserve(limit) {
			limit = 0
		}
	}
	switch {
	case data == nil:
	case limit == len(data) && (format == "" || format == jsonFormat) && json.Valid(data):
		r.Payload = data
	default:
		body := record.NewBody(data, limit)
		r.Body = &body
	}
	return r
}

// data returns the payload. The error is execution.ErrDiverged when the record does not have all of it.
func (r *recordedPayload) data() ([]byte, error) {
	switch {
	case r.Body == nil && r.Payload == nil:
		return nil, nil
	case r.Body == nil:
		return r.Payload, nil
	case r.Body.Truncated:
		return nil, fmt.Errorf("%w: the record has %d of %d bytes of a %s", execution.ErrDiverged, len(r.Body.Data), r.Body.Bytes, r.Type)
	}
	return r.Body.Data, nil
}

// recordedMessage is a message as records have it.
type recordedMessage struct {
	recordedPayload
	Metadata  map[string]string `json:"metadata,omitempty"`
	ID        string            `json:"id,omitempty"`
	Timestamp int64             `json:"timestamp,omitempty"` // ms since the Unix epoch
	Segment   *int32            `json:"segment,omitempty"`
	Index     message.Index     `json:"index,omitempty"`
	Source    string            `json:"source,omitempty"`
	Target    string            `json:"target,omitempty"`
	Request   *int32            `json:"request,omitempty"`
}

// newRecordedMessage returns a message as a part of the record of x. It shares memory with the message.
func newRecordedMessage(x *execution.Execution, m *message.Message) *recordedMessage {
	r := &recordedMessage{
		recordedPayload: newRecordedPayload(x, m.Type, m.Revision, m.Format, m.Payload),
		Metadata:        m.Metadata, ID: m.MessageID(), Timestamp: m.Timestamp, Index: m.Index, Source: m.Source, Target: m.Target,
	}
	if m.Routed {
		r.Segment = new(m.Segment)
	}
	if m.Request.Valid {
		r.Request = new(m.Request.N)
	}
	return r
}

// identity returns what makes a message the same as another that was published: not what each publication has of its own.
func (r *recordedMessage) identity() *recordedMessage {
	same := &recordedMessage{recordedPayload: r.recordedPayload, Segment: r.Segment, Target: r.Target}
	same.Metadata = maps.Clone(r.Metadata)
	maps.DeleteFunc(same.Metadata, func(key, _ string) bool {
		return strings.HasPrefix(key, "$") && key != metaUser
	})
	return same
}

func (r *recordedMessage) message() (*message.Message, error) {
	data, err := r.data()
	if err != nil {
		return nil, err
	}
	m := &message.Message{
		Type: r.Type, Revision: r.Revision, Format: r.Format, Payload: data, Metadata: r.Metadata, ID: r.ID, Timestamp: r.Timestamp,
		Index: r.Index, Source: r.Source, Target: r.Target,
	}
	if r.Segment != nil {
		m.Routed, m.Segment = true, *r.Segment
	}
	if r.Request != nil {
		m.Request = message.NewRequestID(*r.Request)
	}
	return m, nil
}

// recordedItem is a value of a key as records have it.
type recordedItem struct {
	recordedPayload
	Key   string `json:"key"`
	Found bool   `json:"found,omitempty"`
}

func newRecordedItem(x *execution.Execution, in *fluxv1.Item) recordedItem {
	v := in.GetValue()
	out := recordedItem{Key: in.GetKey(), Found: v != nil}
	if v.GetPayload() != nil {
		data := v.GetData()
		if data == nil {
			data = []byte{}
		}
		out.recordedPayload = newRecordedPayload(x, v.GetType(), v.GetRevision(), v.GetFormat(), data)
	}
	return out
}

func (r *recordedItem) item() (*fluxv1.Item, error) {
	item := &fluxv1.Item{Key: r.Key}
	if !r.Found {
		return item, nil
	}
	data, err := r.data()
	if err != nil {
		return nil, err
	}
	item.Value = &fluxv1.Value{Type: r.Type, Revision: r.Revision, Format: r.Format}
	if data != nil {
		item.Value.Payload = &fluxv1.Value_Data{Data: data}
	}
	return item, nil
}
