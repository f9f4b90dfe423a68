package server_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"

	"google.golang.org/protobuf/proto"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/api/flux/v1/fluxv1connect"
	"github.com/flux-go/flux/message"
	"github.com/flux-go/flux/server"
)

// window is how many requests of a benchmark are under way.
const window = 512

// flights packs messages of some 128 bytes that compress as real ones do, to about half.
func flights(b *testing.B, n int) []byte {
	b.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	var w message.BlockWriter
	for range n {
		payload := fmt.Sprintf(`{"flight":"UA%d","origin":"SFO","destination":"JFK","departed":"2019-03-%02dT%02d:%02d:00Z","delay":%d,"distance":%d,"tail":"N%dUA"}`,
			random.IntN(9999), random.IntN(31)+1, random.IntN(24), random.IntN(60), random.IntN(90), random.IntN(3000), random.IntN(99999))
		m := message.Message{Type: "flights.Departed", Payload: []byte(payload)}
		if err := w.Add(&m); err != nil {
			b.Fatal(err)
		}
	}
	return w.Seal(nil, message.LZ4)
}

// BenchmarkPublish publishes over one stream to a server on a disk, with as many requests under way as their bytes allow,
// the way a client does that does not wait: it writes the frames of Connect itself, many at a time.
func BenchmarkPublish(b *testing.B) {
	for _, messages := range []int{1, 32, 1024} {
		b.Run(fmt.Sprintf("messages=%d", messages), func(b *testing.B) {
			s := start(b, server.Config{Dir: b.TempDir()})
			blocks := flights(b, messages)
			inFlight := make(chan struct{}, max(8, min(window, 4<<20/len(blocks))))
			body, frames := io.Pipe()
			request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, s.URL()+fluxv1connect.LogServicePublishProcedure, body)
			if err != nil {
				b.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/connect+proto")
			b.SetBytes(int64(len(blocks)))
			b.ReportAllocs()
			b.ResetTimer()
			go publishFrames(b, frames, blocks, inFlight)
			response, err := h2(b).Do(request)
			if err != nil {
				b.Fatal(err)
			}
			defer response.Body.Close()
			receiveAnswers(b, response.Body, inFlight)
			b.ReportMetric(float64(b.N*messages)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// publishFrames writes b.N requests and ends the stream.
func publishFrames(b *testing.B, to *io.PipeWriter, blocks []byte, inFlight chan struct{}) {
	out := bufio.NewWriterSize(to, 64<<10)
	request := &fluxv1.PublishRequest{
		Transaction: &fluxv1.Transaction{Appends: []*fluxv1.LogAppend{{Log: "event", Blocks: blocks}}},
	}
	var frame []byte
	for range b.N {
		select {
		case inFlight <- struct{}{}:
		default:
			if err := out.Flush(); err != nil {
				b.Error(err)
				return
			}
			inFlight <- struct{}{}
		}
		frame, _ = proto.MarshalOptions{}.MarshalAppend(append(frame[:0], 0, 0, 0, 0, 0), request)
		binary.BigEndian.PutUint32(frame[1:], uint32(len(frame)-5))
		if _, err := out.Write(frame); err != nil {
			b.Error(err)
			return
		}
	}
	if err := out.Flush(); err != nil {
		b.Error(err)
	}
	_ = to.Close()
}

// receiveAnswers reads b.N answers.
func receiveAnswers(b *testing.B, from io.Reader, inFlight chan struct{}) {
	in := bufio.NewReaderSize(from, 64<<10)
	var header [5]byte
	var frame []byte
	var answer fluxv1.PublishResponse
	for range b.N {
		if _, err := io.ReadFull(in, header[:]); err != nil {
			b.Fatal(err)
		}
		frame = append(frame[:0], make([]byte, binary.BigEndian.Uint32(header[1:]))...)
		if _, err := io.ReadFull(in, frame); err != nil {
			b.Fatal(err)
		}
		if header[0] != 0 {
			b.Fatalf("stream ended: %s", frame)
		}
		if err := proto.Unmarshal(frame, &answer); err != nil || answer.GetError() != nil {
			b.Fatalf("answer %v: %v", &answer, err)
		}
		<-inFlight
	}
}
