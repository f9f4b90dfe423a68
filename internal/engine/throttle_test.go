package engine

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// TestStoreThatFallsBehindHoldsUpWriters keeps the store from writing tables until writers are held up, so that memory stays
// bounded. Then it lets the store catch up, or fail.
func TestStoreThatFallsBehindHoldsUpWriters(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]error{"catches up": nil, "fails": syscall.ENOSPC} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hold := make(chan struct{})
			fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind == errorfs.OpCreate && isTable(op.Path) {
					<-hold
					return outcome
				}
				return nil
			}))
			e := open(t, Options{FS: fs, MemTableBytes: 64 << 10})
			const n = 400
			var all sync.WaitGroup
			all.Add(n)
			for i := range n {
				value := set(byte(i), strings.Repeat("x", 8<<10))
				err := e.Submit(context.Background(), transaction(large{value}), func(err error) {
					if outcome == nil && err != nil || err != nil && !errors.Is(err, outcome) {
						t.Errorf("transaction %d: %v", i, err)
					}
					all.Done()
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			for !e.behind() {
				runtime.Gosched()
			}
			if m := e.Metrics(); m.Queued == 0 || m.MemTableBytes > 2<<20 {
				t.Errorf("%d transactions wait, %d bytes are in memory", m.Queued, m.MemTableBytes)
			}
			close(hold)
			all.Wait()
			if (e.Err() == nil) != (outcome == nil) {
				t.Errorf("in the end: %v", e.Err())
			}
		})
	}
}

// large is an operation that is alone in its group.
type large struct{ Operation }

func (large) SizeBytes() int { return maxGroupBytes }
