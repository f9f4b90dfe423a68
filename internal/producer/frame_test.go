package producer

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// frame sends transactions with these numbers, each of which appends a message; those of refused come on a condition that does
// not hold.
func (s *store) frame(id ID, answered uint64, numbers []uint64, refused ...uint64) []*Once {
	s.t.Helper()
	f := &Frame{Producer: id}
	for _, n := range numbers {
		operations := []engine.Operation{s.newAppend(1)}
		if slices.Contains(refused, n) {
			never, nowhere := s.newAppend(1), message.Index(-7)
			never.IfLast = &nowhere
			operations = append(operations, never)
		}
		f.Transactions = append(f.Transactions, &Once{Producer: id, Sequence: n, AnsweredThrough: answered, Operations: operations})
	}
	if err := s.try(f); err != nil {
		s.t.Fatal(err)
	}
	return f.Transactions
}

func TestTransactionsOfAFrameAreRefusedAlone(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	sent := s.frame(ID{1}, 0, []uint64{1, 2, 3, 4}, 2, 4)
	for i, o := range sent {
		if refused := i%2 == 1; refused != errors.Is(o.Refused, engine.ErrConflict) || !refused && o.Refused != nil {
			t.Errorf("number %d: %v", o.Sequence, o.Refused)
		}
	}
	if got := s.messages(); got != 2 || sent[2].Firsts[0] != sent[0].Firsts[0]+1 {
		t.Errorf("log has %d messages, results %v and %v, want 2 in a row", got, sent[0].Firsts, sent[2].Firsts)
	}
	s.reopen()
	again := s.frame(ID{1}, 0, []uint64{1, 2, 3, 4}, 4)
	for i, want := range []bool{true, false, true, false} {
		if o := again[i]; o.Duplicate != want || want && !slices.Equal(o.Firsts, sent[i].Firsts) {
			t.Errorf("number %d again: duplicate %v with %v, first %v", o.Sequence, o.Duplicate, o.Firsts, sent[i].Firsts)
		}
	}
	if got := s.messages(); got != 3 {
		t.Errorf("log has %d messages, want that of number 2 besides", got)
	}
}

func TestFrameWithoutEffectWritesNothing(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	if o := s.frame(ID{1}, 0, []uint64{0, 1}, 1); !errors.Is(o[0].Refused, ErrBadSequence) || !errors.Is(o[1].Refused, engine.ErrConflict) {
		t.Errorf("refused: %v, %v", o[0].Refused, o[1].Refused)
	}
	view := s.View()
	defer view.Close()
	if raw, err := view.Get(producerKey(ns, ID{1})); raw != nil || err != nil {
		t.Errorf("state %x (%v)", raw, err)
	}
}

func TestFrameReportsADamagedState(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	if err := s.try(damage(ID{2})); err != nil {
		t.Fatal(err)
	}
	f := &Frame{Producer: ID{2}, Transactions: []*Once{{Producer: ID{2}, Sequence: 1}}}
	if err := s.try(f); !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("frame: %v, want ErrCorrupt", err)
	}
}

// TestFramesDoWhatSingleTransactionsDo sends the same transactions to two producers, alone to one and in frames to the other,
// again and again in random pieces, and wants the same outcomes and the same state.
func TestFramesDoWhatSingleTransactionsDo(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	var run uint32
	rapid.Check(t, func(t *rapid.T) {
		run++
		alone, framed := ID{1}, ID{2}
		binary.LittleEndian.PutUint32(alone[1:], run)
		binary.LittleEndian.PutUint32(framed[1:], run)
		answered := uint64(0)
		for range rapid.IntRange(1, 10).Draw(t, "frames") {
			first := answered + rapid.Uint64Range(1, 4).Draw(t, "first")
			var numbers, refused []uint64
			for n := range rapid.Uint64Range(1, 5).Draw(t, "transactions") {
				numbers = append(numbers, first+n)
				if rapid.Bool().Draw(t, "refused") {
					refused = append(refused, first+n)
				}
			}
			together := s.frame(framed, answered, numbers, refused...)
			for i, n := range numbers {
				single := s.frame(alone, answered, []uint64{n}, refused...)[0]
				if got := together[i]; got.Duplicate != single.Duplicate || len(got.Firsts) != len(single.Firsts) ||
					(got.Refused == nil) != (single.Refused == nil) {
					t.Fatalf("number %d in a frame: %+v, alone: %+v", n, got, single)
				}
			}
			answered = rapid.Uint64Range(answered, first-1).Draw(t, "answered")
		}
	})
}
