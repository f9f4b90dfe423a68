package eventstore

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

func TestKeysPageShowsHeadsAndRelations(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/format/keys.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range [][]byte{
		Head{Events: 3, Bytes: 512, Milli: 1756900800000}.encode(),
		encodeRelation(300, "shop.User"),
	} {
		if example := fmt.Sprintf("`%x`", raw); !strings.Contains(string(page), example) {
			t.Errorf("docs/format/keys.md has not %s", example)
		}
	}
}

// TestCheckFindsDamage writes, one at a time, what must not be next to a sound stream and relation.
func TestCheckFindsDamage(t *testing.T) {
	t.Parallel()
	type put struct{ key, value []byte }
	entry := func(aggregate string, last Sequence, value []byte) put {
		return put{eventKey(ns, aggregate, last), value}
	}
	good := func(n int) []byte { return append(make([]byte, indexBytes), block(t, numbered(n)...)...) }
	torn := good(2)
	torn[len(torn)-10] ^= 1
	for name, put := range map[string]put{
		"gap":            entry("s", 4, good(1)),
		"overlap":        entry("s", 3, good(2)),
		"beyond head":    entry("s", 3, good(1)),
		"no head":        entry("t", 0, good(1)),
		"short":          entry("s", 1, []byte{1, 2}),
		"no blocks":      entry("s", 1, make([]byte, indexBytes)),
		"bad block":      entry("s", 2, torn),
		"bad head":       {streamKey(ns, "s"), []byte{0x80}},
		"missing events": {streamKey(ns, "t"), Head{Events: 1}.encode()},
		"bad relation":   {relationKey(ns, "e", "a"), nil},
		"half relation":  {relationKey(ns, "e", "b"), encodeRelation(1, "")},
		"other half":     {entityKey(ns, "a", "f"), nil},
		"bad order":      {orderKey(ns, "a"), []byte{1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, _ := setup(t)
			propose(t, e, newAppend(t, "s", true, "0"), newAppend(t, "s", true, "1", "2"))
			propose(t, e, &Relate{Add: []Relation{{"e", "a", "T"}}})
			if n := problems(t, e); n != 0 {
				t.Fatalf("check finds %d problems of a sound store", n)
			}
			propose(t, e, set(put))
			if problems(t, e) == 0 {
				t.Error("check finds nothing")
			}
		})
	}
}

func problems(t *testing.T, e *engine.Engine) int {
	t.Helper()
	view := e.View()
	defer view.Close()
	figures, err := view.Verify(t.Context(), []engine.Check{NewCheck()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return figures.Found
}

// set is an operation that writes one key.
type set struct{ key, value []byte }

func (s set) SizeBytes() int { return 0 }
func (s set) Apply(tx *engine.Tx) error {
	tx.Set(s.key, s.value)
	return nil
}

// FuzzDecode decodes arbitrary bytes as each of the values of the package: with an error of class engine.ErrCorrupt, or
// without harm.
func FuzzDecode(f *testing.F) {
	f.Add(Head{Events: 3, Bytes: 512, Milli: 1756900800000}.encode())
	f.Add(encodeRelation(300, "shop.User"))
	f.Add(append(make([]byte, indexBytes), block(f, "a", "b")...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		head, err := decodeHead(raw)
		expectCorrupt(t, err)
		if again, againErr := decodeHead(head.encode()); err == nil && (againErr != nil || again != head) {
			t.Errorf("head %v becomes %v (%v)", head, again, againErr)
		}
		_, _, err = decodeRelation(raw)
		expectCorrupt(t, err)
		_, err = decodeOrder(raw)
		expectCorrupt(t, err)
		e, err := parseEntry(10, raw)
		expectCorrupt(t, err)
		if err == nil {
			_, err := Page{Entries: []Entry{e}}.AppendMessages(nil, new(message.BlockReader))
			expectCorrupt(t, err)
		}
	})
}

func expectCorrupt(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, engine.ErrCorrupt) {
		t.Errorf("error %v is not of class ErrCorrupt", err)
	}
}
