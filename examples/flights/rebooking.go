package flights

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/flux-go/flux"
)

// Rebooking is the service that finds travellers another way to their destination.
func Rebooking(ctx context.Context, app *flux.App) error {
	r := rebooking{app}
	flux.HandleCommand(app, r.rebook)
	return app.Run(ctx)
}

type rebooking struct{ app *flux.App }

// rebook chooses the airport to change planes at where flights leave with the shortest delays.
func (r rebooking) rebook(ctx context.Context, c Rebook) (Rebooked, error) {
	for _, airport := range []Airport{c.From, c.To} {
		if airport.City() == "" {
			return Rebooked{}, fmt.Errorf("%w: %q", ErrUnknownAirport, airport)
		}
	}
	between := connections(c.From, c.To)
	if len(between) == 0 {
		return Rebooked{}, fmt.Errorf("%w from %s to %s", ErrNoConnection, c.From, c.To)
	}
	known, err := flux.Ask(ctx, r.app, GetDelays{Airports: between})
	if err != nil || len(known) == 0 {
		return Rebooked{}, cmp.Or(err, error(ErrNoConnection))
	}
	best := slices.MinFunc(known, func(a, b Figures) int { return cmp.Compare(a.Mean(), b.Mean()) })
	rebooked := Rebooked{c.Traveller, c.From, best.Airport, c.To}
	return rebooked, flux.Publish(ctx, r.app, rebooked)
}

// connections returns the airports to change planes at between two others.
func connections(from, to Airport) (between []Airport) {
	for _, airport := range slices.Sorted(maps.Keys(routes()[from])) {
		if routes()[airport][to] && airport != to {
			between = append(between, airport)
		}
	}
	return between
}

// routes returns from where one can fly to where.
var routes = sync.OnceValue(func() map[Airport]map[Airport]bool {
	all := map[Airport]map[Airport]bool{}
	for _, flight := range Departures() {
		if all[flight.Origin] == nil {
			all[flight.Origin] = map[Airport]bool{}
		}
		all[flight.Origin][flight.Destination] = true
	}
	return all
})
