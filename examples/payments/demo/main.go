// Command demo shows what recorded executions are good for, on a payments service with a real PostgreSQL, a real Redis and a payment
// provider: a request fails, is found and explained, replayed without any of them, and finished after the fix without charging
// twice; the service is killed in the middle of another, and that is finished, too. It ends with exit code 0 only if every step
// came out as it must.
//
//	go run ./examples/payments/demo                # the service records itself, with package execution
//	go run ./examples/payments/demo -instrumented  # the same, built by flux go build instead
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/flux-go/flux/internal/testservices/backing"
)

func main() {
	instrumented := flag.Bool("instrumented", false, "build the service with flux go build, and turn its own recording off")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *instrumented); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		if errors.Is(err, backing.ErrNotInstalled) {
			fmt.Fprintln(os.Stderr, "Try: install PostgreSQL and Redis, on Debian with apt-get install postgresql redis-server")
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, instrumented bool) error {
	began := time.Now()
	w, err := newWorld(ctx, instrumented)
	if err != nil {
		return err
	}
	defer w.close()
	for i, step := range steps {
		at := time.Now()
		fmt.Printf("%d  %s\n", i+1, step.what)
		if err := step.do(w, ctx); err != nil {
			return fmt.Errorf("step %d: %w%s", i+1, err, w.apiLog())
		}
		fmt.Printf("   ✓ %.1f s\n", time.Since(at).Seconds())
	}
	fmt.Printf("All as it must be, in %.1f s.\n", time.Since(began).Seconds())
	return nil
}
