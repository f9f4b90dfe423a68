package native

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/message"
)

// readMessage returns the message as the other packages know it.
func readMessage(in *fluxv1.Message) (message.Message, error) {
	payload, err := readPayload(in)
	if err != nil {
		return message.Message{}, err
	}
	m := message.Message{
		Type: in.GetType(), Revision: in.GetRevision(), Format: in.GetFormat(), Payload: payload, Metadata: in.GetMetadata(),
		ID: in.GetId(), Timestamp: in.GetTimestamp(), Source: in.GetSource(), Target: in.GetTarget(),
	}
	if in.RequestId != nil {
		m.Request = message.NewRequestID(in.GetRequestId())
	}
	switch {
	case in.Segment != nil && in.GetKey() != "":
		return m, invalid("message has both a segment and a key: use one of them")
	case in.Segment != nil:
		m.Routed, m.Segment = true, in.GetSegment()
	case in.GetKey() != "":
		m.Route(in.GetKey())
	}
	return m, nil
}

// readPayload returns the bytes of a payload: nil for none at all, compact text for a JSON value.
func readPayload(in *fluxv1.Message) ([]byte, error) {
	switch payload := in.GetPayload().(type) {
	case *fluxv1.Message_Data:
		if payload.Data == nil {
			return []byte{}, nil
		}
		return payload.Data, nil
	case *fluxv1.Message_Json:
		if !isJSON(in.GetFormat()) {
			return nil, invalid("payload given as json, but the format is %q: use data", in.GetFormat())
		}
		return compactJSON(payload.Json)
	}
	return nil, nil
}

func compactJSON(value *structpb.Value) ([]byte, error) {
	raw, err := protojson.Marshal(value)
	if err != nil {
		return nil, invalid("json payload: %v", err)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, raw); err != nil {
		return nil, invalid("json payload: %v", err)
	}
	return out.Bytes(), nil
}

// isJSON reports whether a media type says JSON; empty does.
func isJSON(format string) bool {
	format, _, _ = strings.Cut(format, ";")
	format = strings.ToLower(strings.TrimSpace(format))
	return format == "" || format == "application/json" || strings.HasSuffix(format, "+json")
}

// writeMessage returns the message as the schema has it, with its payload as data when it is to be raw, or is no JSON. It
// keeps the payload and the metadata.
func writeMessage(m *message.Message, raw bool) *fluxv1.Message {
	segment := int32(m.RoutingSegment())
	out := &fluxv1.Message{
		Type: validText(m.Type), Revision: m.Revision, Format: validText(m.Format), Metadata: validMetadata(m.Metadata),
		Id: validText(m.MessageID()), Timestamp: m.Timestamp, Segment: &segment, Index: int64(m.Index),
		Source: validText(m.Source), Target: validText(m.Target),
	}
	if m.Request.Valid {
		out.RequestId = &m.Request.N
	}
	if m.Payload == nil {
		return out
	}
	out.Payload = &fluxv1.Message_Data{Data: m.Payload}
	if raw {
		return out
	}
	if value, ok := jsonValue(m); ok {
		out.Payload = &fluxv1.Message_Json{Json: value}
	}
	return out
}

// validText replaces what is not UTF-8, which blocks may hold and the schema's strings may not.
func validText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func validMetadata(metadata map[string]string) map[string]string {
	for key, value := range metadata {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			out := make(map[string]string, len(metadata))
			for key, value := range metadata {
				out[validText(key)] = validText(value)
			}
			return out
		}
	}
	return metadata
}

// jsonValue returns the payload as a JSON value, unless it is something else or would lose digits: the numbers of the schema
// are of 64-bit floating point.
func jsonValue(m *message.Message) (*structpb.Value, bool) {
	if !isJSON(m.Format) || !utf8.Valid(m.Payload) {
		return nil, false
	}
	decoder := json.NewDecoder(bytes.NewReader(m.Payload))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, false
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, false
	}
	if value, ok := exactNumbers(value); ok {
		out, err := structpb.NewValue(value)
		return out, err == nil
	}
	return nil, false
}

// exactNumbers replaces the numbers of a decoded value by floating-point ones. It is not ok when one is too large or has
// more digits than those can hold.
func exactNumbers(value any) (any, bool) {
	switch value := value.(type) {
	case json.Number:
		return exactNumber(value)
	case []any:
		for i := range value {
			var ok bool
			if value[i], ok = exactNumbers(value[i]); !ok {
				return nil, false
			}
		}
	case map[string]any:
		for key := range value {
			var ok bool
			if value[key], ok = exactNumbers(value[key]); !ok {
				return nil, false
			}
		}
	}
	return value, true
}

// exactNumber compares the digits that were written with those of the shortest text that gives the same number again.
func exactNumber(n json.Number) (float64, bool) {
	f, err := n.Float64()
	return f, err == nil && significant(n.String()) == significant(strconv.FormatFloat(f, 'g', -1, 64))
}

// significant returns the digits of a number without zeros at either end.
func significant(number string) string {
	mantissa, _, _ := strings.Cut(strings.ToLower(number), "e")
	return strings.Trim(strings.Replace(mantissa, ".", "", 1), "-0")
}
