package flux_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	connectrpc "connectrpc.com/connect"

	"github.com/flux-go/flux"
	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/message"
)

var copies = message.Log{Type: message.Custom, Topic: "copies"}

type copied struct {
	N int `json:"n"`
}

// copyOrders publishes a copy of each order with the context of the handler.
func copyOrders(app *flux.App, consumer flux.Consumer, before func(orderPlaced) error) {
	flux.HandleEvent(app.Consumer("copier", consumer), func(ctx context.Context, o orderPlaced) error {
		err := flux.PublishTo(ctx, app, copies, copied{o.N}, nil)
		if before != nil {
			err = errors.Join(err, before(o))
		}
		return err
	})
}

func TestAnAtomicConsumerHasItsEffectOnceThroughLostConnections(t *testing.T) {
	t.Parallel()
	const n = 1000
	url := startServer(t, "").URL()
	publisher := connect(t, url, flux.Config{})
	for range n / 100 {
		if err := flux.Publish(within(t), publisher, place(100)...); err != nil {
			t.Fatal(err)
		}
	}
	consumer := flux.Consumer{From: flux.Beginning, Atomic: true, MaxBatch: 10, Trackers: 2}
	var handled atomic.Int64
	done := make(chan struct{})
	var stops []func() error
	for range 2 { // instances
		cutting := startProxy(t, url, lifetimes(10, 3000, 12000))
		app := connect(t, cutting.url(), flux.Config{Name: "copier"})
		copyOrders(app, consumer, func(orderPlaced) error {
			if handled.Add(1) == n {
				close(done)
			}
			return nil
		})
		stops = append(stops, run(t, app))
	}
	receive(t, done)
	readAll(t, url, copies, n)
	for _, stop := range stops {
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := publisher.Append(within(t), copies, &message.Message{Payload: []byte("end")}); err != nil {
		t.Fatal(err)
	}
	copied := make(map[string]int)
	for _, payload := range readAll(t, url, copies, n+1) {
		copied[payload]++
	}
	delete(copied, "end")
	if len(copied) != 100 {
		t.Errorf("%d different copies", len(copied))
	}
	for payload, times := range copied {
		if times != n/100 {
			t.Errorf("%s was copied %d times, want %d", payload, times, n/100)
		}
	}
}

func TestAnAtomicBatchThatIsNoLongerItsOwnHasNoEffect(t *testing.T) {
	t.Parallel()
	url := startServer(t, "").URL()
	app := connect(t, url, flux.Config{})
	if err := flux.Publish(within(t), app, place(3)...); err != nil {
		t.Fatal(err)
	}
	started, proceed := make(chan struct{}), make(chan struct{})
	calls := 0
	copyOrders(app, flux.Consumer{From: flux.Beginning, Atomic: true}, func(orderPlaced) error {
		if calls++; calls == 1 {
			close(started)
			<-proceed
		}
		return nil
	})
	run(t, app)
	receive(t, started)
	overtake(t, url, "copier")
	close(proceed)
	if err := flux.Publish(within(t), app, orderPlaced{N: 99}); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, url, copies, 1); !slices.Equal(got, []string{`{"n":99}`}) {
		t.Errorf("copies are %q, want that of the message after the batch alone", got)
	}
}

// overtake stores a position for all that is in the event log, as another owner of the segments would have.
func overtake(t *testing.T, url, consumer string) {
	t.Helper()
	logs := fluxv1connect.NewLogServiceClient(http.DefaultClient, url)
	listed, err := logs.ListLogs(within(t), connectrpc.NewRequest(&fluxv1.ListLogsRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range listed.Msg.GetLogs() {
		if info.GetLog() != "event" {
			continue
		}
		request := &fluxv1.StorePositionRequest{Log: "event", Consumer: consumer, LastIndex: info.GetLastIndex()}
		tracking := fluxv1connect.NewTrackingServiceClient(http.DefaultClient, url)
		if _, err := tracking.StorePosition(within(t), connectrpc.NewRequest(request)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnAtomicConsumerDropsWhatAFailedHandlerPublished(t *testing.T) {
	t.Parallel()
	url := startServer(t, "").URL()
	app := connect(t, url, flux.Config{})
	copyOrders(app, flux.Consumer{Atomic: true}, func(o orderPlaced) error {
		if o.N == 1 {
			return flux.Errorf("test.no", "no")
		}
		return nil
	})
	run(t, app)
	if err := flux.Publish(within(t), app, place(3)...); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, url, copies, 2); !slices.Equal(got, []string{`{"n":0}`, `{"n":2}`}) {
		t.Errorf("copies are %q", got)
	}
}

func TestAnAtomicConsumerAnswersRequests(t *testing.T) {
	t.Parallel()
	url := startServer(t, "").URL()
	service := connect(t, url, flux.Config{})
	flux.HandleCommand(service.Consumer("adders", flux.Consumer{Atomic: true}), add)
	run(t, service)
	app := connect(t, url, flux.Config{})
	for i := range 20 {
		if sum, err := flux.Ask(within(t), app, addNumbers{A: i, B: i}); err != nil || sum != 2*i {
			t.Fatalf("%d+%d is %d, %v", i, i, sum, err)
		}
	}
	if _, err := flux.Ask(within(t), app, addNumbers{A: -1}); !errors.Is(err, flux.ErrFailed) {
		t.Errorf("failing: %v", err)
	}
}
