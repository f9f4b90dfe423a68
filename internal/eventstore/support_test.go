package eventstore

import (
	"context"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/message"
)

const ns = message.DefaultNamespace

// failer is what testing.TB and rapid.T have in common.
type failer interface {
	Helper()
	Context() context.Context
	Fatal(args ...any)
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

func setup(t testing.TB) (*engine.Engine, *Streams) {
	t.Helper()
	e := open(t, engine.Options{})
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e, New(e)
}

func commit(t failer, e *engine.Engine, ops ...engine.Operation) error {
	return e.Propose(t.Context(), &engine.Transaction{Namespace: ns, Operations: ops})
}

func propose(t failer, e *engine.Engine, ops ...engine.Operation) {
	t.Helper()
	if err := commit(t, e, ops...); err != nil {
		t.Fatal(err)
	}
}

// block returns a block with one event for each payload.
func block(t failer, payloads ...string) []byte {
	t.Helper()
	var w message.BlockWriter
	for _, payload := range payloads {
		if err := w.Add(&message.Message{Type: "E", Payload: []byte(payload)}); err != nil {
			t.Fatal(err)
		}
	}
	return w.Seal(nil, message.Snappy)
}

func newAppend(t failer, aggregate string, storeOnly bool, payloads ...string) *Append {
	t.Helper()
	a, err := NewAppend(aggregate, block(t, payloads...), storeOnly)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// numbered returns n payloads that tell their place.
func numbered(n int) []string {
	payloads := make([]string, n)
	for i := range payloads {
		payloads[i] = fmt.Sprint(i)
	}
	return payloads
}

// event is what tests compare of an event.
type event struct {
	payload string
	index   message.Index
}

func eventsOf(messages []message.Message) []event {
	all := make([]event, len(messages))
	for i, m := range messages {
		all[i] = event{string(m.Payload), m.Index}
	}
	return all
}

func read(t failer, s *Streams, aggregate string, after Sequence, limit Limit) ([]event, Page) {
	t.Helper()
	page, err := s.Read(ns, aggregate, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := page.AppendMessages(nil, new(message.BlockReader))
	if err != nil {
		t.Fatal(err)
	}
	return eventsOf(messages), page
}

// readAll returns all events of an aggregate.
func readAll(t failer, s *Streams, aggregate string) []event {
	t.Helper()
	events, page := read(t, s, aggregate, Before, Limit{Events: 1 << 20})
	if page.More || int(page.Last)+1 != len(events) {
		t.Fatal("a page without limits has ", len(events), " events, the last one ", page.Last, ", more ", page.More)
	}
	return events
}

var eventLog = message.Log{Type: message.Event}

// published returns what the event log has.
func published(t failer, e *engine.Engine) []event {
	t.Helper()
	entries, err := messagelog.New(e).Read(ns, eventLog, message.Beginning, messagelog.Limit{Messages: 1 << 20, Bytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	var messages []message.Message
	for _, entry := range entries {
		index, before := entry.First, len(messages)
		for b, err := range message.Blocks(entry.Blocks) {
			if err == nil {
				messages, err = b.AppendMessages(messages, index)
			}
			if err != nil {
				t.Fatal(err)
			}
			index += message.Index(b.Span())
		}
		messages = append(messages[:before], messages[before+entry.Skip:]...)
	}
	return eventsOf(messages)
}
