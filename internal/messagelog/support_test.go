package messagelog

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

const ns = message.DefaultNamespace

var (
	events = message.Log{Type: message.Event}
	prices = message.Log{Type: message.Custom, Topic: "prices"}
)

// failer is what testing.TB and rapid.T have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// fakeClock is a clock that stands still until it is set.
type fakeClock struct{ milli atomic.Int64 }

func (c *fakeClock) now() time.Time { return time.UnixMilli(c.milli.Load()) }

// store is an engine on a file system in memory, with a clock that starts at 1000 ms.
type store struct {
	*engine.Engine
	logs  *Logs
	fs    *vfs.MemFS
	clock *fakeClock
}

func newStore(t failer) *store {
	s := &store{fs: vfs.NewMem(), clock: new(fakeClock)}
	s.clock.milli.Store(1000)
	s.open(t)
	return s
}

func (s *store) open(t failer) {
	t.Helper()
	e, err := engine.Open("store", engine.Options{FS: s.fs, Clock: s.clock.now, MemTableBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	s.Engine, s.logs = e, New(e)
}

func (s *store) reopen(t failer) {
	t.Helper()
	s.close(t)
	s.open(t)
}

func (s *store) close(t failer) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func openStore(t *testing.T) *store {
	s := newStore(t)
	t.Cleanup(func() { s.close(t) })
	return s
}

func (s *store) do(t failer, ops ...engine.Operation) {
	t.Helper()
	if err := s.try(ops...); err != nil {
		t.Fatal(err)
	}
}

func (s *store) try(ops ...engine.Operation) error {
	done := make(chan error, 1)
	tx := &engine.Transaction{Namespace: ns, Operations: ops}
	if err := s.Submit(background, tx, func(err error) { done <- err }); err != nil {
		return err
	}
	return <-done
}

// append appends a block of messages with the payloads and returns the index of the first.
func (s *store) append(t failer, log message.Log, payloads ...string) message.Index {
	t.Helper()
	a := newAppend(t, log, block(t, payloads...))
	s.do(t, a)
	return a.First
}

func newAppend(t failer, log message.Log, blocks []byte) *Append {
	t.Helper()
	a, err := NewAppend(log, blocks)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func block(t failer, payloads ...string) []byte {
	t.Helper()
	var w message.BlockWriter
	for _, p := range payloads {
		if err := w.Add(&message.Message{Payload: []byte(p), Timestamp: 1}); err != nil {
			t.Fatal(err)
		}
	}
	return w.Seal(nil, message.NoCompression)
}

// text writes entries as "index=payload", for each message that they show.
func text(t failer, entries []Entry) []string {
	t.Helper()
	all := []string{}
	for _, e := range entries {
		first, from := e.First, e.First+message.Index(e.Skip)
		for b, err := range message.Blocks(e.Blocks) {
			var messages []message.Message
			if err == nil {
				messages, err = b.AppendMessages(nil, first)
			}
			if err != nil {
				t.Fatal(err)
			}
			if e.Skip >= b.Span() && first == e.First {
				t.Fatalf("entry of %d to %d skips %d messages, all of its first block", e.First, e.Last, e.Skip)
			}
			for _, m := range messages {
				if m.Index >= from {
					all = append(all, fmt.Sprintf("%d=%s", m.Index, m.Payload))
				}
			}
			first += message.Index(b.Span())
		}
		if first != e.Last+1 {
			t.Fatalf("entry of %d to %d has blocks up to %d", e.First, e.Last, first-1)
		}
	}
	return all
}

var unlimited = Limit{Messages: 1 << 30, Bytes: 1 << 30}

// readAll reads a log from after to its end, in steps of a limit, and returns it as text does.
func readAll(t failer, read func(after message.Index, limit Limit) ([]Entry, error), after message.Index, limit Limit) []string {
	t.Helper()
	all := []string{}
	for {
		entries, err := read(after, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			return all
		}
		all = append(all, text(t, entries)...)
		after = entries[len(entries)-1].Last
	}
}

func (s *store) fromLogs(log message.Log) func(message.Index, Limit) ([]Entry, error) {
	return func(after message.Index, limit Limit) ([]Entry, error) { return s.logs.Read(ns, log, after, limit) }
}

func (s *store) fromView(log message.Log) func(message.Index, Limit) ([]Entry, error) {
	return func(after message.Index, limit Limit) ([]Entry, error) {
		view := s.View()
		defer view.Close()
		return read(view, ns, log.Stored(), after, limit)
	}
}

func (s *store) head(t failer, log message.Log) Head {
	t.Helper()
	head, err := s.logs.Head(ns, log)
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// problems verifies the logs of the store.
func (s *store) problems(t failer) []engine.Problem {
	t.Helper()
	view := s.View()
	defer view.Close()
	figures, err := view.Verify(background, []engine.Check{NewCheck()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return figures.Problems
}
