package eventstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
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

func benchEngine(b *testing.B) *engine.Engine {
	b.Helper()
	e, err := engine.Open(b.TempDir(), engine.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	})
	return e
}

// benchBlock is an event of about 128 bytes as the SDK packs it.
func benchBlock(b *testing.B, aggregate string) []byte {
	var w message.BlockWriter
	m := message.Message{
		Type:     "bank.MoneyTransferred",
		Payload:  []byte(`{"from":"account-1","to":"account-2","amount":100,"currency":"EUR","text":"the rent of this month and the one before"}`),
		Metadata: map[string]string{"$correlationId": "115140250828800000"},
	}
	m.Route(aggregate)
	if err := w.Add(&m); err != nil {
		b.Fatal(err)
	}
	return w.Seal(nil, message.Snappy)
}

// BenchmarkAppend appends single events durably, each caller to aggregates of its own, on condition that nobody else does.
func BenchmarkAppend(b *testing.B) {
	for _, storeOnly := range []bool{false, true} {
		b.Run(fmt.Sprintf("storeOnly=%v", storeOnly), func(b *testing.B) {
			e := benchEngine(b)
			_ = messagelog.New(e) // keeps what is new in memory, as a server does
			block := benchBlock(b, "aggregate")
			var caller atomic.Int64
			b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				id := caller.Add(1)
				for n := 0; pb.Next(); n++ {
					last := Sequence(n%100) - 1
					a, err := NewAppend(fmt.Sprintf("aggregate-%d-%d", id, n/100), block, storeOnly)
					if err != nil {
						b.Error(err)
						return
					}
					a.IfLast = &last
					if err := commit(b, e, a); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

const (
	// longStreams have longEvents each, appended one by one in turns; all other streams have one event.
	longStreams = 1000
	longEvents  = 100
)

// fill makes a store with streams, with the long ones spread over it.
func fill(b *testing.B, e *engine.Engine, streams int) {
	b.Helper()
	const batch = 1000
	short := streams - longStreams
	for round := range longEvents {
		for start := 0; start < longStreams; start += batch {
			var ops []engine.Operation
			for i := start; i < start+batch; i++ {
				ops = append(ops, benchAppend(b, fmt.Sprint("long-", i)))
			}
			propose(b, e, ops...)
		}
		for i := round * short / longEvents; i < (round+1)*short/longEvents; {
			var ops []engine.Operation
			for ; len(ops) < batch && i < (round+1)*short/longEvents; i++ {
				ops = append(ops, benchAppend(b, fmt.Sprint("short-", i)))
			}
			propose(b, e, ops...)
		}
	}
}

func benchAppend(b *testing.B, aggregate string) *Append {
	a, err := NewAppend(aggregate, benchBlock(b, aggregate), false)
	if err != nil {
		b.Fatal(err)
	}
	return a
}

// BenchmarkLoad loads streams of 100 events out of stores of two sizes: from the stream, as Streams.Read does it, and for
// comparison from the event log, as if the stream had only their places.
func BenchmarkLoad(b *testing.B) {
	for _, streams := range []int{10_000, 1_000_000} {
		e := sync.OnceValue(func() *engine.Engine {
			e := benchEngine(b)
			fill(b, e, streams)
			return e
		})
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) {
			s := New(e())
			measureLoads(b, func(aggregate string) error { return load(s, aggregate) })
		})
		b.Run(fmt.Sprintf("places,streams=%d", streams), func(b *testing.B) {
			s, view := New(e()), e().View()
			defer view.Close()
			logs := messagelog.New(e())
			measureLoads(b, func(aggregate string) error { return loadPlaces(s, logs, aggregate) })
		})
	}
}

func measureLoads(b *testing.B, load func(aggregate string) error) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	times := make([]time.Duration, 0, b.N)
	for b.Loop() {
		aggregate := fmt.Sprint("long-", rand.IntN(longStreams))
		start := time.Now()
		if err := load(aggregate); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
}

var errShort = errors.New("events are missing")

func load(s *Streams, aggregate string) error {
	page, err := s.Read(ns, aggregate, Before, Limit{Events: 8192})
	if err != nil {
		return err
	}
	messages, err := page.AppendMessages(make([]message.Message, 0, longEvents), new(message.BlockReader))
	if len(messages) != longEvents {
		return errShort
	}
	return err
}

// loadPlaces reads the entry of each event in the log, having read its place in the stream, and decodes its block.
func loadPlaces(s *Streams, logs *messagelog.Logs, aggregate string) error {
	page, err := s.Read(ns, aggregate, Before, Limit{Events: 8192})
	if err != nil {
		return err
	}
	var reader message.BlockReader
	for _, entry := range page.Entries {
		found, err := logs.Read(ns, eventLog, entry.Index-1, messagelog.Limit{Messages: 1, Bytes: 1})
		if err != nil || len(found) == 0 {
			return errors.Join(errShort, err)
		}
		block, _, err := message.ParseBlock(found[0].Blocks)
		if err != nil {
			return err
		}
		if _, err := reader.AppendMessages(nil, block, entry.Index); err != nil {
			return err
		}
	}
	return nil
}
