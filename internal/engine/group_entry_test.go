package engine

import (
	"strings"
	"testing"
)

// TestStartedEntriesAreNotJoined adds values of which two start an entry of their own, one of them in another transaction of
// the group.
func TestStartedEntriesAreNotJoined(t *testing.T) {
	t.Parallel()
	e := open(t, Options{})
	extend := func(at uint64, value string) Operation {
		return do(func(tx *Tx) error { tx.Extend(key(1), at, []byte(value)); return nil })
	}
	start := func(at uint64, value string) Operation {
		return do(func(tx *Tx) error { tx.StartEntry(key(1), at, []byte(value)); return nil })
	}
	commitGroup(e,
		transaction(extend(1, "a"), extend(2, "b"), start(5, "c"), extend(6, "d")),
		transaction(start(9, "e")),
		transaction(extend(10, "f")),
	)
	v := e.View()
	defer v.Close()
	for at, want := range map[uint64]string{2: "ab", 6: "cd", 10: "ef"} {
		if got, err := v.Get(AppendUint64(key(1), at)); string(got) != want || err != nil {
			t.Errorf("entry at %d is %q (%v), want %q", at, got, err, want)
		}
	}
	if got, want := dump(t, v), 3; strings.Count(got, "\n") != want {
		t.Errorf("%d entries, want %d:\n%s", strings.Count(got, "\n"), want, got)
	}
}
