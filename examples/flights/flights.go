// Package flights is a system of services that talk over Flux, on 20,000 real flights:
//
//	publisher ─► log of events ─► delays ─► topic delays ─► board in each instance of delays
//	                                                          ▲
//	                       traveller ── Rebook ─► rebooking ── GetDelays
//
// The publisher publishes each departure as an event. The service delays keeps figures for each airport; any number of
// instances share the work, and one that dies leaves nothing undone and nothing done twice. The service rebooking handles
// a command that may fail, and asks delays for what it needs to know.
//
// `flux demo` runs it all, each service as a process, and kills one on the way. By hand, with `flux dev` in one terminal:
//
//	go run ./examples/flights/service delays        # in two terminals
//	go run ./examples/flights/service rebooking
//	go run ./examples/flights/service publisher
package flights

import "github.com/flux-go/flux"

// Airport is the IATA code of an airport: "JFK".
type Airport string

// City returns where the airport is, such as "New York, NY", or nothing when there is no such airport.
func (a Airport) City() string { return cities()[a] }

// Departed is the event of a flight that has left. Those of one airport are handled in order.
type Departed struct {
	Date        string  `json:"date"`     // in local time: "2001/01/31 23:59"
	Delay       int     `json:"delay"`    // in minutes, negative when early
	Distance    int     `json:"distance"` // in miles
	Origin      Airport `json:"origin" flux:"routing"`
	Destination Airport `json:"destination"`
}

// Delay is how late one flight has left an airport, in minutes.
type Delay struct {
	Airport Airport `json:"airport" flux:"routing"`
	Minutes int     `json:"minutes"`
}

// GetDelays asks for the figures of some airports, or of all when it names none. Airports without flights are left out.
type GetDelays struct {
	flux.Query[[]Figures]
	Airports []Airport `json:"airports,omitempty"`
}

// Rebook is the command to find a traveller another way to a destination.
type Rebook struct {
	flux.Command[Rebooked]
	Traveller string  `json:"traveller" flux:"routing"`
	From      Airport `json:"from"`
	To        Airport `json:"to"`
}

// Rebooked is the answer to Rebook, and the event that everybody else learns of it by.
type Rebooked struct {
	Traveller string  `json:"traveller" flux:"routing"`
	From      Airport `json:"from"`
	Via       Airport `json:"via"`
	To        Airport `json:"to"`
}

// What may be wrong with Rebook.
var (
	ErrUnknownAirport = &flux.Error{Code: "flights.unknown_airport", Message: "unknown airport"}
	ErrNoConnection   = &flux.Error{Code: "flights.no_connection", Message: "no connection"}
)
