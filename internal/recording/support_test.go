package recording

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

const ns = message.DefaultNamespace

// failer is what testing.TB and rapid.T have in common.
type failer interface {
	Helper()
	Context() context.Context
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func open(t failer, o engine.Options) *engine.Engine {
	t.Helper()
	if o.FS == nil {
		o.FS = vfs.NewMem()
	}
	e, err := engine.Open("store", o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// world is an engine with its executions.
type world struct {
	*testing.T
	e *engine.Engine
	x *Executions
}

func newWorld(t *testing.T) *world {
	t.Helper()
	e := open(t, engine.Options{})
	t.Cleanup(func() {
		wantSound(t, e)
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return &world{t, e, New(e)}
}

func propose(t failer, e *engine.Engine, ops ...engine.Operation) {
	t.Helper()
	if err := try(t, e, ops...); err != nil {
		t.Fatal(err)
	}
}

func try(t failer, e *engine.Engine, ops ...engine.Operation) error {
	return e.Propose(t.Context(), &engine.Transaction{Namespace: ns, Operations: ops})
}

// start is when the executions of tests started, unless they need another time.
var start = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// request returns an execution that went well.
func request(id byte, path string) *record.Execution {
	return &record.Execution{
		ID: record.ID{0: id, 6: 0x40, 8: 0x80}, Service: "shop", Start: start.Add(time.Duration(id) * time.Second),
		Trigger: record.Trigger{Kind: record.TriggerHTTP, Method: "POST", Route: "POST /orders/{id}", Path: path},
		Status:  record.StatusOK, HTTPStatus: 200, Duration: 20 * time.Millisecond,
	}
}

// failing makes an execution one that failed.
func failing(x *record.Execution, text string) *record.Execution {
	x.Status, x.HTTPStatus = record.StatusError, 500
	x.Error = &record.Error{
		Class: record.ClassApp, Message: text, Type: "*errors.errorString",
		Frames: []record.Frame{{Function: "shop.place", File: "shop/place.go", Line: 12}},
	}
	return x
}

func newRecord(t failer, x *record.Execution) *Record {
	t.Helper()
	r, err := NewRecord(record.Append(nil, x))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (w *world) record(all ...*record.Execution) {
	w.Helper()
	for _, x := range all {
		propose(w, w.e, newRecord(w, x))
	}
}

// list returns the first bytes of the ids of the executions that pass a filter.
func (w *world) list(f *Filter) (ids []byte) {
	w.Helper()
	for cursor := ""; ; {
		page, err := w.x.List(ns, f, cursor, 2)
		if err != nil {
			w.Fatal(err)
		}
		for _, item := range page.Items {
			ids = append(ids, item.ID[0])
		}
		if cursor = page.Next; cursor == "" {
			return ids
		}
	}
}

func (w *world) wantList(f *Filter, ids ...byte) {
	w.Helper()
	if got := w.list(f); string(got) != string(ids) {
		w.Errorf("%+v picks %v, want %v", *f, got, ids)
	}
}

// problems returns what the check says about a store.
func problems(t failer, e *engine.Engine) []engine.Problem {
	t.Helper()
	view := e.View()
	defer view.Close()
	figures, err := view.Verify(t.Context(), []engine.Check{NewCheck()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return figures.Problems
}

func wantSound(t testing.TB, e *engine.Engine) {
	t.Helper()
	view := e.View()
	defer view.Close()
	figures, err := view.Verify(context.Background(), []engine.Check{NewCheck()}, nil)
	if err != nil || figures.Found > 0 {
		t.Errorf("check finds %v (%v)", figures.Problems, err)
	}
}

func payload(t failer, value any) record.Payload {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return record.Payload{Data: data}
}
