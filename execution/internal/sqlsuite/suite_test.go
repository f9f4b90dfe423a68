package sqlsuite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// A database is one that programs run against.
type database struct {
	connector func(t *testing.T) driver.Connector
	options   execution.SQLOptions
	stop      func()
	dollars   bool // placeholders are $1
	ignore    bool // what conflicts is passed over by INSERT IGNORE
}

// rebind writes a statement of the suite, with ? for placeholders and ON CONFLICT of the standard, as the database wants it.
func (d *database) rebind(query string) string {
	if insert, ok := strings.CutSuffix(query, " ON CONFLICT DO NOTHING"); ok && d.ignore {
		query = strings.Replace(insert, "INSERT", "INSERT IGNORE", 1)
	}
	for n := 1; d.dollars && strings.Contains(query, "?"); n++ {
		query = strings.Replace(query, "?", fmt.Sprintf("$%d", n), 1)
	}
	return query
}

// An app is what a program under test works with.
type app struct {
	*sql.DB
	*database
}

// A program is run live and then replayed. What it returns must be the same.
type program struct {
	name string
	run  func(ctx context.Context, db app) (any, error)
}

// outcome is what a program came to.
type outcome struct {
	value any
	text  string // of the error
	err   error
	x     *record.Execution
}

func recorder(t *testing.T) (*execution.Recorder, <-chan *record.Execution) {
	t.Helper()
	kept := make(chan *record.Execution, 16)
	rec, err := execution.New(execution.Config{
		Service: "suite", Keep: execution.Keep{All: true}, OnKept: func(x *record.Execution) { kept <- x },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rec.Close(context.Background()) })
	return rec, kept
}

func open(t *testing.T, d *database, rec *execution.Recorder) app {
	t.Helper()
	db := sql.OpenDB(rec.ConnectorWith(d.connector(t), &d.options))
	t.Cleanup(func() { _ = db.Close() })
	return app{db, d}
}

// record runs a program live.
func (d *database) record(t *testing.T, p program) outcome {
	t.Helper()
	rec, kept := recorder(t)
	ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest, Method: p.name}, nil)
	db := open(t, d, rec)
	value, err := p.run(ctx, db)
	x.SetOutput(value)
	x.End(err)
	out := outcome{value: value, err: err, x: <-kept}
	if err != nil {
		out.text = err.Error()
	}
	data := record.Append(nil, out.x)
	if out.x, err = record.Decode(data); err != nil {
		t.Fatal(err)
	}
	return out
}

// replay runs a program from the record of an earlier run and compares.
func (d *database) replay(t *testing.T, p program, live outcome) {
	t.Helper()
	rec, _ := recorder(t)
	ctx, x, err := rec.BeginReplay(t.Context(), &record.Bundle{Execution: live.x}, nil)
	if err != nil {
		t.Fatal(err)
	}
	value, err := p.run(ctx, open(t, d, rec))
	x.SetOutput(value)
	x.End(err)
	if !reflect.DeepEqual(value, live.value) {
		t.Errorf("live     %#v\nreplayed %#v", live.value, value)
	}
	if text := fmt.Sprint(err); err != nil && text != live.text || (err == nil) != (live.err == nil) {
		t.Errorf("live     %q\nreplayed %v", live.text, err)
	}
	if report := x.Report(); report.Outcome != execution.OutcomeSame {
		t.Errorf("%v\ndivergences %+v\noutput %+v\nstop %+v", report, report.Divergences, report.Output, report.Stop)
	}
	if n := len(live.x.Checkpoints); n == 0 {
		t.Error("nothing was recorded")
	}
}

// runSuite records all programs, stops the database, and replays them.
func runSuite(t *testing.T, d *database, programs []program) {
	live := make([]outcome, len(programs))
	for i, p := range programs {
		live[i] = d.record(t, p)
	}
	d.stop()
	for i, p := range programs {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			d.replay(t, p, live[i])
		})
	}
}
