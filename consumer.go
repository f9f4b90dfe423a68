package flux

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flux-go/flux/message"
)

// Consumer are the settings of a consumer: a named reader of logs that remembers how far it has come. All instances of an
// application share the work of a consumer, segment by segment. The zero value is an ordinary one.
//
// Messages are handled at least once: after a crash, and when segments move on from an instance that is too slow, the last
// batch may be handled again. See Atomic for more.
type Consumer struct {
	// From is where a consumer starts that has no position yet. Defaults to [Now].
	From Start
	// Until is the index before which the consumer ends; it handles no message from there on. Defaults to no end.
	Until message.Index
	// Trackers is how many messages are handled at the same time in this instance, each of another segment. Handlers are
	// called by as many goroutines. Defaults to 1, at most 128.
	Trackers int
	// MaxBatch is the most messages that are fetched, and whose position is stored, at once. Defaults to 1,024 for each of
	// the Trackers, at most 8,192.
	MaxBatch int
	// TypeFilter is a regular expression that must match the whole type of a message. Defaults to the types that have
	// handlers, and to everything when a handler takes whole logs.
	TypeFilter string

	// Atomic commits what the handlers of a batch publish, their answers to requests, and the position after the batch as
	// one transaction: all of it or, when the instance crashes or its segments have moved on, nothing. So each message has
	// its effect once, as long as that effect is in Flux. What a handler that failed had published is dropped. What goes
	// out at once all the same is what [Ask] and [App.Publisher] send.
	Atomic bool
	// Passive consumers look on: what their handlers return is not published. Errors are dealt with as usual.
	Passive bool
	// OnError says what happens after a handler has failed. Defaults to going on with the next message.
	OnError ErrorPolicy

	// Single leaves all segments to one tracker; other instances stand by.
	Single bool
	// IgnoreSegment gives every message to every instance.
	IgnoreSegment bool
	// FilterTarget leaves out messages that are meant for another client.
	FilterTarget bool
	// LoadIndex, when set, keeps the position of the consumer on this side: it returns the index of the last message that
	// was handled, and is asked each time the consumer connects. Flux then does not consult the position it has.
	LoadIndex func(context.Context) (message.Index, error)
	// PurgeTimeout is how long a batch may take before the segments go to another instance. Defaults to no limit: a crash
	// or a lost connection is noticed without it.
	PurgeTimeout time.Duration
}

// ErrorPolicy says what happens when a handler fails. In the end the error is logged, published to the error log and, when
// the message was a request, sent as its answer.
type ErrorPolicy struct {
	// Retries is how often a message is given to the handler again if the error is [Retryable]; -1 is for ever. Messages of
	// the same tracker wait meanwhile. Defaults to 0.
	Retries int
	// Backoff is the wait before the first retry. It doubles with each, up to a minute. Defaults to one second.
	Backoff time.Duration
	// Stop ends [App.Run] with the error, leaving the position before the batch.
	Stop bool
}

// Start is where a consumer starts that has no position yet.
type Start struct {
	set  bool
	last message.Index
}

var (
	// Now starts with what is published from one second ago on.
	Now = Start{}
	// Beginning starts with the oldest message.
	Beginning = Start{true, message.Beginning}
)

// At starts with what was published at a time or after it.
func At(t time.Time) Start { return Start{true, message.IndexAt(t) - 1} }

// AtIndex starts with the message at an index, or the next after it.
func AtIndex(index message.Index) Start { return Start{true, index - 1} }

// Handlers are the handlers of one consumer. Get them from [App.Consumer].
type Handlers struct {
	app      *App
	name     message.ConsumerName
	settings Consumer
	tables   map[message.Log]*handlerTable
}

// Registrar is where handlers can be registered: an [App], where those of each type of messages have a consumer together
// that is called NAME_TYPE with the name of the application, or the [Handlers] of a consumer of their own.
type Registrar interface {
	handlersFor(log message.Log) *Handlers
}

// Consumer returns a consumer to register handlers with. Its name is the same in all instances of the application, and
// unique among the consumers of a log.
func (a *App) Consumer(name message.ConsumerName, settings Consumer) *Handlers {
	if err := settings.validate(); err != nil {
		a.problem("consumer %s: %w", name, err)
	}
	return a.addConsumer(name, settings)
}

func (a *App) addConsumer(name message.ConsumerName, settings Consumer) *Handlers {
	h := &Handlers{app: a, name: name, settings: settings.withDefaults(), tables: make(map[message.Log]*handlerTable)}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.consumed = append(a.mu.consumed, h)
	return h
}

func (h *Handlers) handlersFor(message.Log) *Handlers { return h }

// handlersFor returns the default consumer of a type.
func (a *App) handlersFor(log message.Log) *Handlers {
	name := message.ConsumerName(a.config.Name + "_" + typeLabel(log.Type))
	a.mu.Lock()
	for _, h := range a.mu.consumed {
		if h.name == name {
			a.mu.Unlock()
			return h
		}
	}
	a.mu.Unlock()
	return a.addConsumer(name, Consumer{})
}

func (c Consumer) withDefaults() Consumer {
	c.Trackers = min(cmp.Or(c.Trackers, 1), message.Segments)
	c.MaxBatch = cmp.Or(c.MaxBatch, min(1024*c.Trackers, 8192))
	c.OnError.Backoff = cmp.Or(c.OnError.Backoff, time.Second)
	return c
}

func (c Consumer) validate() error {
	switch {
	case c.Trackers < 0:
		return fmt.Errorf("%d trackers", c.Trackers)
	case c.MaxBatch < 0:
		return fmt.Errorf("batches of %d messages", c.MaxBatch)
	case c.Atomic && c.LoadIndex != nil:
		return errors.New("an Atomic consumer commits the position that Flux keeps, so it has no LoadIndex")
	case c.OnError.Retries < -1:
		return fmt.Errorf("%d retries, use -1 for ever", c.OnError.Retries)
	}
	return nil
}
