package flux_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/message"
)

// departures are messages of about 128 bytes of JSON.
func departures(n int) []message.Message {
	random := rand.New(rand.NewPCG(1, 2))
	messages := make([]message.Message, n)
	for i := range messages {
		payload := fmt.Sprintf(`{"flight":"UA%d","origin":"SFO","destination":"JFK","departed":"2019-03-%02dT%02d:%02d:00Z","delay":%d,"distance":%d,"tail":"N%dUA"}`,
			random.IntN(9999), random.IntN(31)+1, random.IntN(24), random.IntN(60), random.IntN(90), random.IntN(3000), random.IntN(99999))
		messages[i] = message.Message{Type: "flights.Departed", Payload: []byte(payload), Routed: true, Segment: int32(random.IntN(128))}
	}
	return messages
}

// measure returns a function that reports rate and processor time since now. The latter means something on a busy machine
// too.
func measure(b *testing.B, unit string) (report func()) {
	before := processorTime()
	return func() {
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), unit+"/s")
		b.ReportMetric(float64((processorTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
	}
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkPublisher publishes blocks to a server on a disk, with one or two publishers on one connection.
func BenchmarkPublisher(b *testing.B) {
	for _, publishers := range []int{1, 2} {
		b.Run(fmt.Sprintf("publishers=%d", publishers), func(b *testing.B) {
			app := connect(b, startServer(b, b.TempDir()).URL(), flux.Config{})
			messages := departures(8192)
			b.ReportAllocs()
			b.ResetTimer()
			report := measure(b, "messages")
			var group sync.WaitGroup
			for range publishers {
				group.Go(func() { publishAll(b, app, messages, b.N/publishers) })
			}
			group.Wait()
			report()
		})
	}
}

func publishAll(b *testing.B, app *flux.App, messages []message.Message, n int) {
	pub := app.Publisher(events, nil)
	for i := range n {
		if err := pub.Send(b.Context(), &messages[i%len(messages)]); err != nil {
			b.Error(err)
			return
		}
	}
	if err := pub.Flush(b.Context()); err != nil {
		b.Error(err)
	}
}

// BenchmarkAppend appends one message per call to a server on a disk.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			app := connect(b, startServer(b, b.TempDir()).URL(), flux.Config{})
			messages := departures(8192)
			b.ResetTimer()
			measureCalls(b, callers, func(i int64) error {
				_, err := app.Append(b.Context(), events, &messages[i%int64(len(messages))])
				return err
			})
		})
	}
}

// measureCalls makes b.N calls from several goroutines and reports their rate and latency.
func measureCalls(b *testing.B, callers int, call func(i int64) error) {
	var next atomic.Int64
	latencies := make([][]time.Duration, callers)
	report := measure(b, "calls")
	var group sync.WaitGroup
	for c := range callers {
		group.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				start := time.Now()
				if err := call(i); err != nil {
					b.Error(err)
					return
				}
				latencies[c] = append(latencies[c], time.Since(start))
			}
		})
	}
	group.Wait()
	all := slices.Concat(latencies...)
	slices.Sort(all)
	report()
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkState changes and reads one thing per call, by many callers, on a server on a disk.
func BenchmarkState(b *testing.B) {
	value := benchDeparture{Flight: "UA1", Origin: "SFO", Destination: "JFK", Departed: "2019-03-01T10:00:00Z", Distance: 2586}
	due := time.Now().Add(time.Hour)
	messages := departures(8192)
	for _, bench := range []struct {
		name string
		call func(ctx context.Context, app *flux.App, i int64) error
	}{
		{"append-events", func(ctx context.Context, app *flux.App, i int64) error {
			_, err := app.AppendEvents(ctx, fmt.Sprint("aggregate-", i%1000), nil, &messages[i%int64(len(messages))])
			return err
		}},
		{"put-value", func(ctx context.Context, app *flux.App, i int64) error {
			return flux.PutValue(ctx, app, fmt.Sprint("key-", i%1000), value)
		}},
		{"get-value", func(ctx context.Context, app *flux.App, i int64) error {
			_, _, err := flux.GetValue[benchDeparture](ctx, app, fmt.Sprint("key-", i%1000))
			return err
		}},
		{"schedule", func(ctx context.Context, app *flux.App, i int64) error {
			_, err := flux.ScheduleAt(ctx, app, fmt.Sprint("reminder-", i), due, value, nil)
			return err
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			app := connect(b, startServer(b, b.TempDir()).URL(), flux.Config{})
			for i := range 1000 {
				if err := flux.PutValue(b.Context(), app, fmt.Sprint("key-", i), value); err != nil {
					b.Fatal(err)
				}
			}
			b.ResetTimer()
			measureCalls(b, 64, func(i int64) error { return bench.call(b.Context(), app, i) })
		})
	}
}

type benchReminder struct {
	Due int64 `json:"due"` // milliseconds since the Unix epoch
}

// BenchmarkFire handles schedules that become due at some rate, on a server on a disk, and reports how late they are handled.
func BenchmarkFire(b *testing.B) {
	for _, rate := range []int{10_000, 60_000} {
		b.Run(fmt.Sprintf("rate=%d", rate), func(b *testing.B) {
			app := connect(b, startServer(b, b.TempDir()).URL(), flux.Config{})
			start := time.Now().Add(2*time.Second + time.Duration(b.N)*100*time.Microsecond)
			due := func(n int64) time.Time { return start.Add(time.Duration(n) * time.Second / time.Duration(rate)) }
			measureCalls(b, 64, func(i int64) error {
				_, err := flux.ScheduleAt(b.Context(), app, fmt.Sprint("reminder-", i), due(i), benchReminder{due(i).UnixMilli()}, nil)
				return err
			})
			var late []time.Duration
			done := make(chan struct{})
			flux.HandleSchedule(app.Consumer("reminders", flux.Consumer{From: flux.Beginning}), func(_ context.Context, r benchReminder) error {
				if late = append(late, time.Since(time.UnixMilli(r.Due))); len(late) == b.N {
					close(done)
				}
				return nil
			})
			stop := run(b, app)
			<-time.After(time.Until(start)) // nothing to measure before
			b.ResetTimer()
			report := measure(b, "messages")
			<-done
			report()
			slices.Sort(late)
			b.ReportMetric(float64(late[len(late)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(late[len(late)*99/100].Microseconds()), "p99-µs")
			if err := stop(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

type benchPing struct {
	flux.Command[benchPong]
	N int `json:"n"`
}

type benchPong struct {
	N int `json:"n"`
}

// BenchmarkAsk asks through a server on a disk: a durable request and a durable answer.
func BenchmarkAsk(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			url := startServer(b, b.TempDir()).URL()
			service := connect(b, url, flux.Config{Name: "pong"})
			flux.HandleCommand(service, func(_ context.Context, p benchPing) (benchPong, error) { return benchPong{p.N}, nil })
			run(b, service)
			app := connect(b, url, flux.Config{Name: "ping"})
			if _, err := flux.Ask(b.Context(), app, benchPing{}); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			measureCalls(b, callers, func(i int64) error {
				_, err := flux.Ask(b.Context(), app, benchPing{N: int(i)})
				return err
			})
		})
	}
}

type benchDeparture struct {
	Flight      string `json:"flight"`
	Origin      string `json:"origin"`
	Destination string `json:"destination"`
	Departed    string `json:"departed"`
	Delay       int    `json:"delay"`
	Distance    int    `json:"distance"`
	Tail        string `json:"tail"`
}

func (benchDeparture) FluxType() string { return "flights.Departed" }

// BenchmarkConsume reads what is stored through handlers, as it is and decoded.
func BenchmarkConsume(b *testing.B) {
	b.Run("raw", func(b *testing.B) {
		benchmarkConsume(b, func(h *flux.Handlers, handled func()) {
			flux.HandleRaw(h, events, func(context.Context, *message.Message) error { handled(); return nil })
		})
	})
	b.Run("decoded", func(b *testing.B) {
		benchmarkConsume(b, func(h *flux.Handlers, handled func()) {
			flux.HandleEvent(h, func(context.Context, benchDeparture) error { handled(); return nil })
		})
	})
}

func benchmarkConsume(b *testing.B, register func(*flux.Handlers, func())) {
	url := startServer(b, b.TempDir()).URL()
	publishAll(b, connect(b, url, flux.Config{}), departures(8192), b.N)
	app := connect(b, url, flux.Config{})
	var missing atomic.Int64
	missing.Store(int64(b.N))
	done := make(chan struct{})
	register(app.Consumer("bench", flux.Consumer{From: flux.Beginning, Trackers: 8}), func() {
		if missing.Add(-1) == 0 {
			close(done)
		}
	})
	b.ReportAllocs()
	b.ResetTimer()
	report := measure(b, "messages")
	stop := run(b, app)
	<-done
	b.StopTimer()
	report()
	if err := stop(); err != nil {
		b.Fatal(err)
	}
}
