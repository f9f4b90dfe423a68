package flux_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/message"
)

type reminder struct {
	Text string `json:"text"`
}

func TestSchedulesAreHandledWhenTheyAreDue(t *testing.T) {
	t.Parallel()
	app := connect(t, startServer(t, "").URL(), flux.Config{})
	handled := collect[string](1)
	flux.HandleSchedule(app.Consumer("reminders", flux.Consumer{From: flux.Beginning}), func(ctx context.Context, r reminder) error {
		handled.add(r.Text + " " + flux.Current(ctx).Message().Metadata["$scheduleId"])
		return nil
	})
	run(t, app)
	ctx := within(t)
	for id, after := range map[string]time.Duration{"canceled": time.Hour, "moved": time.Hour, "later": time.Hour} {
		if err := flux.Schedule(ctx, app, id, after, reminder{"hello"}); err != nil {
			t.Fatal(err)
		}
	}
	if canceled, err := flux.CancelSchedule(ctx, app, "canceled"); !canceled || err != nil {
		t.Errorf("cancel says %v (%v)", canceled, err)
	}
	if stored, err := flux.ScheduleAt(ctx, app, "later", time.Now(), reminder{"no"}, &flux.ScheduleOptions{IfAbsent: true}); stored || err != nil {
		t.Errorf("schedule if absent says %v (%v)", stored, err)
	}
	if _, err := flux.ScheduleAt(ctx, app, "moved", time.Now(), reminder{"moved"}, nil); err != nil {
		t.Fatal(err)
	}
	handled.wait(t)
	if got := handled.all(); !slices.Equal(got, []string{"moved moved"}) {
		t.Errorf("handled %q", got)
	}
	var pending []string
	for s, err := range app.Schedules(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, s.ID+" "+string(s.Message.Payload))
	}
	if want := []string{`later {"text":"hello"}`}; !slices.Equal(pending, want) {
		t.Errorf("pending %q, want %q", pending, want)
	}
	if s, err := app.GetSchedule(ctx, "later"); err != nil || time.Until(s.Due) < 50*time.Minute {
		t.Errorf("schedule %v (%v)", s, err)
	}
	if _, err := app.GetSchedule(ctx, "canceled"); !errors.Is(err, flux.ErrNotFound) {
		t.Errorf("get of a canceled schedule: %v", err)
	}
}

func TestValuesArePutAndListed(t *testing.T) {
	t.Parallel()
	app, ctx := connect(t, startServer(t, "").URL(), flux.Config{}), within(t)
	for i := range 1500 {
		if err := flux.PutValue(ctx, app, fmt.Sprintf("many/%04d", i), i); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for item, err := range flux.ListValues[int](ctx, app, "many/") {
		if err != nil || item.Value != n {
			t.Fatalf("item %d is %v (%v)", n, item, err)
		}
		n++
	}
	if n != 1500 {
		t.Errorf("%d values", n)
	}
	first, err1 := flux.PutValueIfAbsent(ctx, app, "r", reminder{"a"})
	second, err2 := flux.PutValueIfAbsent(ctx, app, "r", reminder{"b"})
	if err := errors.Join(err1, err2); !first || second || err != nil {
		t.Errorf("put if absent says %v, %v (%v)", first, second, err)
	}
	if got, found, err := flux.GetValue[reminder](ctx, app, "r"); got.Text != "a" || !found || err != nil {
		t.Errorf("value %v, %v (%v)", got, found, err)
	}
	if _, _, err := flux.GetValue[int](ctx, app, "r"); !errors.Is(err, flux.ErrBadRequest) {
		t.Errorf("value of another type: %v", err)
	}
	if deleted, err := flux.DeleteValue(ctx, app, "r"); !deleted || err != nil {
		t.Errorf("delete says %v (%v)", deleted, err)
	}
	if _, found, err := flux.GetValue[reminder](ctx, app, "r"); found || err != nil {
		t.Errorf("value is there after it was deleted (%v)", err)
	}
}

type (
	opened  struct{ Owner string }
	paidIn  struct{ Amount int }
	account struct {
		Owner   string
		Balance int
	}
)

func (a account) opened(e opened) account { a.Owner = e.Owner; return a }
func (a account) paidIn(e paidIn) account { a.Balance += e.Amount; return a }

var accounts = flux.NewAggregate(flux.On(account.opened), flux.On(account.paidIn))

func TestAggregatesAreMadeOfTheirEvents(t *testing.T) {
	t.Parallel()
	app, ctx := connect(t, startServer(t, "").URL(), flux.Config{}), within(t)
	published := collect[int](2)
	flux.HandleEvent(app.Consumer("paid", flux.Consumer{From: flux.Beginning}), func(_ context.Context, e paidIn) error {
		published.add(e.Amount)
		return nil
	})
	run(t, app)
	a, err := accounts.Load(ctx, app, "a")
	if err != nil || a.Last != flux.NoEvents {
		t.Fatalf("new account %v (%v)", a, err)
	}
	if err := a.Apply(ctx, opened{"Ann"}, paidIn{10}); err != nil {
		t.Fatal(err)
	}
	stale, err := accounts.Load(ctx, app, "a")
	if err != nil || stale.State != (account{"Ann", 10}) || stale.Last != 1 {
		t.Fatalf("loaded %v (%v)", stale, err)
	}
	if err := a.Apply(ctx, paidIn{5}); err != nil {
		t.Fatal(err)
	}
	if err := stale.Apply(ctx, paidIn{100}); !errors.Is(err, flux.ErrConflict) || stale.State.Balance != 10 {
		t.Errorf("apply to an old state: %v, then %v", err, stale.State)
	}
	if err := a.Apply(ctx, reminder{}); !errors.Is(err, flux.ErrBadRequest) {
		t.Errorf("apply of an event of others: %v", err)
	}
	published.wait(t)
	if got := published.all(); !slices.Equal(got, []int{10, 5}) {
		t.Errorf("published %v", got)
	}
	if err := app.DeleteEvents(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if gone, err := accounts.Load(ctx, app, "a"); err != nil || gone.Last != flux.NoEvents {
		t.Errorf("deleted account %v (%v)", gone, err)
	}
}

func TestUpdatesOfOneAggregateDoNotGetLost(t *testing.T) {
	t.Parallel()
	app, ctx := connect(t, startServer(t, "").URL(), flux.Config{}), within(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				_, err := accounts.Update(ctx, app, "shared", func(account) ([]any, error) { return []any{paidIn{1}}, nil })
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if a, err := accounts.Load(ctx, app, "shared"); err != nil || a.State.Balance != 80 || a.Last != 79 {
		t.Errorf("account %v (%v)", a, err)
	}
}

func TestAggregatesAreLoadedAsOfATime(t *testing.T) {
	t.Parallel()
	app, ctx := connect(t, startServer(t, "").URL(), flux.Config{}), within(t)
	for i, amount := range []int{1, 2, 4} {
		m := &message.Message{Type: "flux_test.paidIn", Payload: fmt.Appendf(nil, `{"Amount":%d}`, amount), Timestamp: int64(1000 * (i + 1))}
		if _, err := app.AppendEvents(ctx, "a", &flux.AppendOptions{StoreOnly: true}, m); err != nil {
			t.Fatal(err)
		}
	}
	a, err := accounts.LoadAsOf(ctx, app, "a", time.UnixMilli(2500))
	if err != nil || a.State.Balance != 3 || a.Last != 1 {
		t.Errorf("account %v (%v)", a, err)
	}
	if err := a.Apply(ctx, paidIn{1}); !errors.Is(err, flux.ErrBadRequest) {
		t.Errorf("apply to the past: %v", err)
	}
}

func TestLongStreamsAreLoadedWhole(t *testing.T) {
	t.Parallel()
	app, ctx := connect(t, startServer(t, "").URL(), flux.Config{}), within(t)
	const total = 20_000
	events := make([]*message.Message, total)
	for i := range events {
		events[i] = &message.Message{Type: "E", Payload: fmt.Append(nil, i)}
	}
	if _, err := app.AppendEvents(ctx, "long", &flux.AppendOptions{StoreOnly: true}, events...); err != nil {
		t.Fatal(err)
	}
	n := 0
	for m, err := range app.Events(ctx, "long", flux.NoEvents) {
		if err != nil || string(m.Payload) != fmt.Sprint(n) || m.Index != message.Beginning {
			t.Fatalf("event %d is %v (%v)", n, m, err)
		}
		n++
	}
	if n != total {
		t.Errorf("%d events", n)
	}
}

func TestGetValueOfABadKeyIsNoTroubleForOthers(t *testing.T) {
	t.Parallel()
	app := connect(t, startServer(t, "").URL(), flux.Config{})
	const n = 50
	for i := range n {
		if err := flux.PutValue(t.Context(), app, fmt.Sprint("key-", i), i); err != nil {
			t.Fatal(err)
		}
	}
	var readers sync.WaitGroup
	for i := range n {
		readers.Go(func() {
			if got, found, err := flux.GetValue[int](t.Context(), app, fmt.Sprint("key-", i)); got != i || !found || err != nil {
				t.Errorf("key-%d has %d, %t, %v", i, got, found, err)
			}
		})
		readers.Go(func() {
			if _, _, err := flux.GetValue[int](t.Context(), app, ""); !errors.Is(err, flux.ErrBadRequest) {
				t.Errorf("a key without a name: %v", err)
			}
		})
	}
	readers.Wait()
}
