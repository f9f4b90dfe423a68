package flights

import (
	"bytes"
	"embed"
	"encoding/csv"
	"encoding/json"
	"sync"
)

//go:embed data/flights-20k.json data/airports.csv
var data embed.FS

// Departures returns the 20,000 real flights of data/flights-20k.json, in the order of their departure.
var Departures = sync.OnceValue(func() []Departed {
	raw, err := data.ReadFile("data/flights-20k.json")
	must(err)
	var all []Departed
	must(json.Unmarshal(raw, &all))
	return all
})

// cities returns where the airports of data/airports.csv are, by code.
var cities = sync.OnceValue(func() map[Airport]string {
	raw, err := data.ReadFile("data/airports.csv")
	must(err)
	rows, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	must(err)
	all := map[Airport]string{}
	for _, row := range rows[1:] { // iata, name, city, state, …
		all[Airport(row[0])] = row[2] + ", " + row[3]
	}
	return all
})

// must is for what is embedded, which cannot be missing or wrong.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
