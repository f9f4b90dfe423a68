package flux_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/message"
	"github.com/flux-go/flux/server"
)

// readYourWrites has callers change and read keys of their own, and fails the test unless each reads what it has put last, or
// nothing after it has deleted that. Reads that fail for a reason that may pass are repeated. among, if not nil, is called
// between the calls.
func readYourWrites(t *testing.T, app *flux.App, callers, rounds int, among func()) {
	t.Helper()
	ctx := within(t)
	var group sync.WaitGroup
	for caller := range callers {
		random := rand.New(rand.NewPCG(uint64(caller), 5))
		group.Go(func() {
			values := make(map[string]int)
			for round := range rounds {
				key := fmt.Sprintf("%d.%d", caller, random.IntN(3))
				if err := change(ctx, app, random, key, round, values); err != nil {
					t.Errorf("change of %s: %v", key, err)
					return
				}
				key = fmt.Sprintf("%d.%d", caller, random.IntN(3))
				got, found, err := read(ctx, app, key)
				want, there := values[key]
				if err != nil || got != want || found != there {
					t.Errorf("%s is %d, %v (%v), want %d, %v", key, got, found, err, want, there)
					return
				}
				if among != nil {
					among()
				}
			}
		})
	}
	group.Wait()
}

// change puts or deletes, in the store and in values.
func change(ctx context.Context, app *flux.App, random *rand.Rand, key string, value int, values map[string]int) error {
	_, there := values[key]
	switch random.IntN(4) {
	case 0:
		deleted, err := flux.DeleteValue(ctx, app, key)
		if err == nil && deleted != there {
			err = fmt.Errorf("deleted: %v", deleted)
		}
		delete(values, key)
		return err
	case 1:
		stored, err := flux.PutValueIfAbsent(ctx, app, key, value)
		if err == nil && stored == there {
			err = fmt.Errorf("stored: %v", stored)
		}
		if stored {
			values[key] = value
		}
		return err
	}
	values[key] = value
	return flux.PutValue(ctx, app, key, value)
}

// read reads until the reason for failing does not pass.
func read(ctx context.Context, app *flux.App, key string) (value int, found bool, err error) {
	for {
		value, found, err = flux.GetValue[int](ctx, app, key)
		if err == nil || !flux.Retryable(err) || ctx.Err() != nil {
			return value, found, err
		}
	}
}

func TestReadsShowWhatWasPutBefore(t *testing.T) {
	t.Parallel()
	app := connect(t, startServer(t, "").URL(), flux.Config{})
	readYourWrites(t, app, 50, 40, nil)
}

// TestLostConnectionsLoseNoRead cuts connections in the middle of answers.
func TestLostConnectionsLoseNoRead(t *testing.T) {
	t.Parallel()
	cutting := startProxy(t, startServer(t, "").URL(), lifetimes(20, 4000, 12_000))
	app := connect(t, cutting.url(), flux.Config{})
	readYourWrites(t, app, 30, 100, nil)
	if cutting.cuts.Load() < 10 {
		t.Errorf("only %d cuts", cutting.cuts.Load())
	}
}

func TestReadsGoOnAfterRestartsOfTheServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := server.Start(t.Context(), server.Config{Dir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(s.URL(), "http://")
	app := connect(t, s.URL(), flux.Config{})
	progress := make(chan struct{}, 10_000)
	var group sync.WaitGroup
	group.Go(func() { readYourWrites(t, app, 20, 30, func() { progress <- struct{}{} }) })
	for range 3 {
		for range 100 {
			receive(t, progress)
		}
		s = restart(t, s, server.Config{Dir: dir, Listen: address})
	}
	group.Wait()
	shutdown(t, s)
}

// TestReadsFailEachForItself reads keys that cannot be, and values of another type, among others.
func TestReadsFailEachForItself(t *testing.T) {
	t.Parallel()
	app, ctx := connect(t, startServer(t, "").URL(), flux.Config{}), within(t)
	if err := errors.Join(flux.PutValue(ctx, app, "good", 7), flux.PutValue(ctx, app, "text", "t")); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 100 {
		group.Go(func() {
			key, bad := "good", i%3 > 0
			if bad {
				key = []string{"", strings.Repeat("k", 3000), "a\x00b", "text"}[i%4]
			}
			got, found, err := flux.GetValue[int](ctx, app, key)
			if bad != errors.Is(err, flux.ErrBadRequest) || bad == found || !bad && got != 7 {
				t.Errorf("value of %.20q: %d, %v (%v)", key, got, found, err)
			}
		})
	}
	group.Wait()
}

// TestNamesThatAreNoTextFailAlone uses names that cannot be sent at all. They must not be in the way of others.
func TestNamesThatAreNoTextFailAlone(t *testing.T) {
	t.Parallel()
	const bad = "a\xff"
	app, ctx := connect(t, startServer(t, "").URL(), flux.Config{}), within(t)
	topic := message.Log{Type: message.Custom, Topic: bad}
	for name, call := range map[string]func() error{
		"put":      func() error { return flux.PutValue(ctx, app, bad, 1) },
		"get":      func() error { _, _, err := flux.GetValue[int](ctx, app, bad); return err },
		"delete":   func() error { _, err := flux.DeleteValue(ctx, app, bad); return err },
		"events":   func() error { _, err := app.AppendEvents(ctx, bad, nil, number(1)); return err },
		"schedule": func() error { return flux.Schedule(ctx, app, bad, time.Hour, reminder{}) },
		"cancel":   func() error { _, err := flux.CancelSchedule(ctx, app, bad); return err },
		"append":   func() error { _, err := app.Append(ctx, topic, number(1)); return err },
		"several":  func() error { _, err := app.Append(ctx, topic, number(1), number(2)); return err },
	} {
		if err := call(); !errors.Is(err, flux.ErrBadRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := flux.PutValue(ctx, app, "good", 1); err != nil {
		t.Error(err)
	}
	if got, _, err := flux.GetValue[int](ctx, app, "good"); got != 1 || err != nil {
		t.Errorf("value %d (%v)", got, err)
	}
}

// TestLargeValuesAreReadTogether reads more at the same time than one answer holds.
func TestLargeValuesAreReadTogether(t *testing.T) {
	t.Parallel()
	app, ctx := connect(t, startServer(t, "").URL(), flux.Config{}), within(t)
	var group sync.WaitGroup
	for i := range 30 {
		group.Go(func() {
			key, value := fmt.Sprint("large-", i), strings.Repeat(fmt.Sprint(i%10), 200_000+i)
			if err := flux.PutValue(ctx, app, key, value); err != nil {
				t.Error(err)
			}
			for range 3 {
				if got, found, err := flux.GetValue[string](ctx, app, key); got != value || !found || err != nil {
					t.Errorf("value %d has %d bytes, %v (%v)", i, len(got), found, err)
				}
			}
		})
	}
	group.Wait()
}

func TestReadsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	app, ctx := connect(t, startServer(t, "").URL(), flux.Config{}), within(t)
	if err := flux.PutValue(ctx, app, "k", 1); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 200 {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, time.Duration(i)*20*time.Microsecond)
			defer cancel()
			for {
				got, found, err := flux.GetValue[int](ctx, app, "k")
				if errors.Is(err, context.DeadlineExceeded) {
					return
				}
				if got != 1 || !found || err != nil {
					t.Errorf("value %d, %v (%v)", got, found, err)
					return
				}
			}
		})
	}
	group.Wait()
	if got, _, err := flux.GetValue[int](ctx, app, "k"); got != 1 || err != nil {
		t.Errorf("value %d (%v)", got, err)
	}
}

func TestReadsOfAClosedAppFail(t *testing.T) {
	t.Parallel()
	app, ctx := connect(t, startServer(t, "").URL(), flux.Config{}), within(t)
	if _, _, err := flux.GetValue[int](ctx, app, "k"); err != nil {
		t.Fatal(err)
	}
	if err := app.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if _, _, err := flux.GetValue[int](ctx, app, "k"); !errors.Is(err, flux.ErrClosed) {
		t.Errorf("read of a closed app: %v", err)
	}
}

func TestReadsWithoutServerFailSoon(t *testing.T) {
	t.Parallel()
	s, err := server.Start(t.Context(), server.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	app, ctx := connect(t, s.URL(), flux.Config{}), within(t)
	if _, _, err := flux.GetValue[int](ctx, app, "k"); err != nil {
		t.Fatal(err)
	}
	shutdown(t, s)
	if _, _, err := flux.GetValue[int](ctx, app, "k"); !errors.Is(err, flux.ErrUnavailable) {
		t.Errorf("read without server: %v", err)
	}
}
