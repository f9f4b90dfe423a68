package message

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// flights returns n messages of about 128 bytes that look like those of the demo: departures, routed by origin.
func flights(n int) []Message {
	airports := [...]string{"ATL", "BWI", "DTW", "HNL", "LAS", "LAX", "MDT", "MHT", "OAK", "ORD", "PHX", "SFO", "SJC", "TPA"}
	rng := rand.New(rand.NewPCG(1, 2))
	messages := make([]Message, n)
	for i := range messages {
		origin, destination := airports[rng.IntN(len(airports))], airports[rng.IntN(len(airports))]
		messages[i] = Message{
			Type:      "flights.Departed",
			Timestamp: 1_756_900_800_000 + int64(i/16),
			Payload: fmt.Appendf(nil,
				`{"date":"2001/01/%02d %02d:%02d","delay":%d,"distance":%d,"origin":%q,"destination":%q,"tail":"N%03dUA","flight":%d}`,
				1+i/2000%31, i/80%24, rng.IntN(60), rng.IntN(99)-15, 150+rng.IntN(2400), origin, destination,
				rng.IntN(1000), 100+rng.IntN(2000)),
		}
		messages[i].Route(origin)
	}
	return messages
}

// withMetadata gives the messages what the SDK adds in a handler, an id, and no segment.
func withMetadata(messages []Message) []Message {
	for i := range messages {
		m := &messages[i]
		m.Metadata = map[string]string{
			"$clientId": "5b2f0c8e7d914c3a", "$clientName": "departures", "$consumer": "departures_default",
			"$correlationId": fmt.Sprint(115140250828800000 + i), "$traceId": fmt.Sprint(115140250828800000 + i/3),
		}
		m.ID = BlockID{1, 2, 3}.MessageID(uint32(i * 7919))
		m.Routed, m.Segment = false, 0
	}
	return messages
}

func unrouted(messages []Message) []Message {
	for i := range messages {
		messages[i].Routed = false
	}
	return messages
}

var benchmarkSizes = []int{1, 32, 1024, 8192}

func perMessage(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/message")
}

// eachBlock runs a benchmark for blocks of several sizes and compressions, and of messages with metadata.
func eachBlock(b *testing.B, run func(b *testing.B, messages []Message, block Block)) {
	bench := func(name string, messages []Message, c Compression) {
		block := pack(b, messages, c)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			run(b, messages, block)
			perMessage(b, len(messages))
			b.ReportMetric(float64(len(block.Bytes()))/float64(len(messages)), "stored-B/message")
		})
	}
	for _, n := range benchmarkSizes {
		bench(fmt.Sprintf("snappy/%d", n), flights(n), Snappy)
	}
	for _, c := range []Compression{NoCompression, LZ4, Zstd} {
		bench(fmt.Sprintf("%s/1024", c), flights(1024), c)
	}
	bench("unrouted/1024", unrouted(flights(1024)), NoCompression)
	bench("metadata/1024", withMetadata(flights(1024)), Snappy)
}

func BenchmarkBlockWrite(b *testing.B) {
	eachBlock(b, func(b *testing.B, messages []Message, block Block) {
		var w BlockWriter
		var out []byte
		for b.Loop() {
			for i := range messages {
				if err := w.Add(&messages[i]); err != nil {
					b.Fatal(err)
				}
			}
			out = w.Seal(out[:0], compressionOf(block))
		}
	})
}

// compressionOf tells what was asked for; small blocks are not compressed whatever was asked.
func compressionOf(b Block) Compression {
	if b.Count() == 1 {
		return Snappy
	}
	return b.Compression()
}

func BenchmarkBlockRead(b *testing.B) {
	eachBlock(b, func(b *testing.B, messages []Message, block Block) {
		var r BlockReader
		var out []Message
		for b.Loop() {
			var err error
			if out, err = r.AppendMessages(out[:0], block, 0); err != nil {
				b.Fatal(err)
			}
			r.Reset()
		}
	})
}

// Fresh memory for each block, instead of that of a reader.
func BenchmarkBlockReadFresh(b *testing.B) {
	eachBlock(b, func(b *testing.B, messages []Message, block Block) {
		var out []Message
		for b.Loop() {
			var err error
			if out, err = block.AppendMessages(out[:0], 0); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkBlockValidate(b *testing.B) {
	eachBlock(b, func(b *testing.B, messages []Message, block Block) {
		for b.Loop() {
			if err := block.Validate(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkBlockFilter(b *testing.B) {
	eachBlock(b, func(b *testing.B, messages []Message, block Block) {
		var out []byte
		f := BlockFilter{
			Type:    func(name string) bool { return name == "flights.Departed" },
			Message: func(m MessageInfo) bool { return m.Segment < 64 },
		}
		for b.Loop() {
			var err error
			if out, _, err = block.Filter(out[:0], f, Snappy); err != nil {
				b.Fatal(err)
			}
		}
	})
}
