package journal

import (
	"context"
	"testing"

	"github.com/flux-go/flux/execution/record"
)

func BenchmarkAppend(b *testing.B) {
	j, err := Open(b.TempDir(), nil)
	must(b, err)
	uploaded := make(chan struct{})
	go func() {
		defer close(uploaded)
		for {
			if _, err := j.Next(context.Background()); err != nil {
				return
			}
			_ = j.Acknowledge()
		}
	}()
	b.ReportAllocs()
	b.SetBytes(1400)
	for b.Loop() {
		must(b, j.Append(make([]byte, 1400)))
	}
	j.Seal()
	<-uploaded
	must(b, j.Close())
}

// BenchmarkIntent is the time of one intent and its outcome when 64 executions run at a time.
func BenchmarkIntent(b *testing.B) {
	j, err := Open(b.TempDir(), nil)
	must(b, err)
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		x := &record.Execution{ID: record.NewID()}
		must(b, j.Begin(x))
		for pb.Next() {
			must(b, j.Intent(x.ID, write(0, record.StateIntent)))
			must(b, j.Outcome(x.ID, write(0, record.StateDone)))
		}
		must(b, j.End(x))
	})
	must(b, j.Close())
}
