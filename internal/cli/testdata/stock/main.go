// Command stock is a service for the scripts of flux replay and flux resume whose work does not begin with HTTP: it is called over
// gRPC, handles messages, and has a job. "stock record-… FILE" records one execution that fails, and prints its id; "stock serve",
// "stock consume" and "stock job" are the programs that replay and resume it. Each takes items from the shelf, a line in the file
// "effects", and ships them, which fails unless STOCK_BUG is fixed.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	commands := map[string]func(context.Context, []string) error{
		"record-call": recordCall, "serve": serve, "record-message": recordMessage, "consume": consume, "record-job": recordJob, "job": runJob,
		"jobs": attendJobs,
	}
	if err := commands[os.Args[1]](ctx, os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "stock:", err)
		os.Exit(1)
	}
}

// connect returns a recorder. What it keeps goes to the server, and when file is not empty, there and as an id to stdout.
func connect(file string) (*execution.Recorder, error) {
	config := execution.Config{Service: "stock", Dir: "records", URL: os.Getenv("FLUX_URL"), Keep: execution.Keep{All: true}}
	if file != "" {
		config.OnKept = func(x *record.Execution) {
			if x.Trigger.Kind == record.TriggerBoot {
				return
			}
			var b bytes.Buffer
			_ = record.WriteBundle(&b, &record.Bundle{Execution: x})
			_ = os.WriteFile(file, b.Bytes(), 0o600)
			fmt.Println(x.ID)
		}
	}
	return execution.Connect(config)
}

// take takes items from the shelf for real.
func take(ctx context.Context, items string) error {
	switch os.Getenv("STOCK_BUG") {
	case "skips":
		return nil
	case "more":
		items += " and more"
	case "dies":
		os.Exit(3)
	}
	_, err := execution.Do(ctx, op("take", items), func(context.Context) (bool, error) { return true, effect("take " + items) })
	return err
}

var errNoDriver = errors.New("no driver")

// ship ships them.
func ship(ctx context.Context, items string) error {
	_, err := execution.Do(ctx, op("ship", items), func(context.Context) (bool, error) {
		if os.Getenv("STOCK_BUG") == "stuck" {
			stuck()
		}
		if os.Getenv("STOCK_BUG") != "fixed" {
			return false, errNoDriver
		}
		return true, effect("ship " + items)
	})
	return err
}

// stuck says that it is, and dies once the file "die" is there.
func stuck() {
	_ = os.WriteFile("stuck", []byte("stuck"), 0o600)
	for range time.Tick(5 * time.Millisecond) {
		if _, err := os.Stat("die"); err == nil {
			os.Exit(3)
		}
	}
}

func op(shape, items string) execution.Op {
	return execution.Op{Boundary: "shelf", Target: "hall", Shape: shape, Effect: record.EffectWrite, Request: items}
}

func effect(line string) error {
	file, err := os.OpenFile("effects", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, line)
	return errors.Join(err, file.Close())
}
