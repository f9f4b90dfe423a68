package messagelog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

var background = context.Background()

// TestLogsAgreeWithModel appends to and truncates two logs in random transactions, reopens the store, and lets the clock jump
// either way. It compares reads from memory and from the store with lists of messages.
func TestLogsAgreeWithModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newStore(t)
		defer func() { s.close(t) }()
		s.logs.tails.maxBytes = rapid.SampledFrom([]int{0, 1000, 5000, maxTailBytes}).Draw(t, "tail bytes")
		m := &logsModel{store: s, logs: map[message.Log]*logModel{events: {last: -1}, prices: {last: -1}}}
		t.Repeat(map[string]func(*rapid.T){
			"transaction": m.transaction,
			"clock": func(t *rapid.T) {
				s.clock.milli.Store(rapid.Int64Range(990, 1010).Draw(t, "milli"))
			},
			"reopen": func(t *rapid.T) {
				tailBytes := s.logs.tails.maxBytes
				s.reopen(t)
				s.logs.tails.maxBytes = tailBytes
			},
			"": m.compare,
		})
		if problems := s.problems(t); len(problems) > 0 {
			t.Fatalf("problems %v", problems)
		}
	})
}

type logsModel struct {
	store *store
	logs  map[message.Log]*logModel
	count int
}

type logModel struct {
	indexes  []message.Index
	payloads []string
	last     message.Index
}

func (l *logModel) after(index message.Index) []string {
	all := []string{}
	for i := range l.indexes {
		if l.indexes[i] > index {
			all = append(all, fmt.Sprintf("%d=%s", l.indexes[i], l.payloads[i]))
		}
	}
	return all
}

func (l *logModel) truncate(through message.Index) {
	for len(l.indexes) > 0 && l.indexes[0] <= through {
		l.indexes, l.payloads = l.indexes[1:], l.payloads[1:]
	}
}

func drawLog(t *rapid.T) message.Log {
	return rapid.SampledFrom([]message.Log{events, prices}).Draw(t, "log")
}

// transaction commits some operations, which may work on the same log, and then does the same to the model, with the
// indexes that the appends were given.
func (m *logsModel) transaction(t *rapid.T) {
	var ops []engine.Operation
	var changes []func()
	for range rapid.IntRange(1, 4).Draw(t, "operations") {
		log := drawLog(t)
		if rapid.IntRange(0, 4).Draw(t, "truncate") == 0 {
			through := m.drawIndex(t, log)
			ops = append(ops, &Truncate{log, through})
			changes = append(changes, func() { m.logs[log].truncate(through) })
			continue
		}
		a, payloads := m.drawAppend(t, log)
		ops = append(ops, a)
		changes = append(changes, func() { m.append(t, a, payloads) })
	}
	m.store.do(t, ops...)
	for _, change := range changes {
		change()
	}
}

func (m *logsModel) drawAppend(t *rapid.T, log message.Log) (*Append, []string) {
	var blocks []byte
	var payloads []string
	for range rapid.IntRange(0, 3).Draw(t, "blocks") {
		var in []string
		for range rapid.IntRange(1, 3).Draw(t, "messages") {
			m.count++
			in = append(in, fmt.Sprint("message ", m.count))
		}
		blocks = append(blocks, block(t, in...)...)
		payloads = append(payloads, in...)
	}
	return newAppend(t, log, blocks), payloads
}

// append checks L1 and L2 and notes the messages.
func (m *logsModel) append(t *rapid.T, a *Append, payloads []string) {
	log := m.logs[a.log]
	if a.First <= log.last || a.Last() != a.First+message.Index(len(payloads))-1 || a.Count() != len(payloads) {
		t.Fatalf("append of %d messages has indexes %d to %d, after %d", len(payloads), a.First, a.Last(), log.last)
	}
	if a.First != log.last+1 && a.First&0xffff != 0 {
		t.Fatalf("append has index %d after %d: neither the next nor the first of a millisecond", a.First, log.last)
	}
	if len(payloads) == 0 {
		return
	}
	for i, p := range payloads {
		log.indexes, log.payloads = append(log.indexes, a.First+message.Index(i)), append(log.payloads, p)
	}
	log.last = a.Last()
}

// drawIndex draws an index around those of a log.
func (m *logsModel) drawIndex(t *rapid.T, log message.Log) message.Index {
	near := append([]message.Index{message.Beginning, m.logs[log].last}, m.logs[log].indexes...)
	return rapid.SampledFrom(near).Draw(t, "index") + message.Index(rapid.IntRange(-1, 1).Draw(t, "off by"))
}

func (m *logsModel) compare(t *rapid.T) {
	log := drawLog(t)
	after := m.drawIndex(t, log)
	limit := Limit{Messages: rapid.IntRange(1, 8).Draw(t, "max messages"), Bytes: rapid.IntRange(1, 1000).Draw(t, "max bytes")}
	want := m.logs[log].after(after)
	if got := readAll(t, m.store.fromLogs(log), after, limit); !slices.Equal(got, want) {
		t.Fatalf("read of %s after %d: %q, want %q", log, after, got, want)
	}
	if got := readAll(t, m.store.fromView(log), after, limit); !slices.Equal(got, want) {
		t.Fatalf("store has in %s after %d: %q, want %q", log, after, got, want)
	}
	if head := m.store.head(t, log); head.Last != m.logs[log].last {
		t.Fatalf("head of %s has last index %d, want %d", log, head.Last, m.logs[log].last)
	}
	m.checkTails(t)
}

// checkTails checks what tails say of themselves.
func (m *logsModel) checkTails(t *rapid.T) {
	tails := m.store.logs.tails
	size, count := 0, 0
	for id, log := range tails.mu.logs {
		last := log.after
		for _, e := range log.entries {
			if e.Last <= last || log.id != id {
				t.Fatalf("tail of %v has an entry up to %d after %d", id, e.Last, last)
			}
			last = e.Last
			size += e.bytes()
			count++
		}
	}
	if size != tails.mu.bytes || size > tails.maxBytes || count != tails.mu.order.Len() {
		t.Fatalf("tails hold %d entries of %d bytes, counted as %d of %d, with room for %d",
			count, size, tails.mu.order.Len(), tails.mu.bytes, tails.maxBytes)
	}
}

func TestIndexesGoOnAfterClockWentBackAndRestart(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	s.clock.milli.Store(5000)
	first := s.append(t, events, "a", "b")
	if want := message.IndexAtMilli(5000); first != want {
		t.Errorf("first index %d, want %d", first, want)
	}
	s.clock.milli.Store(10)
	s.reopen(t)
	if got := s.append(t, events, "c"); got != first+2 {
		t.Errorf("index %d after the clock went back, want %d", got, first+2)
	}
	s.do(t, &Truncate{events, 1 << 62})
	s.reopen(t)
	if got := s.append(t, events, "d"); got != first+3 {
		t.Errorf("index %d after everything was truncated, want %d", got, first+3)
	}
	if got := readAll(t, s.fromLogs(events), message.Beginning, unlimited); !slices.Equal(got, []string{fmt.Sprintf("%d=d", first+3)}) {
		t.Errorf("log has %q, want the last message only", got)
	}
}

func TestIndexesOfOneMillisecondOverflowIntoTheNext(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	payloads := make([]string, 1<<15)
	for i := range 3 {
		want := message.IndexAtMilli(1000) + message.Index(i*len(payloads))
		if got := s.append(t, events, payloads...); got != want {
			t.Errorf("append %d has first index %d, want %d", i, got, want)
		}
	}
	s.clock.milli.Store(1001) // in whose indexes the log already is
	if got, want := s.append(t, events, "x"), message.IndexAtMilli(1000)+3<<15; got != want {
		t.Errorf("index %d, want %d", got, want)
	}
	s.clock.milli.Store(1002)
	if got, want := s.append(t, events, "x"), message.IndexAtMilli(1002); got != want {
		t.Errorf("index %d, want %d", got, want)
	}
}

func TestAppendOnCondition(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	conditional := func(last message.Index) *Append {
		a := newAppend(t, events, block(t, "x"))
		a.IfLast = &last
		return a
	}
	if err := s.try(conditional(0)); !errors.Is(err, engine.ErrConflict) {
		t.Errorf("append if the last index of an empty log is 0: %v, want ErrConflict", err)
	}
	first := conditional(message.Beginning)
	s.do(t, first)
	for _, last := range []message.Index{message.Beginning, first.First - 1, first.First + 1} {
		other := newAppend(t, prices, block(t, "y"))
		if err := s.try(other, conditional(last)); !errors.Is(err, engine.ErrConflict) {
			t.Errorf("append if the last index is %d: %v, want ErrConflict", last, err)
		}
	}
	s.do(t, conditional(first.First))
	if head := s.head(t, events); head.Messages != 2 {
		t.Errorf("log has %d messages, want 2", head.Messages)
	}
	if head := s.head(t, prices); head.Last != message.Beginning || head.Messages != 0 {
		t.Errorf("a refused transaction appended to another log: %+v", head)
	}
}

func TestBadAppendsAreRefused(t *testing.T) {
	t.Parallel()
	good := block(t, "a", "b")
	b, _, err := message.ParseBlock(good)
	if err != nil {
		t.Fatal(err)
	}
	sparse, _, err := b.Filter(nil, message.BlockFilter{
		Message: func(m message.MessageInfo) bool { return m.Ordinal == 1 },
	}, message.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		log    message.Log
		blocks []byte
		want   error
	}{
		{"filtered block", events, slices.Concat(good, sparse), ErrSparse},
		{"no block", events, []byte("hello"), message.ErrNotBlock},
		{"half a block", events, good[:len(good)-1], message.ErrCorrupt},
		{"topic too many", message.Log{Type: message.Event, Topic: "x"}, good, message.ErrBadLog},
		{"topic too few", message.Log{Type: message.Custom}, good, message.ErrBadLog},
	} {
		if _, err := NewAppend(test.log, test.blocks); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

func TestAppendOfNothingChangesNothing(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	last := s.append(t, events, "a")
	before := s.head(t, events)
	empty := newAppend(t, events, nil)
	s.do(t, empty)
	if empty.First != last+1 || empty.Last() != last || empty.Count() != 0 {
		t.Errorf("append of nothing has %d messages at %d to %d", empty.Count(), empty.First, empty.Last())
	}
	if after := s.head(t, events); after != before {
		t.Errorf("head is %+v, was %+v", after, before)
	}
	s.do(t, newAppend(t, prices, nil))
	if logs, err := s.logs.List(ns); err != nil || len(logs) != 1 {
		t.Errorf("logs %v (%v), want only the one with a message", logs, err)
	}
}

func TestOneTransactionMayAppendToALogTwice(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	first, second := newAppend(t, events, block(t, "a", "b")), newAppend(t, events, block(t, "c"))
	s.do(t, first, newAppend(t, prices, block(t, "p")), second)
	if second.First != first.First+2 {
		t.Errorf("appends at %d and %d, want one after the other", first.First, second.First)
	}
	want := []string{fmt.Sprintf("%d=a", first.First), fmt.Sprintf("%d=b", first.First+1), fmt.Sprintf("%d=c", first.First+2)}
	for name, from := range map[string]func(message.Index, Limit) ([]Entry, error){"memory": s.fromLogs(events), "store": s.fromView(events)} {
		if got := readAll(t, from, message.Beginning, unlimited); !slices.Equal(got, want) {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
}

func TestReadLimits(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	for i := range 10 {
		s.append(t, events, strings.Repeat("x", 100), fmt.Sprint(i)) // each its own entry, of two messages
	}
	size := len(block(t, strings.Repeat("x", 100), "0"))
	for name, read := range map[string]func(message.Index, Limit) ([]Entry, error){"memory": s.fromLogs(events), "store": s.fromView(events)} {
		for limit, want := range map[Limit]int{
			{0, 0}: 1, {1, 1 << 20}: 1, {2, 1 << 20}: 1, {3, 1 << 20}: 2, {19, 1 << 20}: 10, {1000, 1 << 20}: 10,
			{1000, size}: 1, {1000, size + 1}: 2, {1000, 10 * size}: 10, {4, size}: 1,
		} {
			if entries, err := read(message.Beginning, limit); err != nil || len(entries) != want {
				t.Errorf("%s: limit %+v gives %d entries (%v), want %d", name, limit, len(entries), err, want)
			}
		}
		if entries, err := read(s.head(t, events).Last, unlimited); err != nil || len(entries) != 0 {
			t.Errorf("%s: %d entries (%v) after the last, want none", name, len(entries), err)
		}
	}
}

func TestReadInsideABlockSkipsItsBeginning(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	first := s.append(t, events, "a", "b", "c")
	for name, read := range map[string]func(message.Index, Limit) ([]Entry, error){"memory": s.fromLogs(events), "store": s.fromView(events)} {
		entries, err := read(first+1, unlimited)
		if err != nil || len(entries) != 1 || entries[0].First != first || entries[0].Skip != 2 {
			t.Errorf("%s: entries %v (%v), want one that skips 2", name, entries, err)
		}
	}
	s.do(t, &Truncate{events, first})
	for name, read := range map[string]func(message.Index, Limit) ([]Entry, error){"memory": s.fromLogs(events), "store": s.fromView(events)} {
		got := readAll(t, read, message.Beginning, unlimited)
		if want := []string{fmt.Sprintf("%d=b", first+1), fmt.Sprintf("%d=c", first+2)}; !slices.Equal(got, want) {
			t.Errorf("%s: %q after truncation inside a block, want %q", name, got, want)
		}
	}
}

func TestNotificationsAreReadFromTheLogOfEvents(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	notifications := message.Log{Type: message.Notification}
	first := s.append(t, notifications, "a")
	want := []string{fmt.Sprintf("%d=a", first)}
	for _, log := range []message.Log{events, notifications} {
		if got := readAll(t, s.fromLogs(log), message.Beginning, unlimited); !slices.Equal(got, want) {
			t.Errorf("%s has %q, want %q", log, got, want)
		}
		if head := s.head(t, log); head.Last != first {
			t.Errorf("head of %s has %d, want %d", log, head.Last, first)
		}
	}
}

// TestTailsHoldNoMoreThanTheirBound appends to many logs, more than is kept, and checks that old logs gave way to new ones.
func TestTailsHoldNoMoreThanTheirBound(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	payload := strings.Repeat("x", 1000)
	s.logs.tails.maxBytes = 10 * (len(block(t, payload)) + tailEntryBytes)
	for i := range 25 {
		s.append(t, message.Log{Type: message.Custom, Topic: fmt.Sprint(i)}, payload)
	}
	for i := range 25 {
		log := message.Log{Type: message.Custom, Topic: fmt.Sprint(i)}
		if _, ok := s.logs.tails.read(logID{ns, log}, message.Beginning, unlimited); ok != (i >= 15) {
			t.Errorf("log %d is in memory: %v, want %v", i, ok, i >= 15)
		}
		if got := readAll(t, s.fromLogs(log), message.Beginning, unlimited); len(got) != 1 {
			t.Errorf("log %d has %d messages, want 1", i, len(got))
		}
	}
}

func TestCorruptEntriesAreErrorsNotMessages(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	s.append(t, events, "a")
	s.do(t, setKey{engine.AppendUint64(messagePrefix(ns, events), 1<<40), []byte("no block")})
	if entries, err := s.fromView(events)(message.Beginning, unlimited); !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("read gives %v (%v), want ErrCorrupt", entries, err)
	}
	s.do(t, setKey{headKey(ns, prices), []byte{0x80}})
	if _, err := s.logs.Head(ns, prices); !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("Head: %v, want ErrCorrupt", err)
	}
	if _, err := s.logs.List(ns); !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("List: %v, want ErrCorrupt", err)
	}
	if err := s.try(newAppend(t, prices, block(t, "b"))); !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("append: %v, want ErrCorrupt", err)
	}
}

// setKey writes any key, as only a bug or a damaged disk would.
type setKey struct{ key, value []byte }

func (s setKey) SizeBytes() int { return len(s.key) + len(s.value) }
func (s setKey) Apply(tx *engine.Tx) error {
	tx.Set(s.key, bytes.Clone(s.value))
	return nil
}
