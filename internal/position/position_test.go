package position

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

const ns = message.DefaultNamespace

var (
	background = context.Background()
	events     = message.Log{Type: message.Event}
	reports    = Consumer{events, "reports"}
)

type failer interface {
	Helper()
	Fatal(args ...any)
}

type store struct {
	*engine.Engine
	positions *Positions
}

func newStore(t failer) store {
	t.Helper()
	e, err := engine.Open("store", engine.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	return store{e, New(e)}
}

func openStore(t *testing.T) store {
	s := newStore(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s store) try(ops ...engine.Operation) error {
	return s.Propose(background, &engine.Transaction{Namespace: ns, Operations: ops})
}

func (s store) do(t failer, ops ...engine.Operation) {
	t.Helper()
	if err := s.try(ops...); err != nil {
		t.Fatal(err)
	}
}

func (s store) get(t failer, c Consumer) message.Position {
	t.Helper()
	p, err := s.positions.Get(ns, c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// model is the index of each segment, where missing ones are not there.
type model map[int]message.Index

func (m model) check(t *rapid.T, p message.Position) {
	for segment := range message.Segments {
		got, found := p.Index(segment)
		if want, wanted := m[segment]; found != wanted || got != want {
			t.Fatalf("segment %d is at %d (%v), want %d (%v)", segment, got, found, want, wanted)
		}
	}
}

func drawRange(t *rapid.T) message.SegmentRange {
	start := rapid.IntRange(0, message.Segments).Draw(t, "start")
	return message.SegmentRange{Start: start, End: rapid.IntRange(start, message.Segments).Draw(t, "end")}
}

// TestPositionsAgreeWithModel stores, starts and resets at random and compares each segment, what operations say and what
// subscribers are told with a map. P1 and P2 are in the model.
func TestPositionsAgreeWithModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newStore(t)
		defer s.Close()
		m := model{}
		var told []Changed
		s.Subscribe(func(events []any) {
			for _, event := range events {
				told = append(told, event.(Changed))
			}
		})
		index := rapid.Int64Range(-1, 20)
		t.Repeat(map[string]func(*rapid.T){
			"store": func(t *rapid.T) {
				segments, last := drawRange(t), message.Index(index.Draw(t, "last"))
				s.do(t, &Store{Consumer: reports, Segments: segments, Last: last})
				for segment := segments.Start; segment < segments.End; segment++ {
					if before, found := m[segment]; !found || before < last {
						m[segment] = last
					}
				}
			},
			"start": func(t *rapid.T) {
				start := &Start{Consumer: reports, Last: message.Index(index.Draw(t, "last"))}
				s.do(t, start)
				for segment := range message.Segments {
					if _, found := m[segment]; !found {
						m[segment] = start.Last
					}
				}
				m.check(t, start.Position)
			},
			"reset": func(t *rapid.T) {
				last := message.Index(index.Draw(t, "last"))
				s.do(t, &Reset{reports, last})
				for segment := range message.Segments {
					m[segment] = last
				}
				if event := told[len(told)-1]; !event.Reset || event.Consumer != reports {
					t.Fatalf("told %+v after a reset", event)
				}
			},
			"": func(t *rapid.T) {
				m.check(t, s.get(t, reports))
				if len(told) > 0 {
					m.check(t, told[len(told)-1].Position)
				}
			},
		})
	})
}

func TestStoreOnCondition(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	lower := message.SegmentRange{Start: 0, End: 64}
	conditional := func(last message.Index, condition message.Position) error {
		return s.try(
			&Store{Consumer: Consumer{events, "neighbour"}, Segments: message.AllSegments, Last: last},
			&Store{Consumer: reports, Segments: lower, Last: last, If: &condition},
		)
	}
	var missing message.Position
	if err := conditional(5, message.NewPosition(lower, 0)); !errors.Is(err, engine.ErrConflict) {
		t.Errorf("store if a missing position is 0: %v, want ErrConflict", err)
	}
	if got := s.get(t, Consumer{events, "neighbour"}); !got.Empty() {
		t.Errorf("a refused transaction stored %s for another consumer", got)
	}
	if err := conditional(5, missing); err != nil {
		t.Errorf("store if the position is missing: %v", err)
	}
	s.do(t, &Store{Consumer: reports, Segments: message.SegmentRange{Start: 64, End: 128}, Last: 99}) // not asked for
	for _, condition := range []message.Position{missing, message.NewPosition(lower, 4), message.NewPosition(message.SegmentRange{Start: 0, End: 63}, 5)} {
		if err := conditional(6, condition); !errors.Is(err, engine.ErrConflict) {
			t.Errorf("store if %s: %v, want ErrConflict", condition, err)
		}
	}
	if err := conditional(6, message.NewPosition(message.AllSegments, 5)); err != nil {
		t.Errorf("store if the position is what it is: %v", err)
	}
	if got, want := s.get(t, reports).String(), "[[0,64],6,[64,128],99]"; got != want {
		t.Errorf("position %s, want %s", got, want)
	}
}

func TestBadPositionsAreRefused(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	for _, test := range []struct {
		name     string
		consumer Consumer
		segments message.SegmentRange
		want     error
	}{
		{"no name", Consumer{events, ""}, message.AllSegments, ErrBadConsumer},
		{"long name", Consumer{events, message.ConsumerName(strings.Repeat("x", 513))}, message.AllSegments, ErrBadConsumer},
		{"NUL in name", Consumer{events, "a\x00b"}, message.AllSegments, ErrBadConsumer},
		{"no topic", Consumer{message.Log{Type: message.Custom}, "a"}, message.AllSegments, message.ErrBadLog},
		{"segments", reports, message.SegmentRange{Start: 0, End: 129}, message.ErrBadRange},
	} {
		if err := s.try(&Store{Consumer: test.consumer, Segments: test.segments, Last: 1}); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	if all, err := s.positions.List(ns, nil); err != nil || len(all) != 0 {
		t.Errorf("positions %v (%v) after refusals, want none", all, err)
	}
}

func TestConsumersAreListedByLog(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	logs := []message.Log{events, {Type: message.Notification}, {Type: message.Custom, Topic: "a"}, {Type: message.Custom, Topic: "ab"}}
	var want []string
	for i, log := range logs {
		for _, name := range []message.ConsumerName{"x", "xy"} {
			s.do(t, &Reset{Consumer{log, name}, message.Index(i)})
			want = append(want, fmt.Sprintf("%s %s [[0,128],%d]", log, name, i))
		}
	}
	list := func(log *message.Log) (all []string) {
		infos, err := s.positions.List(ns, log)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range infos {
			all = append(all, fmt.Sprintf("%s %s %s", info.Consumer.Log, info.Consumer.Name, info.Position))
		}
		return all
	}
	if got := list(nil); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("consumers %q, want %q", got, want)
	}
	for i := range logs {
		if got := list(&logs[i]); fmt.Sprint(got) != fmt.Sprint(want[2*i:2*i+2]) {
			t.Errorf("consumers of %s: %q, want %q", logs[i], got, want[2*i:2*i+2])
		}
	}
}

// damage writes a value that does not decode.
type damage Consumer

func (damage) SizeBytes() int { return 1 }
func (d damage) Apply(tx *engine.Tx) error {
	tx.Set(positionKey(tx.Namespace(), Consumer(d)), []byte{99})
	return nil
}

func TestDamagedPositionsAreErrors(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	s.do(t, &Reset{Consumer{events, "sound"}, 1}, damage(reports))
	if _, err := s.positions.Get(ns, reports); !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("Get: %v, want ErrCorrupt", err)
	}
	if _, err := s.positions.List(ns, nil); !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("List: %v, want ErrCorrupt", err)
	}
	if err := s.try(&Store{Consumer: reports, Segments: message.AllSegments, Last: 5}); !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("Store: %v, want ErrCorrupt", err)
	}
	view := s.View()
	defer view.Close()
	figures, err := view.Verify(background, []engine.Check{NewCheck()}, nil)
	if err != nil || figures.Found != 1 || !strings.Contains(figures.Problems[0].String(), "reports") {
		t.Errorf("problems %v (%v), want one", figures.Problems, err)
	}
}
