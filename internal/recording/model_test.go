package recording

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/engine"
)

// TestExecutionsAgreeWithModel records, pins, removes and expires by a clock that stands still until it is set, closes and
// opens the store in between, and compares lists, tails, issues and totals with what a slice and a map say.
func TestExecutionsAgreeWithModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &model{fs: vfs.NewMem(), now: start, issues: map[string]*Issue{}}
		m.reopen(t)
		defer func() { m.e.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"record":    m.record,
			"pin":       m.pin,
			"remove":    m.remove,
			"expire":    m.expire,
			"resolve":   m.resolve,
			"retention": m.setRetention,
			"reopen":    m.reopen,
			"list":      m.list,
			"tail":      m.tail,
			"":          m.compare,
		})
	})
}

type model struct {
	fs        vfs.FS
	e         *engine.Engine
	x         *Executions
	now       time.Time
	all       []*stored // in the order in which they came
	arrivals  uint64
	issues    map[string]*Issue
	retention Retention
}

// stored is an execution of the model.
type stored struct {
	x        *record.Execution
	arrival  uint64
	recorded time.Time
	pinned   bool
}

func (s *stored) item() *Item {
	return &Item{
		Summary: record.Summarize(s.x), Pinned: s.pinned, Recorded: s.recorded.UnixMilli(), Arrival: s.arrival,
		Bytes: uint64(len(record.Append(nil, s.x))),
	}
}

func (m *model) reopen(t *rapid.T) {
	if m.e != nil {
		if err := m.e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	m.e = open(t, engine.Options{FS: m.fs, Clock: func() time.Time { return m.now }})
	m.x = New(m.e)
}

func (m *model) find(id record.ID) int {
	return slices.IndexFunc(m.all, func(s *stored) bool { return s.x.ID == id })
}

func (m *model) record(t *rapid.T) {
	x := drawExecution(t)
	op := newRecord(t, x)
	propose(t, m.e, op)
	s, want := &stored{x: x, recorded: m.now}, Stored
	if i := m.find(x.ID); i >= 0 {
		want = Replaced
		if m.all[i].x.Status != record.StatusRunning {
			want = Known
		} else {
			s.pinned = m.all[i].pinned
			m.all = slices.Delete(m.all, i, i+1)
		}
	}
	if op.Outcome != want {
		t.Fatalf("outcome is %s, want %s", op.Outcome, want)
	}
	if want == Known {
		return
	}
	m.arrivals++
	s.arrival = m.arrivals
	m.all = append(m.all, s)
	m.fail(s)
}

// fail counts the failure of an execution.
func (m *model) fail(s *stored) {
	fingerprint := record.Fingerprint(s.x)
	if !s.x.Status.Failed() || s.x.Relation == record.RelationReplay {
		return
	}
	milli := s.x.Start.UnixMilli()
	i := m.issues[fingerprint]
	if i == nil {
		m.issues[fingerprint] = &Issue{Status: IssueOpen, Count: 1, FirstSeen: milli, LastSeen: milli}
		return
	}
	i.Count++
	i.FirstSeen, i.LastSeen = min(i.FirstSeen, milli), max(i.LastSeen, milli)
	if i.Status == IssueResolved && milli > i.Resolved {
		i.Status = IssueRegressed
	}
}

func (m *model) draw(t *rapid.T) (*stored, bool) {
	if len(m.all) == 0 {
		return nil, false
	}
	return rapid.SampledFrom(m.all).Draw(t, "execution"), true
}

func (m *model) pin(t *rapid.T) {
	s, ok := m.draw(t)
	if !ok {
		return
	}
	op := &Pin{ID: s.x.ID, Unpin: rapid.Bool().Draw(t, "unpin")}
	propose(t, m.e, op)
	if op.Changed != (s.pinned == op.Unpin) {
		t.Fatalf("pin of %v changed %v", s, op.Changed)
	}
	s.pinned = !op.Unpin
}

func (m *model) remove(t *rapid.T) {
	s, ok := m.draw(t)
	if !ok {
		return
	}
	op := newRemove(t, m.x, s.x.ID)
	propose(t, m.e, op)
	if op.Removed == s.pinned || op.Pinned != s.pinned {
		t.Fatalf("removal of %v: %+v", s, op)
	}
	if i := m.find(s.x.ID); op.Removed {
		m.all = slices.Delete(m.all, i, i+1)
	}
}

func (m *model) setRetention(t *rapid.T) {
	m.retention = Retention{
		rapid.SampledFrom([]int64{0, Unlimited, 5}).Draw(t, "seconds"), rapid.SampledFrom([]int64{0, 3, 6}).Draw(t, "executions"),
		rapid.SampledFrom([]int64{0, Unlimited, 1000}).Draw(t, "bytes"),
	}
	propose(t, m.e, &SetRetention{m.retention})
}

func (m *model) expire(t *rapid.T) {
	m.now = m.now.Add(rapid.SampledFrom([]time.Duration{0, time.Second, 4 * time.Second}).Draw(t, "later"))
	removed, err := m.x.Expire(t.Context(), ns, m.now)
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for i := 0; i < len(m.all); {
		if m.all[i].pinned {
			i++
			continue
		}
		if !m.exceeded(m.all[i]) {
			break
		}
		m.all = slices.Delete(m.all, i, i+1)
		want++
	}
	if removed != want {
		t.Fatalf("%d were removed, want %d", removed, want)
	}
}

func (m *model) exceeded(s *stored) bool {
	var count, size int64
	for _, s := range m.all {
		if !s.pinned {
			count++
			size += int64(s.item().Bytes)
		}
	}
	r := m.retention
	return r.Seconds > 0 && m.now.Sub(s.recorded) > time.Duration(r.Seconds)*time.Second ||
		r.Executions > 0 && count > r.Executions || r.Bytes > 0 && size > r.Bytes
}

func (m *model) resolve(t *rapid.T) {
	if len(m.issues) == 0 {
		return
	}
	var names []string
	for name := range m.issues {
		names = append(names, name)
	}
	slices.Sort(names)
	name := rapid.SampledFrom(names).Draw(t, "issue")
	op := &Resolve{Fingerprint: name, Reopen: rapid.Bool().Draw(t, "reopen")}
	propose(t, m.e, op)
	i := m.issues[name]
	i.Status, i.Resolved = IssueResolved, op.Issue.Resolved
	if op.Reopen {
		i.Status = IssueOpen
	}
}

// matches are the executions that a filter picks, in the order in which they came.
func (m *model) matches(f *Filter) (all []*stored) {
	for _, s := range m.all {
		has := wordsOf(s.x)
		if s.x.Status == record.StatusRunning {
			has = nil
		}
		lacks := slices.ContainsFunc(f.words(), func(word string) bool { return !slices.Contains(has, word) })
		if f.picks(s.item()) && !lacks && holdAll(f.Where, s.x) {
			all = append(all, s)
		}
	}
	return all
}

func (m *model) list(t *rapid.T) {
	f := drawFilter(t)
	want := m.matches(f)
	size := rapid.IntRange(1, 4).Draw(t, "size")
	var got []Item
	for cursor := ""; ; {
		page, err := m.x.List(ns, f, cursor, size)
		if err != nil || len(page.Items) > size {
			t.Fatalf("page has %d (%v)", len(page.Items), err)
		}
		got = append(got, page.Items...)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if !slices.IsSortedFunc(got, func(a, b Item) int { return cmp.Compare(b.Start.UnixMilli(), a.Start.UnixMilli()) }) {
		t.Fatalf("%+v lists %v, which is not newest first", *f, got)
	}
	slices.SortFunc(got, func(a, b Item) int { return cmp.Compare(a.Arrival, b.Arrival) })
	compareItems(t, f, got, want)
}

func (m *model) tail(t *rapid.T) {
	f := drawFilter(t)
	want := m.matches(f)
	n := rapid.IntRange(0, 4).Draw(t, "backlog")
	after, err := m.x.Backlog(ns, f, n)
	if err != nil {
		t.Fatal(err)
	}
	a, err := m.x.Arrivals(ns, f, after)
	if err != nil || a.More {
		t.Fatalf("more after %d (%v)", a.Last, err)
	}
	compareItems(t, f, a.Items, want[max(0, len(want)-n):])
}

func compareItems(t *rapid.T, f *Filter, got []Item, want []*stored) {
	if len(got) != len(want) {
		t.Fatalf("%+v picks %v, want %v", *f, got, want)
	}
	for i, s := range want {
		if w := s.item(); !bytes.Equal(got[i].encode(), w.encode()) {
			t.Fatalf("%+v picks %v, want %v", *f, got[i], w)
		}
	}
}

func (m *model) compare(t *rapid.T) {
	if found := problems(t, m.e); len(found) > 0 {
		t.Fatalf("check finds %v", found)
	}
	for _, s := range m.all {
		found, err := m.x.Get(ns, s.x.ID.String(), false)
		if err != nil || !bytes.Equal(found.Record, record.Append(nil, s.x)) {
			t.Fatalf("%s is %v (%v)", s.x.ID, found.Item, err)
		}
	}
	page, err := m.x.Issues(ns, func(*Issue) bool { return true }, "", 1000)
	if err != nil || len(page.Issues) != len(m.issues) {
		t.Fatalf("issues are %v (%v), want %v", page.Issues, err, m.issues)
	}
	for _, got := range page.Issues {
		want := m.issues[got.Fingerprint]
		if want == nil || got.Count != want.Count || got.FirstSeen != want.FirstSeen || got.LastSeen != want.LastSeen || got.Status != want.Status {
			t.Fatalf("issue is %+v, want %+v", got, want)
		}
	}
	if _, err := m.x.Get(ns, "ffffffff", false); !errors.Is(err, ErrNotFound) {
		t.Fatalf("an unknown id: %v", err)
	}
}
