package bank

import (
	"context"
	"fmt"

	"github.com/flux-go/flux"
)

// Transfers handles transfers until ctx ends.
func Transfers(ctx context.Context, app *flux.App) error {
	commands := app.Consumer("transfers_COMMAND", start)
	flux.HandleCommand(commands, func(ctx context.Context, c Transfer) (Receipt, error) {
		return transfer(ctx, app, c)
	})
	return app.Run(ctx)
}

// transfer withdraws, then deposits. What cannot be deposited goes back to where it came from.
func transfer(ctx context.Context, app *flux.App, c Transfer) (Receipt, error) {
	from, err := flux.Ask(ctx, app, Withdraw{Account: c.From, Amount: c.Amount})
	if err != nil {
		return Receipt{}, err
	}
	to, err := flux.Ask(ctx, app, Deposit{Account: c.To, Amount: c.Amount})
	if err == nil {
		return Receipt{from, to}, nil
	}
	if _, back := flux.Ask(ctx, app, Deposit{Account: c.From, Amount: c.Amount}); back != nil {
		return Receipt{}, fmt.Errorf("%d cents of %s are on their way: %w", c.Amount, c.From, back)
	}
	return Receipt{}, err
}
