package flux

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/flux-go/flux/message"
)

// Named is implemented by payloads that choose the name of their type, such as those of services in other languages. Without
// it the name is that of the package and the type, "shop.OrderPlaced". It is called on zero values too.
type Named interface{ FluxType() string }

// Revised is implemented by payloads with a revision other than 0. It is called on zero values too.
type Revised interface{ FluxRevision() int32 }

// Routed is implemented by payloads that choose their routing key. Messages with equal keys are handled in order. Without it
// the key is the field with the tag `flux:"routing"`, and without that, messages are spread evenly. The empty key is none.
type Routed interface{ RoutingKey() string }

// kind is what there is to know of a type of payloads.
type kind struct {
	name     string
	revision int32
	routing  []int // the index of the field with the routing key; nil for none
}

var kinds sync.Map // reflect.Type → kind

func kindOf(t reflect.Type) kind {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if known, ok := kinds.Load(t); ok {
		return known.(kind)
	}
	k := kind{name: t.String()}
	zero := reflect.New(t).Interface()
	if named, ok := zero.(Named); ok {
		k.name = named.FluxType()
	}
	if revised, ok := zero.(Revised); ok {
		k.revision = revised.FluxRevision()
	}
	if t.Kind() == reflect.Struct {
		for _, field := range reflect.VisibleFields(t) {
			if field.Tag.Get("flux") == "routing" && field.IsExported() {
				k.routing = field.Index
				break
			}
		}
	}
	kinds.Store(t, k)
	return k
}

// routingKey returns the routing key of a payload, empty for none.
func (k kind) routingKey(payload any) string {
	if routed, ok := payload.(Routed); ok {
		return routed.RoutingKey()
	}
	if k.routing == nil {
		return ""
	}
	v := reflect.ValueOf(payload)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	field, err := v.FieldByIndexErr(k.routing)
	if err != nil {
		return "" // in an embedded struct that is nil
	}
	return keyText(field)
}

func keyText(v reflect.Value) string {
	if v.Kind() == reflect.String {
		return v.String()
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		if text, err := m.MarshalText(); err == nil {
			return string(text)
		}
	}
	return fmt.Sprint(v.Interface())
}

// typeLabel is how consumers name a type of messages.
func typeLabel(t message.Type) string { return strings.ToUpper(t.String()) }
