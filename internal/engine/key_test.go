package engine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/flux-go/flux/message"
)

// exampleKeys has a key of each family, as docs/format/keys.md shows it.
var exampleKeys = []Key{
	{Namespace: ns, Family: FamilyMessage, Log: message.Log{Type: message.Custom, Topic: "prices"}, Number: 115140250828800000},
	{Namespace: ns, Family: FamilyHead, Log: message.Log{Type: message.Event}},
	{Namespace: ns, Family: FamilyPosition, Log: message.Log{Type: message.Event}, Text: "reports"},
	{Namespace: ns, Family: FamilyProducer, Bytes: []byte("0123456789abcdef")},
	{Namespace: ns, Family: FamilyEvent, Text: "user-1", Number: 2},
	{Namespace: ns, Family: FamilyStream, Rest: "user-1"},
	{Namespace: ns, Family: FamilyRelation, Text: "address-9", Rest: "user-1"},
	{Namespace: ns, Family: FamilyEntity, Text: "user-1", Rest: "address-9"},
	{Namespace: ns, Family: FamilyRelationOrder, Rest: "user-1"},
	{Namespace: ns, Family: FamilyValue, Rest: "prices/tea"},
	{Namespace: ns, Family: FamilySchedule, Rest: "feedback-7"},
	{Namespace: ns, Family: FamilyDue, Number: 1756900800000, Rest: "feedback-7"},
	{Namespace: ns, Family: FamilyExecution, Bytes: []byte("0123456789abcdef")},
	{Namespace: ns, Family: FamilySummary, Number: ^uint64(1756900800000<<16 | 0x3031)},
	{Namespace: ns, Family: FamilyRecord, Number: ^uint64(1756900800000<<16 | 0x3031)},
	{Namespace: ns, Family: FamilyPosting, Text: "vpayments", Number: ^uint64(1756900800000<<16 | 0x3031)},
	{Namespace: ns, Family: FamilyArrival, Number: 7},
	{Namespace: ns, Family: FamilyIssue, Rest: "a3f0c29e5b7d1184"},
	{Namespace: ns, Family: FamilyIssueOrder, Number: ^uint64(1756900800000), Rest: "a3f0c29e5b7d1184"},
	{Namespace: ns, Family: FamilyLease, Bytes: []byte("0123456789abcdef")},
	{Namespace: ns, Family: FamilyRecording},
}

// partNames says how a part is written, as docs/format/keys.md has it.
var partNames = [...]string{partText: "text", partLog: "log", partUint64: "number", partBytes: "bytes", partRest: "rest"}

// build makes a key by its layout, as the families do with the Append functions.
func (k Key) build(t failer) []byte {
	l, ok := layoutOf(k.Family)
	if !ok {
		t.Fatal("no layout for", k.Family)
	}
	raw := AppendKey(nil, k.Namespace, k.Family)
	for _, p := range l.parts {
		switch p {
		case partLog:
			raw = AppendLog(raw, k.Log)
		case partText:
			raw = AppendText(raw, k.Text)
		case partUint64:
			raw = AppendUint64(raw, k.Number)
		case partRest:
			raw = append(raw, k.Rest...)
		default:
			raw = append(raw, k.Bytes...)
		}
	}
	return raw
}

func (k Key) equal(other Key) bool {
	return k.Namespace == other.Namespace && k.Family == other.Family && k.Log == other.Log && k.Text == other.Text && k.Rest == other.Rest &&
		k.Number == other.Number && bytes.Equal(k.Bytes, other.Bytes) && k.Rest == other.Rest
}

// drawKey draws a key and leaves fields zero that its family does not have.
func drawKey(t *rapid.T) Key {
	l := rapid.SampledFrom(layouts).Draw(t, "family")
	text := rapid.StringMatching("[^\x00]{1,8}")
	k := Key{Namespace: message.Namespace(text.Draw(t, "namespace")), Family: l.family}
	for _, p := range l.parts {
		switch p {
		case partLog:
			k.Log.Type = message.Type(rapid.IntRange(0, int(message.Custom)).Draw(t, "type"))
			if k.Log.Type.HasTopics() {
				k.Log.Topic = text.Draw(t, "topic")
			}
		case partText:
			k.Text = text.Draw(t, "text")
		case partUint64:
			k.Number = rapid.Uint64().Draw(t, "number")
		case partRest:
			k.Rest = rapid.String().Draw(t, "rest")
		default:
			k.Bytes = rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "bytes")
		}
	}
	return k
}

func TestKeysParseToWhatBuiltThem(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		k := drawKey(t)
		raw := k.build(t)
		got, err := ParseKey(raw)
		if err != nil || !got.equal(k) {
			t.Fatalf("key %q parses to %v (%v), want %v", raw, got, err, k)
		}
	})
}

// TestKeysSortByTheirParts checks what makes scans of a log, or of the consumers of a log, one range of keys.
func TestKeysSortByTheirParts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawKey(t), drawKey(t)
		b.Family = a.Family
		if a.Family != FamilyMessage || b.Log.Validate() != nil {
			t.Skip()
		}
		b.Namespace = a.Namespace
		want := strings.Compare(string([]byte{byte(a.Log.Type)})+a.Log.Topic, string([]byte{byte(b.Log.Type)})+b.Log.Topic)
		if want == 0 {
			want = slices.Compare([]uint64{a.Number}, []uint64{b.Number})
		}
		if got := bytes.Compare(a.build(t), b.build(t)); got != want {
			t.Fatalf("%v compares to %v as %d, want %d", a, b, got, want)
		}
	})
}

func TestKeysThatNobodyWroteAreCorrupt(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"", "public", "public\x00", "public\x00?", // no namespace, no family, an unknown one
		"public\x00h", "public\x00h\x01", "public\x00h\x01topic\x00", "public\x00h\x0b\x00", "public\x00h\x63\x00", // logs
		"public\x00h\x01\x00more",
		"public\x00m\x01\x001234567", "public\x00m\x01\x00123456789", // 7 and 9 bytes of index
		"public\x00p\x01\x00name",
	} {
		if k, err := ParseKey([]byte(raw)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("key %q parses to %v (%v), want ErrCorrupt", raw, k, err)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	for _, k := range exampleKeys {
		f.Add(k.build(f))
	}
	f.Add([]byte("public\x00h\x0btopic\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		k, err := ParseKey(raw)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("error %v is not of class ErrCorrupt", err)
			}
			return
		}
		if again := k.build(t); !bytes.Equal(again, raw) {
			t.Errorf("key %q parses to %s, which is built as %q", raw, k, again)
		}
	})
}

func TestPrefixEnd(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{"a": "b", "a\xff": "b", "a\x00": "a\x01", "\xff\xff": "", "": ""} {
		if got := PrefixEnd([]byte(prefix)); string(got) != want || (got == nil) != (want == "") {
			t.Errorf("PrefixEnd(%q) = %q, want %q", prefix, got, want)
		}
	}
}

// TestKeysPageShowsTheTable compares the table of families in docs/format/keys.md with the one in code.
func TestKeysPageShowsTheTable(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/format/keys.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(exampleKeys) != len(layouts) {
		t.Fatalf("%d examples for %d families", len(exampleKeys), len(layouts))
	}
	var table strings.Builder
	table.WriteString("| family | byte | rest of the key | value | example |\n|---|---|---|---|---|\n")
	for i, l := range layouts {
		k := exampleKeys[i]
		if k.Family != l.family {
			t.Errorf("example %d is of family %c, want %c", i, k.Family, l.family)
		}
		var parts []string
		for j, p := range l.parts {
			parts = append(parts, fmt.Sprintf("%s: %s", l.names[j], partNames[p]))
		}
		fmt.Fprintf(&table, "| %s | `%c` | %s | %s | `%s`<br>`% x` |\n",
			l.name, l.family, strings.Join(parts, ", "), l.value, k, k.build(t))
	}
	if !strings.Contains(string(page), table.String()) {
		t.Errorf("docs/format/keys.md has not this table:\n%s", table.String())
	}
}
