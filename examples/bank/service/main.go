// Command service runs one service of the bank: accounts or transfers. FLUX_URL says where the server is, FLUX_NAMESPACE in
// which namespace the bank is.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/examples/bank"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}

func run(args []string) (err error) {
	if len(args) != 1 {
		return errors.New("usage: service accounts|transfers")
	}
	services := map[string]func(context.Context, *flux.App) error{"accounts": bank.Accounts, "transfers": bank.Transfers}
	service, known := services[args[0]]
	if !known {
		return fmt.Errorf("no service %q", args[0])
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	app, err := flux.Connect(ctx, flux.Config{Name: args[0]})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.Close(context.WithoutCancel(ctx))) }()
	return service(ctx, app)
}
