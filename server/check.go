package server

import (
	"context"
	"errors"
	"log/slog"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/eventstore"
	"github.com/flux-go/flux/internal/keyvalue"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/internal/producer"
	"github.com/flux-go/flux/internal/recording"
	"github.com/flux-go/flux/internal/schedule"
)

// Report is what Check found in a store.
type Report struct {
	// Keys and Bytes are the size of what was read, of all families.
	Keys, Bytes uint64
	// Logs and Messages are what there is to read in logs.
	Logs, Messages uint64
	// Found is the number of problems, of which Problems has the first thousand.
	Found    int
	Problems []string
}

// Check verifies the store in a directory that no server has open: that everything in it can be read, and that its parts
// fit together. It writes nothing. Progress, unless nil, is called now and then with what was found so far, on the caller's
// goroutine. What is wrong with the store is in the report; an error means that it could not be looked at to its end.
func Check(ctx context.Context, dir string, progress func(Report)) (report Report, err error) {
	e, err := engine.Open(dir, engine.Options{ReadOnly: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return Report{}, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	view := e.View()
	defer view.Close()

	logs := messagelog.NewCheck()
	tell := func(f engine.Figures) {
		if progress != nil {
			progress(newReport(f, logs))
		}
	}
	checks := []engine.Check{
		logs, position.NewCheck(), producer.NewCheck(), eventstore.NewCheck(), keyvalue.NewCheck(), schedule.NewCheck(),
		recording.NewCheck(),
	}
	figures, err := view.Verify(ctx, checks, tell)
	if errors.Is(err, engine.ErrCorrupt) {
		err = nil // a problem like others, and reported as one
	}
	return newReport(figures, logs), err
}

func newReport(f engine.Figures, logs *messagelog.Check) Report {
	r := Report{Keys: f.Keys, Bytes: f.Bytes, Logs: logs.Logs, Messages: logs.Messages, Found: f.Found}
	for _, problem := range f.Problems {
		r.Problems = append(r.Problems, problem.String())
	}
	return r
}
