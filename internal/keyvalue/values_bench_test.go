package keyvalue

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/flux-go/flux/internal/engine"
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

// parallel runs f by about callers goroutines, each call with its own number.
func parallel(b *testing.B, f func(n int64) error) {
	b.Helper()
	b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
	b.ReportAllocs()
	b.ResetTimer()
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := f(n.Add(1)); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "values/s")
}

func benchValue() Value { return Value{Type: "shop.Order", Data: make([]byte, 128)} }

// BenchmarkPut puts durably, one value per transaction.
func BenchmarkPut(b *testing.B) {
	e := benchEngine(b)
	for _, ifAbsent := range []bool{false, true} {
		b.Run(fmt.Sprintf("ifAbsent=%v", ifAbsent), func(b *testing.B) {
			parallel(b, func(n int64) error {
				put, err := NewPut(fmt.Sprintf("key-%d", n), benchValue())
				if err != nil {
					return err
				}
				put.IfAbsent = ifAbsent
				return e.Propose(b.Context(), &engine.Transaction{Namespace: ns, Operations: []engine.Operation{put}})
			})
		})
	}
}

func BenchmarkGet(b *testing.B) {
	for _, size := range []int64{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("keys=%d", size), func(b *testing.B) {
			e := benchEngine(b)
			for n := int64(0); n < size; {
				tx := &engine.Transaction{Namespace: ns}
				for range 1000 {
					tx.Operations = append(tx.Operations, newPut(b, fmt.Sprintf("key-%d", n), benchValue()))
					n++
				}
				if err := e.Propose(b.Context(), tx); err != nil {
					b.Fatal(err)
				}
			}
			values := New(e)
			parallel(b, func(n int64) error {
				_, ok, err := values.Get(ns, fmt.Sprintf("key-%d", n*7919%size))
				if !ok {
					return fmt.Errorf("key %d is gone: %w", n, err)
				}
				return err
			})
		})
	}
}
