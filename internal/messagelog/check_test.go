package messagelog

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

// TestCheckFindsDamage writes what only a bug or a damaged disk would, and looks for what Verify says about it.
func TestCheckFindsDamage(t *testing.T) {
	t.Parallel()
	entry := func(last message.Index) []byte { return engine.AppendUint64(messagePrefix(ns, events), uint64(last)) }
	blocks := block(t, "a", "b")
	for _, test := range []struct {
		name string
		// damage returns keys to write over a log that has two messages, each its own entry, of which last is the second.
		damage func(last message.Index) []engine.Operation
		want   string
	}{
		{"nothing", func(message.Index) []engine.Operation { return nil }, ""},
		{"head that does not decode", func(message.Index) []engine.Operation {
			return []engine.Operation{setKey{headKey(ns, events), []byte{1}}}
		}, "log head 01"},
		{"entry that is no block", func(last message.Index) []engine.Operation {
			return []engine.Operation{setKey{entry(last), []byte("hello")}}
		}, "not a message block"},
		{"block with a changed byte", func(last message.Index) []engine.Operation {
			changed := bytes.Clone(block(t, "x"))
			changed[len(changed)-1] ^= 1
			return []engine.Operation{setKey{entry(last), changed}}
		}, "checksum"},
		{"entries that overlap", func(last message.Index) []engine.Operation {
			return []engine.Operation{setKey{entry(last), blocks}}
		}, "but the entry before it ends at"},
		{"entry beyond the head", func(last message.Index) []engine.Operation {
			return []engine.Operation{setKey{entry(last + 7), blocks}}
		}, "but its head says"},
		{"entry that is missing", func(last message.Index) []engine.Operation {
			return []engine.Operation{deleteKey(entry(last))}
		}, "only, but its head says"},
		{"head that is missing", func(message.Index) []engine.Operation {
			return []engine.Operation{deleteKey(headKey(ns, events))}
		}, "no head"},
		{"head with too few messages", func(last message.Index) []engine.Operation {
			head := Head{Last: last, Truncated: message.Beginning, Messages: 1, Bytes: 1 << 20}
			return []engine.Operation{setKey{headKey(ns, events), head.encode()}}
		}, "has 2 messages"},
		{"truncation beyond the end", func(last message.Index) []engine.Operation {
			head := Head{Last: last, Truncated: last + 1, Messages: 2, Bytes: 1 << 20}
			return []engine.Operation{setKey{headKey(ns, events), head.encode()}}
		}, "beyond the last index"},
		{"entry that should be truncated", func(last message.Index) []engine.Operation {
			head := Head{Last: last, Truncated: last - 1, Messages: 2, Bytes: 1 << 20}
			return []engine.Operation{setKey{headKey(ns, events), head.encode()}}
		}, "lies before the truncation"},
		{"key of no family", func(message.Index) []engine.Operation {
			return []engine.Operation{setKey{[]byte("public\x00?"), []byte{1}}}
		}, "unknown family"},
		{"family that nobody checks", func(message.Index) []engine.Operation {
			return []engine.Operation{setKey{append(engine.AppendKey(nil, ns, engine.FamilyProducer), 1), []byte{1}}}
		}, "no check knows this family"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t)
			s.append(t, events, "a")
			last := s.append(t, events, "b")
			if ops := test.damage(last); len(ops) > 0 {
				s.do(t, ops...)
			}
			problems := s.problems(t)
			found := slices.ContainsFunc(problems, func(p engine.Problem) bool { return strings.Contains(p.String(), test.want) })
			if found != (test.want != "") || len(problems) > 0 && !found {
				t.Errorf("problems %q, want %q", problems, test.want)
			}
		})
	}
}

func TestCheckCountsAndTellsProgress(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	const n = 10_000
	var w message.BlockWriter
	ops := make([]engine.Operation, n)
	for i := range ops {
		if err := w.Add(&message.Message{Payload: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		ops[i] = setKey{engine.AppendUint64(messagePrefix(ns, events), uint64(i)), w.Seal(nil, message.NoCompression)}
	}
	s.do(t, append(ops, setKey{headKey(ns, events), Head{Last: n - 1, Truncated: -1, Messages: n, Bytes: 1 << 30}.encode()})...)
	check, calls := NewCheck(), 0
	view := s.View()
	defer view.Close()
	figures, err := view.Verify(background, []engine.Check{check}, func(f engine.Figures) {
		if calls++; f.Keys == 0 || f.Keys > n+1 || f.Bytes == 0 {
			t.Errorf("progress %+v", f)
		}
	})
	if err != nil || figures.Found != 0 || figures.Keys != n+1 || figures.Families["message"] != n || figures.Families["head"] != 1 {
		t.Errorf("figures %+v (%v)", figures, err)
	}
	if check.Logs != 1 || check.Messages != n || calls == 0 {
		t.Errorf("%d logs, %d messages, %d calls of progress", check.Logs, check.Messages, calls)
	}
}

type deleteKey []byte

func (d deleteKey) SizeBytes() int { return len(d) }
func (d deleteKey) Apply(tx *engine.Tx) error {
	tx.Delete(d)
	return nil
}
