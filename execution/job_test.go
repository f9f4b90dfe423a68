package execution_test

import (
	"context"
	"errors"
	"testing"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// delivery is a message of a queue that Flux knows nothing of.
type delivery struct {
	Topic     string            `json:"topic"`
	Partition int               `json:"partition"`
	Offset    int64             `json:"offset"`
	Key       string            `json:"key"`
	Headers   map[string]string `json:"headers"`
	Payload   map[string]int    `json:"payload"`
}

var errAmount = errors.New("amount is negative")

// consume handles a delivery as a consumer of such a queue does: it stores what came, and commits the offset.
func consume(ctx context.Context, d delivery, store map[string]int, commit func(int64)) error {
	if d.Payload["amount"] < 0 {
		_, err := execution.Do(ctx, execution.Op{
			Boundary: "queue", Target: d.Topic, Shape: "dead-letter", Effect: record.EffectWrite, Request: d,
		}, func(context.Context) (bool, error) { return true, nil })
		return errors.Join(errAmount, err)
	}
	total, err := execution.Do(ctx, execution.Op{
		Boundary: "store", Shape: "add", Effect: record.EffectWrite, Request: d.Payload,
	}, func(context.Context) (int, error) {
		store[d.Key] += d.Payload["amount"]
		return store[d.Key], nil
	})
	if err != nil {
		return err
	}
	_, err = execution.Do(ctx, execution.Op{
		Boundary: "queue", Target: d.Topic, Shape: "commit", Effect: record.EffectWrite, Request: map[string]int64{"offset": d.Offset},
	}, func(context.Context) (bool, error) { commit(d.Offset); return total > 0, nil })
	return err
}

// F-28: a consumer of a queue is recorded and replayed as a job.
func TestADeliveryOfAQueueIsRecordedAndReplayed(t *testing.T) {
	t.Parallel()
	kept := make(chan *record.Execution, 2)
	rec, err := execution.New(execution.Config{
		Service: "consumer", Keep: execution.Keep{All: true}, OnKept: func(x *record.Execution) { kept <- x },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close(context.Background())
	store, committed := map[string]int{}, []int64(nil)
	commit := func(offset int64) { committed = append(committed, offset) }
	for i, amount := range []int{7, -1} {
		d := delivery{
			Topic: "payments", Partition: 3, Offset: int64(40 + i), Key: "a", Headers: map[string]string{"source": "till"},
			Payload: map[string]int{"amount": amount},
		}
		ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerJob, Method: "consume", Path: d.Topic}, &execution.BeginOptions{Input: d})
		x.End(consume(ctx, d, store, commit))
		of := <-kept
		replayed, x, err := rec.BeginReplay(t.Context(), &record.Bundle{Execution: of}, nil)
		if err != nil {
			t.Fatal(err)
		}
		x.End(consume(replayed, d, store, commit))
		if report := x.Report(); report.Outcome != execution.OutcomeSame || report.Served != len(of.Checkpoints) {
			t.Errorf("amount %d: %s, served %d of %d", amount, report, report.Served, len(of.Checkpoints))
		}
	}
	if store["a"] != 7 || len(committed) != 1 || committed[0] != 40 {
		t.Errorf("the replays had effects: store %v, committed %v", store, committed)
	}
}
