package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/flux-go/flux/examples/flights"
)

// departure is a flight as the benchmarks publish it: about 128 bytes of JSON.
type departure struct {
	DepartedAt    string `json:"departedAt"`
	DelayMinutes  int    `json:"delayMinutes"`
	DistanceMiles int    `json:"distanceMiles"`
	Origin        string `json:"origin"`
	Destination   string `json:"destination"`
	Number        int    `json:"number"`
}

// FluxType is the type of its messages.
func (departure) FluxType() string { return departureType }

const departureType = "bench.Departure"

// flightPayloads returns 20,000 real flights as JSON.
func flightPayloads() ([][]byte, error) {
	var payloads [][]byte
	size := 0
	for i, f := range flights.Departures() {
		raw, err := json.Marshal(departure{
			DepartedAt: f.Date, DelayMinutes: f.Delay, DistanceMiles: f.Distance,
			Origin: string(f.Origin), Destination: string(f.Destination), Number: 100_000 + i,
		})
		if err != nil {
			return nil, err
		}
		payloads = append(payloads, raw)
		size += len(raw)
	}
	if mean := size / len(payloads); mean < 120 || mean > 136 {
		return nil, errors.New(fmt.Sprint("payloads are not about 128 bytes but ", mean))
	}
	return payloads, nil
}
