package redact_test

import (
	"slices"
	"testing"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/execution/redact"
)

// plainRequest has nothing in it that is hidden: 300 bytes.
const plainRequest = `{"method":"POST","url":"http://127.0.0.1:9000/v1/orders?currency=EUR","header":{"Content-Type":["application/json"],` +
	`"Accept":["*/*"],"X-Request-Id":["b5c9f0b2"]},"body":"{\"order\":1042,\"items\":[{\"sku\":\"A-100\",\"count\":2},{\"sku\":\"B-7\",\"count\":1}],` +
	`\"note\":\"leave it at the door\"}"}`

func BenchmarkPayload(b *testing.B) {
	r := redact.Default().Redactor([]byte("key"))
	for _, bench := range []struct{ name, where, data string }{
		{"http", "http.request", plainRequest},
		{"sql", "sql.request", `{"sql":"SELECT id, total, state FROM orders WHERE customer = $1 AND state = $2","args":[{"type":"int64","value":1042},{"type":"string","value":"open"}]}`},
		{"plain", "charge.request", `{"order":1042,"items":[{"sku":"A-100","count":2},{"sku":"B-7","count":1}],"note":"leave it at the door"}`},
		{"hidden", "http.request", `{"method":"POST","url":"/","header":{"Authorization":["Bearer 0123456789abcdef"]},"body":"{\"password\":\"hunter2hunter2\"}"}`},
	} {
		b.Run(bench.name, func(b *testing.B) {
			data := []byte(bench.data)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				r.Payload(bench.where, data)
			}
		})
	}
}

// BenchmarkExecution redacts the record of a request with two statements, a call and five lines of log.
func BenchmarkExecution(b *testing.B) {
	r := redact.Default().Redactor([]byte("key"))
	for _, bench := range []struct{ name, header string }{
		{"plain", `{"Accept":["*/*"]}`},
		{"hidden", `{"Authorization":["Bearer 0123456789abcdef0123"]}`},
	} {
		statement := record.Payload{Data: []byte(`{"sql":"SELECT id, total, state FROM orders WHERE customer = $1","args":[{"type":"int64","value":1042}]}`)}
		rows := record.Payload{Data: []byte(`{"columns":[{"name":"id","type":"int8"},{"name":"total","type":"int8"},{"name":"state","type":"text"}],"rows":[[1,200,"open"],[2,300,"done"]]}`)}
		x := record.Execution{
			Trigger: record.Trigger{Kind: record.TriggerHTTP, Method: "POST", Path: "/orders/1042", Query: "full=true"},
			Input:   record.Payload{Data: []byte(`{"method":"POST","url":"/orders/1042","header":` + bench.header + `,"body":"{\"note\":\"at the door\"}"}`)},
			Output:  record.Payload{Data: []byte(`{"status":200,"body":"{\"state\":\"open\"}"}`)},
			Checkpoints: []record.Checkpoint{
				{Boundary: "sql", Target: "sql://orders", Shape: "select orders", Request: statement, Response: rows},
				{Number: 1, Boundary: "sql", Target: "sql://orders", Shape: "select orders", Request: statement, Response: rows},
				{Number: 2, Boundary: "http", Target: "http://pay.test", Shape: "POST /v1/orders", Request: record.Payload{Data: []byte(plainRequest)}, Response: record.Payload{Data: []byte(`{"status":200,"body":"{}"}`)}},
			},
		}
		for range 5 {
			x.Logs = append(x.Logs, record.LogLine{Message: "order loaded", Attrs: record.Payload{Data: []byte(`{"order":1042,"state":"open","took":12.5}`)}})
		}
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				copied := x
				copied.Checkpoints, copied.Logs = slices.Clone(x.Checkpoints), slices.Clone(x.Logs)
				r.Execution(&copied)
			}
		})
	}
}
