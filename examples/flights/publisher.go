package flights

import (
	"context"
	"slices"
	"time"

	"github.com/flux-go/flux"
)

// publishSteps is in how many steps the publisher publishes.
const publishSteps = 100

// Publisher is the service that publishes each departure as an event. The three months of the file take it the time over.
func Publisher(over time.Duration) Service {
	return func(ctx context.Context, app *flux.App) error {
		flights := Departures()
		clock := time.NewTicker(max(over/publishSteps, time.Nanosecond))
		defer clock.Stop()
		for step := range slices.Chunk(flights, len(flights)/publishSteps) {
			events := make([]any, len(step))
			for i, flight := range step {
				events[i] = flight
			}
			if err := flux.Publish(ctx, app, events...); err != nil {
				return err
			}
			select {
			case <-clock.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}
}
