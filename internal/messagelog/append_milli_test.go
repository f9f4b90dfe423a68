package messagelog_test

import (
	"slices"
	"testing"
	"time"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/message"
)

// TestAppendsTellTheirOwnTime appends, in one group, messages of earlier times with gaps between them, one that says a time
// after that of the group, and one whose time other messages have taken. Indexes are read from the store, not from memory.
func TestAppendsTellTheirOwnTime(t *testing.T) {
	t.Parallel()
	e, err := engine.OpenMemory(engine.Options{Clock: func() time.Time { return time.UnixMilli(1000) }})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	log := message.Log{Type: message.Schedule}
	tx := &engine.Transaction{Namespace: message.DefaultNamespace}
	for _, milli := range []int64{500, 500, 700, 5000, 600} {
		a, err := messagelog.NewAppend(log, block(t))
		if err != nil {
			t.Fatal(err)
		}
		a.Milli = milli
		tx.Operations = append(tx.Operations, a)
	}
	if err := e.Propose(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	var got []message.Index
	entries, err := messagelog.New(e).Read(tx.Namespace, log, message.Beginning, messagelog.Limit{Messages: 100, Bytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		for i := e.First; i <= e.Last; i++ {
			got = append(got, i)
		}
	}
	at := message.IndexAtMilli
	if want := []message.Index{at(500), at(500) + 1, at(700), at(1000), at(1000) + 1}; !slices.Equal(got, want) {
		t.Errorf("indexes are %d, want %d", got, want)
	}
}

// block returns a block of one message.
func block(t testing.TB) []byte {
	var w message.BlockWriter
	if err := w.Add(&message.Message{Type: "T", Payload: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	return w.Seal(nil, message.Snappy)
}
