package tracking

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flux-go/flux/message"
)

// flightBlock is a block of messages of about 128 bytes in all segments.
func flightBlock(t testing.TB, n int) []byte {
	messages := make([]message.Message, n)
	for i := range messages {
		messages[i] = message.Message{
			Type: "flights.Departed", Routed: true, Segment: int32(i % message.Segments),
			Payload: fmt.Appendf(nil, `{"flight":"WN%04d","origin":"ABQ","destination":"DAL","delay":%d,"distance":%d,"tail":"N%05dWN"}`, i, i%50, i*7%2000, i*31%99999),
		}
	}
	return pack(t, messages)
}

// BenchmarkSession measures blocks in, Session.Next out, and handled, at the rate of the messages taken out.
func BenchmarkSession(b *testing.B) {
	for _, test := range []struct {
		name     string
		sessions int
		filter   string
	}{{"1 session", 1, ""}, {"2 sessions", 2, ""}, {"8 sessions", 8, ""}, {"type filter", 1, "flights.*"}} {
		b.Run(test.name, func(b *testing.B) {
			const size, blocks = 1024, 2000
			w := setup(b)
			block := flightBlock(b, size)
			for range blocks {
				w.appendBlocks(events, block)
			}
			b.SetBytes(int64(len(block)))
			b.ReportAllocs()
			b.ResetTimer()
			total := 0
			for n := 0; b.Loop(); n++ {
				total += w.follow(b, fmt.Sprint("consumer ", n), test.sessions, test.filter, size*blocks)
			}
			b.ReportMetric(float64(total)/b.Elapsed().Seconds()/1e6, "Mmsg/s")
		})
	}
}

// follow takes n messages out with sessions of one consumer, and returns n.
func (w *world) follow(b *testing.B, consumer string, sessions int, filter string, n int) int {
	taken := make(chan int)
	done := make(chan struct{})
	for i := range sessions {
		tr := tracker(fmt.Sprint("t", i))
		tr.Consumer, tr.TypeFilter = message.ConsumerName(consumer), filter
		s, err := w.Open(w.ctx, tr, 8)
		w.must(err)
		w.requests.Go(func() {
			<-done
			s.Close()
		})
		w.requests.Go(func() {
			for {
				batch, err := s.Next(w.ctx)
				if err != nil {
					return
				}
				count := 0
				for _, chunk := range batch.Chunks {
					summary, err := message.SummarizeBlocks(chunk.Blocks)
					w.must(err)
					count += summary.Count
				}
				w.must(s.Handled(batch.ID, false))
				select {
				case taken <- count:
				case <-done: // given again, since others leave before their positions are stored
				}
			}
		})
	}
	left := n
	for left > 0 {
		left -= <-taken
	}
	close(done)
	return n
}

// BenchmarkDeliver measures one small append until the session has it.
func BenchmarkDeliver(b *testing.B) {
	w := setup(b)
	s, err := w.Open(w.ctx, tracker("a"), 8)
	w.must(err)
	defer s.Close()
	b.ReportAllocs()
	for b.Loop() {
		w.appendTo(events, inSegments(1)...)
		batch, err := s.Next(w.ctx)
		w.must(err)
		w.must(s.Handled(batch.ID, false))
	}
}

// BenchmarkWake measures what an append costs beside idle trackers that it does not concern.
func BenchmarkWake(b *testing.B) {
	for _, n := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("idle=%d", n), func(b *testing.B) {
			w := setup(b)
			for i := range n {
				tr := tracker("a")
				tr.Consumer, tr.ClientControlled = message.ConsumerName(fmt.Sprint("consumer ", i)), true
				s, err := w.Open(w.ctx, tr, 1)
				w.must(err)
				defer s.Close()
			}
			for b.Loop() {
				w.appendTo(events, inSegments(1)...)
			}
		})
	}
}

// There may be many trackers that wait; each costs its goroutine and a little more.
func TestTenThousandIdleTrackers(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const n, consumers = 10_000, 1000
		before := heap()
		for i := range n {
			tr := tracker(fmt.Sprintf("tracker-%05d", i))
			tr.Consumer = message.ConsumerName(fmt.Sprint("consumer ", i%consumers))
			w.requests.Go(func() { _, _ = w.Read(w.ctx, tr, time.Hour, nil) })
		}
		synctest.Wait()
		perTracker := (heap() - before) / n
		t.Logf("%d bytes per idle tracker", perTracker)
		if perTracker > 24<<10 {
			t.Errorf("%d bytes per idle tracker", perTracker)
		}
		sent := w.append(0)
		info, err := w.Consumers(w.ctx, public, &events)
		w.must(err)
		active := 0
		for _, c := range info {
			for _, tracker := range c.Trackers {
				if tracker.Active {
					active++
				}
			}
		}
		if len(sent) != 1 || active != consumers {
			t.Errorf("%d trackers were woken for one message, want one of each of %d consumers", active, consumers)
		}
	})
}

// heap returns the memory in use, stacks included.
func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}
