package flights

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/message"
)

// delayLog is the log of what the service delays finds out.
var delayLog = message.Log{Type: message.Custom, Topic: "delays"}

// Delays is the service that knows the delays of each airport. Run as many instances as you like.
//
// Its state is in the log. The instances share the departures, segment by segment, and make a Delay of each. The consumer
// is atomic: the delays are stored together with its position or not at all, so that each flight counts once, even when an
// instance is killed between any two instructions and another goes on with its segments. What answers queries is a board in
// memory: each instance reads all delays, from the first one on when it starts.
func Delays(ctx context.Context, app *flux.App) error {
	d := &delays{app: app, board: Board{}, last: message.Beginning}
	flux.HandleEvent(app.Consumer("delays", flux.Consumer{From: flux.Beginning, Atomic: true}), d.departed)
	board := app.Consumer("delays-board", flux.Consumer{IgnoreSegment: true, LoadIndex: d.lastIndex})
	flux.HandleCustom(board, delayLog.Topic, d.delayed)
	flux.HandleQuery(app, d.figures)
	return app.Run(ctx)
}

type delays struct {
	app *flux.App

	mu    sync.Mutex
	board Board
	last  message.Index // of the delays that are on the board
}

func (d *delays) departed(ctx context.Context, flight Departed) error {
	return flux.PublishTo(ctx, d.app, delayLog, Delay{flight.Origin, flight.Delay}, nil)
}

func (d *delays) delayed(ctx context.Context, delay Delay) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.board.Add(delay.Airport, delay.Minutes)
	d.last = flux.Current(ctx).Message().Index
	return nil
}

// lastIndex says where to read on after a lost connection.
func (d *delays) lastIndex(context.Context) (message.Index, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last, nil
}

func (d *delays) figures(_ context.Context, q GetDelays) ([]Figures, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	airports := q.Airports
	if airports == nil {
		airports = slices.Sorted(maps.Keys(d.board))
	}
	answer := []Figures{}
	for _, airport := range airports {
		if f, known := d.board[airport]; known {
			answer = append(answer, f)
		}
	}
	return answer, nil
}
