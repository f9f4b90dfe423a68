package wire

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flux-go/flux/message"
)

// BenchmarkRequests reads batches of appends as clients send them, of 256 bytes of payload each.
func BenchmarkRequests(b *testing.B) {
	one := `{"@type":"append","messageType":"EVENT","messages":[{"data":{"value":"` + strings.Repeat("QUJD", 85) +
		`","type":"com.example.UserCreated","revision":0,"format":"application/json"},"metadata":{"$clientId":"c1","$clientName":"app"},` +
		`"segment":42,"index":null,"source":null,"target":null,"requestId":null,"timestamp":1756900800000,` +
		`"messageId":"5b2f0c8e7d914c3aa1b2c3d4e5f60718","originalRevision":0}],"guarantee":"STORED","requestId":%d}`
	var all []string
	for i := range 1024 {
		all = append(all, fmt.Sprintf(one, i))
	}
	text := []byte(`{"@type":"requestBatch","requests":[` + strings.Join(all, ",") + `]}`)
	buf := make([]byte, len(text))
	var d Decoder
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, text) // reading changes it
		if requests, err := d.Requests(buf); err != nil || len(requests) != 1024 {
			b.Fatal(len(requests), err)
		}
	}
	b.ReportMetric(float64(b.N)*1024/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkReadResult writes batches of 1,024 messages of 256 bytes of payload.
func BenchmarkReadResult(b *testing.B) {
	var w message.BlockWriter
	for range 1024 {
		m := message.Message{
			Type: "com.example.UserCreated", Payload: []byte(strings.Repeat("x", 256)), Timestamp: 1756900800000,
			Metadata: map[string]string{"$clientId": "c1", "$clientName": "app"}, Routed: true, Segment: 42,
		}
		if err := w.Add(&m); err != nil {
			b.Fatal(err)
		}
	}
	block, _, err := message.ParseBlock(w.Seal(nil, message.Snappy))
	if err != nil {
		b.Fatal(err)
	}
	var reader message.BlockReader
	var messages []message.Message
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		list := Result{}.BeginRead(dst[:0], message.AllSegments)
		if messages, err = reader.AppendMessages(messages[:0], block, 1); err != nil {
			b.Fatal(err)
		}
		for i := range messages {
			list.Add(&messages[i])
		}
		dst = list.EndRead(nil, message.Position{}, true)
		reader.Reset()
	}
	b.SetBytes(int64(len(dst)))
	b.ReportMetric(float64(b.N)*1024/b.Elapsed().Seconds(), "messages/s")
}
