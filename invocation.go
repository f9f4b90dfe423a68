package flux

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/message"
)

// Invocation is one call of a handler: what its context knows. Get it from [Current].
type Invocation struct {
	context.Context

	session *session
	batch   *batch
	message *message.Message
	copied  message.Message // what message points to, unless it points into memory of the batch

	execution *execution.Execution // of this call, nil when it is not recorded
	first     record.ID            // of the first try of this message, when this one is another
	attempt   int                  // from 1; 0 before the first that is recorded
	handler   int                  // that is called, among those of the message

	mu      sync.Mutex
	over    bool
	outputs []output // of an atomic consumer
	unit    string   // of the operations that made them
}

type invocationKey struct{}

// Value implements context.Context.
func (i *Invocation) Value(key any) any {
	if key == (invocationKey{}) {
		return i
	}
	return i.Context.Value(key)
}

// Current returns the call of a handler that ctx comes from, nil outside of handlers.
func Current(ctx context.Context) *Invocation {
	i, _ := ctx.Value(invocationKey{}).(*Invocation)
	return i
}

// Message returns the message that is handled. It must not be changed. Its payload is valid until the handler returns; with
// [HandleRaw] that is true of the whole message.
func (i *Invocation) Message() *message.Message { return i.message }

// Log returns the log that the message was read from.
func (i *Invocation) Log() message.Log { return i.session.table.log }

// Consumer returns the name of the consumer.
func (i *Invocation) Consumer() message.ConsumerName { return i.session.name }

// Tracker returns the id of the tracker that was given the message.
func (i *Invocation) Tracker() string { return i.session.id }

// Segments returns the segments that this tracker has.
func (i *Invocation) Segments() message.SegmentRange { return i.batch.segments }

// User returns the user on whose behalf the message was published, see [WithUser].
func (i *Invocation) User() string { return i.message.Metadata[metaUser] }

// keep adds messages to the outputs of an atomic consumer, and returns false when they are to be published at once.
func (i *Invocation) keep(log message.Log, messages []*message.Message) bool {
	if !i.session.Atomic {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.over {
		return false
	}
	for _, m := range messages {
		i.outputs = append(i.outputs, output{log, m})
	}
	return true
}

// hold makes the batch wait for something that is published, until the function that it returns is called. That is nil when
// the handler has returned already.
func (i *Invocation) hold() func(error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.over {
		return nil
	}
	b := i.batch
	b.pending.Add(1)
	return func(error) { i.session.done(b) }
}

// drop forgets what was kept.
func (i *Invocation) drop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.outputs = nil
}

// close ends the invocation and returns what was kept.
func (i *Invocation) close() []output {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.over = true
	return i.outputs
}

// answer publishes the answer to a request, if one is wanted.
func (i *Invocation) answer(result any, failure error) error {
	request := i.message
	if !request.Request.Valid {
		return nil
	}
	log := i.session.table.log.Type
	m, err := answerMessage(log, result, failure)
	if err != nil || m == nil {
		return err
	}
	m.Target, m.Request = request.Source, request.Request
	return i.tell(message.Log{Type: answerType(log)}, m)
}

// tell publishes what becomes of a message. That is no part of its execution: the handler has returned.
func (i *Invocation) tell(log message.Log, m *message.Message) error {
	i.session.app.correlateMessage(i, m)
	_, err := i.session.app.publishNow(i, log, []*message.Message{m}, None)
	return err
}

// answerMessage returns the message of a result, or of a failure. Web requests know errors of their own.
func answerMessage(log message.Type, result any, failure error) (*message.Message, error) {
	if failure != nil && log == message.WebRequest {
		return webError(http.StatusInternalServerError, http.StatusText(http.StatusInternalServerError)), nil
	}
	if failure != nil {
		m, err := newMessage(published(failure), nil)
		if err == nil {
			m.Type = errorKind
		}
		return m, err
	}
	if m, ok := result.(*message.Message); ok {
		return m, nil
	}
	m, err := newMessage(result, nil)
	if err != nil {
		return answerMessage(log, nil, err)
	}
	return m, nil
}

// The keys of metadata that correlate messages. Source: section 3.2 of the Flux Capacitor protocol.
const (
	metaClientID      = "$clientId"
	metaClientName    = "$clientName"
	metaConsumer      = "$consumer"
	metaTracker       = "$tracker"
	metaCorrelationID = "$correlationId"
	metaTraceID       = "$traceId"
	metaTrigger       = "$trigger"
	metaTriggerType   = "$triggerType"
	metaTrace         = "$trace."
	metaTraceParent   = "$trace.traceparent" // of the W3C, from the HTTP request that it all began with
	metaUser          = "$user"
)

type userKey struct{}

// WithUser returns a context with which messages are published on behalf of a user. Handlers of them publish on behalf of
// the same user.
func WithUser(ctx context.Context, user string) context.Context {
	return context.WithValue(ctx, userKey{}, user)
}

// Correlation returns the metadata that messages published with ctx get: which client publishes them and, in a handler,
// which message made it do so, as part of what trace.
func (a *App) Correlation(ctx context.Context) map[string]string {
	metadata := make(map[string]string, 8)
	a.correlate(ctx, metadata)
	return metadata
}

func (a *App) correlateMessage(ctx context.Context, m *message.Message) {
	if m.Metadata == nil {
		m.Metadata = make(map[string]string, 8)
	}
	a.correlate(ctx, m.Metadata)
	if m.ID == "" && a.records(ctx) {
		m.ID = randomID() // so that the record can name it
	}
}

// correlate adds the correlation to metadata, over entries of the same names.
func (a *App) correlate(ctx context.Context, metadata map[string]string) {
	metadata[metaClientID], metadata[metaClientName] = a.config.ClientID, a.config.Name
	if i := Current(ctx); i != nil {
		i.correlate(metadata)
	}
	if user, ok := ctx.Value(userKey{}).(string); ok {
		metadata[metaUser] = user
	}
	if x := execution.FromContext(ctx); x != nil {
		metadata[metaExecution] = x.ID().String()
		if trace := x.Trace(); trace != "" {
			metadata[metaTraceParent] = trace
		}
	}
}

func (i *Invocation) correlate(metadata map[string]string) {
	m := i.message
	id := strconv.FormatInt(int64(m.Index), 10)
	metadata[metaConsumer], metadata[metaTracker] = string(i.session.name), i.session.id
	metadata[metaCorrelationID], metadata[metaTraceID] = id, id
	metadata[metaTrigger] = m.Type
	metadata[metaTriggerType] = typeLabel(i.session.table.log.Type)
	if trace := m.Metadata[metaTraceID]; trace != "" {
		metadata[metaTraceID] = trace
	}
	if user := m.Metadata[metaUser]; user != "" && metadata[metaUser] == "" {
		metadata[metaUser] = user
	}
	for key, value := range m.Metadata {
		if strings.HasPrefix(key, metaTrace) {
			metadata[key] = value
		}
	}
}

// cloneMetadata returns a copy to add to, also of nil.
func cloneMetadata(metadata map[string]string) map[string]string {
	if metadata == nil {
		return make(map[string]string, 8)
	}
	return maps.Clone(metadata)
}
