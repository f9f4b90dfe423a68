package auto

import (
	"context"
	"os"
	"time"

	"github.com/flux-go/flux/execution"
)

// The functions below stand in for those of package time and os of the same name, in calls of the program's own packages.
// Without an execution they are those functions.

// Now is time.Now.
func Now() time.Time { return execution.Now(context.Background()) }

// Since is time.Since.
func Since(t time.Time) time.Duration {
	if !inside() {
		return time.Since(t)
	}
	return execution.Since(context.Background(), t)
}

// Until is time.Until.
func Until(t time.Time) time.Duration {
	if !inside() {
		return time.Until(t)
	}
	return execution.Until(context.Background(), t)
}

// Sleep is time.Sleep, but ends at once in a replay.
func Sleep(d time.Duration) {
	if !inside() {
		time.Sleep(d)
		return
	}
	_ = execution.Sleep(context.Background(), d) // a stop is told by the next operation that can return it
}

// After is time.After.
func After(d time.Duration) <-chan time.Time {
	if !inside() {
		return time.After(d)
	}
	return execution.After(context.Background(), d)
}

// Getenv is os.Getenv.
func Getenv(name string) string { return execution.Getenv(context.Background(), name) }

// LookupEnv is os.LookupEnv.
func LookupEnv(name string) (string, bool) { return execution.LookupEnv(context.Background(), name) }

// inside says that this goroutine is in an execution.
func inside() bool { return execution.FromContext(context.Background()) != nil }

// Exit is os.Exit after Close.
func Exit(code int) {
	Close()
	os.Exit(code)
}
