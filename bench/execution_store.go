package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"connectrpc.com/connect"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/why"
)

// storedFrom is when the first stored execution started. One starts every 100 ms.
var storedFrom = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// benchStoredExecutions fills a server and asks for single executions as flux trace and flux why do.
func benchStoredExecutions(ctx context.Context, e *env) ([]result, error) {
	n := 1_000_000
	if e.quick {
		n = 50_000
	}
	s, err := startFlux(ctx, e)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	client := fluxv1connect.NewExecutionServiceClient(http.DefaultClient, s.URL())
	began := time.Now()
	if err := storeExecutions(ctx, client, n); err != nil {
		return nil, err
	}
	fmt.Fprintf(e.log, "      stored %d in %v\n", n, time.Since(began).Round(time.Second))
	var results []result
	for _, question := range []struct {
		name string
		ask  func(ctx context.Context, client fluxv1connect.ExecutionServiceClient, id string) error
	}{{"trace", askTrace}, {"why", askWhy}} {
		calls, _, err := closedLoop(1, e.period()/2, func(int, int) error {
			return question.ask(ctx, client, storedID(rand.IntN(n)/100*100).String())
		})
		if err != nil {
			return nil, err
		}
		r := result{
			What: fmt.Sprintf("%s of a failed execution, p95, %d stored", question.name, n), Value: milliseconds(calls.percentile(0.95)), Unit: "ms",
			Settings: "stored by RecordExecutions, 500 a call; asked over loopback, one at a time, as the command does",
		}
		results = append(results, r.timed(calls))
	}
	return results, nil
}

// storeExecutions records n executions through the API.
func storeExecutions(ctx context.Context, client fluxv1connect.ExecutionServiceClient, n int) error {
	const batch, workers = 500, 4
	return inParallel(workers, func(worker int) error {
		for first := worker * batch; first < n; first += workers * batch {
			var all [][]byte
			for i := first; i < min(first+batch, n); i++ {
				all = append(all, record.Append(nil, storedExecution(i)))
			}
			answer, err := client.RecordExecutions(ctx, connect.NewRequest(&fluxv1.RecordExecutionsRequest{Executions: all}))
			if err != nil {
				return err
			}
			for _, outcome := range answer.Msg.GetOutcomes() {
				if outcome.GetOutcome() != "stored" {
					return fmt.Errorf("execution %s is %s: %s", outcome.GetId(), outcome.GetOutcome(), outcome.GetReason())
				}
			}
		}
		return nil
	})
}

// storedID spreads ids, as random ones are.
func storedID(i int) (id record.ID) {
	r := rand.New(rand.NewPCG(uint64(i), 1))
	binary.BigEndian.PutUint64(id[:], r.Uint64())
	binary.BigEndian.PutUint64(id[8:], r.Uint64())
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

// storedExecution is the i-th execution of a busy shop: one of five services, with three operations and five lines, and each
// hundredth fails.
func storedExecution(i int) *record.Execution {
	r := rand.New(rand.NewPCG(uint64(i), 2))
	order := r.IntN(1_000_000)
	x := &record.Execution{
		ID: storedID(i), Service: fmt.Sprint("service-", i%5), Instance: fmt.Sprint("host-", r.IntN(20)), Environment: "production",
		RequestID: fmt.Sprint("request-", i), Attempt: 1, Trigger: orderTrigger,
		Code:  record.Code{Module: "example.com/shop", Version: "v1.14.2", Commit: "9f3c2e1d4b5a69788796a5b4c3d2e1f001122334"},
		Start: storedFrom.Add(time.Duration(i) * 100 * time.Millisecond), Duration: time.Duration(r.ExpFloat64() * float64(40*time.Millisecond)),
		Status: record.StatusOK, HTTPStatus: http.StatusCreated, Kept: "sampled",
	}
	x.Trigger.Path = fmt.Sprint("/orders/o-", order)
	x.Input.Data = fmt.Appendf(nil, `{"method":"POST","body":"{\"order\":%d,\"customer\":\"c-%d\",\"amount\":%d}"}`, order, r.IntN(50_000), r.IntN(10_000))
	for j, op := range []struct{ boundary, shape string }{
		{"sql", "select balance from accounts where id = ?"}, {"http", "POST /charges"}, {"sql", "update accounts set balance = ? where id = ?"},
	} {
		x.Checkpoints = append(x.Checkpoints, record.Checkpoint{
			Number: uint32(j), Finished: uint32(j + 1), Lane: "root", Boundary: op.boundary, Target: "db:5432/shop", Shape: op.shape,
			Start: time.Duration(j) * time.Millisecond, Duration: time.Millisecond, State: record.StateDone, Effect: record.EffectRead,
			Request: record.Payload{Data: fmt.Appendf(nil, `{"args":[%d]}`, order)}, Response: record.Payload{Data: []byte(`{"rows":[[1]]}`)},
		})
	}
	for _, line := range []string{"order received", "account loaded", "provider answered", "account updated", "order done"} {
		x.Logs = append(x.Logs, record.LogLine{Lane: "root", Message: line})
	}
	if i%100 == 0 {
		failStored(x)
	}
	return x
}

// failStored has the provider answer with 503.
func failStored(x *record.Execution) {
	x.Status, x.HTTPStatus, x.Kept = record.StatusError, http.StatusBadGateway, "failed"
	x.Error = &record.Error{
		Class: record.ClassApp, Type: "*errors.errorString", Message: "provider answered 503: no capacity",
		Frames: []record.Frame{{Function: "shop.(*Service).pay", File: "shop/pay.go", Line: 41}},
	}
	x.Checkpoints = x.Checkpoints[:2]
	cp := &x.Checkpoints[1]
	cp.Failure, cp.Response.Data = true, []byte(`{"status":503,"body":"no capacity"}`)
}

// fetch gets a record.
func fetch(ctx context.Context, client fluxv1connect.ExecutionServiceClient, id string, boot bool) (*record.Execution, error) {
	answer, err := client.GetExecution(ctx, connect.NewRequest(&fluxv1.GetExecutionRequest{Id: id, Boot: boot}))
	if err != nil {
		return nil, err
	}
	return record.Decode(answer.Msg.GetExecution())
}

func askTrace(ctx context.Context, client fluxv1connect.ExecutionServiceClient, id string) error {
	_, err := fetch(ctx, client, id[:13], true) // people type the beginning of an id
	return err
}

// askWhy explains an execution, compared with the last good one of its route.
func askWhy(ctx context.Context, client fluxv1connect.ExecutionServiceClient, id string) error {
	x, err := fetch(ctx, client, id[:13], true)
	if err != nil {
		return err
	}
	list, err := client.ListExecutions(ctx, connect.NewRequest(&fluxv1.ListExecutionsRequest{MaxSize: 1, Filter: &fluxv1.ExecutionFilter{
		Status: string(record.StatusOK), Service: x.Service, Method: x.Trigger.Method, Kind: string(x.Trigger.Kind), Route: x.Trigger.Route,
		Until: x.Start.UnixMilli(),
	}}))
	if err != nil {
		return err
	}
	var good *record.Execution
	for _, summary := range list.Msg.GetExecutions() {
		if good, err = fetch(ctx, client, summary.GetId(), false); err != nil {
			return err
		}
	}
	if cause := why.Explain(x, good).Cause(); cause == nil || cause.Rule != "http.unavailable" {
		return fmt.Errorf("why of %s: %+v", id, cause)
	}
	return nil
}
