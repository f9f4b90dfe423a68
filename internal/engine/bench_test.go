package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flux-go/flux/internal/engine"
	"github.com/flux-go/flux/internal/messagelog"
	"github.com/flux-go/flux/internal/position"
	"github.com/flux-go/flux/internal/producer"
	"github.com/flux-go/flux/message"
)

func benchStore(b *testing.B) (*engine.Engine, *messagelog.Logs) {
	b.Helper()
	e, err := engine.Open(filepath.Join(b.TempDir(), "store"), engine.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Close(); err != nil {
			b.Error(err)
		}
	})
	return e, messagelog.New(e)
}

// benchBlock packs messages of about 128 bytes of JSON.
func benchBlock(b *testing.B, count int) []byte {
	b.Helper()
	var w message.BlockWriter
	for i := range count {
		payload := fmt.Sprintf(`{"flight":"WN%04d","origin":"HNL","destination":"OGG","delay":%d,"distance":%d,"date":"2001-01-%02dT10:%02d:00"}`,
			i*7919%10_000, i*31%90, i*101%3000, 1+i%28, i%60)
		m := message.Message{Type: "flights.Departed", Payload: []byte(payload + strings.Repeat(" ", max(0, 128-len(payload)))), Timestamp: int64(i)}
		m.Route(fmt.Sprint(i % 50))
		if err := w.Add(&m); err != nil {
			b.Fatal(err)
		}
	}
	return w.Seal(nil, message.LZ4)
}

func appendTo(b *testing.B, log message.Log, blocks []byte) *engine.Transaction {
	a, err := messagelog.NewAppend(log, blocks)
	if err != nil {
		b.Fatal(err)
	}
	return &engine.Transaction{Namespace: ns, Operations: []engine.Operation{a}}
}

func reportRate(b *testing.B, messages int) {
	b.ReportMetric(float64(messages)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkBlocks commits blocks, up to 64 at a time.
func BenchmarkBlocks(b *testing.B) {
	for _, count := range []int{1, 32, 1024} {
		b.Run(fmt.Sprint("messages=", count), func(b *testing.B) {
			e, _ := benchStore(b)
			blocks := benchBlock(b, count)
			b.SetBytes(int64(len(blocks)))
			b.ReportAllocs()
			flying := make(chan struct{}, 64)
			b.ResetTimer()
			for range b.N {
				flying <- struct{}{}
				err := e.Submit(context.Background(), appendTo(b, events, blocks), func(err error) {
					if err != nil {
						b.Error(err)
					}
					<-flying
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			for range cap(flying) {
				flying <- struct{}{}
			}
			reportRate(b, b.N*count)
		})
	}
}

// BenchmarkCallers commits one message per call, each with its producer's number, for callers that each wait for the answer.
func BenchmarkCallers(b *testing.B) {
	for _, callers := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			e, _ := benchStore(b)
			blocks := benchBlock(b, 1)
			b.ReportAllocs()
			work := make(chan uint64, callers)
			var all sync.WaitGroup
			b.ResetTimer()
			for caller := range callers {
				all.Go(func() {
					for n := range work {
						id := producer.ID{byte(caller), byte(caller >> 8)}
						once := &producer.Once{Producer: id, Sequence: n, AnsweredThrough: n - 1}
						once.Operations = appendTo(b, events, blocks).Operations
						tx := &engine.Transaction{Namespace: ns, Operations: []engine.Operation{once}}
						if err := e.Propose(context.Background(), tx); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for n := range b.N {
				work <- uint64(n) + 1
			}
			close(work)
			all.Wait()
			reportRate(b, b.N)
		})
	}
}

// BenchmarkAlone commits one message at a time and compares the median with that of a raw fdatasync of 4 KiB.
func BenchmarkAlone(b *testing.B) {
	e, _ := benchStore(b)
	blocks := benchBlock(b, 1)
	b.ReportAllocs()
	took := make([]time.Duration, 0, b.N)
	b.ResetTimer()
	for range b.N {
		began := time.Now()
		if err := e.Propose(context.Background(), appendTo(b, events, blocks)); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	b.StopTimer()
	raw := rawSyncs(b, min(b.N, 2000))
	b.ReportMetric(median(took).Seconds()*1e6, "p50-µs")
	b.ReportMetric(median(raw).Seconds()*1e6, "raw-p50-µs")
	b.ReportMetric(median(took).Seconds()/median(raw).Seconds(), "ratio")
}

func rawSyncs(b *testing.B, n int) (took []time.Duration) {
	file, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	page := make([]byte, 4096)
	for range n {
		began := time.Now()
		_, err := file.Write(page)
		if err == nil {
			err = syscall.Fdatasync(int(file.Fd()))
		}
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	return took
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// BenchmarkRead reads a log of 1024-message blocks from its start to its end, from the store.
func BenchmarkRead(b *testing.B) {
	e, _ := benchStore(b)
	const blocks, count = 2000, 1024
	data := benchBlock(b, count)
	for range blocks {
		if err := e.Propose(context.Background(), appendTo(b, events, data)); err != nil {
			b.Fatal(err)
		}
	}
	logs := messagelog.New(e) // has nothing in memory
	b.SetBytes(int64(blocks * len(data)))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		messages := 0
		for after := message.Beginning; ; {
			entries, err := logs.Read(ns, events, after, messagelog.Limit{Messages: 65536, Bytes: 4 << 20})
			if err != nil {
				b.Fatal(err)
			}
			if len(entries) == 0 {
				break
			}
			after = entries[len(entries)-1].Last
			for _, e := range entries {
				messages += int(e.Last-e.First) + 1
			}
		}
		if messages != blocks*count {
			b.Fatalf("read %d messages", messages)
		}
	}
	reportRate(b, b.N*blocks*count)
}

// BenchmarkPositions stores positions of many consumers, up to 64 at a time.
func BenchmarkPositions(b *testing.B) {
	e, _ := benchStore(b)
	b.ReportAllocs()
	flying := make(chan struct{}, 64)
	b.ResetTimer()
	for n := range b.N {
		flying <- struct{}{}
		c := position.Consumer{Log: events, Name: message.ConsumerName(fmt.Sprint(n % 100))}
		store := &position.Store{Consumer: c, Segments: message.SegmentRange{Start: n % 128, End: 128}, Last: message.Index(n)}
		tx := &engine.Transaction{Namespace: ns, Operations: []engine.Operation{store}}
		if err := e.Submit(context.Background(), tx, func(error) { <-flying }); err != nil {
			b.Fatal(err)
		}
	}
	for range cap(flying) {
		flying <- struct{}{}
	}
}
