// Command demo sends webhooks to the receiver of this example, and shows what is to be done about one that fails: it is found and
// explained, replayed with and without the fix, and finished, while the provider goes on sending it. It needs nothing but Go, and ends
// with exit code 0 only if every step came out as it must.
//
//	go run ./examples/webhooks/demo
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

// run shows all steps, and tells what they do. It takes seconds, and five minutes at most.
func run(ctx context.Context, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	began := time.Now()
	w, err := newWorld(ctx, out)
	if err != nil {
		return err
	}
	defer w.close(&err)
	for i, step := range steps {
		fmt.Fprintf(out, "%d  %s\n", i+1, step.what)
		if err := step.do(w, ctx); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	fmt.Fprintf(out, "All as it must be, in %.1f s.\n", time.Since(began).Seconds())
	return nil
}
