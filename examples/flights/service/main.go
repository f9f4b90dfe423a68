// Command service runs one service of the flights example: publisher, delays or rebooking. FLUX_URL says where the server
// is.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/examples/flights"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(args []string) (err error) {
	if len(args) != 1 {
		return errors.New("usage: service publisher|delays|rebooking")
	}
	service, known := flights.Services(10 * time.Second)[args[0]]
	if !known {
		return fmt.Errorf("no service %q", args[0])
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	app, err := flux.Connect(ctx, flux.Config{Name: args[0]})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.Close(context.WithoutCancel(ctx))) }()
	return service(ctx, app)
}
