package flux_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/message"
)

type orderPlaced struct {
	Order string `json:"order" flux:"routing"`
	N     int    `json:"n"`
}

type orderShipped struct {
	Order string `json:"order" flux:"routing"`
}

// collector collects what handlers are given.
type collector[T any] struct {
	mu     sync.Mutex
	values []T
	want   int
	done   chan struct{}
}

func collect[T any](want int) *collector[T] {
	return &collector[T]{want: want, done: make(chan struct{})}
}

func (c *collector[T]) add(v T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values = append(c.values, v)
	if len(c.values) == c.want {
		close(c.done)
	}
}

func (c *collector[T]) handle(_ context.Context, v T) error {
	c.add(v)
	return nil
}

// wait returns the values as soon as there are as many as wanted.
func (c *collector[T]) wait(t testing.TB) []T {
	t.Helper()
	select {
	case <-c.done:
	case <-within(t).Done():
		t.Fatalf("got %d values, want %d", len(c.all()), c.want)
	}
	return c.all()
}

func (c *collector[T]) all() []T {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.values)
}

func place(n int) []any {
	orders := make([]any, n)
	for i := range orders {
		orders[i] = orderPlaced{Order: fmt.Sprintf("o%d", i%10), N: i}
	}
	return orders
}

func TestEventsAreHandledInTheOrderOfTheirRoutingKeys(t *testing.T) {
	t.Parallel()
	app := connect(t, startServer(t, "").URL(), flux.Config{})
	handled := collect[orderPlaced](3000)
	flux.HandleEvent(app.Consumer("orders", flux.Consumer{Trackers: 8, From: flux.Beginning}), handled.handle)
	run(t, app)
	for range 30 {
		if err := flux.Publish(within(t), app, place(100)...); err != nil {
			t.Fatal(err)
		}
	}
	byOrder := make(map[string][]int)
	for _, o := range handled.wait(t) {
		byOrder[o.Order] = append(byOrder[o.Order], o.N)
	}
	for order, numbers := range byOrder {
		for i, n := range numbers {
			if want := byOrder[order][0] + 10*i%100; n != want {
				t.Fatalf("message %d of %s is %d, want %d", i, order, n, want)
			}
		}
	}
}

func TestConsumersGetTheTypesTheyHandle(t *testing.T) {
	t.Parallel()
	app := connect(t, startServer(t, "").URL(), flux.Config{})
	shipped, all := collect[orderShipped](1), collect[string](3)
	flux.HandleEvent(app, shipped.handle)
	flux.HandleRaw(app.Consumer("all", flux.Consumer{}), events, func(_ context.Context, m *message.Message) error {
		all.add(m.Type)
		return nil
	})
	run(t, app)
	if err := flux.Publish(within(t), app, orderPlaced{}, orderShipped{"x"}, orderPlaced{}); err != nil {
		t.Fatal(err)
	}
	if got := shipped.wait(t); got[0].Order != "x" {
		t.Errorf("shipped %v", got)
	}
	if got := all.wait(t); !slices.Equal(got, []string{"flux_test.orderPlaced", "flux_test.orderShipped", "flux_test.orderPlaced"}) {
		t.Errorf("types are %q", got)
	}
}

func TestAConsumerGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	url := startServer(t, "").URL()
	publisher := connect(t, url, flux.Config{})
	var seen []int
	for round := range 3 {
		if err := flux.Publish(within(t), publisher, place(50)...); err != nil {
			t.Fatal(err)
		}
		app := connect(t, url, flux.Config{})
		handled := collect[orderPlaced](50)
		flux.HandleEvent(app.Consumer("orders", flux.Consumer{From: flux.Beginning}), handled.handle)
		stop := run(t, app)
		handled.wait(t)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if n := len(handled.all()); n != 50 {
			t.Fatalf("round %d: %d messages, want the 50 new ones", round, n)
		}
		seen = append(seen, handled.all()[0].N)
	}
	if !slices.Equal(seen, []int{0, 0, 0}) {
		t.Errorf("rounds began with %v", seen)
	}
}

func TestInstancesShareTheWorkOfAConsumer(t *testing.T) {
	t.Parallel()
	url := startServer(t, "").URL()
	handled := collect[orderPlaced](2000)
	var first, second atomic.Int64
	instance := func(count *atomic.Int64) *flux.App {
		app := connect(t, url, flux.Config{})
		flux.HandleEvent(app.Consumer("orders", flux.Consumer{From: flux.Beginning, MaxBatch: 10}),
			func(_ context.Context, o orderPlaced) error { count.Add(1); handled.add(o); return nil })
		return app
	}
	run(t, instance(&first))
	run(t, instance(&second))
	publisher := connect(t, url, flux.Config{})
	for range 20 {
		if err := flux.Publish(within(t), publisher, place(100)...); err != nil {
			t.Fatal(err)
		}
	}
	handled.wait(t)
	for first.Load() == 0 || second.Load() == 0 { // until both have joined
		if err := flux.Publish(within(t), publisher, place(10)...); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFromAndUntilBoundAConsumer(t *testing.T) {
	t.Parallel()
	app := connect(t, startServer(t, "").URL(), flux.Config{})
	var indexes []message.Index
	for i := range 10 {
		got, err := app.Append(within(t), events, &message.Message{Type: "n", Payload: fmt.Append(nil, i)})
		if err != nil {
			t.Fatal(err)
		}
		indexes = append(indexes, got...)
	}
	handled := collect[int](0)
	bounds := flux.Consumer{From: flux.AtIndex(indexes[3]), Until: indexes[7]}
	flux.HandleRaw(app.Consumer("bounded", bounds), events, func(_ context.Context, m *message.Message) error {
		handled.add(int(m.Payload[0] - '0'))
		return nil
	})
	if err := app.Run(within(t)); err != nil { // returns at the end of the consumer
		t.Fatal(err)
	}
	if got := handled.all(); !slices.Equal(got, []int{3, 4, 5, 6}) {
		t.Errorf("handled %v, want 3 to 6", got)
	}
	if err := app.Run(within(t)); err != nil || len(handled.all()) != 4 {
		t.Errorf("second run: %v, handled %v", err, handled.all())
	}
}

func TestNotificationsReachEveryInstance(t *testing.T) {
	t.Parallel()
	url := startServer(t, "").URL()
	a, b := collect[orderShipped](1), collect[orderShipped](1)
	for _, handled := range []*collector[orderShipped]{a, b} {
		app := connect(t, url, flux.Config{Name: "same"})
		flux.HandleNotification(app, handled.handle)
		run(t, app)
	}
	if err := flux.Publish(within(t), connect(t, url, flux.Config{}), orderShipped{"x"}); err != nil {
		t.Fatal(err)
	}
	a.wait(t)
	b.wait(t)
}

func TestFailedMessagesAreRetriedAndThenPassedOver(t *testing.T) {
	t.Parallel()
	app := connect(t, startServer(t, "").URL(), flux.Config{})
	calls, reported := collect[int](4), collect[*flux.Error](1)
	policy := flux.ErrorPolicy{Retries: 2, Backoff: time.Millisecond}
	flux.HandleEvent(app.Consumer("orders", flux.Consumer{OnError: policy}), func(_ context.Context, o orderPlaced) error {
		calls.add(o.N)
		if o.N == 0 {
			return errors.New("broken")
		}
		return nil
	})
	flux.HandleError(app, reported.handle)
	run(t, app)
	if err := flux.Publish(within(t), app, orderPlaced{N: 0}, orderPlaced{N: 1}); err != nil {
		t.Fatal(err)
	}
	if got := calls.wait(t); !slices.Equal(got, []int{0, 0, 0, 1}) {
		t.Errorf("calls were %v", got)
	}
	if got := reported.wait(t)[0]; got.Code != "failed" || got.Message != "broken" {
		t.Errorf("error log has %+v", got)
	}
}

func TestFinalErrorsAreNotRetried(t *testing.T) {
	t.Parallel()
	app := connect(t, startServer(t, "").URL(), flux.Config{})
	calls := collect[int](2)
	flux.HandleEvent(app.Consumer("orders", flux.Consumer{OnError: flux.ErrorPolicy{Retries: -1}}),
		func(_ context.Context, o orderPlaced) error {
			calls.add(o.N)
			return flux.Errorf("test.final", "no use")
		})
	run(t, app)
	if err := flux.Publish(within(t), app, orderPlaced{N: 0}, orderPlaced{N: 1}); err != nil {
		t.Fatal(err)
	}
	if got := calls.wait(t); !slices.Equal(got, []int{0, 1}) {
		t.Errorf("calls were %v", got)
	}
}

func TestAConsumerThatStopsStaysBeforeTheFailure(t *testing.T) {
	t.Parallel()
	url := startServer(t, "").URL()
	publisher := connect(t, url, flux.Config{})
	if err := flux.Publish(within(t), publisher, place(1)...); err != nil {
		t.Fatal(err)
	}
	errBroken := errors.New("broken")
	for range 2 {
		app := connect(t, url, flux.Config{})
		flux.HandleEvent(app.Consumer("orders", flux.Consumer{From: flux.Beginning, OnError: flux.ErrorPolicy{Stop: true}}),
			func(context.Context, orderPlaced) error { return errBroken })
		if err := app.Run(within(t)); !errors.Is(err, errBroken) {
			t.Errorf("run: %v, want that of the handler", err)
		}
	}
}

func TestRunFinishesTheBatchInHand(t *testing.T) {
	t.Parallel()
	url := startServer(t, "").URL()
	publisher := connect(t, url, flux.Config{})
	if err := flux.Publish(within(t), publisher, place(20)...); err != nil {
		t.Fatal(err)
	}
	app := connect(t, url, flux.Config{})
	started, proceed := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var handled atomic.Int64
	consumer := flux.Consumer{From: flux.Beginning}
	flux.HandleEvent(app.Consumer("orders", consumer), func(ctx context.Context, _ orderPlaced) error {
		once.Do(func() { close(started) })
		<-proceed
		handled.Add(1)
		return ctx.Err()
	})
	stop := run(t, app)
	receive(t, started)
	stopped := make(chan error)
	go func() { stopped <- stop() }()
	close(proceed)
	if err := receive(t, stopped); err != nil {
		t.Fatal(err)
	}
	if n := handled.Load(); n != 20 {
		t.Errorf("handled %d messages, want the batch of 20", n)
	}
	again := connect(t, url, flux.Config{})
	rest := collect[orderPlaced](1)
	flux.HandleEvent(again.Consumer("orders", consumer), rest.handle)
	run(t, again)
	if err := flux.Publish(within(t), publisher, orderPlaced{N: 99}); err != nil {
		t.Fatal(err)
	}
	if got := rest.wait(t); got[0].N != 99 {
		t.Errorf("the position was not stored: got %v again", got)
	}
}

func TestAConsumerMayKeepItsOwnPosition(t *testing.T) {
	t.Parallel()
	app := connect(t, startServer(t, "").URL(), flux.Config{})
	indexes, err := app.Append(within(t), events, &message.Message{Type: "a"}, &message.Message{Type: "b"}, &message.Message{Type: "c"})
	if err != nil {
		t.Fatal(err)
	}
	handled := collect[string](2)
	load := func(context.Context) (message.Index, error) { return indexes[0], nil }
	flux.HandleRaw(app.Consumer("own", flux.Consumer{LoadIndex: load}), events, func(_ context.Context, m *message.Message) error {
		handled.add(m.Type)
		return nil
	})
	run(t, app)
	if got := handled.wait(t); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("handled %q, want what lies after the index", got)
	}
}

func TestPassiveConsumersDoNotAnswer(t *testing.T) {
	t.Parallel()
	url := startServer(t, "").URL()
	app := connect(t, url, flux.Config{})
	handled := collect[int](1)
	flux.HandleCommand(app.Consumer("audit", flux.Consumer{Passive: true}), func(_ context.Context, n addNumbers) (int, error) {
		handled.add(n.A)
		return 0, nil
	})
	stop := run(t, app)
	asking, cancel := context.WithCancel(t.Context())
	asked := make(chan error, 1)
	go func() {
		_, err := flux.Ask(asking, app, addNumbers{A: 7})
		asked <- err
	}()
	handled.wait(t)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := receive(t, asked); !errors.Is(err, context.Canceled) {
		t.Errorf("asking: %v", err)
	}
	results := message.Log{Type: message.Result}
	if _, err := app.Append(within(t), results, &message.Message{Payload: []byte("first")}); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, url, results, 1); got[0] != "first" {
		t.Errorf("an answer was published: %q", got)
	}
}

func TestWhatAHandlerPublishesIsCorrelated(t *testing.T) {
	t.Parallel()
	app := connect(t, startServer(t, "").URL(), flux.Config{Name: "shop", ClientID: "client-1"})
	correlated := make(chan map[string]string, 1)
	flux.HandleEvent(app.Consumer("shipping", flux.Consumer{}), func(ctx context.Context, o orderPlaced) error {
		return flux.Publish(ctx, app, orderShipped{o.Order})
	})
	flux.HandleEvent(app.Consumer("watching", flux.Consumer{}), func(ctx context.Context, _ orderShipped) error {
		correlated <- maps.Clone(flux.Current(ctx).Message().Metadata)
		return nil
	})
	run(t, app)
	ctx := flux.WithUser(within(t), "alice")
	options := &flux.PublishOptions{Metadata: map[string]string{"$trace.ticket": "17", "plain": "yes"}}
	if err := flux.PublishTo(ctx, app, events, orderPlaced{Order: "o1"}, options); err != nil {
		t.Fatal(err)
	}
	got := receive(t, correlated)
	for key, want := range map[string]string{
		"$clientId": "client-1", "$clientName": "shop", "$consumer": "shipping", "$trigger": "flux_test.orderPlaced",
		"$triggerType": "EVENT", "$trace.ticket": "17", "$user": "alice", "plain": "",
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	if got["$correlationId"] == "" || got["$correlationId"] != got["$traceId"] {
		t.Errorf("correlation %q, trace %q", got["$correlationId"], got["$traceId"])
	}
}

func TestRunTellsWhatIsWrongWithTheHandlers(t *testing.T) {
	t.Parallel()
	app := connect(t, startServer(t, "").URL(), flux.Config{})
	flux.HandleCommand(app, add)
	flux.HandleCommand(app, add)
	if err := app.Run(within(t)); err == nil {
		t.Error("two handlers may answer the same command")
	}
}

func TestHandlersThatDoNotStopInTimeAreCanceledAndTheirBatchComesAgain(t *testing.T) {
	t.Parallel()
	url := startServer(t, "").URL()
	app := connect(t, url, flux.Config{StopTimeout: 10 * time.Millisecond})
	consumer := flux.Consumer{From: flux.Beginning}
	started, canceled := make(chan struct{}), make(chan error, 1)
	flux.HandleEvent(app.Consumer("slow", consumer), func(ctx context.Context, _ orderPlaced) error {
		close(started)
		<-ctx.Done()
		canceled <- ctx.Err()
		return nil
	})
	stop := run(t, app)
	if err := flux.Publish(within(t), app, place(1)...); err != nil {
		t.Fatal(err)
	}
	receive(t, started)
	if err := stop(); err != nil {
		t.Errorf("run: %v", err)
	}
	receive(t, canceled)
	again := connect(t, url, flux.Config{})
	handled := collect[orderPlaced](1)
	flux.HandleEvent(again.Consumer("slow", consumer), handled.handle)
	run(t, again)
	handled.wait(t)
}

func TestAnObserverSeesEachCallOfAHandler(t *testing.T) {
	t.Parallel()
	calls := make(chan flux.Handled, 10)
	app := connect(t, startServer(t, "").URL(), flux.Config{OnHandled: func(h flux.Handled) { calls <- h }})
	flux.HandleEvent(app.Consumer("orders", flux.Consumer{}), func(_ context.Context, o orderPlaced) error {
		if o.N == 0 {
			panic("a secret")
		}
		return nil
	})
	run(t, app)
	if err := flux.Publish(within(t), app, place(2)...); err != nil {
		t.Fatal(err)
	}
	if h := receive(t, calls); h.Consumer != "orders" || h.Type != "flux_test.orderPlaced" || !errors.Is(h.Err, flux.ErrInternal) {
		t.Errorf("first call: %+v", h)
	}
	if h := receive(t, calls); h.Err != nil || h.Index == 0 {
		t.Errorf("second call: %+v", h)
	}
}
