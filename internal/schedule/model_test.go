package schedule

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/flux-go/flux/internal/engine"
)

// TestSchedulesAgreeWithModel puts, cancels and fires by a clock that stands still until it is set, closes and opens the store
// in between, and compares pending schedules and the log with slices.
func TestSchedulesAgreeWithModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &model{fs: vfs.NewMem(), now: 1_000_000}
		m.reopen(t)
		defer func() { m.e.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"put":    m.put,
			"cancel": m.cancel,
			"reopen": m.reopen,
			"wait": func(t *rapid.T) {
				m.now += rapid.Int64Range(0, 2000).Draw(t, "milliseconds")
				m.fire(t)
			},
			"list": m.list,
			"":     m.compare,
		})
	})
}

type model struct {
	fs        vfs.FS
	e         *engine.Engine
	scheduler *Scheduler
	now       int64
	pending   []modelSchedule // in the order of due times and ids
	log       []string
	puts      int
}

type modelSchedule struct {
	due         int64
	id, payload string
}

func (m *model) clock() time.Time { return time.UnixMilli(m.now) }

func (m *model) reopen(t *rapid.T) {
	if m.e != nil {
		if err := m.e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	m.e = open(t, engine.Options{FS: m.fs, Clock: m.clock})
	m.scheduler = NewScheduler(m.e, Options{Clock: m.clock})
	if err := m.scheduler.begin(); err != nil {
		t.Fatal(err)
	}
}

var ids = rapid.SampledFrom([]string{"a", "ab", "b", "c"})

func (m *model) find(id string) int {
	return slices.IndexFunc(m.pending, func(s modelSchedule) bool { return s.id == id })
}

func (m *model) put(t *rapid.T) {
	s := modelSchedule{m.now + rapid.Int64Range(-1000, 3000).Draw(t, "in"), ids.Draw(t, "id"), fmt.Sprint(m.puts)}
	m.puts++
	p := newPut(t, s.id, time.UnixMilli(s.due), m.clock(), s.payload)
	p.IfAbsent = rapid.Bool().Draw(t, "if absent")
	propose(t, m.e, ns, p)
	s.due = max(s.due, m.now)
	i := m.find(s.id)
	if want := i < 0 || !p.IfAbsent; p.Stored != want {
		t.Fatalf("put says %v, want %v", p.Stored, want)
	}
	if !p.Stored {
		return
	}
	if i >= 0 {
		m.pending = slices.Delete(m.pending, i, i+1)
	}
	m.pending = append(m.pending, s)
	slices.SortFunc(m.pending, func(a, b modelSchedule) int { return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.id, b.id)) })
}

func (m *model) cancel(t *rapid.T) {
	c := &Cancel{ID: ids.Draw(t, "id")}
	propose(t, m.e, ns, c)
	i := m.find(c.ID)
	if c.Canceled != (i >= 0) {
		t.Fatalf("cancel says %v, pending are %v", c.Canceled, m.pending)
	}
	if i >= 0 {
		m.pending = slices.Delete(m.pending, i, i+1)
	}
}

func (m *model) fire(t *rapid.T) {
	m.scheduler.fireDue(t.Context())
	for len(m.pending) > 0 && m.pending[0].due <= m.now {
		m.log = append(m.log, m.pending[0].payload)
		m.pending = m.pending[1:]
	}
}

func (m *model) list(t *rapid.T) {
	limit := rapid.IntRange(1, 3).Draw(t, "limit")
	var place Place
	for rest := m.pending; ; {
		page, more, err := New(m.e).List(ns, place, limit)
		if err != nil || len(page) != min(limit, len(rest)) || more != (len(rest) > limit) {
			t.Fatalf("page has %d, more %v (%v); want the first %d of %v", len(page), more, err, limit, rest)
		}
		for i, p := range page {
			if msg, err := p.Message(); p.ID != rest[i].id || err != nil || string(msg.Payload) != rest[i].payload {
				t.Fatalf("page has %v (%v), want %v", p, err, rest[i])
			}
			place = Place{p.Due, p.ID}
		}
		if rest = rest[len(page):]; !more {
			return
		}
	}
}

func (m *model) compare(t *rapid.T) {
	var got []string
	last := int64(-1)
	for _, f := range log(t, m.e, ns) {
		got = append(got, f.payload)
		if int64(f.index) <= last {
			t.Fatalf("index %d after %d", f.index, last)
		}
		last = int64(f.index)
	}
	if !slices.Equal(got, m.log) {
		t.Fatalf("log has %v, want %v", got, m.log)
	}
	for _, id := range []string{"a", "ab", "b", "c"} {
		p, ok, err := New(m.e).Get(ns, id)
		if i := m.find(id); err != nil || ok != (i >= 0) || ok && p.Due.UnixMilli() != m.pending[i].due {
			t.Fatalf("pending under %s is %v (%v, %v), want one of %v", id, p, ok, err, m.pending)
		}
	}
	view := m.e.View()
	defer view.Close()
	c := NewCheck()
	figures, err := view.Verify(t.Context(), []engine.Check{c, ignored(engine.FamilyHead), ignored(engine.FamilyMessage)}, nil)
	if err != nil || figures.Found > 0 || int(c.Pending) != len(m.pending) {
		t.Fatalf("check finds %v (%v), %d pending", figures.Problems, err, c.Pending)
	}
}

// ignored is a check of keys that others check.
func ignored(f engine.Family) engine.Check {
	return engine.CheckFunc{Family: f, Check: func(engine.Key, []byte) error { return nil }}
}
