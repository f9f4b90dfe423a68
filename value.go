package flux

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"reflect"

	"connectrpc.com/connect"
	jsonv1 "github.com/go-json-experiment/json/v1"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// PutValue puts a value under a key, over the one that may be there, and returns when it is on disk. It takes effect at once,
// also in a handler of an atomic consumer.
func PutValue(ctx context.Context, app *App, key string, value any) error {
	_, err := app.putValue(ctx, key, value, false)
	return err
}

// PutValueIfAbsent puts a value under a key unless there is one, and reports whether it did.
func PutValueIfAbsent(ctx context.Context, app *App, key string, value any) (bool, error) {
	return app.putValue(ctx, key, value, true)
}

func (a *App) putValue(ctx context.Context, key string, value any, ifAbsent bool) (bool, error) {
	v := &fluxv1.Value{}
	if value != nil {
		k := kindOf(reflect.TypeOf(value))
		data, err := json.Marshal(value)
		if err != nil {
			return false, fmt.Errorf("%w: %s: %w", ErrBadRequest, k.name, err)
		}
		v.Type, v.Revision, v.Payload = k.name, k.revision, &fluxv1.Value_Data{Data: data}
	}
	put := &fluxv1.ValuePut{Key: key, Value: v, IfAbsent: ifAbsent}
	return a.effect(ctx, &fluxv1.Transaction{Values: []*fluxv1.ValuePut{put}})
}

// GetValue returns the value of a key, and whether there is one: what was put last, or later, when it was called. It is asked
// again after a lost connection, and returns [ErrUnavailable] soon when there is no other.
func GetValue[V any](ctx context.Context, app *App, key string) (value V, found bool, err error) {
	v, err := app.getValue(ctx, key)
	if err != nil || v == nil {
		return value, false, err
	}
	value, err = decodeValue[V](key, v)
	return value, err == nil, err
}

func (a *App) getValue(ctx context.Context, key string) (*fluxv1.Value, error) {
	if !a.records(ctx) {
		return a.values.read(ctx, key)
	}
	op := execution.Op{Target: "values", Shape: "get", Effect: record.EffectRead, Request: &operationRequest{Key: key}}
	recorded, err := operate(ctx, a, op, func(c *execution.Call) (recordedItem, error) {
		v, err := a.values.read(ctx, key)
		return newRecordedItem(c.Execution(), &fluxv1.Item{Key: key, Value: v}), err
	})
	if err != nil {
		return nil, err
	}
	item, err := recorded.item()
	return item.GetValue(), err
}

func decodeValue[V any](key string, v *fluxv1.Value) (value V, err error) {
	if v.GetPayload() == nil {
		return value, nil
	}
	if format := v.GetFormat(); format != "" && format != jsonFormat {
		return value, fmt.Errorf("%w: value of %s has format %s, not JSON", ErrBadRequest, key, format)
	}
	if err := jsonv1.Unmarshal(v.GetData(), &value); err != nil {
		return value, fmt.Errorf("%w: value of %s: %w", ErrBadRequest, key, err)
	}
	return value, nil
}

// DeleteValue removes the value of a key and reports whether there was one.
func DeleteValue(ctx context.Context, app *App, key string) (bool, error) {
	return app.effect(ctx, &fluxv1.Transaction{DeletedValues: []string{key}})
}

// Item is a value with its key.
type Item[V any] struct {
	Key   string
	Value V
}

// ListValues returns the values whose keys begin with a prefix, in the order of the bytes of their keys. It ends with the
// first error.
func ListValues[V any](ctx context.Context, app *App, prefix string) iter.Seq2[Item[V], error] {
	return func(yield func(Item[V], error) bool) {
		after := ""
		for more := true; more; {
			page, rest, err := app.itemPage(ctx, prefix, after)
			if err != nil {
				yield(Item[V]{}, err)
				return
			}
			for _, in := range page {
				value, err := decodeValue[V](in.GetKey(), in.GetValue())
				if !yield(Item[V]{in.GetKey(), value}, err) || err != nil {
					return
				}
				after = in.GetKey()
			}
			more = rest
		}
	}
}

func (a *App) itemPage(ctx context.Context, prefix, after string) (page []*fluxv1.Item, more bool, err error) {
	if !a.records(ctx) {
		return a.itemPageNow(ctx, prefix, after)
	}
	op := execution.Op{
		Target: "values", Shape: "list", Effect: record.EffectRead, Request: &operationRequest{Prefix: prefix, AfterKey: after},
	}
	recorded, err := operate(ctx, a, op, func(c *execution.Call) (recordedItems, error) {
		page, more, err := a.itemPageNow(ctx, prefix, after)
		out := recordedItems{More: more}
		for _, in := range page {
			out.Values = append(out.Values, newRecordedItem(c.Execution(), in))
		}
		return out, err
	})
	for i := range recorded.Values {
		in, bad := recorded.Values[i].item()
		if bad != nil {
			return nil, false, bad
		}
		page = append(page, in)
	}
	return page, recorded.More, err
}

// recordedItems is a page of values as records have it.
type recordedItems struct {
	Values []recordedItem `json:"values"`
	More   bool           `json:"more,omitempty"`
}

func (a *App) itemPageNow(ctx context.Context, prefix, after string) (page []*fluxv1.Item, more bool, err error) {
	request := &fluxv1.ListValuesRequest{Prefix: prefix, MaxSize: 1000, Raw: true, After: after}
	answer, err := a.conn.values.ListValues(ctx, connect.NewRequest(request))
	if err != nil {
		return nil, false, ofServer(err)
	}
	return answer.Msg.GetValues(), answer.Msg.GetMore(), nil
}
