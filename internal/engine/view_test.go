package engine

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flux-go/flux/message"
)

func TestViewDoesNotChange(t *testing.T) {
	t.Parallel()
	e := open(t, Options{})
	propose(t, e, set(1, "a"))
	before := e.View()
	defer before.Close()
	propose(t, e, set(1, "b"), set(2, "b"))
	if got := get(t, before, 1) + get(t, before, 2); got != "a" {
		t.Errorf("view from before has %q, want a", got)
	}
	if got := getNow(t, e, 1); got != "b" {
		t.Errorf("newest view has %q, want b", got)
	}
}

// TestViewsUnderConcurrentCommits has readers take and give back views while each commit replaces the newest. Each commit
// sets all keys to the same value, which never goes back.
func TestViewsUnderConcurrentCommits(t *testing.T) {
	t.Parallel()
	e := open(t, Options{})
	setAll := func(i int) []Operation {
		value := fmt.Sprintf("%06d", i)
		return []Operation{set(1, value), set(2, value)}
	}
	propose(t, e, setAll(0)...)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for last := ""; ; {
				v := e.View()
				one, two := get(t, v, 1), get(t, v, 2)
				v.Close()
				if one != two || one < last {
					t.Errorf("view has %s and %s, after %s", one, two, last)
				}
				last = one
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for i := range 500 {
		propose(t, e, setAll(i)...)
	}
	close(stop)
	readers.Wait()
}

func TestCloseWaitsForViews(t *testing.T) {
	t.Parallel()
	e, err := Open("store", Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	propose(t, e, set(1, "x"))
	v := e.View()
	closed := make(chan error)
	go func() { closed <- e.Close() }()
	for e.Propose(t.Context(), transaction()) == nil {
		continue // until Close has begun
	}
	select {
	case err := <-closed:
		t.Fatalf("Close returned (%v) before the view was closed", err)
	default:
	}
	if got := get(t, v, 1); got != "x" {
		t.Errorf("view has %q while the engine closes, want x", got)
	}
	v.Close()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestNamespacesAreListedAndApart(t *testing.T) {
	t.Parallel()
	e := open(t, Options{})
	want := []message.Namespace{"a", "a\x01", "ab", "b", "\xff"}
	for i, ns := range want {
		for id := range byte(3) {
			tx := &Transaction{Namespace: ns, Operations: []Operation{do(func(tx *Tx) error {
				tx.Set(append(AppendKey(nil, tx.Namespace(), FamilyProducer), id), []byte{byte(i)})
				return nil
			})}}
			if err := e.Propose(t.Context(), tx); err != nil {
				t.Fatal(err)
			}
		}
	}
	v := e.View()
	defer v.Close()
	got, err := v.Namespaces()
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("namespaces %q (%v), want %q", got, err, want)
	}
	for i, ns := range want {
		it, err := v.ScanPrefix(AppendKey(nil, ns, FamilyProducer))
		if err != nil {
			t.Fatal(err)
		}
		keys := 0
		for ; it.Next(); keys++ {
			if value, err := it.Value(); string(value) != string(byte(i)) {
				t.Errorf("namespace %q sees %q (%v) of another", ns, value, err)
			}
		}
		if err := it.Close(); err != nil || keys != 3 {
			t.Errorf("namespace %q has %d keys (%v), want 3", ns, keys, err)
		}
	}
}

func TestEmptyStoreHasNoNamespaces(t *testing.T) {
	t.Parallel()
	v := open(t, Options{}).View()
	defer v.Close()
	if got, err := v.Namespaces(); err != nil || len(got) != 0 {
		t.Errorf("namespaces %q (%v), want none", got, err)
	}
}
