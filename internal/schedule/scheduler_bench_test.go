package schedule

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/message"
)

// callers is how many callers wait at the same time.
const callers = 64

// benchWorld is an engine on disk; the scheduler runs once start is called.
func benchWorld(b *testing.B) (e *engine.Engine, s *Scheduler) {
	b.Helper()
	e, err := engine.Open(b.TempDir(), engine.Options{})
	if err != nil {
		b.Fatal(err)
	}
	s = NewScheduler(e, Options{})
	b.Cleanup(func() {
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	})
	return e, s
}

// fill makes n schedules, with due times spread evenly over a span.
func fill(b *testing.B, e *engine.Engine, prefix string, n int, from time.Time, span time.Duration) {
	b.Helper()
	now := time.Now()
	for i := 0; i < n; {
		var ops []engine.Operation
		for ; i < n && len(ops) < 1000; i++ {
			due := from.Add(span / time.Duration(n) * time.Duration(i))
			ops = append(ops, newPut(b, fmt.Sprint(prefix, i), due, now, "payload of some length"))
		}
		propose(b, e, ns, ops...)
	}
}

// BenchmarkPut schedules durably, one message per transaction, among a million that are pending.
func BenchmarkPut(b *testing.B) {
	for _, pending := range []int{0, 1_000_000} {
		b.Run(fmt.Sprintf("pending=%d", pending), func(b *testing.B) {
			e, _ := benchWorld(b)
			start := time.Now().Add(time.Hour)
			fill(b, e, "old-", pending, start, 24*time.Hour)
			payload := block(b, "payload of some length")
			var n atomic.Int64
			b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := n.Add(1)
					due := start.Add(time.Duration(i*7919%86_400_000) * time.Millisecond)
					p, err := NewPut(fmt.Sprint("new-", i), due, time.Now(), payload)
					if err == nil {
						err = e.Propose(b.Context(), &engine.Transaction{Namespace: ns, Operations: []engine.Operation{p}})
					}
					if err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "schedules/s")
		})
	}
}

// BenchmarkFire fires what has been due for long, as after a restart.
func BenchmarkFire(b *testing.B) {
	e, s := benchWorld(b)
	fill(b, e, "due-", b.N, time.Now(), 0)
	if err := s.begin(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	s.fireDue(b.Context())
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "schedules/s")
}

// BenchmarkLateness fires 50,000 schedules per second among a million that are pending, and reports how long after their due
// times readers of the log can see them.
func BenchmarkLateness(b *testing.B) {
	const perSecond = 50_000
	e, s := benchWorld(b)
	fill(b, e, "old-", 1_000_000, time.Now().Add(time.Hour), 24*time.Hour)
	start := time.Now().Add(2*time.Second + time.Duration(b.N)*10*time.Microsecond)
	fill(b, e, "due-", b.N, start, time.Duration(b.N)*time.Second/perSecond)
	late := newLateness(e, b.N)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Run(b.Context())
	}()
	late.wait()
	slices.Sort(late.times)
	b.ReportMetric(float64(late.times[b.N/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(late.times[b.N*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "schedules/s")
}

// lateness collects how late messages appear, by the time that their indexes tell.
type lateness struct {
	times []time.Duration
	seen  sync.WaitGroup
}

func newLateness(e *engine.Engine, n int) *lateness {
	l := &lateness{}
	l.seen.Add(n)
	e.Subscribe(func(events []any) {
		now := time.Now()
		for _, event := range events {
			if a, ok := event.(messagelog.Appended); ok {
				for i := a.Entry.First; i <= a.Entry.Last; i++ {
					l.times = append(l.times, now.Sub(message.Index(i).Time()))
					l.seen.Done()
				}
			}
		}
	})
	return l
}

func (l *lateness) wait() { l.seen.Wait() }
