package bank_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/examples/bank"
	"github.com/flux-go/flux/server"
)

// open starts a server with both services of the bank and returns one who uses it.
func open(t *testing.T) *flux.App {
	t.Helper()
	s, err := server.Start(t.Context(), server.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	connect := func(name string) *flux.App {
		app, err := flux.Connect(ctx, flux.Config{Name: name, URL: s.URL()})
		if err != nil {
			t.Fatal(err)
		}
		return app
	}
	services := map[string]func(context.Context, *flux.App) error{"accounts": bank.Accounts, "transfers": bank.Transfers}
	var apps []*flux.App
	for name, service := range services {
		app := connect(name)
		apps = append(apps, app)
		running.Go(func() {
			if err := service(ctx, app); err != nil && ctx.Err() == nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	user := connect("user")
	t.Cleanup(func() {
		cancel()
		running.Wait()
		for _, app := range append(apps, user) {
			_ = app.Close(context.Background())
		}
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return user
}

// ask returns the answer to a request.
func ask[R any](t *testing.T, app *flux.App, request flux.Request[R]) R {
	t.Helper()
	answer, err := flux.Ask(t.Context(), app, request)
	if err != nil {
		t.Fatalf("%+v: %v", request, err)
	}
	return answer
}

func TestMoneyMovesBetweenAccounts(t *testing.T) {
	t.Parallel()
	app := open(t)
	ask(t, app, bank.Open{Account: "a", Owner: "Ada"})
	ask(t, app, bank.Open{Account: "b", Owner: "Bob"})
	if got := ask(t, app, bank.Deposit{Account: "a", Amount: 1000}); got != (bank.Balance{Account: "a", Amount: 1000}) {
		t.Errorf("after the deposit: %+v", got)
	}
	want := bank.Receipt{From: bank.Balance{Account: "a", Amount: 700}, To: bank.Balance{Account: "b", Amount: 300}}
	if got := ask(t, app, bank.Transfer{From: "a", To: "b", Amount: 300}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := ask(t, app, bank.GetBalance{Account: "b"}); got != want.To {
		t.Errorf("got %+v, want %+v", got, want.To)
	}
}

func TestWhatCannotBeTransferredStaysWhereItIs(t *testing.T) {
	t.Parallel()
	app := open(t)
	ask(t, app, bank.Open{Account: "a", Owner: "Ada"})
	ask(t, app, bank.Deposit{Account: "a", Amount: 100})
	for _, test := range []struct {
		transfer bank.Transfer
		want     error
	}{
		{bank.Transfer{From: "a", To: "a", Amount: 101}, bank.ErrNoFunds},
		{bank.Transfer{From: "a", To: "nobody", Amount: 50}, bank.ErrNoAccount},
		{bank.Transfer{From: "nobody", To: "a", Amount: 50}, bank.ErrNoAccount},
		{bank.Transfer{From: "a", To: "a", Amount: -1}, bank.ErrAmount},
	} {
		if _, err := flux.Ask(t.Context(), app, test.transfer); !errors.Is(err, test.want) {
			t.Errorf("%+v: got %v, want %v", test.transfer, err, test.want)
		}
	}
	if got := ask(t, app, bank.GetBalance{Account: "a"}); got.Amount != 100 {
		t.Errorf("got %+v, want 100", got)
	}
	if _, err := flux.Ask(t.Context(), app, bank.Open{Account: "a"}); !errors.Is(err, bank.ErrExists) {
		t.Errorf("opened again: %v", err)
	}
}
