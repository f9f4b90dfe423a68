package fluxpgx_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fluxpgx"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/testservices"
)

// A program is run live, and then replayed with the server stopped. What it returns must be the same.
type program struct {
	name string
	run  func(ctx context.Context, db *pgxpool.Pool) (any, error)
}

// outcome is what a program came to.
type outcome struct {
	value any
	err   error
	x     *record.Execution
}

func recorder(t testing.TB) (*execution.Recorder, <-chan *record.Execution) {
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

func parse(t testing.TB, url string) *pgxpool.Config {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// open opens a pool, and closes it at the end of the test.
func open(t testing.TB, config *pgxpool.Config) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func runLive(t *testing.T, config *pgxpool.Config, p program) outcome {
	t.Helper()
	rec, kept := recorder(t)
	ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest, Method: p.name}, nil)
	value, err := p.run(ctx, open(t, fluxpgx.PoolConfig(rec, config)))
	x.SetOutput(value)
	x.End(err)
	decoded, decodeErr := record.Decode(record.Append(nil, <-kept))
	if decodeErr != nil {
		t.Fatal(decodeErr)
	}
	return outcome{value, err, decoded}
}

func runReplay(t *testing.T, config *pgxpool.Config, p program, of *record.Execution) (outcome, *execution.Report) {
	t.Helper()
	rec, _ := recorder(t)
	ctx, x, err := rec.BeginReplay(t.Context(), &record.Bundle{Execution: of}, nil)
	if err != nil {
		t.Fatal(err)
	}
	value, err := p.run(ctx, open(t, fluxpgx.PoolConfig(rec, config)))
	x.SetOutput(value)
	x.End(err)
	return outcome{value: value, err: err}, x.Report()
}

func compare(t *testing.T, live, again outcome, report *execution.Report) {
	t.Helper()
	if !reflect.DeepEqual(live.value, again.value) {
		t.Errorf("live     %#v\nreplayed %#v", live.value, again.value)
	}
	if fmt.Sprint(live.err) != fmt.Sprint(again.err) {
		t.Errorf("live     %v\nreplayed %v", live.err, again.err)
	}
	if report.Outcome != execution.OutcomeSame {
		t.Errorf("%v\ndivergences %+v\noutput %+v\nstop %+v", report, report.Divergences, report.Output, report.Stop)
	}
}

func TestProgramsReplayWithTheServerStopped(t *testing.T) {
	t.Parallel()
	server := testservices.OwnPostgres(t)
	config := parse(t, server.URL)
	live := make([]outcome, len(programs))
	for i, p := range programs {
		live[i] = runLive(t, config, p)
	}
	server.Stop()
	for i, p := range programs {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			if len(live[i].x.Checkpoints) == 0 {
				t.Fatal("nothing was recorded")
			}
			again, report := runReplay(t, config, p, live[i].x)
			compare(t, live[i], again, report)
			if t.Failed() {
				for _, cp := range live[i].x.Checkpoints {
					t.Logf("op %d %s %s %s %s %s → %s %+v", cp.Number, cp.Shape, cp.Effect, cp.State, cp.Transaction, cp.Request.Data, cp.Response.Data, cp.Error)
				}
			}
		})
	}
}
