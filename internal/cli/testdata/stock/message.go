package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/flux-go/flux"
)

// ordered is the event that has items shipped.
type ordered struct {
	Items string `json:"items"`
}

// open connects an App that takes and ships what was ordered. Done gets what became of each event.
func open(ctx context.Context, file string, done func()) (*flux.App, func() error, error) {
	rec, err := connect(file)
	if err != nil {
		return nil, nil, err
	}
	app, err := flux.Connect(ctx, flux.Config{Name: "stock", URL: os.Getenv("FLUX_URL"), Recorder: rec})
	if err != nil {
		return nil, nil, err
	}
	if os.Getenv("STOCK_BUG") != "unregistered" {
		flux.HandleEvent(app.Consumer("orders", flux.Consumer{From: flux.Beginning}), func(ctx context.Context, e ordered) error {
			defer done()
			if err := take(ctx, e.Items); err != nil {
				return err
			}
			return ship(ctx, e.Items)
		})
	}
	return app, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return errors.Join(app.Close(ctx), rec.Close(ctx))
	}, nil
}

// recordMessage has the handling of a message fail.
func recordMessage(ctx context.Context, args []string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	app, end, err := open(ctx, args[0], stop)
	if err != nil {
		return err
	}
	if err := flux.Publish(ctx, app, ordered{"books"}); err != nil {
		return errors.Join(err, end())
	}
	return errors.Join(app.Run(ctx), end())
}

// consume handles what is ordered until it is told to end.
func consume(ctx context.Context, _ []string) error {
	app, end, err := open(ctx, "", func() {})
	if err != nil {
		return err
	}
	return errors.Join(app.Run(ctx), end())
}
