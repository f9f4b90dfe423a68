package eventstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/message"
)

// TestStreamsAgreeWithModel appends to streams and to the event log, with conditions and without, truncates the log, deletes
// streams, closes and opens the store, and compares all that can be read with slices.
func TestStreamsAgreeWithModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &model{fs: vfs.NewMem(), streams: make(map[string][]event)}
		m.reopen(t)
		defer func() { m.e.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"append":   m.append,
			"delete":   m.delete,
			"truncate": m.truncate,
			"reopen":   m.reopen,
			"page":     m.page,
			"":         m.compare,
		})
	})
}

type model struct {
	fs      vfs.FS
	e       *engine.Engine
	streams map[string][]event
	log     []event
	payload int
}

var aggregates = rapid.SampledFrom([]string{"a", "ab", "b", "ü"})

func (m *model) reopen(t *rapid.T) {
	if m.e != nil {
		if err := m.e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	m.e = open(t, engine.Options{FS: m.fs})
}

// append appends events as one transaction of one or two appends, so that a condition that fails takes both back.
func (m *model) append(t *rapid.T) {
	var ops []engine.Operation
	var appends []*Append
	conflict := false
	lengths := make(map[string]int)
	for range rapid.IntRange(1, 2).Draw(t, "appends") {
		id := aggregates.Draw(t, "aggregate")
		payloads := make([]string, rapid.IntRange(0, 5).Draw(t, "events"))
		for i := range payloads {
			payloads[i] = fmt.Sprint(m.payload)
			m.payload++
		}
		a := newAppend(t, id, rapid.Bool().Draw(t, "store only"), payloads...)
		last := Sequence(len(m.streams[id])+lengths[id]) - 1
		if rapid.Bool().Draw(t, "conditional") {
			expected := last + Sequence(rapid.SampledFrom([]int{0, 0, 0, -1, 1}).Draw(t, "off"))
			a.IfLast = &expected
			conflict = conflict || expected != last
		}
		lengths[id] += len(payloads)
		ops, appends = append(ops, a), append(appends, a)
	}
	err := commit(t, m.e, ops...)
	if errors.Is(err, engine.ErrConflict) != conflict || err != nil && !conflict {
		t.Fatalf("append says %v, want a conflict: %v", err, conflict)
	}
	for _, a := range appends {
		if err == nil {
			m.add(t, a)
		}
	}
}

// add puts into the model what an append has committed.
func (m *model) add(t *rapid.T, a *Append) {
	if want := Sequence(len(m.streams[a.aggregate])); a.First != want {
		t.Fatalf("first sequence number is %d, want %d", a.First, want)
	}
	messages := make([]message.Message, 0, a.Count())
	for b := range message.Blocks(a.entry[indexBytes:]) {
		var err error
		if messages, err = b.AppendMessages(messages, a.FirstIndex); err != nil {
			t.Fatal(err)
		}
	}
	events := eventsOf(messages)
	if a.publish == nil {
		for i := range events {
			events[i].index = message.Beginning
		}
	} else {
		m.log = append(m.log, events...)
	}
	m.streams[a.aggregate] = append(m.streams[a.aggregate], events...)
}

func (m *model) delete(t *rapid.T) {
	d := &Delete{Aggregate: aggregates.Draw(t, "aggregate")}
	propose(t, m.e, d)
	if want := len(m.streams[d.Aggregate]); int(d.Deleted) != want {
		t.Fatalf("deleted %d events, want %d", d.Deleted, want)
	}
	delete(m.streams, d.Aggregate)
}

func (m *model) truncate(t *rapid.T) {
	if len(m.log) == 0 {
		t.Skip("nothing to truncate")
	}
	n := rapid.IntRange(1, len(m.log)).Draw(t, "events")
	propose(t, m.e, &messagelog.Truncate{Log: eventLog, Through: m.log[n-1].index})
	m.log = m.log[n:]
}

// page reads a stream page by page.
func (m *model) page(t *rapid.T) {
	id, s := aggregates.Draw(t, "aggregate"), New(m.e)
	after := Sequence(rapid.IntRange(-2, 12).Draw(t, "after"))
	limit := Limit{Events: rapid.IntRange(1, 4).Draw(t, "events"), Bytes: rapid.IntRange(0, 300).Draw(t, "bytes")}
	want := m.streams[id]
	want = want[min(len(want), int(max(after, Before)+1)):]
	for {
		events, page := read(t, s, id, after, limit)
		if len(events) > limit.Events || len(events) > len(want) || !slices.Equal(events, want[:len(events)]) {
			t.Fatalf("page after %d of at most %d events has %v, want %v", after, limit.Events, events, want)
		}
		want, after = want[len(events):], max(after, Before)+Sequence(len(events))
		if page.Last != after || page.More != (len(want) > 0) {
			t.Fatalf("page ends at %d, more %v; want %d, %v", page.Last, page.More, after, len(want) > 0)
		}
		if len(events) == 0 {
			break
		}
	}
	if len(want) > 0 {
		t.Fatalf("pages end before %v", want)
	}
}

func (m *model) compare(t *rapid.T) {
	s := New(m.e)
	var ids []string
	for _, id := range []string{"a", "ab", "b", "ü"} {
		want := m.streams[id]
		if got := readAll(t, s, id); !slices.Equal(got, want) {
			t.Fatalf("stream %s has %v, want %v", id, got, want)
		}
		if len(want) > 0 {
			ids = append(ids, id)
		}
	}
	if got := published(t, m.e); !slices.Equal(got, m.log) {
		t.Fatalf("event log has %v, want %v", got, m.log)
	}
	infos, more, err := s.List(ns, "", "", 100)
	if err != nil || more || !slices.EqualFunc(infos, ids, func(i Info, id string) bool { return i.Aggregate == id }) {
		t.Fatalf("list has %v (more %v, %v), want %v", infos, more, err, ids)
	}
	for _, i := range infos {
		if want := len(m.streams[i.Aggregate]); int(i.Events) != want {
			t.Fatalf("head of %s has %d events, want %d", i.Aggregate, i.Events, want)
		}
	}
	m.check(t)
}

// check runs the check of stores, which must find nothing.
func (m *model) check(t *rapid.T) {
	view := m.e.View()
	defer view.Close()
	figures, err := view.Verify(t.Context(), []engine.Check{NewCheck(), messagelog.NewCheck()}, nil)
	if err != nil || figures.Found > 0 {
		t.Fatalf("check finds %v (%v)", figures.Problems, err)
	}
}

// TestNoUpdateIsLost has authors count together: each reads the stream and appends the number that follows its last event.
func TestNoUpdateIsLost(t *testing.T) {
	t.Parallel()
	e, s := setup(t)
	const authors, each = 8, 20
	var wg sync.WaitGroup
	for range authors {
		wg.Go(func() {
			for done := 0; done < each; {
				head, err := s.Head(ns, "counter")
				if err != nil {
					t.Error(err)
					return
				}
				last := head.Last()
				a := newAppend(t, "counter", false, fmt.Sprint(last+1))
				a.IfLast = &last
				switch err := commit(t, e, a); {
				case err == nil:
					done++
				case !errors.Is(err, engine.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	events := readAll(t, s, "counter")
	if len(events) != authors*each {
		t.Errorf("%d events, want %d", len(events), authors*each)
	}
	for i, e := range events {
		if e.payload != fmt.Sprint(i) {
			t.Fatalf("event %d says %s", i, e.payload)
		}
	}
}

func TestConflictsSayWhatWasFound(t *testing.T) {
	t.Parallel()
	e, _ := setup(t)
	propose(t, e, newAppend(t, "order-7", false, "a", "b"))
	expected := Sequence(0)
	a := newAppend(t, "order-7", false, "c")
	a.IfLast = &expected
	err := commit(t, e, a)
	if want := "last event of aggregate order-7 has sequence number 1, not 0"; !errors.Is(err, engine.ErrConflict) ||
		!strings.Contains(err.Error(), want) {
		t.Errorf("append says %v, want %q", err, want)
	}
}

// TestPagesOfLargeStreams reads 20,000 events as the official Java client does, 8192 at a time, whether they were appended one
// by one or together. Source: item 105 of the protocol's checklist.
func TestPagesOfLargeStreams(t *testing.T) {
	t.Parallel()
	e, s := setup(t)
	const total, size = 20_000, 8192
	propose(t, e, newAppend(t, "together", true, numbered(total)...))
	var ops []engine.Operation
	for _, payload := range numbered(total) {
		ops = append(ops, newAppend(t, "apart", true, payload))
	}
	propose(t, e, ops...)
	for _, id := range []string{"together", "apart"} {
		after, n := Before, 0
		for _, want := range []int{size, size, total - 2*size, 0} {
			events, page := read(t, s, id, after, Limit{Events: size})
			if len(events) != want {
				t.Fatalf("page of %s after %d has %d events, want %d", id, after, len(events), want)
			}
			for i, e := range events {
				if e.payload != fmt.Sprint(n+i) {
					t.Fatalf("event %d of %s says %s", n+i, id, e.payload)
				}
			}
			n, after = n+len(events), page.Last
		}
	}
	if events, page := read(t, s, "apart", 4, Limit{}); len(events) > 0 || page.Last != 4 || !page.More {
		t.Errorf("page of no events has %v, last %d, more %v", events, page.Last, page.More)
	}
}

func TestBadAggregatesAreRefused(t *testing.T) {
	t.Parallel()
	e, _ := setup(t)
	for _, id := range []string{"", "a\x00b", strings.Repeat("x", MaxIDLen+1)} {
		if _, err := NewAppend(id, nil, false); !errors.Is(err, ErrBadID) {
			t.Errorf("append to %.10q: %v, want ErrBadID", id, err)
		}
		if err := commit(t, e, &Delete{Aggregate: id}); !errors.Is(err, ErrBadID) {
			t.Errorf("delete of %.10q: %v, want ErrBadID", id, err)
		}
	}
	if _, err := NewAppend("a", []byte("no block"), false); !errors.Is(err, message.ErrNotBlock) {
		t.Errorf("append of nonsense: %v, want ErrNotBlock", err)
	}
}

func TestListPages(t *testing.T) {
	t.Parallel()
	e, s := setup(t)
	for _, id := range []string{"a", "order-1", "order-2", "order-3", "z"} {
		propose(t, e, newAppend(t, id, true, "x"))
	}
	for _, c := range []struct {
		prefix, after string
		limit         int
		want          string
		more          bool
	}{
		{"", "", 2, "a order-1", true},
		{"", "order-1", 2, "order-2 order-3", true},
		{"order", "", 9, "order-1 order-2 order-3", false},
		{"order", "a", 2, "order-1 order-2", true},
		{"order", "order-2", 1, "order-3", false},
		{"order", "z", 1, "", false},
	} {
		infos, more, err := s.List(ns, c.prefix, c.after, c.limit)
		var got []string
		for _, i := range infos {
			got = append(got, i.Aggregate)
		}
		if err != nil || more != c.more || strings.Join(got, " ") != c.want {
			t.Errorf("list of %q after %q: %v, more %v (%v)", c.prefix, c.after, got, more, err)
		}
	}
}
