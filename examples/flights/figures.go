package flights

// Figures are the delays of the flights that have left one airport.
type Figures struct {
	Airport Airport `json:"airport"`
	Flights int     `json:"flights"`
	Minutes int     `json:"minutes"` // of all flights together
	Longest int     `json:"longest"` // in minutes
}

// Mean is the mean delay in minutes.
func (f Figures) Mean() float64 { return float64(f.Minutes) / float64(max(1, f.Flights)) }

// Board has the figures of all airports with flights.
type Board map[Airport]Figures

// Add adds a flight.
func (b Board) Add(airport Airport, minutes int) {
	f, known := b[airport]
	if !known {
		f = Figures{Airport: airport, Longest: minutes}
	}
	f.Flights++
	f.Minutes += minutes
	f.Longest = max(f.Longest, minutes)
	b[airport] = f
}

// Flights is the number of all flights.
func (b Board) Flights() (n int) {
	for _, f := range b {
		n += f.Flights
	}
	return n
}

// CountFile makes a board in the plain way, by a pass over the file.
func CountFile() Board {
	board := Board{}
	for _, flight := range Departures() {
		board.Add(flight.Origin, flight.Delay)
	}
	return board
}
