package producer

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

func TestStatesDecodeToWhatWasEncoded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := state{milli: rapid.Int64().Draw(t, "milli"), floor: rapid.Uint64Max(1<<40).Draw(t, "floor")}
		sequence := s.floor
		for range rapid.IntRange(0, 5).Draw(t, "results") {
			sequence += rapid.Uint64Range(1, 1<<20).Draw(t, "distance")
			var firsts []message.Index
			for range rapid.IntRange(0, 3).Draw(t, "appends") {
				firsts = append(firsts, message.Index(rapid.Int64Min(0).Draw(t, "first")))
			}
			s.results = slices.Insert(s.results, 0, result{sequence, firsts})
		}
		raw := s.encode()
		got, err := decodeState(raw)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(s) {
			t.Fatalf("state %v decodes to %v (%v)", s, got, err)
		}
		if _, err := decodeState(append(raw, 0x80)); !errors.Is(err, engine.ErrCorrupt) {
			t.Fatalf("state with a torn number: %v, want ErrCorrupt", err)
		}
	})
}

func FuzzDecodeState(f *testing.F) {
	f.Add(exampleState().encode())
	f.Add([]byte{0, 0, 1, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := decodeState(raw)
		if err != nil {
			if !errors.Is(err, engine.ErrCorrupt) {
				t.Errorf("error %v is not of class ErrCorrupt", err)
			}
			return
		}
		if again, err := decodeState(s.encode()); err != nil || !reflect.DeepEqual(again, s) {
			t.Errorf("state %v decodes to %v (%v) when encoded again", s, again, err)
		}
	})
}

func exampleState() *state {
	return &state{milli: 1756900800000, floor: 40, results: []result{
		{42, []message.Index{115140250828800007, 115140250828800000}},
		{41, []message.Index{115140250828800006}},
	}}
}

func TestKeysPageShowsAProducer(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/format/keys.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%x", exampleState().encode()); !strings.Contains(string(page), want) {
		t.Errorf("docs/format/keys.md has not %s for %+v", want, exampleState())
	}
}

// TestStateRemembersWhatMayBeAskedFor compares a state with sets of what was committed and answered.
func TestStateRemembersWhatMayBeAskedFor(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var s state
		committed := make(map[uint64][]message.Index)
		answered := uint64(0)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			sequence := answered + rapid.Uint64Range(1, 20).Draw(t, "sequence")
			firsts, duplicate := s.committed(sequence)
			want, found := committed[sequence]
			if duplicate != found || !slices.Equal(firsts, want) {
				t.Fatalf("number %d: committed %v with %v, want %v with %v", sequence, duplicate, firsts, found, want)
			}
			if found || rapid.Bool().Draw(t, "refused") {
				continue
			}
			answered = rapid.Uint64Range(answered, sequence-1).Draw(t, "answered")
			committed[sequence] = []message.Index{message.Index(sequence * 10)}
			s.add(result{sequence, committed[sequence]}, answered)
			if again, err := decodeState(s.encode()); err != nil || !reflect.DeepEqual(again, s) {
				t.Fatalf("state %v decodes to %v (%v)", s, again, err)
			}
		}
		if _, duplicate := s.committed(answered); !duplicate {
			t.Fatalf("number %d was answered, and is not taken for committed", answered)
		}
	})
}

func TestStateIsBounded(t *testing.T) {
	t.Parallel()
	var s state
	for sequence := uint64(2); sequence <= 10_000; sequence += 2 { // every other number was refused
		s.add(result{sequence, nil}, 0)
	}
	if len(s.results) != maxResults {
		t.Errorf("%d results are kept, want %d", len(s.results), maxResults)
	}
	for sequence, want := range map[uint64]bool{10_000: true, 9_999: false, 7_953: false, 7_954: true, 7_952: true, 7_951: true, 1: true} {
		if _, got := s.committed(sequence); got != want {
			t.Errorf("number %d counts as committed: %v, want %v", sequence, got, want)
		}
	}
}
