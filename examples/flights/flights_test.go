package flights

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/server"
)

func TestFileHasWhatTheNoticeSays(t *testing.T) {
	t.Parallel()
	flights := Departures()
	if len(flights) != 20_000 || len(flights)%publishSteps != 0 {
		t.Errorf("%d flights", len(flights))
	}
	for _, flight := range flights {
		if flight.Origin.City() == "" || flight.Destination.City() == "" {
			t.Fatalf("unknown airport: %+v", flight)
		}
	}
	want := Figures{Airport: "DFW", Flights: 1103, Minutes: 10462, Longest: 298}
	if board := CountFile(); board.Flights() != len(flights) || board["DFW"] != want {
		t.Errorf("%d flights, %+v, want %+v", board.Flights(), board["DFW"], want)
	}
}

func TestConnectionsGoBothWays(t *testing.T) {
	t.Parallel()
	between := connections("DTW", "HNL")
	if !slices.Contains(between, "IAH") || slices.Contains(between, "HNL") || slices.Contains(between, "DTW") {
		t.Errorf("from DTW to HNL by way of %v", between)
	}
	if between := connections("00M", "HNL"); between != nil {
		t.Errorf("from an airport without flights by way of %v", between)
	}
}

// The whole system in one process, on a server in memory.
func TestServicesTalk(t *testing.T) {
	t.Parallel()
	s, err := server.Start(context.Background(), server.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for _, service := range []Service{Delays, Delays, Rebooking} {
		app := connect(t, s)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- service(ctx, app) }()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	app := connect(t, s)
	if err := Publisher(0)(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	awaitFlights(t, app)

	rebooked, err := flux.Ask(t.Context(), app, Rebook{Traveller: "ann", From: "DTW", To: "HNL"})
	if err != nil || !slices.Contains(connections("DTW", "HNL"), rebooked.Via) {
		t.Errorf("rebooked %+v, %v", rebooked, err)
	}
	for _, c := range []struct {
		Rebook
		want error
	}{
		{Rebook{Traveller: "bob", From: "XXX", To: "HNL"}, ErrUnknownAirport},
		{Rebook{Traveller: "bob", From: "DTW", To: ""}, ErrUnknownAirport},
		{Rebook{Traveller: "bob", From: "00M", To: "HNL"}, ErrNoConnection},
	} {
		if _, err := flux.Ask(t.Context(), app, c.Rebook); !errors.Is(err, c.want) {
			t.Errorf("%s to %s: %v, want %v", c.From, c.To, err, c.want)
		}
	}
}

func connect(t *testing.T, s *server.Server) *flux.App {
	t.Helper()
	app, err := flux.Connect(t.Context(), flux.Config{Name: "flights", URL: s.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return app
}

// awaitFlights asks until all flights have been counted; each answer takes a commit, so that this is no busy loop.
func awaitFlights(t *testing.T, app *flux.App) {
	t.Helper()
	for {
		figures, err := flux.Ask(t.Context(), app, GetDelays{})
		if err != nil {
			t.Fatal(err)
		}
		board := Board{}
		for _, f := range figures {
			board[f.Airport] = f
		}
		if n := board.Flights(); n > len(Departures()) {
			t.Fatalf("%d flights of %d", n, len(Departures()))
		} else if n == len(Departures()) {
			return
		}
	}
}
