package bank

import (
	"context"

	"github.com/flux-go/flux"
)

// Account is what the events of an account have made of it.
type Account struct {
	Owner  string
	Amount int64 // in cents
	Open   bool
}

func (a Account) opened(e Opened) Account       { return Account{Owner: e.Owner, Open: true} }
func (a Account) deposited(e Deposited) Account { a.Amount += e.Amount; return a }
func (a Account) withdrawn(e Withdrawn) Account { a.Amount -= e.Amount; return a }

var accounts = flux.NewAggregate(flux.On(Account.opened), flux.On(Account.deposited), flux.On(Account.withdrawn))

// start begins with the oldest command, so that none is missed that was sent before the service was there.
var start = flux.Consumer{From: flux.Beginning}

// Accounts handles the commands and queries of accounts until ctx ends. Its consumers have the names that the service in
// Java gives them, so that one goes on where the other stopped.
func Accounts(ctx context.Context, app *flux.App) error {
	commands := app.Consumer("accounts_COMMAND", start)
	flux.HandleCommand(commands, func(ctx context.Context, c Open) (Balance, error) {
		return update(ctx, app, c.Account, func(a Account) (any, error) {
			if a.Open {
				return nil, ErrExists
			}
			return Opened{Account: c.Account, Owner: c.Owner}, nil
		})
	})
	flux.HandleCommand(commands, func(ctx context.Context, c Deposit) (Balance, error) {
		return update(ctx, app, c.Account, func(a Account) (any, error) {
			return Deposited{Account: c.Account, Amount: c.Amount}, a.check(c.Amount)
		})
	})
	flux.HandleCommand(commands, func(ctx context.Context, c Withdraw) (Balance, error) {
		return update(ctx, app, c.Account, func(a Account) (any, error) {
			if err := a.check(c.Amount); err != nil {
				return nil, err
			}
			if a.Amount < c.Amount {
				return nil, ErrNoFunds
			}
			return Withdrawn{Account: c.Account, Amount: c.Amount}, nil
		})
	})
	flux.HandleQuery(app.Consumer("accounts_QUERY", start), func(ctx context.Context, q GetBalance) (Balance, error) {
		account, err := accounts.Load(ctx, app, q.Account)
		if err != nil {
			return Balance{}, err
		}
		if !account.State.Open {
			return Balance{}, ErrNoAccount
		}
		return Balance{q.Account, account.State.Amount}, nil
	})
	return app.Run(ctx)
}

func (a Account) check(amount int64) error {
	switch {
	case !a.Open:
		return ErrNoAccount
	case amount <= 0:
		return ErrAmount
	}
	return nil
}

// update applies the event that decide returns, and returns the balance after it.
func update(ctx context.Context, app *flux.App, id string, decide func(Account) (any, error)) (Balance, error) {
	account, err := accounts.Update(ctx, app, id, func(a Account) ([]any, error) {
		event, err := decide(a)
		return []any{event}, err
	})
	if err != nil {
		return Balance{}, err
	}
	return Balance{id, account.State.Amount}, nil
}
