package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/flux-go/flux"
	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/examples/flights"
	"github.com/flux-go/flux/message"
)

// demoPatience is how long the demo waits for what should happen at once.
const demoPatience = 30 * time.Second

// until asks again and again until something is so.
func until(ctx context.Context, what string, is func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, demoPatience, fmt.Errorf("waited %s in vain for %s", demoPatience, what))
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		if done, err := is(ctx); err != nil || done {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

var events = message.Log{Type: message.Event}

// trackers waits until exactly the given instances share all segments of the consumer delays, and returns them.
func (d *demo) trackers(ctx context.Context, instances ...string) (trackers []tracker, err error) {
	err = until(ctx, "the segments of "+strings.Join(instances, ", "), func(ctx context.Context) (bool, error) {
		consumer, err := d.client.consumer(ctx, events, "delays")
		if connect.CodeOf(err) == connect.CodeNotFound {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		trackers = consumer.Trackers
		return shareAll(trackers, instances), nil
	})
	slices.SortFunc(trackers, func(a, b tracker) int { return strings.Compare(a.Client, b.Client) })
	return trackers, err
}

// shareAll reports whether the trackers are those of the instances and have all segments between them.
func shareAll(trackers []tracker, instances []string) bool {
	shared := 0
	for _, t := range trackers {
		if !slices.Contains(instances, t.Client) || t.Segments.empty() {
			return false
		}
		shared += int(t.Segments[1] - t.Segments[0])
	}
	return len(trackers) == len(instances) && shared == message.Segments
}

// publish runs the publisher, and kills an instance of delays on the way.
func (d *demo) publish(ctx context.Context) error {
	began := time.Now()
	publisher, err := d.start(ctx, "publisher", "--over", d.over.String())
	if err != nil {
		return err
	}
	d.tick("publisher", "publishes each departure as an event (pid %d)", publisher.pid())
	total := len(flights.Departures())
	bar := newProgress(d.err, "  flights   ", int64(total), count[int64])
	defer bar.end()
	if err := d.flown(ctx, bar, total*2/5); err != nil {
		return err
	}
	bar.end()
	if err := d.crash(ctx); err != nil {
		return err
	}
	if err := d.flown(ctx, bar, total); err != nil {
		return err
	}
	bar.end()
	if err := publisher.wait(ctx); err != nil {
		return err
	}
	d.tick("publisher", "published %s in %s", plural(total, "flight"), seconds(time.Since(began)))
	return nil
}

// flown waits until so many departures are in the log.
func (d *demo) flown(ctx context.Context, bar *progress, n int) error {
	for {
		appended, last, err := d.appended(ctx)
		if err != nil {
			return err
		}
		bar.set(int64(appended))
		if d.published = last; appended >= n {
			return nil
		}
		if err := until(ctx, "the publisher", func(ctx context.Context) (bool, error) {
			now, _, err := d.appended(ctx)
			return now > appended, err
		}); err != nil {
			return err
		}
	}
}

// appended returns the number of events and the index of the last one.
func (d *demo) appended(ctx context.Context) (int, message.Index, error) {
	answer, err := d.client.logs.ListLogs(ctx, connect.NewRequest(&fluxv1.ListLogsRequest{}))
	if err != nil {
		return 0, 0, err
	}
	for _, info := range answer.Msg.GetLogs() {
		if info.GetLog() == events.String() {
			return int(info.GetAppendedMessages()), message.Index(info.GetLastIndex()), nil
		}
	}
	return 0, message.Beginning, nil
}

// crash kills an instance of delays, sees its segments move, and starts another.
func (d *demo) crash(ctx context.Context) error {
	flown, _, err := d.appended(ctx)
	if err != nil {
		return err
	}
	killed := time.Now()
	if err := d.service("delays-1").kill(); err != nil {
		return err
	}
	d.tell(d.err.red("✗"), "delays-1", "killed (SIGKILL) after %s", plural(flown, "flight"))
	trackers, err := d.trackers(ctx, "delays-2")
	if err != nil {
		return err
	}
	d.takeover = time.Since(killed)
	d.tick("delays-2", "has its segments after %s: %s", d.takeover.Round(time.Millisecond), trackers[0].Segments)
	if _, err := d.start(ctx, "delays-3"); err != nil {
		return err
	}
	if trackers, err = d.trackers(ctx, "delays-2", "delays-3"); err != nil {
		return err
	}
	d.tick("delays-3", "started in its place, has segments %s (pid %d)", trackers[1].Segments, d.service("delays-3").pid())
	return nil
}

// rebook gives commands to rebooking, which asks delays.
func (d *demo) rebook(ctx context.Context) error {
	rebooked, err := flux.Ask(ctx, d.app, flights.Rebook{Traveller: "ann", From: "DTW", To: "HNL"})
	if err != nil {
		return err
	}
	d.tick("rebooking", "ann flies from %s to %s by way of %s", rebooked.From.City(), rebooked.To.City(), rebooked.Via.City())
	_, err = flux.Ask(ctx, d.app, flights.Rebook{Traveller: "bob", From: "DTW", To: "XXX"})
	if !errors.Is(err, flights.ErrUnknownAirport) {
		return fmt.Errorf("rebooking to XXX: want %q, got %v", flights.ErrUnknownAirport, err)
	}
	d.tick("rebooking", "bob does not: %v", err)
	return nil
}

// ask waits until delays has counted as many flights as there are, and returns its figures. It may be wrong: that is for
// compare to find out.
func (d *demo) ask(ctx context.Context) (flights.Board, error) {
	board := flights.Board{}
	err := until(ctx, "the figures of delays", func(ctx context.Context) (bool, error) {
		figures, err := flux.Ask(ctx, d.app, flights.GetDelays{})
		for _, f := range figures {
			board[f.Airport] = f
		}
		return board.Flights() >= len(flights.Departures()), err
	})
	return board, err
}

// recount has a new consumer go through all departures.
func (d *demo) recount(ctx context.Context) (flights.Board, error) {
	began := time.Now()
	app, err := flux.Connect(ctx, flux.Config{Name: "recount", URL: d.url, Namespace: message.DefaultNamespace})
	if err != nil {
		return nil, err
	}
	board, err := flights.Recount(ctx, app, d.published)
	d.recounted = time.Since(began)
	return board, errors.Join(err, app.Close(ctx))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
