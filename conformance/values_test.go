package conformance

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/flux-go/flux"
)

// TestCrashOfServerUnderReads kills the server, as kill -9 does, while callers put values and read them back. Whatever a put has
// returned for is read afterwards, before the crash as after it.
func TestCrashOfServerUnderReads(t *testing.T) {
	t.Parallel()
	k := &killing{dir: t.TempDir(), address: freeAddress(t)}
	k.start(t)
	t.Cleanup(func() { k.server.Kill() })
	app := k.connect(t, "values")
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	const callers, rounds, kills = 20, 60, 3
	progress := make(chan struct{}, callers*rounds)
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			for n := range rounds {
				key := fmt.Sprintf("%d.%d", caller, n%3)
				if err := flux.PutValue(ctx, app, key, n); err != nil {
					t.Errorf("put %s: %v", key, err)
					return
				}
				got, found, err := flux.GetValue[int](ctx, app, key)
				for ; flux.Retryable(err) && ctx.Err() == nil; got, found, err = flux.GetValue[int](ctx, app, key) {
				}
				if got != n || !found || err != nil {
					t.Errorf("%s is %d, %v (%v), want %d", key, got, found, err, n)
					return
				}
				progress <- struct{}{}
			}
		})
	}
	for range kills {
		for range callers * rounds / (kills + 1) {
			select {
			case <-progress:
			case <-ctx.Done():
				t.Fatal(ctx.Err())
			}
		}
		k.server.Kill()
		k.start(t)
	}
	group.Wait() // they end with ctx
}
