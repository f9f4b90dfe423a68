package redact_test

import (
	"testing"

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
