package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/flux-go/flux/examples/flights"
)

// demoResult is how the demo ended, as --json writes it.
type demoResult struct {
	Flights        int     `json:"flights"`
	Minutes        int     `json:"minutes"` // of delay
	Airports       int     `json:"airports"`
	Same           bool    `json:"same"`           // as in the file
	TakeoverMillis int64   `json:"takeoverMillis"` // from the kill until another had the segments
	RecountMillis  int64   `json:"recountMillis"`
	Seconds        float64 `json:"seconds"`
}

// compare compares the figures of delays and those of a new consumer with a pass over the file.
func (d *demo) compare(ctx context.Context) error {
	counted, err := d.ask(ctx)
	if err != nil {
		return err
	}
	d.tick("delays", "has counted %s", plural(counted.Flights(), "flight"))
	recounted, err := d.recount(ctx)
	if err != nil {
		return err
	}
	d.tick("recount", "is a new consumer: it went through %s again in %s", plural(recounted.Flights(), "flight"), seconds(d.recounted))

	file := flights.CountFile()
	differences := append(differ("delays", counted, file), differ("recount", recounted, file)...)
	if err := d.report(counted, len(differences) == 0); err != nil {
		return err
	}
	if len(differences) > 0 {
		return failf("report it: this is a bug", "%s from the file: %s", plural(len(differences), "difference"), differences[0])
	}
	return d.next()
}

// differ tells where a board differs from that of the file.
func differ(who string, board, file flights.Board) (differences []string) {
	airports := slices.AppendSeq(slices.Collect(maps.Keys(file)), maps.Keys(board))
	slices.Sort(airports)
	for _, airport := range slices.Compact(airports) {
		if board[airport] != file[airport] {
			difference := fmt.Sprintf("%s has %+v, the file %+v", who, board[airport], file[airport])
			differences = append(differences, difference)
		}
	}
	return differences
}

// shownAirports is how many of the airports with the most flights are shown.
const shownAirports = 8

func (d *demo) report(board flights.Board, same bool) error {
	result := demoResult{
		Flights: board.Flights(), Airports: len(board), Same: same, TakeoverMillis: d.takeover.Milliseconds(),
		RecountMillis: d.recounted.Milliseconds(), Seconds: time.Since(d.began).Round(time.Millisecond).Seconds(),
	}
	all := slices.SortedFunc(maps.Values(board), func(a, b flights.Figures) int {
		return cmp.Or(cmp.Compare(b.Flights, a.Flights), cmp.Compare(a.Airport, b.Airport))
	})
	for _, f := range all {
		result.Minutes += f.Minutes
	}
	if d.json {
		return d.out.printJSON(result)
	}
	rows := newTable("airport", "city", ">flights", ">mean delay", ">longest")
	for _, f := range all[:min(len(all), shownAirports)] {
		rows.add(string(f.Airport), f.Airport.City(), count(f.Flights), fmt.Sprintf("%.1f min", f.Mean()), fmt.Sprintf("%d min", f.Longest))
	}
	if err := d.out.printf("\n"); err != nil {
		return err
	}
	if err := rows.write(d.out); err != nil {
		return err
	}
	return d.out.printf("%s\n", d.total(result))
}

func (d *demo) total(r demoResult) string {
	text := fmt.Sprintf("and %d more\n\n", r.Airports-shownAirports)
	figures := fmt.Sprintf("%s from %s, late by %s", plural(r.Flights, "flight"), plural(r.Airports, "airport"), plural(r.Minutes, "minute"))
	if !r.Same {
		return text + d.out.red("✗") + " " + figures + ": not as in the file"
	}
	return text + d.out.green("✓") + " " + figures + ": the same in delays, in the recount and in the file, airport by airport (" +
		seconds(d.demoTime()) + ")"
}

func (d *demo) demoTime() time.Duration { return time.Since(d.began) }

// next tells what to try next.
func (d *demo) next() error {
	if d.json {
		return nil
	}
	if !d.keep {
		return d.err.printf("\nTry next: flux demo --keep leaves it running, to look around. examples/flights has the code.\n")
	}
	at := "--url " + d.url
	return d.err.printf("\nIt still runs; Ctrl-C ends it. Try next:\n"+
		"  flux consumers show delays %[1]s\n"+
		"  flux read custom/delays --limit 5 %[1]s\n"+
		"  flux request flights.GetDelays '{\"airports\":[\"JFK\"]}' --log query %[1]s\n"+
		"  flux request flights.Rebook '{\"traveller\":\"eve\",\"from\":\"JFK\",\"to\":\"LAS\"}' %[1]s\n"+
		"  flux tail event %[1]s\n", at)
}
