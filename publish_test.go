package flux_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/message"
)

// readAll returns the payloads of a log, in its order, as soon as there are n.
func readAll(t testing.TB, url string, log message.Log, n int) []string {
	t.Helper()
	app := connect(t, url, flux.Config{})
	payloads := collect[string](n)
	flux.HandleRaw(app.Consumer(message.ConsumerName("reader of "+app.ClientID()), flux.Consumer{From: flux.Beginning}), log,
		func(_ context.Context, m *message.Message) error {
			payloads.add(string(m.Payload))
			return nil
		})
	stop := run(t, app)
	payloads.wait(t)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	return payloads.all()
}

func TestPublisherStoresMessagesInTheirOrder(t *testing.T) {
	t.Parallel()
	url := startServer(t, "").URL()
	pub := connect(t, url, flux.Config{WindowBytes: 4 << 10}).Publisher(events, &flux.PublisherOptions{BlockMessages: 7})
	for i := range 1000 {
		if err := pub.Send(within(t), &message.Message{Type: "n", Payload: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := pub.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	for i, got := range readAll(t, url, events, 1000) {
		if got != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, got)
		}
	}
}

func TestAppendReturnsTheIndexes(t *testing.T) {
	t.Parallel()
	app := connect(t, startServer(t, "").URL(), flux.Config{})
	var mu sync.Mutex
	seen := make(map[message.Index]bool)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for n := range 5 {
				messages := make([]*message.Message, n)
				for i := range messages {
					messages[i] = &message.Message{Type: "n"}
				}
				indexes, err := app.Append(within(t), events, messages...)
				if err != nil || len(indexes) != n {
					t.Errorf("%d indexes of %d messages, %v", len(indexes), n, err)
				}
				mu.Lock()
				for i, index := range indexes {
					if seen[index] || i > 0 && index != indexes[i-1]+1 {
						t.Errorf("indexes %v", indexes)
					}
					seen[index] = true
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
}

func TestMessagesThatAreTooLargeAreRefusedAlone(t *testing.T) {
	t.Parallel()
	app := connect(t, startServer(t, "").URL(), flux.Config{MaxMessageBytes: 100 << 10})
	random := make([]byte, 200<<10)
	for i := range random {
		random[i] = byte(i * i >> 3)
	}
	large := &message.Message{Type: "large", Payload: []byte(strings.Repeat(string(random), 20))}
	if _, err := app.Append(within(t), events, large); !errors.Is(err, flux.ErrTooLarge) {
		t.Errorf("large message: %v", err)
	}
	if _, err := app.Append(within(t), events, &message.Message{Type: "small"}); err != nil {
		t.Errorf("small message after it: %v", err)
	}
}

func TestPublishingWaitsNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	app := connect(t, startServer(t, "").URL(), flux.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := flux.Publish(ctx, app, orderShipped{}); !errors.Is(err, context.Canceled) {
		t.Errorf("publish: %v", err)
	}
}

func TestGuaranteesSayHowFarToWait(t *testing.T) {
	t.Parallel()
	url := startServer(t, "").URL()
	app := connect(t, url, flux.Config{})
	for _, guarantee := range []flux.Guarantee{flux.None, flux.Sent, flux.Stored} {
		if err := flux.PublishTo(within(t), app, events, orderShipped{}, &flux.PublishOptions{Guarantee: guarantee}); err != nil {
			t.Errorf("guarantee %d: %v", guarantee, err)
		}
	}
	if got := readAll(t, url, events, 3); len(got) != 3 {
		t.Errorf("%d messages were stored", len(got))
	}
}

func TestAClosedAppSaysSo(t *testing.T) {
	t.Parallel()
	app := connect(t, startServer(t, "").URL(), flux.Config{})
	if err := app.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	_, asked := flux.Ask(within(t), app, addNumbers{})
	for _, err := range []error{flux.Publish(within(t), app, orderShipped{}), asked, app.Run(within(t)), app.Publisher(events, nil).Send(within(t), &message.Message{Payload: make([]byte, 200<<10)})} {
		if !errors.Is(err, flux.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}

func TestConnectSaysThatThereIsNoServer(t *testing.T) {
	t.Parallel()
	_, err := flux.Connect(t.Context(), flux.Config{URL: "http://127.0.0.1:1", ConnectTimeout: 1})
	if !errors.Is(err, flux.ErrUnavailable) {
		t.Errorf("no server: %v", err)
	}
	if _, err := flux.Connect(t.Context(), flux.Config{URL: "localhost:8888"}); err == nil || errors.Is(err, flux.ErrUnavailable) {
		t.Errorf("URL without scheme: %v", err)
	}
}

type named struct {
	A, B string
}

func (named) FluxType() string     { return "some.Name" }
func (named) FluxRevision() int32  { return 3 }
func (n named) RoutingKey() string { return n.A + n.B }

func TestPayloadsChooseNameRevisionAndRoutingKey(t *testing.T) {
	t.Parallel()
	app := connect(t, startServer(t, "").URL(), flux.Config{})
	got := make(chan *message.Message, 3)
	flux.HandleRaw(app, events, func(_ context.Context, m *message.Message) error { got <- m.Clone(); return nil })
	run(t, app)
	if err := flux.Publish(within(t), app, named{"x", "y"}, &orderPlaced{Order: "key"}); err != nil {
		t.Fatal(err)
	}
	if err := flux.PublishTo(within(t), app, events, orderPlaced{Order: "key"}, &flux.PublishOptions{RoutingKey: "other", ID: "an id"}); err != nil {
		t.Fatal(err)
	}
	m := receive(t, got)
	if m.Type != "some.Name" || m.Revision != 3 || m.RoutingSegment() != message.SegmentOf("xy") {
		t.Errorf("named: %+v", m)
	}
	if m = receive(t, got); m.Type != "flux_test.orderPlaced" || m.RoutingSegment() != message.SegmentOf("key") {
		t.Errorf("tagged: %+v", m)
	}
	if m = receive(t, got); m.MessageID() != "an id" || m.RoutingSegment() != message.SegmentOf("other") {
		t.Errorf("with options: %+v", m)
	}
}

func TestCloseEndsRunAndStoresWhatWasPublished(t *testing.T) {
	t.Parallel()
	url := startServer(t, "").URL()
	app := connect(t, url, flux.Config{})
	started := make(chan struct{})
	flux.HandleEvent(app, func(ctx context.Context, _ orderShipped) error {
		close(started)
		return flux.PublishTo(ctx, app, copies, copied{1}, &flux.PublishOptions{Guarantee: flux.None})
	})
	ended := make(chan error, 1)
	go func() { ended <- app.Run(context.Background()) }()
	if err := flux.Publish(within(t), app, orderShipped{}); err != nil {
		t.Fatal(err)
	}
	receive(t, started)
	if err := app.Close(within(t)); err != nil {
		t.Error(err)
	}
	if err := receive(t, ended); err != nil {
		t.Errorf("run: %v", err)
	}
	if got := readAll(t, url, copies, 1); got[0] != `{"n":1}` {
		t.Errorf("published %q", got)
	}
}
