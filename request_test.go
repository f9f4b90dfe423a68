package flux_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/message"
)

type addNumbers struct {
	flux.Command[int]
	A int `json:"a"`
	B int `json:"b"`
}

type findName struct {
	flux.Query[string]
	ID string `json:"id" flux:"routing"`
}

var errTooMuch = &flux.Error{Code: "test.too_much", Message: "too much"}

func add(_ context.Context, n addNumbers) (int, error) {
	switch {
	case n.A > 1000:
		return 0, fmt.Errorf("%w: %d", errTooMuch.WithDetail(map[string]int{"limit": 1000}), n.A)
	case n.A == 1000:
		panic("a secret")
	case n.A < 0:
		return 0, errors.New("negative")
	}
	return n.A + n.B, nil
}

func TestAskReturnsTheResultOfTheHandler(t *testing.T) {
	t.Parallel()
	url := startServer(t, "").URL()
	service := connect(t, url, flux.Config{Name: "service"})
	flux.HandleCommand(service, add)
	flux.HandleQuery(service, func(_ context.Context, q findName) (string, error) { return "name of " + q.ID, nil })
	run(t, service)
	app := connect(t, url, flux.Config{Name: "caller"})

	sum, err := flux.Ask(within(t), app, addNumbers{A: 1, B: 2})
	if err != nil || sum != 3 {
		t.Errorf("sum is %d, %v; want 3", sum, err)
	}
	name, err := flux.Ask(within(t), app, findName{ID: "x"})
	if err != nil || name != "name of x" {
		t.Errorf("name is %q, %v", name, err)
	}
}

func TestErrorsOfHandlersComeBackWithCodeAndDetail(t *testing.T) {
	t.Parallel()
	url := startServer(t, "").URL()
	service := connect(t, url, flux.Config{Name: "service"})
	flux.HandleCommand(service, add)
	run(t, service)
	app := connect(t, url, flux.Config{Name: "caller"})
	for _, test := range []struct {
		a             int
		want          error
		text, details string
	}{
		{1001, errTooMuch, "too much: 1001", `{"limit":1000}`},
		{-1, flux.ErrFailed, "negative", ""},
		{1000, flux.ErrInternal, "handler panicked", ""},
	} {
		_, err := flux.Ask(within(t), app, addNumbers{A: test.a})
		var e *flux.Error
		if !errors.Is(err, test.want) || !errors.As(err, &e) || e.Message != test.text || string(e.Detail) != test.details {
			t.Errorf("adding %d: %#v, want %s with %q and %q", test.a, err, test.want.(*flux.Error).Code, test.text, test.details)
		}
	}
}

func TestAskEndsWithItsDeadline(t *testing.T) {
	t.Parallel()
	app := connect(t, startServer(t, "").URL(), flux.Config{RequestTimeout: 20 * time.Millisecond})
	if _, err := flux.Ask(t.Context(), app, addNumbers{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without handler: %v, want a timeout", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := flux.Ask(ctx, app, addNumbers{}); !errors.Is(err, context.Canceled) {
		t.Errorf("with canceled context: %v", err)
	}
}

func TestManyRequestsAtOnceGetTheirOwnAnswers(t *testing.T) {
	t.Parallel()
	url := startServer(t, "").URL()
	service := connect(t, url, flux.Config{Name: "service"})
	flux.HandleCommand(service.Consumer("adders", flux.Consumer{Trackers: 4}), add)
	run(t, service)
	app := connect(t, url, flux.Config{Name: "caller"})
	var group sync.WaitGroup
	for i := range 200 {
		group.Go(func() {
			if sum, err := flux.Ask(within(t), app, addNumbers{A: i, B: i}); err != nil || sum != 2*i {
				t.Errorf("%d+%d is %d, %v", i, i, sum, err)
			}
		})
	}
	group.Wait()
}

func TestRequestsOfCustomTopics(t *testing.T) {
	t.Parallel()
	type convert struct {
		flux.Returns[float64]
		Celsius float64 `json:"celsius"`
	}
	log := message.Log{Type: message.Custom, Topic: "weather"}
	app := connect(t, startServer(t, "").URL(), flux.Config{})
	flux.HandleRequest(app, log, func(_ context.Context, c convert) (float64, error) { return c.Celsius*9/5 + 32, nil })
	run(t, app)
	fahrenheit, err := flux.AskTo(within(t), app, log, convert{Celsius: 100}, nil)
	if err != nil || fahrenheit != 212 {
		t.Errorf("100 °C is %v °F, %v", fahrenheit, err)
	}
	if _, err := flux.Ask(within(t), app, convert{}); !errors.Is(err, flux.ErrBadRequest) {
		t.Errorf("neither command nor query: %v", err)
	}
}
