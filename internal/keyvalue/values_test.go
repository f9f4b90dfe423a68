package keyvalue

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/message"
)

const ns = message.DefaultNamespace

// failer is what testing.TB and rapid.T have in common.
type failer interface {
	Helper()
	Context() context.Context
	Fatal(args ...any)
}

func open(t failer, o engine.Options) *engine.Engine {
	t.Helper()
	if o.FS == nil {
		o.FS = vfs.NewMem()
	}
	e, err := engine.Open("store", o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func setup(t testing.TB) (*engine.Engine, *Values) {
	t.Helper()
	e := open(t, engine.Options{})
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e, New(e)
}

func propose(t failer, e *engine.Engine, in message.Namespace, op engine.Operation) {
	t.Helper()
	tx := &engine.Transaction{Namespace: in, Operations: []engine.Operation{op}}
	if err := e.Propose(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
}

func newPut(t failer, key string, v Value) *Put {
	t.Helper()
	put, err := NewPut(key, v)
	if err != nil {
		t.Fatal(err)
	}
	return put
}

func drawValue(t *rapid.T) Value {
	v := Value{
		Type:     rapid.SampledFrom([]string{"", "shop.Order", "java.util.ArrayList<x>", "π"}).Draw(t, "type"),
		Revision: rapid.Int32().Draw(t, "revision"),
		Format:   rapid.SampledFrom([]string{"", "application/json", "text/plain"}).Draw(t, "format"),
	}
	if rapid.Bool().Draw(t, "has data") {
		v.Data = append([]byte{}, rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "data")...)
	}
	return v
}

// TestValuesAgreeWithModel puts and deletes in two namespaces, closes and opens the store in between, and compares what can
// be read with maps.
func TestValuesAgreeWithModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewMem()
		e := open(t, engine.Options{FS: fs})
		defer func() { e.Close() }()
		m := model{ns: {}, "other": {}}
		keys := rapid.SampledFrom([]string{"a", "a/b", "a/bc", "b", "\x01", "\xff", "ü"})
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) { m.put(t, e, keys.Draw(t, "key")) },
			"delete": func(t *rapid.T) {
				in, key := m.drawNamespace(t), keys.Draw(t, "key")
				op := &Delete{Key: key}
				propose(t, e, in, op)
				if _, want := m[in][key]; op.Deleted != want {
					t.Fatalf("delete of %q says %v, want %v", key, op.Deleted, want)
				}
				delete(m[in], key)
			},
			"list": func(t *rapid.T) { m.list(t, New(e), m.drawNamespace(t)) },
			"reopen": func(t *rapid.T) {
				if err := e.Close(); err != nil {
					t.Fatal(err)
				}
				e = open(t, engine.Options{FS: fs})
			},
			"": func(t *rapid.T) { m.compare(t, New(e)) },
		})
	})
}

// model is what there is under each key.
type model map[message.Namespace]map[string]Value

func (m model) drawNamespace(t *rapid.T) message.Namespace {
	return rapid.SampledFrom([]message.Namespace{ns, "other"}).Draw(t, "namespace")
}

func (m model) put(t *rapid.T, e *engine.Engine, key string) {
	in, v := m.drawNamespace(t), drawValue(t)
	op := newPut(t, key, v)
	op.IfAbsent = rapid.Bool().Draw(t, "if absent")
	propose(t, e, in, op)
	_, present := m[in][key]
	if want := !op.IfAbsent || !present; op.Stored != want {
		t.Fatalf("put of %q, if absent %v, says %v, want %v", key, op.IfAbsent, op.Stored, want)
	}
	if op.Stored {
		m[in][key] = v
	}
}

func (m model) compare(t *rapid.T, values *Values) {
	for in, want := range m {
		keys := append(slices.Sorted(maps.Keys(want)), "absent")
		all, err := values.GetAll(in, keys)
		if err != nil {
			t.Fatal(err)
		}
		for i, key := range keys {
			wantValue, ok := want[key]
			if (all[i] != nil) != ok || ok && !reflect.DeepEqual(*all[i], wantValue) {
				t.Fatalf("%s has %v under %q, want %v (%v)", in, all[i], key, wantValue, ok)
			}
		}
	}
}

// list reads all values with a prefix, page by page.
func (m model) list(t *rapid.T, values *Values, in message.Namespace) {
	prefix := rapid.SampledFrom([]string{"", "a", "a/b", "x", "\xff"}).Draw(t, "prefix")
	after := rapid.SampledFrom([]string{"", "a", "a/bb", "c"}).Draw(t, "after")
	limit := Limit{Items: rapid.IntRange(0, 4).Draw(t, "items"), Bytes: rapid.IntRange(0, 40).Draw(t, "bytes")}
	var want []string
	for _, key := range slices.Sorted(maps.Keys(m[in])) {
		if strings.HasPrefix(key, prefix) && key > after {
			want = append(want, key)
		}
	}
	var got []string
	for more := true; more; {
		page, err := values.List(in, prefix, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Items) > max(1, limit.Items) || page.More && len(page.Items) == 0 {
			t.Fatalf("page has %d items, more %v, for limit %v", len(page.Items), page.More, limit)
		}
		for _, item := range page.Items {
			if !reflect.DeepEqual(item.Value, m[in][item.Key]) {
				t.Fatalf("list has %v under %q, want %v", item.Value, item.Key, m[in][item.Key])
			}
			got = append(got, item.Key)
			after = item.Key
		}
		more = page.More
	}
	if !slices.Equal(got, want) {
		t.Fatalf("list of %q has %q, want %q", prefix, got, want)
	}
}

// TestOnePutIfAbsentTakesEffect has many callers put different values at the same time.
func TestOnePutIfAbsentTakesEffect(t *testing.T) {
	t.Parallel()
	e, values := setup(t)
	var stored atomic.Int32
	var winner atomic.Pointer[string]
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			name := strings.Repeat("x", i)
			put := newPut(t, "key", Value{Type: name})
			put.IfAbsent = true
			propose(t, e, ns, put)
			if put.Stored {
				stored.Add(1)
				winner.Store(&name)
			}
		})
	}
	wg.Wait()
	value, ok, err := values.Get(ns, "key")
	if err != nil || !ok || stored.Load() != 1 || value.Type != *winner.Load() {
		t.Errorf("%d of 50 puts took effect; the value is %v (%v, %v)", stored.Load(), value, ok, err)
	}
}

func TestKeysAndValuesOutOfBoundsAreRefused(t *testing.T) {
	t.Parallel()
	e, values := setup(t)
	for _, key := range []string{"", "a\x00b", strings.Repeat("k", MaxKeyLen+1)} {
		if _, err := NewPut(key, Value{}); !errors.Is(err, ErrBadKey) {
			t.Errorf("put under %.10q: %v, want ErrBadKey", key, err)
		}
		tx := &engine.Transaction{Namespace: ns, Operations: []engine.Operation{&Delete{Key: key}}}
		if err := e.Propose(t.Context(), tx); !errors.Is(err, ErrBadKey) {
			t.Errorf("delete of %.10q: %v, want ErrBadKey", key, err)
		}
	}
	if _, err := NewPut("key", Value{Data: make([]byte, MaxValueBytes+1)}); !errors.Is(err, engine.ErrTooLarge) {
		t.Errorf("put of a large value: %v, want ErrTooLarge", err)
	}
	longest := strings.Repeat("k", MaxKeyLen)
	propose(t, e, ns, newPut(t, longest, Value{Data: []byte("x")}))
	if v, ok, err := values.Get(ns, longest); err != nil || !ok || string(v.Data) != "x" {
		t.Errorf("under the longest key is %v (%v, %v)", v, ok, err)
	}
}

func TestCheckFindsDamagedValues(t *testing.T) {
	t.Parallel()
	e, _ := setup(t)
	propose(t, e, ns, newPut(t, "good", Value{Type: "T", Data: []byte("x")}))
	propose(t, e, ns, damage{})
	view := e.View()
	defer view.Close()
	figures, err := view.Verify(t.Context(), []engine.Check{NewCheck()}, nil)
	if err != nil || figures.Keys != 2 || figures.Found != 1 || figures.Problems[0].Key != "public value bad" {
		t.Errorf("check finds %v (%v), want one problem, of key bad", figures, err)
	}
}

// damage is an operation that writes what no value looks like.
type damage struct{}

func (damage) SizeBytes() int { return 0 }
func (damage) Apply(tx *engine.Tx) error {
	tx.Set(valueKey(tx.Namespace(), "bad"), []byte{99})
	return nil
}

func TestValuesDecodeToWhatWasEncoded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := drawValue(t)
		raw := v.encode()
		if got, err := decodeValue(raw); err != nil || !reflect.DeepEqual(got, v) {
			t.Fatalf("%v decodes to %v (%v)", v, got, err)
		}
		for n := range len(raw) - len(v.Data) {
			if got, err := decodeValue(raw[:n]); err == nil && v.Data == nil {
				t.Fatalf("%d of %d bytes decode to %v", n, len(raw), got)
			}
		}
	})
}

func FuzzDecodeValue(f *testing.F) {
	f.Add(Value{}.encode())
	f.Add(Value{Type: "shop.Order", Revision: -3, Format: "text/plain", Data: []byte("data")}.encode())
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := decodeValue(raw)
		if err != nil {
			if !errors.Is(err, engine.ErrCorrupt) {
				t.Errorf("error %v is not of class ErrCorrupt", err)
			}
			return
		}
		again, err := decodeValue(v.encode())
		if err != nil || !reflect.DeepEqual(again, v) || !bytes.Equal(again.Data, v.Data) {
			t.Errorf("%v becomes %v (%v)", v, again, err)
		}
	})
}
