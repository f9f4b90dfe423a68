package schedule

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

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

// jumping is a clock that goes as fast as time does, from wherever it is set.
type jumping struct{ ahead atomic.Int64 }

func (c *jumping) now() time.Time       { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *jumping) jump(d time.Duration) { c.ahead.Add(int64(d)) }

// world is an engine with a running scheduler.
type world struct {
	testing.TB
	clock  jumping
	engine *engine.Engine
	stop   func()
}

func newWorld(t testing.TB, fs vfs.FS) *world {
	t.Helper()
	w := &world{TB: t}
	w.start(fs)
	return w
}

func (w *world) start(fs vfs.FS) {
	w.Helper()
	w.engine = open(w, engine.Options{FS: fs, Clock: w.clock.now})
	s := NewScheduler(w.engine, Options{Clock: w.clock.now})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx); err != nil {
			w.Error(err)
		}
	}()
	w.stop = func() {
		cancel()
		<-done
		if err := w.engine.Close(); err != nil {
			w.Error(err)
		}
	}
}

func block(t failer, payload string) []byte {
	t.Helper()
	var w message.BlockWriter
	if err := w.Add(&message.Message{Type: "S", Payload: []byte(payload), Timestamp: 1}); err != nil {
		t.Fatal(err)
	}
	return w.Seal(nil, message.Snappy)
}

func newPut(t failer, id string, due, now time.Time, payload string) *Put {
	t.Helper()
	p, err := NewPut(id, due, now, block(t, payload))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func propose(t failer, e *engine.Engine, in message.Namespace, ops ...engine.Operation) {
	t.Helper()
	if err := e.Propose(t.Context(), &engine.Transaction{Namespace: in, Operations: ops}); err != nil {
		t.Fatal(err)
	}
}

// put schedules a message whose payload is its id.
func (w *world) put(id string, due time.Time) {
	w.Helper()
	propose(w, w.engine, ns, newPut(w, id, due, w.clock.now(), id))
}

// fired is a message of the schedule log.
type fired struct {
	payload string
	index   message.Index
}

// log returns what the schedule log of a namespace has.
func log(t failer, e *engine.Engine, in message.Namespace) (all []fired) {
	t.Helper()
	entries, err := messagelog.New(e).Read(in, scheduleLog, message.Beginning, messagelog.Limit{Messages: 1 << 30, Bytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		index := entry.First
		for b, err := range message.Blocks(entry.Blocks) {
			if err != nil {
				t.Fatal(err)
			}
			messages, err := b.AppendMessages(nil, index)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range messages {
				all = append(all, fired{string(m.Payload), m.Index})
			}
			index += message.Index(b.Span())
		}
	}
	return all
}

// wantLog compares the payloads of the schedule log.
func (w *world) wantLog(want ...string) []fired {
	w.Helper()
	got := log(w, w.engine, ns)
	var payloads []string
	for _, f := range got {
		payloads = append(payloads, f.payload)
	}
	if fmt.Sprint(payloads) != fmt.Sprint(want) {
		w.Fatalf("log has %v, want %v", payloads, want)
	}
	return got
}
