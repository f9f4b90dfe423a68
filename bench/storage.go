package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
)

var storageRows = []row{
	{"P5a", "append and read with much stored", "within ±15 %", benchStored},
}

// benchStored measures appends and reads with few messages stored and with ten times as many, in the same store.
func benchStored(ctx context.Context, e *env) ([]result, error) {
	s, err := startFlux(ctx, e)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	few, many := e.count(10_000_000), e.count(100_000_000)
	if err := s.fill(ctx, e, few); err != nil {
		return nil, err
	}
	before, err := s.costs(ctx, e)
	if err != nil {
		return nil, err
	}
	if err := s.fill(ctx, e, many-few-before.appended); err != nil {
		return nil, err
	}
	after, err := s.costs(ctx, e)
	peer := fmt.Sprintf("with %d M stored", few/1_000_000)
	what := fmt.Sprintf("with %d M stored", many/1_000_000)
	return []result{
		result{What: "append, blocks, 2 publishers, " + what, Value: after.appends, Unit: "msg/s"}.against(peer, before.appends),
		result{What: "read one message at a random index, p50, " + what, Value: micros(after.reads), Unit: "µs"}.
			timed(after.reads).against(peer, micros(before.reads)),
	}, err
}

func micros(l latencies) float64 { return float64(l.percentile(0.5).Microseconds()) }

// costs are what appending and reading cost at some size of the store.
type costs struct {
	appends  float64
	appended int
	reads    latencies
}

func (s *fluxServer) costs(ctx context.Context, e *env) (c costs, err error) {
	start := time.Now()
	if c.appends, err = s.publishBlocks(ctx, e, 2, e.period()); err != nil {
		return c, err
	}
	c.appended = int(c.appends * time.Since(start).Seconds())
	client := fluxv1connect.NewLogServiceClient(http.DefaultClient, s.URL())
	logs, err := client.ListLogs(ctx, connect.NewRequest(&fluxv1.ListLogsRequest{}))
	if err != nil {
		return c, err
	}
	first, last := logs.Msg.GetLogs()[0].GetFirstIndex(), logs.Msg.GetLogs()[0].GetLastIndex()
	c.reads, _, err = closedLoop(1, e.period()/2, func(int, int) error {
		_, err := client.Read(ctx, connect.NewRequest(&fluxv1.ReadRequest{
			Log:     eventLog.String(),
			Start:   &fluxv1.ReadRequest_MinIndex{MinIndex: first + rand.Int64N(last-first)},
			MaxSize: 1,
		}))
		return err
	})
	return c, err
}
