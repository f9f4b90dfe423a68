package capacitor

import (
	"github.com/flux-go/flux/internal/capacitor/wire"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/keyvalue"
)

// values serves the values under keys.
type values struct{ *socket }

func (v *values) flush() {}

func (v *values) handle(r wire.Request) error {
	switch r := r.(type) {
	case *wire.StoreValues:
		return v.store(r)
	case *wire.StoreValueIfAbsent:
		return v.storeIfAbsent(r)
	case *wire.DeleteValue:
		return v.submit(&r.Base, &keyvalue.Delete{Key: r.Key})
	case *wire.GetValue:
		v.briefly(&r.Base, func() ([]byte, error) { return v.get(r) })
		return nil
	}
	return v.unsupported(r)
}

func (v *values) store(r *wire.StoreValues) error {
	operations := make([]engine.Operation, len(r.Pairs))
	for i, pair := range r.Pairs {
		op, err := newPut(pair)
		if err != nil {
			return err
		}
		operations[i] = op
	}
	return v.submit(&r.Base, operations...)
}

func newPut(p wire.Pair) (*keyvalue.Put, error) {
	d := p.Value
	return keyvalue.NewPut(p.Key, keyvalue.Value{Type: d.Type, Revision: d.Revision, Format: d.Format, Data: d.Value})
}

func (v *values) storeIfAbsent(r *wire.StoreValueIfAbsent) error {
	op, err := newPut(r.Pair)
	if err != nil {
		return err
	}
	op.IfAbsent = true
	return v.submitThen(func(err error) {
		switch {
		case err != nil:
			v.end(&r.Base, err)
		case op.Stored:
			v.endWith(&r.Base, answeredTrue)
		default:
			v.endWith(&r.Base, answeredFalse)
		}
	}, op)
}

func (v *values) get(r *wire.GetValue) ([]byte, error) {
	found, ok, err := v.handler.Values.Get(v.namespace, r.Key)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return v.result(&r.Base).AppendValue(nil, nil), nil
	}
	d := wire.Data{Value: found.Data, Type: found.Type, Revision: found.Revision, Format: found.Format}
	return v.result(&r.Base).AppendValue(nil, &d), nil
}
