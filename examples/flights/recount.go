package flights

import (
	"context"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/message"
)

// Recount makes a board of all departures up to an index, from the first one on, however long ago they were handled by
// others: a new consumer may begin where it likes. The app must have no other handlers.
func Recount(ctx context.Context, app *flux.App, last message.Index) (Board, error) {
	board := Board{}
	recount := app.Consumer("recount", flux.Consumer{From: flux.Beginning, Until: last + 1})
	flux.HandleEvent(recount, func(_ context.Context, flight Departed) error {
		board.Add(flight.Origin, flight.Delay)
		return nil
	})
	return board, app.Run(ctx)
}
