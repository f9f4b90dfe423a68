package flux_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/message"
	"github.com/flux-go/flux/server"
)

// Transfer is a command with a receipt as its result.
type Transfer struct {
	flux.Command[Receipt]
	From   string `json:"from" flux:"routing"`
	To     string `json:"to"`
	Amount int    `json:"amount"`
}

type Receipt struct {
	Balance int `json:"balance"`
}

// GetBalance is a query with a number as its result.
type GetBalance struct {
	flux.Query[int]
	Account string `json:"account" flux:"routing"`
}

// Transferred is an event.
type Transferred struct {
	From   string `json:"from" flux:"routing"`
	Amount int    `json:"amount"`
}

// exampleApp returns an app of a server in memory, and what ends both.
func exampleApp(ctx context.Context, name string) (*flux.App, func()) {
	s, err := server.Start(ctx, server.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		log.Fatal(err)
	}
	app, err := flux.Connect(ctx, flux.Config{Name: name, URL: s.URL()})
	if err != nil {
		log.Fatal(err)
	}
	return app, func() {
		app.Close(ctx)
		s.Shutdown(ctx)
	}
}

// The types of results follow from the requests.
func ExampleAsk() {
	ctx := context.Background()
	app, end := exampleApp(ctx, "bank")
	defer end()
	flux.HandleCommand(app, func(_ context.Context, t Transfer) (Receipt, error) {
		return Receipt{Balance: 100 - t.Amount}, nil
	})
	flux.HandleQuery(app, func(_ context.Context, q GetBalance) (int, error) { return len(q.Account), nil })
	go app.Run(ctx)

	receipt, err := flux.Ask(ctx, app, Transfer{From: "ann", To: "bob", Amount: 30})
	fmt.Println(receipt.Balance, err)
	balance, err := flux.Ask(ctx, app, GetBalance{Account: "bob"})
	fmt.Println(balance+1, err)
	// Output:
	// 70 <nil>
	// 4 <nil>
}

// ErrNoFunds is known to the service that transfers and to those that ask for it.
var ErrNoFunds = &flux.Error{Code: "bank.no_funds", Message: "not enough funds"}

func ExampleError() {
	ctx := context.Background()
	app, end := exampleApp(ctx, "bank")
	defer end()
	flux.HandleCommand(app, func(_ context.Context, t Transfer) (Receipt, error) {
		return Receipt{}, fmt.Errorf("%w for %d", ErrNoFunds.WithDetail(map[string]int{"balance": 7}), t.Amount)
	})
	go app.Run(ctx)

	_, err := flux.Ask(ctx, app, Transfer{Amount: 30})
	fmt.Println(errors.Is(err, ErrNoFunds), err)
	var e *flux.Error
	if errors.As(err, &e) {
		fmt.Println(e.Code, string(e.Detail))
	}
	// Output:
	// true not enough funds for 30
	// bank.no_funds {"balance":7}
}

// A consumer of its own reads at its own pace, this one from the first event on.
func ExampleApp_Consumer() {
	ctx, stop := context.WithCancel(context.Background())
	app, end := exampleApp(ctx, "reports")
	defer end()
	for amount := range 3 {
		if err := flux.Publish(ctx, app, Transferred{"ann", amount}); err != nil {
			log.Fatal(err)
		}
	}
	sum := 0
	totals := app.Consumer("totals", flux.Consumer{From: flux.Beginning})
	flux.HandleEvent(totals, func(_ context.Context, t Transferred) error {
		if sum += t.Amount; sum == 3 {
			stop()
		}
		return nil
	})
	fmt.Println(app.Run(ctx), sum)
	// Output:
	// <nil> 3
}

// What the handlers of an atomic consumer publish commits with its position, so that each message has its effect once.
func ExampleConsumer_atomic() {
	ctx, stop := context.WithCancel(context.Background())
	app, end := exampleApp(ctx, "bank")
	defer end()
	fees := message.Log{Type: message.Custom, Topic: "fees"}
	charge := app.Consumer("fees", flux.Consumer{From: flux.Beginning, Atomic: true})
	flux.HandleEvent(charge, func(ctx context.Context, t Transferred) error {
		return flux.PublishTo(ctx, app, fees, t.Amount/100, nil)
	})
	flux.HandleCustom(app, fees.Topic, func(_ context.Context, fee int) error {
		fmt.Println("fee", fee)
		stop()
		return nil
	})
	if err := flux.Publish(ctx, app, Transferred{"ann", 500}); err != nil {
		log.Fatal(err)
	}
	if err := app.Run(ctx); err != nil {
		log.Fatal(err)
	}
	// Output:
	// fee 5
}

// Errors that may go away are worth another try, and in the end the message is passed over.
func ExampleErrorPolicy() {
	ctx, stop := context.WithCancel(context.Background())
	app, end := exampleApp(ctx, "mail")
	defer end()
	policy := flux.ErrorPolicy{Retries: 3, Backoff: time.Millisecond}
	tries := 0
	flux.HandleEvent(app.Consumer("mail", flux.Consumer{OnError: policy}), func(context.Context, Transferred) error {
		if tries++; tries < 3 {
			return errors.New("mail server does not answer")
		}
		stop()
		return nil
	})
	if err := flux.Publish(ctx, app, Transferred{}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(app.Run(ctx), tries)
	// Output:
	// <nil> 3
}

// The context of a handler knows the message, and what is published with it is part of the same trace.
func ExampleCurrent() {
	ctx, stop := context.WithCancel(context.Background())
	app, end := exampleApp(ctx, "bank")
	defer end()
	flux.HandleEvent(app, func(ctx context.Context, t Transferred) error {
		current := flux.Current(ctx)
		fmt.Println(current.Consumer(), current.Message().Type, current.User())
		fmt.Println(app.Correlation(ctx)["$trigger"])
		stop()
		return nil
	})
	if err := flux.Publish(flux.WithUser(ctx, "ann"), app, Transferred{"ann", 1}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(app.Run(ctx))
	// Output:
	// bank_EVENT flux_test.Transferred ann
	// flux_test.Transferred
	// <nil>
}

// A Publisher is the way to publish millions.
func ExamplePublisher() {
	ctx := context.Background()
	app, end := exampleApp(ctx, "import")
	defer end()
	pub := app.Publisher(message.Log{Type: message.Event}, nil)
	for i := range 100_000 {
		if err := pub.Send(ctx, &message.Message{Type: "import.Row", Payload: fmt.Append(nil, i)}); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(pub.Flush(ctx))
	// Output:
	// <nil>
}

func ExampleApp_Append() {
	ctx := context.Background()
	app, end := exampleApp(ctx, "import")
	defer end()
	indexes, err := app.Append(ctx, message.Log{Type: message.Metrics},
		&message.Message{Type: "cpu", Payload: []byte("0.4")},
		&message.Message{Type: "cpu", Payload: []byte("0.5")})
	fmt.Println(len(indexes), indexes[1]-indexes[0], err)
	// Output:
	// 2 1 <nil>
}

func ExampleRetryable() {
	fmt.Println(flux.Retryable(ErrNoFunds))
	fmt.Println(flux.Retryable(flux.ErrUnavailable))
	fmt.Println(flux.Retryable(errors.New("connection reset")))
	// Output:
	// false
	// true
	// true
}
