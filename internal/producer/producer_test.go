package producer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/message"
)

const ns = message.DefaultNamespace

var events = message.Log{Type: message.Event}

type store struct {
	*engine.Engine
	t     *testing.T
	logs  *messagelog.Logs
	fs    *vfs.MemFS
	milli *atomic.Int64
}

func openStore(t *testing.T) *store {
	s := &store{t: t, fs: vfs.NewMem(), milli: new(atomic.Int64)}
	s.open()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *store) open() {
	s.t.Helper()
	e, err := engine.Open("store", engine.Options{FS: s.fs, Clock: s.now})
	if err != nil {
		s.t.Fatal(err)
	}
	s.Engine, s.logs = e, messagelog.New(e)
}

func (s *store) now() time.Time { return time.UnixMilli(s.milli.Load()) }

func (s *store) reopen() {
	s.t.Helper()
	if err := s.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.open()
}

func (s *store) newAppend(count int) *messagelog.Append {
	s.t.Helper()
	var w message.BlockWriter
	for range count {
		if err := w.Add(&message.Message{Payload: []byte("x")}); err != nil {
			s.t.Fatal(err)
		}
	}
	a, err := messagelog.NewAppend(events, w.Seal(nil, message.NoCompression))
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *store) try(ops ...engine.Operation) error {
	return s.Propose(context.Background(), &engine.Transaction{Namespace: ns, Operations: ops})
}

// once sends a transaction that appends count messages, and returns it as it was answered.
func (s *store) once(id ID, sequence, answered uint64, count int) *Once {
	s.t.Helper()
	o := &Once{Producer: id, Sequence: sequence, AnsweredThrough: answered, Operations: []engine.Operation{s.newAppend(count)}}
	if err := s.try(o); err != nil {
		s.t.Fatal(err)
	}
	return o
}

func (s *store) messages() uint64 {
	s.t.Helper()
	head, err := s.logs.Head(ns, events)
	if err != nil {
		s.t.Fatal(err)
	}
	return head.Messages
}

func TestResentTransactionIsAnsweredAndNotRepeated(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	id, other := ID{1}, ID{2}
	first, second := s.once(id, 1, 0, 3), s.once(id, 2, 0, 2)
	for _, reopen := range []bool{false, true} {
		if reopen {
			s.reopen()
		}
		for _, sent := range []*Once{first, second} {
			again := s.once(id, sent.Sequence, 0, 7)
			if !again.Duplicate || !slices.Equal(again.Firsts, sent.Firsts) || len(again.Firsts) != 1 {
				t.Errorf("number %d again: duplicate %v, results %v, want %v", sent.Sequence, again.Duplicate, again.Firsts, sent.Firsts)
			}
		}
		if got := s.messages(); got != 5 {
			t.Errorf("log has %d messages, want 5", got)
		}
	}
	if o := s.once(other, 1, 0, 1); o.Duplicate {
		t.Error("the number of one producer counts for another")
	}
}

func TestAnsweredResultsAreForgotten(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	for sequence := uint64(1); sequence <= 5; sequence++ {
		s.once(ID{}, sequence, sequence-1, 1)
	}
	if again := s.once(ID{}, 4, 0, 1); !again.Duplicate || again.Firsts != nil {
		t.Errorf("answered number: duplicate %v, results %v, want a duplicate without", again.Duplicate, again.Firsts)
	}
	if again := s.once(ID{}, 5, 4, 1); !again.Duplicate || len(again.Firsts) != 1 {
		t.Errorf("number not answered: duplicate %v, results %v, want a duplicate with its result", again.Duplicate, again.Firsts)
	}
}

// TestRefusedTransactionMayBeSentAgain refuses one of three transactions that are on the way together. The producer cannot
// know which was refused when its connection drops, and sends all again.
func TestRefusedTransactionMayBeSentAgain(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	first := s.once(ID{}, 1, 0, 1)
	never := s.newAppend(1)
	never.IfLast = new(message.Index)
	refused := &Once{Sequence: 2, Operations: []engine.Operation{s.newAppend(1), never}}
	if err := s.try(refused); !errors.Is(err, engine.ErrConflict) {
		t.Fatalf("append on a condition that does not hold: %v, want ErrConflict", err)
	}
	third := s.once(ID{}, 3, 0, 1)
	if got := s.messages(); got != 2 {
		t.Errorf("log has %d messages, want 2", got)
	}
	s.reopen()
	for _, sent := range []*Once{first, third} {
		if again := s.once(ID{}, sent.Sequence, 0, 1); !again.Duplicate || !slices.Equal(again.Firsts, sent.Firsts) {
			t.Errorf("number %d again: duplicate %v, results %v, want %v", sent.Sequence, again.Duplicate, again.Firsts, sent.Firsts)
		}
	}
	second := s.once(ID{}, 2, 0, 1)
	if second.Duplicate || second.Firsts[0] != third.Firsts[0]+1 {
		t.Errorf("refused number again: duplicate %v, results %v, want a new message", second.Duplicate, second.Firsts)
	}
	if again := s.once(ID{}, 2, 0, 1); !again.Duplicate || !slices.Equal(again.Firsts, second.Firsts) {
		t.Errorf("number 2 once more: duplicate %v, results %v, want %v", again.Duplicate, again.Firsts, second.Firsts)
	}
}

func TestTransactionWithoutAppendsHasNoResultsToForget(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	for _, want := range []bool{false, true} {
		o := &Once{Sequence: 1}
		if err := s.try(o); err != nil || o.Duplicate != want || len(o.Firsts) != 0 {
			t.Errorf("empty transaction: %v, duplicate %v, results %v", err, o.Duplicate, o.Firsts)
		}
	}
}

func TestSequenceZeroIsRefused(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	if err := s.try(&Once{Operations: []engine.Operation{s.newAppend(1)}}); !errors.Is(err, ErrBadSequence) {
		t.Errorf("number 0: %v, want ErrBadSequence", err)
	}
	if got := s.messages(); got != 0 {
		t.Errorf("log has %d messages, want none", got)
	}
}

func TestIdleProducersAreForgottenUnlessTheyComeBack(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	idle := func() *engine.Transaction {
		view := s.View()
		defer view.Close()
		tx, err := Idle(view, ns, s.now())
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}
	for i := range byte(3) {
		s.once(ID{i}, 1, 0, 1)
	}
	s.milli.Add(IdleTime.Milliseconds() - 1)
	if tx := idle(); tx != nil {
		t.Errorf("%d producers are idle too early", len(tx.Operations))
	}
	s.once(ID{0}, 2, 1, 1)
	s.milli.Add(1)
	tx := idle()
	if tx == nil || len(tx.Operations) != 2 {
		t.Fatalf("idle: %v, want two producers", tx)
	}
	s.once(ID{1}, 2, 0, 1) // comes back before it is forgotten
	if err := s.Propose(context.Background(), tx); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, true, false} {
		if o := s.once(ID{byte(i)}, 1, 0, 1); o.Duplicate != want {
			t.Errorf("producer %d is remembered: %v, want %v", i, o.Duplicate, want)
		}
	}
}

// damage writes a value that does not decode.
type damage ID

func (damage) SizeBytes() int { return 1 }
func (d damage) Apply(tx *engine.Tx) error {
	tx.Set(producerKey(tx.Namespace(), ID(d)), []byte{0x80})
	return nil
}

func TestDamagedStatesAreErrors(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	s.once(ID{1}, 1, 0, 1)
	if err := s.try(damage(ID{2})); err != nil {
		t.Fatal(err)
	}
	if err := s.try(&Once{Producer: ID{2}, Sequence: 1}); !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("Once: %v, want ErrCorrupt", err)
	}
	view := s.View()
	defer view.Close()
	if _, err := Idle(view, ns, s.now()); !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("Idle: %v, want ErrCorrupt", err)
	}
	figures, err := view.Verify(context.Background(), []engine.Check{NewCheck(), messagelog.NewCheck()}, nil)
	if err != nil || figures.Found != 1 || !strings.Contains(figures.Problems[0].String(), "producer state") {
		t.Errorf("problems %v (%v), want one", figures.Problems, err)
	}
}
