package native

import (
	"errors"
	"fmt"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// codec reads and writes the messages of the schema.
//
// What cannot be read is reported by the interceptor, which can say more than Connect would. For it to get there, codec
// gives Connect an empty message that carries the fault; see [fault].
type codec struct {
	name      string
	appendTo  func([]byte, proto.Message) ([]byte, error)
	unmarshal func([]byte, proto.Message) error
}

var _ connect.Codec = codec{}

// codecs replaces those of Connect under their names. JSON is strict here: a field with a typing mistake that is skipped
// would be a request that means something else. Protobuf has no names to mistype, and newer clients may send more.
func codecs() []connect.HandlerOption {
	var options []connect.HandlerOption
	for _, c := range []codec{
		{"proto", proto.MarshalOptions{}.MarshalAppend, proto.Unmarshal},
		{"json", protojson.MarshalOptions{}.MarshalAppend, unmarshalJSON},
		{"json; charset=utf-8", protojson.MarshalOptions{}.MarshalAppend, unmarshalJSON},
	} {
		options = append(options, connect.WithCodec(c))
	}
	return options
}

func unmarshalJSON(data []byte, m proto.Message) error {
	if len(data) == 0 {
		return errors.New("empty body: send a JSON object, {} at least")
	}
	return protojson.Unmarshal(data, m)
}

func (c codec) Name() string { return c.name }

func (c codec) Marshal(m any) ([]byte, error) { return c.MarshalAppend(nil, m) }

// MarshalAppend lets Connect use its memory again.
func (c codec) MarshalAppend(dst []byte, m any) ([]byte, error) {
	typed, ok := m.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no message of the schema", m)
	}
	return c.appendTo(dst, typed)
}

func (c codec) Unmarshal(data []byte, m any) error {
	typed, ok := m.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no message of the schema", m)
	}
	if err := c.unmarshal(data, typed); err != nil {
		proto.Reset(typed)
		setFault(typed, err)
	}
	return nil
}

// faultField is the number of an unknown field that no schema uses: the highest there is.
const faultField = protowire.Number(1<<29 - 1)

func setFault(m proto.Message, err error) {
	raw := protowire.AppendTag(nil, faultField, protowire.BytesType)
	m.ProtoReflect().SetUnknown(protowire.AppendString(raw, err.Error()))
}

// fault returns why a message could not be read, or nil.
func fault(m any) error {
	typed, ok := m.(proto.Message)
	if !ok {
		return nil
	}
	raw := typed.ProtoReflect().GetUnknown()
	if len(raw) == 0 {
		return nil
	}
	number, _, n := protowire.ConsumeTag(raw)
	if number != faultField {
		return nil
	}
	text, _ := protowire.ConsumeString(raw[n:])
	// The protobuf module varies the space after "proto:", lest somebody rely on it.
	text = strings.TrimLeft(strings.TrimPrefix(text, "proto:"), " \u00a0")
	return invalid("%s", text)
}
