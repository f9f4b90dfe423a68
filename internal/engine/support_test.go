package engine

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flux-go/flux/message"
)

const ns = message.DefaultNamespace

// do is an operation that is a function.
type do func(tx *Tx) error

func (f do) Apply(tx *Tx) error { return f(tx) }
func (f do) SizeBytes() int     { return 32 }

// set is the operation that sets a key in the namespace of its transaction.
func set(id byte, value string) Operation {
	return do(func(tx *Tx) error {
		tx.Set(key(id), []byte(value))
		return nil
	})
}

func notify(event any) Operation {
	return do(func(tx *Tx) error {
		tx.Notify(event)
		return nil
	})
}

func refuse(err error) Operation { return do(func(*Tx) error { return err }) }

// key is a key of the family that takes any bytes.
func key(id ...byte) []byte { return append(AppendKey(nil, ns, FamilyProducer), id...) }

func transaction(ops ...Operation) *Transaction { return &Transaction{Namespace: ns, Operations: ops} }

func open(t testing.TB, o Options) *Engine {
	t.Helper()
	if o.FS == nil {
		o.FS = vfs.NewMem()
	}
	e, err := Open("store", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func propose(t testing.TB, e *Engine, ops ...Operation) {
	t.Helper()
	if err := e.Propose(t.Context(), transaction(ops...)); err != nil {
		t.Fatal(err)
	}
}

// commitGroup commits transactions as one group, whatever else is queued, and returns their results.
func commitGroup(e *Engine, transactions ...*Transaction) []error {
	errs := make([]error, len(transactions))
	var proposals []proposal
	for i, tx := range transactions {
		proposals = append(proposals, proposal{tx: tx, done: func(err error) { errs[i] = err }})
	}
	e.sequencer.finish(e.sequencer.run(proposals))
	return errs
}

// failer is what testing.TB and rapid.T have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
}

// dump returns all keys and values of a view, a line for each.
func dump(t failer, v *View) string {
	t.Helper()
	it, err := v.Scan(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for it.Next() {
		value, err := it.Value()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%q = %q\n", it.Key(), value)
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func dumpNow(t testing.TB, e *Engine) string {
	t.Helper()
	v := e.View()
	defer v.Close()
	return dump(t, v)
}

func get(t testing.TB, v *View, id byte) string {
	t.Helper()
	value, err := v.Get(key(id))
	if err != nil {
		t.Fatal(err)
	}
	return string(value)
}

func getNow(t testing.TB, e *Engine, id byte) string {
	t.Helper()
	v := e.View()
	defer v.Close()
	return get(t, v, id)
}

// fakeClock is a clock that stands still until it is set.
type fakeClock struct{ milli atomic.Int64 }

func (c *fakeClock) now() time.Time { return time.UnixMilli(c.milli.Load()) }

// files returns the contents of all files of a directory.
func files(t testing.TB, fs vfs.FS, dir string) map[string]string {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, name := range names {
		file, err := fs.Open(fs.PathJoin(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		var content bytes.Buffer
		if _, err := content.ReadFrom(file); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		all[name] = content.String()
	}
	return all
}

// ended is a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
