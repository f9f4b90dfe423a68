package fluxtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"testing"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// Options say how a recording is replayed and what is to come of it.
type Options struct {
	// Expect is "same", "ok", "error" or "status=404". Defaults to "same": the handler does what was recorded and ends so.
	Expect string
	// Volatile are paths, as "$.body.time", in which outputs may differ, beside those of the recording.
	Volatile []string
	// Loose answers reads by a recorded operation of the same shape when none is the same. Defaults to false.
	Loose bool
	// ReuseReads answers a read from the same recorded one as often as it is asked. Defaults to false.
	ReuseReads bool
	// Order is in which order operations that are under way side by side get their answers. Defaults to [execution.OrderFast].
	Order execution.Order
	// Sweep replays so many times more in random orders, to find one that it does not come out well in: the handler depends on it.
	// Defaults to 0.
	Sweep int
	// Missing is asked about operations that the recording does not have: true does them for real, as in a sandbox. Defaults to
	// none: the replay stops at them.
	Missing func(execution.Operation) bool
}

// Replay replays the recording in a file through a handler and fails the test, saying what was expected and what happened,
// unless it comes out as the options want, which may be nil. It returns the report, with Sweep that of the last replay. The handler is an http.Handler, a
// func(http.ResponseWriter, *http.Request), or for recordings of anything else than HTTP a func(context.Context, []byte) error,
// which gets the recorded input as JSON.
func Replay(t testing.TB, file string, handler any, opts *Options) *execution.Report {
	t.Helper()
	opts = cmp.Or(opts, &Options{})
	expect := cmp.Or(opts.Expect, "same")
	bundle, err := read(file)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := execution.New(execution.Config{Service: cmp.Or(bundle.Execution.Service, "test")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rec.Close(context.Background()) })
	replayed := &execution.ReplayOptions{
		Volatile: opts.Volatile, Loose: opts.Loose, ReuseReads: opts.ReuseReads, Missing: opts.Missing, Order: opts.Order,
	}
	var report *execution.Report
	for met := true; met && replayed.Seed <= uint64(max(opts.Sweep, 0)); replayed.Seed++ {
		if replayed.Seed > 0 {
			replayed.Order = execution.OrderRandom
		}
		if report, err = replay(t.Context(), rec, bundle, handler, replayed); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if met, err = report.Meets(expect); err != nil {
			t.Fatal(err)
		}
		if !met {
			t.Errorf("%s%s: expected %s\n\n%s", file, inOrder(replayed), expect, report.Text(nil))
		}
	}
	return report
}

// inOrder says in which order answers came when it was not the usual one.
func inOrder(opts *execution.ReplayOptions) string {
	switch opts.Order {
	case execution.OrderFast:
		return ""
	case execution.OrderRandom:
		return fmt.Sprintf(" with answers in random order %d", opts.Seed)
	}
	return fmt.Sprintf(" with answers in %s order", opts.Order)
}

// errHandler is returned for handlers of other types.
var errHandler = errors.New("a handler is an http.Handler, a func(http.ResponseWriter, *http.Request) or a func(context.Context, []byte) error")

func read(file string) (*record.Bundle, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return record.ReadBundle(f)
}

func replay(ctx context.Context, rec *execution.Recorder, b *record.Bundle, handler any, opts *execution.ReplayOptions) (*execution.Report, error) {
	switch handler := handler.(type) {
	case http.Handler:
		return rec.ReplayHTTP(ctx, b, handler, opts)
	case func(http.ResponseWriter, *http.Request):
		return rec.ReplayHTTP(ctx, b, http.HandlerFunc(handler), opts)
	case func(context.Context, []byte) error:
		return replayFunc(ctx, rec, b, handler, opts)
	}
	return nil, errHandler
}

func replayFunc(ctx context.Context, rec *execution.Recorder, b *record.Bundle, handler func(context.Context, []byte) error, opts *execution.ReplayOptions) (*execution.Report, error) {
	ctx, x, err := rec.BeginReplay(ctx, b, opts)
	if err != nil {
		return nil, err
	}
	func() {
		defer func() {
			if p := recover(); p != nil {
				x.EndPanic(p, debug.Stack())
			}
		}()
		x.End(handler(ctx, b.Execution.Input.Data))
	}()
	return x.Report(), nil
}
