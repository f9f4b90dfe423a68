package message

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func mustPosition(t testing.TB, text string) Position {
	t.Helper()
	var p Position
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// From the test vectors of the Flux Capacitor protocol.
func TestPositionMerge(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ a, b, want string }{
		{"[[0,64],5]", "[[32,128],7]", "[[0,32],5,[32,128],7]"},
		{"[[0,64],5]", "[[32,128],3]", "[[0,64],5,[64,128],3]"},
		{"[[0,64],5]", "[[64,128],5]", "[[0,128],5]"},
		{"[[0,10],5]", "[[20,30],6]", "[[0,10],5,[20,30],6]"},
		{"[]", "[[20,30],-1]", "[[20,30],-1]"},
		{"[]", "[]", "[]"},
	} {
		a, b := mustPosition(t, test.a), mustPosition(t, test.b)
		if got := a.Merge(b).String(); got != test.want {
			t.Errorf("%s merged with %s is %s, want %s", a, b, got, test.want)
		}
		if got := b.Merge(a).String(); got != test.want {
			t.Errorf("%s merged with %s is %s, want %s", b, a, got, test.want)
		}
	}
}

func TestPositionNeverGoesBackExceptByReset(t *testing.T) {
	t.Parallel()
	p := NewPosition(AllSegments, 10).With(SegmentRange{0, 64}, 20).With(SegmentRange{32, 96}, 15)
	if got, want := p.String(), "[[0,64],20,[64,96],15,[96,128],10]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := NewPosition(AllSegments, Beginning).String(), "[[0,128],-1]"; got != want {
		t.Errorf("reset gives %s, want %s", got, want)
	}
}

// positionModel is a position the simple way.
type positionModel map[int]Index

func (m positionModel) with(r SegmentRange, index Index) {
	for s := max(r.Start, 0); s < min(r.End, Segments); s++ {
		if old, found := m[s]; !found || old < index {
			m[s] = index
		}
	}
}

func (m positionModel) lowest(r SegmentRange) (lowest Index, found bool) {
	for s, index := range m {
		if r.Contains(s) && (!found || index < lowest) {
			lowest, found = index, true
		}
	}
	return lowest, found
}

func TestPositionAgreesWithModel(t *testing.T) {
	t.Parallel()
	anyIndex := rapid.Map(rapid.Int64Range(-2, 6), func(n int64) Index { return Index(n) })
	rapid.Check(t, func(t *rapid.T) {
		var p, other Position
		model := positionModel{}
		t.Repeat(map[string]func(*rapid.T){
			"with": func(t *rapid.T) {
				r, index := anyRange(t, "range"), anyIndex.Draw(t, "index")
				before := p.String()
				next := p.With(r, index)
				if p.String() != before {
					t.Fatalf("With changed %s into %s", before, p)
				}
				p = next
				model.with(r, index)
			},
			"other": func(t *rapid.T) { other = other.With(anyRange(t, "range"), anyIndex.Draw(t, "index")) },
			"merge": func(t *rapid.T) {
				p = p.Merge(other)
				for r, index := range other.Ranges() {
					model.with(r, index)
				}
				other = Position{}
			},
			"reset": func(t *rapid.T) {
				index := anyIndex.Draw(t, "index")
				p = NewPosition(AllSegments, index)
				clear(model)
				model.with(AllSegments, index)
			},
			"": func(t *rapid.T) {
				checkPosition(t, p, model, anyRange(t, "asked range"), anyIndex.Draw(t, "asked index"))
			},
		})
	})
}

func checkPosition(t *rapid.T, p Position, model positionModel, r SegmentRange, index Index) {
	for s := -1; s <= Segments; s++ {
		got, found := p.Index(s)
		want, wantFound := model[s]
		if got != want || found != wantFound {
			t.Fatalf("Index(%d) of %s = %d, %v, want %d, %v", s, p, got, found, want, wantFound)
		}
		if isNew := !wantFound || want < index; p.IsNewIndex(s, index) != isNew {
			t.Fatalf("IsNewIndex(%d, %d) of %s is not %v", s, index, p, isNew)
		}
	}
	lowest, found := p.Lowest(r)
	want, wantFound := model.lowest(r)
	if lowest != want || found != wantFound || p.IsNew(r) == wantFound {
		t.Fatalf("Lowest(%s) of %s = %d, %v, want %d, %v", r, p, lowest, found, want, wantFound)
	}
	checkRuns(t, p)
	checkEncodings(t, p)
}

// checkRuns checks that ranges are in the one form that equal positions share.
func checkRuns(t *rapid.T, p Position) {
	var last SegmentRange
	var lastIndex Index
	for r, index := range p.Ranges() {
		if r.Validate() != nil || r.Empty() || r.Start < last.End {
			t.Fatalf("bad range %s in %s", r, p)
		}
		if !last.Empty() && r.Start == last.End && index == lastIndex {
			t.Fatalf("%s and %s of %s are not merged", last, r, p)
		}
		last, lastIndex = r, index
	}
}

func checkEncodings(t *rapid.T, p Position) {
	binaryForm, _ := p.AppendBinary([]byte("before"))
	decoded, err := DecodePosition(binaryForm[len("before"):])
	if err != nil || !decoded.Equal(p) {
		t.Fatalf("%s became %s in binary: %v", p, decoded, err)
	}
	jsonForm, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	fromJSON := NewPosition(AllSegments, 99)
	if err := json.Unmarshal(jsonForm, &fromJSON); err != nil || !fromJSON.Equal(p) {
		t.Fatalf("%s became %s in JSON %s: %v", p, fromJSON, jsonForm, err)
	}
}

func TestPositionJSON(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"[]": "[]",
		"[[0,64],115140250828800000,[64,128],115140250763264000]": "[[0,64],115140250828800000,[64,128],115140250763264000]",
		" [ [ 0 , 64 ] , 5 , [ 64 , 128 ] , 5 ] ":                 "[[0,128],5]",
		"[[3,4],-9223372036854775808,[9,12],9223372036854775807]": "[[3,4],-9223372036854775808,[9,12],9223372036854775807]",
	} {
		if got := mustPosition(t, text).String(); got != want {
			t.Errorf("%s became %s, want %s", text, got, want)
		}
	}
	for _, bad := range []string{
		"null", "{}", "7", `"[]"`, "[[0,64]]", "[5,[0,64]]", "[[0,64],null]", "[[0,64],5.0]", `[[0,64],"5"]`, "[null,5]",
		"[[0,64],9223372036854775808]", "[[0,0],5]", "[[0,129],5]", "[[0,64],5,[63,70],6]", "[[64,128],5,[0,64],5]",
		"[[0,64],5,[64,128]]", "[[0,64,65],5]",
	} {
		p := NewPosition(AllSegments, 1)
		if err := json.Unmarshal([]byte(bad), &p); !errors.Is(err, ErrBadPosition) {
			t.Errorf("%s: %v, want ErrBadPosition", bad, err)
		}
		if p.String() != "[[0,128],1]" {
			t.Errorf("%s changed the position to %s", bad, p)
		}
	}
}

// The example of docs/format/position.md.
const positionExample = "01" + "0040" + "000000b6720f9901" + "4080" + "ffffffffffffffff"

func TestPositionBinaryExample(t *testing.T) {
	t.Parallel()
	p := NewPosition(SegmentRange{0, 64}, 115140250828800000).With(SegmentRange{64, 128}, Beginning)
	data, _ := p.AppendBinary(nil)
	if got := hex.EncodeToString(data); got != positionExample {
		t.Errorf("got %s, want %s", got, positionExample)
	}
	if data, _ := (Position{}).AppendBinary(nil); !bytes.Equal(data, []byte{1}) {
		t.Errorf("empty position is %x, want 01", data)
	}
}

func TestDecodePositionRefusesDamage(t *testing.T) {
	t.Parallel()
	run := func(start, end, index byte) []byte { return []byte{start, end, index, 0, 0, 0, 0, 0, 0, 0} }
	for name, data := range map[string][]byte{
		"nothing":            {},
		"version 0":          {0},
		"newer version":      {2},
		"half a range":       append([]byte{1}, run(0, 64, 1)[:9]...),
		"byte too many":      slices.Concat([]byte{1}, run(0, 64, 1), []byte{0}),
		"empty range":        slices.Concat([]byte{1}, run(7, 7, 1)),
		"backward range":     slices.Concat([]byte{1}, run(8, 7, 1)),
		"beyond segments":    slices.Concat([]byte{1}, run(8, 129, 1)),
		"overlap":            slices.Concat([]byte{1}, run(0, 64, 1), run(63, 128, 2)),
		"descending":         slices.Concat([]byte{1}, run(64, 128, 1), run(0, 64, 2)),
		"unmerged neighbour": slices.Concat([]byte{1}, run(0, 64, 1), run(64, 128, 1)),
	} {
		if p, err := DecodePosition(data); !errors.Is(err, ErrBadPosition) || !p.Empty() {
			t.Errorf("%s: %s, %v, want ErrBadPosition", name, p, err)
		}
	}
}

func FuzzDecodePosition(f *testing.F) {
	example, _ := hex.DecodeString(positionExample)
	f.Add(example)
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := DecodePosition(data)
		if err != nil {
			if !errors.Is(err, ErrBadPosition) {
				t.Fatalf("%v is no ErrBadPosition", err)
			}
			return
		}
		if again, _ := p.AppendBinary(nil); !bytes.Equal(again, data) {
			t.Fatalf("%x decodes to %s, which encodes to %x", data, p, again)
		}
	})
}

func FuzzPositionJSON(f *testing.F) {
	f.Add("[[0,64],115140250828800000,[64,128],7]")
	f.Add("[]")
	f.Fuzz(func(t *testing.T, text string) {
		var p Position
		if json.Unmarshal([]byte(text), &p) != nil {
			return
		}
		if again := mustPosition(t, p.String()); !again.Equal(p) {
			t.Fatalf("%q decodes to %s, which decodes to %s", text, p, again)
		}
	})
}

func BenchmarkPosition(b *testing.B) {
	index := Index(math.MaxInt64 / 2)
	single := NewPosition(AllSegments, index)
	var many Position
	for s := range Segments {
		many = many.With(SegmentRange{s, s + 1}, index+Index(s))
	}
	for name, p := range map[string]Position{"runs=1": single, "runs=128": many} {
		b.Run("With/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.With(AllSegments, index+1)
			}
		})
		b.Run("Lowest/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Lowest(AllSegments)
			}
		})
	}
}

func TestPositionInAndFillAgreeWithSegmentBySegment(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var p Position
		for range rapid.IntRange(0, 5).Draw(t, "runs") {
			start := rapid.IntRange(0, Segments-1).Draw(t, "start")
			end := rapid.IntRange(start, Segments).Draw(t, "end")
			p = p.With(SegmentRange{start, end}, Index(rapid.IntRange(-1, 3).Draw(t, "index")))
		}
		start := rapid.IntRange(0, Segments).Draw(t, "part start")
		part := SegmentRange{start, rapid.IntRange(start, Segments).Draw(t, "part end")}
		in, filled := p.In(part), p.Fill(7)
		for segment := range Segments {
			index, found := p.Index(segment)
			gotIn, foundIn := in.Index(segment)
			if foundIn != (found && part.Contains(segment)) || foundIn && gotIn != index {
				t.Fatalf("%s in %s: segment %d is %d, %t", p, part, segment, gotIn, foundIn)
			}
			if !found {
				index = 7
			}
			if got, ok := filled.Index(segment); !ok || got != index {
				t.Fatalf("%s filled: segment %d is %d, %t", p, segment, got, ok)
			}
		}
	})
}
