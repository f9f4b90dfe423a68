package flux

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/flux-go/flux/message"
)

// HandleCommand registers the handler of a type of commands. What it returns is the answer of who asked, be it a result or
// an error.
func HandleCommand[C commandFor[R], R any](on Registrar, handle func(context.Context, C) (R, error)) {
	register(on, message.Log{Type: message.Command}, answering(handle))
}

// HandleQuery registers the handler of a type of queries. What it returns is the answer of who asked, be it a result or an
// error.
func HandleQuery[Q queryFor[R], R any](on Registrar, handle func(context.Context, Q) (R, error)) {
	register(on, message.Log{Type: message.Query}, answering(handle))
}

// HandleRequest registers the handler of a type of requests in any log that has requests, such as that of a custom topic.
func HandleRequest[Q Request[R], R any](on Registrar, log message.Log, handle func(context.Context, Q) (R, error)) {
	register(on, log, answering(handle))
}

// HandleEvent registers a handler of a type of events. A type of events may have several; they are called in the order in
// which they were registered.
func HandleEvent[E any](on Registrar, handle func(context.Context, E) error) {
	Handle(on, message.Log{Type: message.Event}, handle)
}

// HandleNotification registers a handler of a type of events that is called in every instance of the application, and
// begins afresh each time the application starts: for caches, and for what is shown to people who watch.
func HandleNotification[E any](on Registrar, handle func(context.Context, E) error) {
	Handle(on, message.Log{Type: message.Notification}, handle)
}

// HandleCustom registers a handler of a type of messages of a custom topic.
func HandleCustom[V any](on Registrar, topic string, handle func(context.Context, V) error) {
	Handle(on, message.Log{Type: message.Custom, Topic: topic}, handle)
}

// HandleDocument registers a handler of the documents of a collection, which is called with each new version.
func HandleDocument[D any](on Registrar, collection string, handle func(context.Context, D) error) {
	Handle(on, message.Log{Type: message.Document, Topic: collection}, handle)
}

// HandleSchedule registers a handler of a type of schedules that are due.
func HandleSchedule[V any](on Registrar, handle func(context.Context, V) error) {
	Handle(on, message.Log{Type: message.Schedule}, handle)
}

// HandleResult registers a handler that looks on as results of a type are published, whoever asked.
func HandleResult[R any](on Registrar, handle func(context.Context, R) error) {
	Handle(on, message.Log{Type: message.Result}, handle)
}

// HandleMetrics registers a handler of a type of metrics.
func HandleMetrics[M any](on Registrar, handle func(context.Context, M) error) {
	Handle(on, message.Log{Type: message.Metrics}, handle)
}

// HandleError registers a handler of the errors of all handlers of the namespace. [Current] knows the message that failed by
// its metadata: $correlationId, $trigger and $triggerType.
func HandleError(on Registrar, handle func(context.Context, *Error) error) {
	Handle(on, message.Log{Type: message.Error}, func(ctx context.Context, e Error) error { return handle(ctx, &e) })
}

// Handle registers a handler of a type of messages of any log.
func Handle[V any](on Registrar, log message.Log, handle func(context.Context, V) error) {
	register(on, log, handler{kind: kindOf(reflect.TypeFor[V]()).name, call: func(ctx context.Context, m *message.Message) (any, error) {
		v, err := decode[V](m)
		if err != nil {
			return nil, err
		}
		return nil, handle(ctx, v)
	}})
}

// HandleRaw registers a handler of all messages of a log, of whatever type, as they are: the fastest way to read. A message
// lies in memory that is used again: it must not be kept, or changed, after the handler has returned.
func HandleRaw(on Registrar, log message.Log, handle func(context.Context, *message.Message) error) {
	register(on, log, handler{raw: true, call: func(ctx context.Context, m *message.Message) (any, error) {
		return nil, handle(ctx, m)
	}})
}

// handler is a registered handler.
type handler struct {
	kind    string // of payloads; with raw, all
	raw     bool
	answers bool
	call    func(context.Context, *message.Message) (any, error)
}

func answering[Q, R any](handle func(context.Context, Q) (R, error)) handler {
	call := func(ctx context.Context, m *message.Message) (any, error) {
		q, err := decode[Q](m)
		if err != nil {
			return nil, err
		}
		return handle(ctx, q)
	}
	return handler{kind: kindOf(reflect.TypeFor[Q]()).name, answers: true, call: call}
}

// decode returns the payload of a message. No payload is the zero value. It decodes as encoding/json does, with the engine
// that is to become that of encoding/json and takes half the time.
func decode[V any](m *message.Message) (v V, err error) {
	if m.Payload == nil {
		return v, nil
	}
	if m.Format != "" && m.Format != jsonFormat {
		return v, fmt.Errorf("%w: %s has format %s, this handler reads JSON", ErrBadRequest, m.Type, m.Format)
	}
	if err := jsonv1.Unmarshal(m.Payload, &v); err != nil {
		return v, fmt.Errorf("%w: %s: %w", ErrBadRequest, m.Type, err)
	}
	return v, nil
}

const jsonFormat = "application/json"

// handlerTable is the handlers of a consumer for one log.
type handlerTable struct {
	log    message.Log
	byKind map[string][]handler
	raw    []handler
}

func register(on Registrar, log message.Log, h handler) {
	handlers := on.handlersFor(log)
	a := handlers.app
	if err := log.Validate(); err != nil {
		a.problem("handler of %s: %w", h.kind, err)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	table := handlers.tables[log]
	if table == nil {
		table = &handlerTable{log: log, byKind: make(map[string][]handler)}
		handlers.tables[log] = table
	}
	if problem := table.add(h); problem != nil {
		a.mu.problems = append(a.mu.problems, fmt.Errorf("consumer %s of %s: %w", handlers.name, log, problem))
	}
}

func (t *handlerTable) add(h handler) error {
	if h.raw {
		t.raw = append(t.raw, h)
		return nil
	}
	known := t.byKind[h.kind]
	if h.answers && len(known) > 0 {
		return fmt.Errorf("two handlers would answer %s", h.kind)
	}
	t.byKind[h.kind] = append(known, h)
	return nil
}

// handlersOf returns the handlers of a message of a type, in the order in which they are called.
func (t *handlerTable) handlersOf(kind string) []handler { return slices.Concat(t.byKind[kind], t.raw) }

// plain reports whether all handlers take whole logs and answer nothing.
func (t *handlerTable) plain() bool {
	return len(t.byKind) == 0 && !slices.ContainsFunc(t.raw, func(h handler) bool { return h.answers })
}

// typeFilter returns the regular expression of the types that have handlers, or the empty one for all.
func (t *handlerTable) typeFilter() string {
	if len(t.raw) > 0 {
		return ""
	}
	var quoted []string
	for _, kind := range slices.Sorted(maps.Keys(t.byKind)) {
		quoted = append(quoted, regexp.QuoteMeta(kind))
	}
	return strings.Join(quoted, "|")
}
