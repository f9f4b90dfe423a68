package schedule

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flux-go/flux/internal/engine"
)

// TestCheckFindsDamage writes, one at a time, what must not be next to a sound schedule.
func TestCheckFindsDamage(t *testing.T) {
	t.Parallel()
	type put struct{ key, value []byte }
	torn := block(t, "a")
	torn[len(torn)-1] ^= 1
	for name, put := range map[string]put{
		"no message":      {idKey(ns, "b"), engine.AppendUint64(nil, 1000)},
		"other time":      {idKey(ns, "a"), engine.AppendUint64(nil, 1001)},
		"bad time":        {idKey(ns, "a"), []byte{1}},
		"not under an id": {dueKey(ns, 2000, "b"), block(t, "b")},
		"two times":       {dueKey(ns, 2000, "a"), block(t, "a")},
		"torn":            {dueKey(ns, 1000, "a"), torn},
		"nonsense":        {dueKey(ns, 1000, "a"), []byte("nonsense")},
		"two messages":    {dueKey(ns, 1000, "a"), append(block(t, "a"), block(t, "b")...)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := open(t, engine.Options{FS: vfs.NewMem()})
			defer e.Close()
			propose(t, e, ns, newPut(t, "a", time.UnixMilli(1000), time.UnixMilli(0), "a"))
			if n := problems(t, e); n != 0 {
				t.Fatalf("check finds %d problems of a sound store", n)
			}
			propose(t, e, ns, set(put))
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
