package execution_test

import (
	"context"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/flux-go/flux/execution"
)

// TestDefaultLoggerMayBeRecorded sets the default logger as the guide says, in a process of its own, and compares what is written
// with what the process writes without recording.
func TestDefaultLoggerMayBeRecorded(t *testing.T) {
	t.Parallel()
	if how := os.Getenv("LOG_HOW"); how != "" {
		logByDefault(t, how == "recorded")
		return
	}
	written := make(map[string]string)
	for _, how := range []string{"plain", "recorded"} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestDefaultLoggerMayBeRecorded$")
		child.Env = append(os.Environ(), "LOG_HOW="+how)
		stderr, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		child.Stderr = stderr
		if out, err := child.Output(); err != nil {
			t.Fatalf("%s: %v\n%s", how, err, out)
		}
		text, err := os.ReadFile(stderr.Name())
		if err != nil {
			t.Fatal(err)
		}
		written[how] = string(text)
	}
	const want = "INFO hello msg=mine n=1\nWARN deeper a=1 g.b=\"two words\"\nINFO from package log\n"
	if written["recorded"] != want {
		t.Errorf("recorded, it wrote\n%s, want\n%s", written["recorded"], want)
	}
	if plain := "INFO hello msg=mine n=1\nWARN deeper a=1 g.b=\"two words\"\nfrom package log\n"; written["plain"] != plain {
		t.Errorf("without recording it wrote\n%s, want\n%s", written["plain"], plain)
	}
}

func logByDefault(t *testing.T, recorded bool) {
	log.SetFlags(0)
	if recorded {
		rec, err := execution.New(execution.Config{Service: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		slog.SetDefault(slog.New(rec.Handler(slog.Default().Handler())))
	}
	slog.Info("hello", "msg", "mine", "n", 1)
	slog.Debug("not enabled")
	slog.With("a", 1).WithGroup("g").Warn("deeper", "b", "two words")
	log.Print("from package log")
}
