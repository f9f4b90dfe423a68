package native

import (
	"context"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/internal/keyvalue"
	"github.com/flux-go/flux/message"
)

// keyValueService serves fluxv1connect.KeyValueServiceHandler.
type keyValueService struct {
	*Service
	values *keyvalue.Values
}

// maxKeys bounds the keys of one GetValues.
const maxKeys = 1000

func putOperation(in *fluxv1.ValuePut) (*keyvalue.Put, error) {
	value, err := readValue(in.GetValue())
	if err != nil {
		return nil, err
	}
	op, err := keyvalue.NewPut(in.GetKey(), value)
	if err == nil {
		op.IfAbsent = in.GetIfAbsent()
	}
	return op, err
}

// readValue returns the value as the other packages know it. Its payload is like that of messages.
func readValue(in *fluxv1.Value) (keyvalue.Value, error) {
	m := &fluxv1.Message{Format: in.GetFormat()}
	switch payload := in.GetPayload().(type) {
	case *fluxv1.Value_Data:
		m.Payload = &fluxv1.Message_Data{Data: payload.Data}
	case *fluxv1.Value_Json:
		m.Payload = &fluxv1.Message_Json{Json: payload.Json}
	}
	data, err := readPayload(m)
	return keyvalue.Value{Type: in.GetType(), Revision: in.GetRevision(), Format: in.GetFormat(), Data: data}, err
}

// writeValue is the counterpart of readValue.
func writeValue(v *keyvalue.Value, raw bool) *fluxv1.Value {
	out := &fluxv1.Value{Type: validText(v.Type), Revision: v.Revision, Format: validText(v.Format)}
	if v.Data == nil {
		return out
	}
	out.Payload = &fluxv1.Value_Data{Data: v.Data}
	if raw {
		return out
	}
	if value, ok := jsonValue(&message.Message{Format: v.Format, Payload: v.Data}); ok {
		out.Payload = &fluxv1.Value_Json{Json: value}
	}
	return out
}

// PutValue serves the procedure of this name.
func (s keyValueService) PutValue(
	ctx context.Context, r *connect.Request[fluxv1.PutValueRequest],
) (*connect.Response[fluxv1.PutValueResponse], error) {
	op, err := putOperation(r.Msg.GetPut())
	if err != nil {
		return nil, err
	}
	if err := s.propose(ctx, op); err != nil {
		return nil, err
	}
	return connect.NewResponse(&fluxv1.PutValueResponse{Stored: op.Stored}), nil
}

// GetValues serves the procedure of this name.
func (s keyValueService) GetValues(
	ctx context.Context, r *connect.Request[fluxv1.GetValuesRequest],
) (*connect.Response[fluxv1.GetValuesResponse], error) {
	keys := r.Msg.GetKeys()
	if len(keys) > maxKeys {
		return nil, invalid("%d keys: use up to %d", len(keys), maxKeys)
	}
	for _, key := range keys {
		if err := keyvalue.ValidateKey(key); err != nil {
			return nil, err
		}
	}
	values, err := s.values.GetAll(namespaceOf(ctx), keys)
	if err != nil {
		return nil, err
	}
	out := &fluxv1.GetValuesResponse{}
	for i, value := range values {
		item := &fluxv1.Item{Key: keys[i]}
		if value != nil {
			item.Value = writeValue(value, r.Msg.GetRaw())
		}
		out.Values = append(out.Values, item)
	}
	return connect.NewResponse(out), nil
}

// DeleteValue serves the procedure of this name.
func (s keyValueService) DeleteValue(
	ctx context.Context, r *connect.Request[fluxv1.DeleteValueRequest],
) (*connect.Response[fluxv1.DeleteValueResponse], error) {
	op := &keyvalue.Delete{Key: r.Msg.GetKey()}
	if err := s.propose(ctx, op); err != nil {
		return nil, err
	}
	return connect.NewResponse(&fluxv1.DeleteValueResponse{Deleted: op.Deleted}), nil
}

// ListValues serves the procedure of this name.
func (s keyValueService) ListValues(
	ctx context.Context, r *connect.Request[fluxv1.ListValuesRequest],
) (*connect.Response[fluxv1.ListValuesResponse], error) {
	size, err := sizeIn(r.Msg.GetMaxSize(), defaultReadSize)
	if err != nil {
		return nil, err
	}
	limit := keyvalue.Limit{Items: size, Bytes: maxReadBytes}
	page, err := s.values.List(namespaceOf(ctx), r.Msg.GetPrefix(), r.Msg.GetAfter(), limit)
	if err != nil {
		return nil, err
	}
	out := &fluxv1.ListValuesResponse{More: page.More}
	for i := range page.Items {
		item := &page.Items[i]
		out.Values = append(out.Values, &fluxv1.Item{Key: validText(item.Key), Value: writeValue(&item.Value, r.Msg.GetRaw())})
	}
	return connect.NewResponse(out), nil
}
