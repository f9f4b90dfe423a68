package messagelog

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

func TestHeadsDecodeToWhatWasEncoded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		head := Head{
			Last:      message.Index(rapid.Int64Min(-1).Draw(t, "last")),
			Truncated: message.Index(rapid.Int64Min(-1).Draw(t, "truncated")),
			Retention: Retention(rapid.Int64Min(-1).Draw(t, "retention")),
			Messages:  rapid.Uint64().Draw(t, "messages"),
			Bytes:     rapid.Uint64().Draw(t, "bytes"),
		}
		raw := head.encode()
		if got, err := decodeHead(raw); err != nil || got != head {
			t.Fatalf("head %v decodes to %v (%v)", head, got, err)
		}
		for n := range raw {
			if got, err := decodeHead(raw[:n]); !errors.Is(err, engine.ErrCorrupt) {
				t.Fatalf("%d of %d bytes of head %v decode to %v (%v), want ErrCorrupt", n, len(raw), head, got, err)
			}
		}
		if _, err := decodeHead(append(raw, 0)); !errors.Is(err, engine.ErrCorrupt) {
			t.Fatalf("head with a byte too many: %v, want ErrCorrupt", err)
		}
	})
}

func FuzzDecodeHead(f *testing.F) {
	f.Add(Head{Last: 1 << 56, Truncated: message.Beginning, Retention: Forever, Messages: 3, Bytes: 300}.encode())
	f.Fuzz(func(t *testing.T, raw []byte) {
		head, err := decodeHead(raw)
		if err != nil {
			return
		}
		if again, err := decodeHead(head.encode()); err != nil || again != head {
			t.Errorf("head %v decodes to %v (%v) when encoded again", head, again, err)
		}
	})
}

func TestKeysPageShowsAHead(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/format/keys.md")
	if err != nil {
		t.Fatal(err)
	}
	head := Head{Last: 115140250828800002, Truncated: message.Beginning, Retention: 60_000, Messages: 3, Bytes: 512}
	if want := fmt.Sprintf("%x", head.encode()); !strings.Contains(string(page), want) {
		t.Errorf("docs/format/keys.md has not %s for %+v", want, head)
	}
}
