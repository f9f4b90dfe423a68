package flux_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/message"
)

// newRecorder returns a recorder that keeps everything, and what it keeps.
func newRecorder(t *testing.T, service string) (*execution.Recorder, <-chan *record.Execution) {
	t.Helper()
	kept := make(chan *record.Execution, 100)
	rec, err := execution.New(execution.Config{
		Service: service, Keep: execution.Keep{All: true}, OnKept: func(x *record.Execution) { kept <- x },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rec.Close(context.Background()) })
	return rec, kept
}

// The services of the tests: one takes orders, the other ships them.
type (
	order  struct{ Items int }
	placed struct {
		Order string `json:"order" flux:"routing"`
		Items int    `json:"items"`
	}
	placeOrder struct {
		flux.Command[string]
		Order string `json:"order" flux:"routing"`
		Items int    `json:"items"`
	}
	getStock struct {
		flux.Query[int]
		Item string `json:"item"`
	}
)

func (o order) placed(e placed) order { o.Items += e.Items; return o }

var (
	orders     = flux.NewAggregate(flux.On(order.placed))
	errNoStock = &flux.Error{Code: "shop.no_stock", Message: "not in stock"}
)

// takeOrders registers the service that takes orders.
func takeOrders(app *flux.App) {
	flux.HandleCommand(app.Consumer("shop", flux.Consumer{From: flux.Beginning}), func(ctx context.Context, c placeOrder) (string, error) {
		stock, err := flux.Ask(ctx, app, getStock{Item: "book"})
		if err != nil {
			return "", err
		}
		o, err := orders.Load(ctx, app, c.Order)
		if err != nil {
			return "", err
		}
		if o.State.Items+c.Items > stock {
			return "", fmt.Errorf("order %s: %w", c.Order, errNoStock)
		}
		if err := o.Apply(ctx, placed{Order: c.Order, Items: c.Items}); err != nil {
			return "", err
		}
		if err := flux.PutValue(ctx, app, "last", c.Order); err != nil {
			return "", err
		}
		if err := flux.Schedule(ctx, app, "remind-"+c.Order, time.Hour, orderShipped{Order: c.Order}); err != nil {
			return "", err
		}
		last, found, err := flux.GetValue[string](ctx, app, "last")
		return fmt.Sprintf("%s %t", last, found), errors.Join(err, flux.Publish(ctx, app, orderShipped{Order: c.Order}))
	})
}

// ship registers the service that has the stock, and says what it was told.
func ship(app *flux.App, shipped func(orderShipped)) {
	flux.HandleQuery(app.Consumer("stock", flux.Consumer{From: flux.Beginning}), func(context.Context, getStock) (int, error) { return 5, nil })
	flux.HandleEvent(app.Consumer("shipping", flux.Consumer{From: flux.Beginning}), func(_ context.Context, e orderShipped) error {
		shipped(e)
		return nil
	})
}

// shop is both services, recorded.
type shop struct {
	user          *flux.App
	orders, stock <-chan *record.Execution
	shipped       chan orderShipped
}

func openShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{shipped: make(chan orderShipped, 10)}
	url := startServer(t, "").URL()
	rec, kept := newRecorder(t, "orders")
	s.orders = kept
	taking := connect(t, url, flux.Config{Name: "orders", Recorder: rec})
	takeOrders(taking)
	rec, kept = newRecorder(t, "stock")
	s.stock = kept
	shipping := connect(t, url, flux.Config{Name: "stock", Recorder: rec})
	ship(shipping, func(e orderShipped) { s.shipped <- e })
	s.user = connect(t, url, flux.Config{Name: "user"})
	run(t, taking)
	run(t, shipping)
	return s
}

// replayOrder replays an execution of the service that takes orders, without a server.
func replayOrder(t *testing.T, of *record.Execution, register func(*flux.App)) (*execution.Report, error) {
	t.Helper()
	rec, _ := newRecorder(t, "orders")
	app, err := flux.Offline(flux.Config{Name: "orders", URL: "http://192.0.2.1:1", Recorder: rec})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = app.Close(context.Background()) })
	register(app)
	return flux.ReplayMessage(t.Context(), app, &record.Bundle{Execution: of}, nil)
}

func linkOf(links []record.Link, kind record.LinkKind, logName string) record.Link {
	for _, l := range links {
		if l.Kind == kind && l.Log == logName {
			return l
		}
	}
	return record.Link{}
}

func executionLink(links []record.Link) record.ID {
	for _, l := range links {
		if !l.Execution.IsZero() {
			return l.Execution
		}
	}
	return record.ID{}
}

func TestAnExecutionLinksToTheMessagesBeforeAndAfterIt(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	if got, err := flux.Ask(within(t), s.user, placeOrder{Order: "o1", Items: 2}); err != nil || got != "o1 true" {
		t.Fatalf("%q, %v", got, err)
	}
	receive(t, s.shipped)
	took, asked, shipped := receive(t, s.orders), receive(t, s.stock), receive(t, s.stock)
	if took.Trigger.Kind != record.TriggerMessage || took.Trigger.Method != "flux_test.placeOrder" || took.Trigger.Path != "command" || took.Trigger.Route != "shop" {
		t.Errorf("trigger %+v", took.Trigger)
	}
	if !strings.Contains(string(took.Input.Data), `"payload":{"order":"o1","items":2}`) || !strings.Contains(string(took.Output.Data), `"payload":"o1 true"`) {
		t.Errorf("input %s, output %s", took.Input.Data, took.Output.Data)
	}
	var shapes []string
	for _, cp := range took.Checkpoints {
		shapes = append(shapes, fmt.Sprintf("%s %s %s %s", cp.Boundary, cp.Target, cp.Shape, cp.Effect))
	}
	want := []string{
		"flux query ask flux_test.getStock read", "flux events load flux_test.order read", "flux events append flux_test.placed write",
		"flux values put write", "flux schedules schedule flux_test.orderShipped write", "flux values get read",
		"flux event publish flux_test.orderShipped write",
	}
	if !slices.Equal(shapes, want) {
		t.Fatalf("operations\n%s\nwant\n%s", strings.Join(shapes, "\n"), strings.Join(want, "\n"))
	}
	if place := took.Checkpoints[0].Call; !strings.HasSuffix(place.File, "handled_test.go") {
		t.Errorf("op 0 was asked for at %+v", place)
	}
	for _, link := range []struct {
		what  string
		cause *record.Execution
		op    int
		log   string
	}{{"query", asked, 0, "query"}, {"event", shipped, 6, "event"}} {
		cause := linkOf(link.cause.Links, record.LinkCause, link.log)
		effect := linkOf(took.Checkpoints[link.op].Links, record.LinkEffect, link.log)
		if cause.Execution != took.ID || cause.Index == 0 || cause.MessageID == "" || link.cause.Parent != took.ID || link.cause.Relation != record.RelationChild {
			t.Errorf("%s: caused by %+v, parent %s, want %s", link.what, cause, link.cause.Parent, took.ID)
		}
		if effect.MessageID != cause.MessageID || effect.Index != 0 && effect.Index != cause.Index {
			t.Errorf("%s: effect %+v, cause %+v", link.what, effect, cause)
		}
	}
	if got := executionLink(took.Checkpoints[0].Links); got != asked.ID {
		t.Errorf("the query links to the execution %s, want %s", got, asked.ID)
	}
	if l := linkOf(took.Checkpoints[6].Links, record.LinkEffect, "event"); l.Index == 0 {
		t.Error("the index of a stored event is not known")
	}
}

func TestAFailedHandlerIsReplayedWithoutAServer(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	if _, err := flux.Ask(within(t), s.user, placeOrder{Order: "o1", Items: 9}); !errors.Is(err, errNoStock) {
		t.Fatal(err)
	}
	failed := receive(t, s.orders)
	if failed.Status != record.StatusError || failed.Error.Message != "order o1: not in stock" {
		t.Fatalf("%s, %+v", failed.Status, failed.Error)
	}
	report, err := replayOrder(t, failed, takeOrders)
	if err != nil {
		t.Fatal(err)
	}
	if report.Outcome != execution.OutcomeSame || report.Replayed.Message != failed.Error.Message || report.Served != 2 {
		t.Errorf("%s, served %d, replayed %+v", report, report.Served, report.Replayed)
	}
}

// In a process that flux replay started, Run replays the recorded message in place of handling others, and connects to nothing.
func TestAProcessReplaysTheRecordedMessage(t *testing.T) {
	t.Parallel()
	if os.Getenv(execution.EnvReplay) != "" {
		replayInProcess(t)
		return
	}
	s := openShop(t)
	if _, err := flux.Ask(within(t), s.user, placeOrder{Order: "o1", Items: 9}); err == nil {
		t.Fatal("no error")
	}
	var bundle bytes.Buffer
	if err := record.WriteBundle(&bundle, &record.Bundle{Execution: receive(t, s.orders)}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	control := execution.Control{Bundle: filepath.Join(dir, "x.fluxrec"), Report: filepath.Join(dir, "report.json")}
	data, err := json.Marshal(control)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "control.json")
	if err := errors.Join(os.WriteFile(control.Bundle, bundle.Bytes(), 0o600), os.WriteFile(path, data, 0o600)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(within(t), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), execution.EnvReplay+"="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if report, err := os.ReadFile(control.Report); err != nil || !bytes.Contains(report, []byte(`"outcome":"same"`)) {
		t.Errorf("%s, %v", report, err)
	}
}

// replayInProcess is the program that flux replay starts.
func replayInProcess(t *testing.T) {
	rec, err := execution.Connect(execution.Config{Service: "orders", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	app := connect(t, "http://192.0.2.1:1", flux.Config{Name: "orders", Recorder: rec})
	takeOrders(app)
	if err := app.Run(within(t)); err != nil {
		t.Error(err)
	}
}

func TestAReplayStopsAtWhatTheRecordDoesNotHave(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	if _, err := flux.Ask(within(t), s.user, placeOrder{Order: "o1", Items: 9}); err == nil {
		t.Fatal("no error")
	}
	failed := receive(t, s.orders)
	report, err := replayOrder(t, failed, func(app *flux.App) {
		flux.HandleCommand(app.Consumer("shop", flux.Consumer{}), func(ctx context.Context, c placeOrder) (string, error) {
			return "", flux.Publish(ctx, app, orderShipped{Order: c.Order})
		})
	})
	if err != nil || report.Stop == nil || report.Stop.Operation.Shape != "publish flux_test.orderShipped" {
		t.Errorf("%v, %v", report, err)
	}
	for name, register := range map[string]func(*flux.App){
		"no handler": func(*flux.App) {},
		"another":    func(app *flux.App) { flux.HandleEvent(app, func(context.Context, placed) error { return nil }) },
	} {
		if _, err := replayOrder(t, failed, register); !errors.Is(err, execution.ErrNotReplayable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrorsOfAnswersAreTheSameInAReplay(t *testing.T) {
	t.Parallel()
	url := startServer(t, "").URL()
	rec, kept := newRecorder(t, "asker")
	app := connect(t, url, flux.Config{Recorder: rec})
	detailed := errNoStock.WithDetail(map[string]int{"left": 3})
	flux.HandleQuery(app, func(context.Context, getStock) (int, error) { return 0, fmt.Errorf("book: %w", detailed) })
	run(t, app)
	ask := func(ctx context.Context, app *flux.App) string {
		_, err := flux.Ask(ctx, app, getStock{Item: "book"})
		var e *flux.Error
		return fmt.Sprintf("%t %t %s %s %v", errors.As(err, &e), errors.Is(err, errNoStock), e.Code, e.Detail, err)
	}
	ctx, x := rec.Begin(within(t), record.Trigger{Kind: record.TriggerTest}, nil)
	saw := ask(ctx, app)
	x.End(nil)
	of := receive(t, kept)
	if of.Trigger.Kind != record.TriggerTest {
		of = receive(t, kept)
	}
	if cp := of.Checkpoints[0]; cp.Error == nil || cp.Error.Code != "shop.no_stock" || cp.InDoubt() || executionLink(cp.Links).IsZero() {
		t.Errorf("op 0: %+v", cp)
	}
	offline, err := flux.Offline(flux.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, x, err = rec.BeginReplay(t.Context(), &record.Bundle{Execution: of}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if again := ask(ctx, offline); again != saw || !strings.HasPrefix(saw, "true true shop.no_stock") {
		t.Errorf("replayed %q, recorded %q", again, saw)
	}
	x.End(nil)
	if _, err := flux.Ask(t.Context(), offline, getStock{}); !errors.Is(err, flux.ErrUnavailable) {
		t.Errorf("outside of the replay: %v", err)
	}
}

func TestEachTryIsAnExecution(t *testing.T) {
	t.Parallel()
	rec, kept := newRecorder(t, "tries")
	app := connect(t, startServer(t, "").URL(), flux.Config{Recorder: rec})
	tries := 0
	policy := flux.Consumer{OnError: flux.ErrorPolicy{Retries: 2, Backoff: time.Millisecond}}
	flux.HandleEvent(app.Consumer("tries", policy), func(context.Context, placed) error {
		if tries++; tries < 2 {
			return errors.New("not yet")
		}
		panic("at last")
	})
	run(t, app)
	if err := flux.Publish(within(t), app, placed{}); err != nil {
		t.Fatal(err)
	}
	first, second := receive(t, kept), receive(t, kept)
	if first.Attempt != 1 || second.Attempt != 2 || second.Parent != first.ID || second.Relation != record.RelationRetry || second.RequestID != first.ID.String() {
		t.Errorf("attempts %d and %d, parent %s, request %q", first.Attempt, second.Attempt, second.Parent, second.RequestID)
	}
	if first.Error == nil || second.Error == nil || second.Error.Class != record.ClassPanic {
		t.Errorf("errors %+v, %+v", first.Error, second.Error)
	}
}

func TestOutputsOfAtomicConsumersAreATransaction(t *testing.T) {
	t.Parallel()
	rec, kept := newRecorder(t, "atomic")
	url := startServer(t, "").URL()
	app := connect(t, url, flux.Config{Recorder: rec})
	register := func(app *flux.App, fails bool) {
		flux.HandleEvent(app.Consumer("atomic", flux.Consumer{Atomic: true}), func(ctx context.Context, e placed) error {
			if err := flux.Publish(ctx, app, orderShipped{Order: e.Order}); err != nil || !fails {
				return err
			}
			return errors.New("after publishing")
		})
	}
	register(app, true)
	run(t, app)
	if err := flux.Publish(within(t), app, placed{Order: "o1"}); err != nil {
		t.Fatal(err)
	}
	failed := receive(t, kept)
	if n := len(failed.Checkpoints); n != 1 || failed.Checkpoints[0].Transaction == "" {
		t.Fatalf("%d operations: %+v", n, failed.Checkpoints)
	}

	// What a failed handler published was dropped, so a resume publishes it.
	fixed := connect(t, url, flux.Config{Recorder: rec})
	register(fixed, false)
	reader := connect(t, url, flux.Config{})
	shipped := collect[orderShipped](1)
	flux.HandleEvent(reader.Consumer("reader", flux.Consumer{From: flux.Beginning}), shipped.handle)
	run(t, reader)
	report, err := flux.ResumeMessage(within(t), fixed, &record.Bundle{Execution: failed}, nil)
	if err != nil || report.Replayed.Status != record.StatusOK {
		t.Fatalf("%v, %v", report, err)
	}
	if got := shipped.wait(t); got[0].Order != "o1" {
		t.Errorf("got %v", got)
	}
	resumed := receive(t, kept)
	if n := len(resumed.Checkpoints); n != 2 || resumed.Checkpoints[1].Shape != record.ShapeCommit {
		t.Fatalf("%d operations: %+v", n, resumed.Checkpoints)
	}
	report, err = flux.ResumeMessage(within(t), fixed, &record.Bundle{Execution: resumed}, nil)
	if err != nil || report.Served != 2 || len(report.Live) != 0 {
		t.Errorf("resumed again: %v, %v", report, err)
	}
}

func TestNothingRecordedChangesNothing(t *testing.T) {
	t.Parallel()
	rec, err := execution.New(execution.Config{Service: "quiet", Record: func(x record.Trigger) bool { return x.Kind != record.TriggerMessage }})
	if err != nil {
		t.Fatal(err)
	}
	_, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil) // ends the start of the process
	x.End(nil)
	app := connect(t, startServer(t, "").URL(), flux.Config{Recorder: rec})
	handled := collect[*message.Message](2)
	flux.HandleRaw(app, events, func(ctx context.Context, m *message.Message) error {
		if execution.FromContext(ctx) != nil {
			t.Error("it is recorded")
		}
		handled.add(m.Clone())
		return nil
	})
	run(t, app)
	if err := flux.Publish(within(t), app, placed{}, placed{}); err != nil {
		t.Fatal(err)
	}
	for _, m := range handled.wait(t) {
		if m.ID != "" || m.Metadata["$executionId"] != "" {
			t.Errorf("id %q, metadata %v", m.ID, m.Metadata)
		}
	}
}

func TestTheTraceOfARequestGoesWithItsMessages(t *testing.T) {
	t.Parallel()
	rec, kept := newRecorder(t, "traced")
	app := connect(t, startServer(t, "").URL(), flux.Config{Recorder: rec})
	handled := make(chan *message.Message, 2)
	flux.HandleEvent(app, func(ctx context.Context, e placed) error {
		handled <- flux.Current(ctx).Message().Clone()
		return flux.Publish(ctx, app, orderShipped{})
	})
	flux.HandleEvent(app, func(ctx context.Context, e orderShipped) error {
		handled <- flux.Current(ctx).Message().Clone()
		return nil
	})
	run(t, app)
	const trace = "0af7651916cd43dd8448eb211c80319c"
	ctx, x := rec.Begin(within(t), record.Trigger{Kind: record.TriggerTest}, nil)
	x.SetTrace("00-" + trace + "-b7ad6b7169203331-01")
	err := flux.Publish(ctx, app, placed{})
	x.End(err)
	seen := map[string]bool{}
	for range 2 {
		parent := receive(t, handled).Metadata["$trace.traceparent"]
		seen[parent] = true
		if len(parent) != 55 || parent[3:35] != trace {
			t.Errorf("traceparent %q, want one of trace %s", parent, trace)
		}
	}
	if len(seen) != 2 {
		t.Errorf("two executions have the same span: %v", seen)
	}
	for range 3 {
		receive(t, kept)
	}
}
