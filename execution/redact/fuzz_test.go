package redact_test

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/flux-go/flux/execution/redact"
)

// FuzzPayload redacts anything: what is JSON stays JSON, nothing panics, and rules in any number do not make a stand-in of a
// stand-in.
func FuzzPayload(f *testing.F) {
	for _, where := range []string{"http.request", "http.response", "sql.request", "sql.response", "redis.request", "redis.response", "grpc.request", "x.request"} {
		f.Add(where, plainRequest)
		f.Add(where, `{"sql":"INSERT INTO a(b,password) VALUES (?, ?)","args":[1,{"type":"x","value":"y"}],"args":{"a":1}}`)
		f.Add(where, `{"rows":[[1],["a",{"base64":"YQ=="}],2],"columns":[{"name":"password"}]}`)
		f.Add(where, `{"command":"MSET","args":["mset",{"base64":"/w=="},"session:1","b"],"reply":["a"]}`)
		f.Add(where, `{"commands":[{"command":"HELLO","args":["3","AUTH","a","b"]}]}`)
		f.Add(where, `{"header":{"Cookie":["a=b;c;=d"],"Authorization":["Basic YTpi","Basic",""]},"url":"x://a:b@c?d=%zz&token=%20#token=e"}`)
		f.Add(where, `[1,{"a":"[\"{\\\"token\\\":\\\"x\\\"}\"]"},"password: \"x","-----BEGIN PRIVATE KEY-----","token=","=","a:b@tcp(c)"]`)
		f.Add(where, `{"card":"4111 1111 1111 1111","4111111111111111":4111111111111111,"token":1e400,"cvv":-0.5}`)
	}
	f.Add("x.request", `{"a":}`)
	f.Add("x.request", `{"a"`)
	f.Add("x.request", `["\u00e9\ud800"]`)
	mine := redact.Default().Redactor(testKey)
	others := mustParse(allRules).Redactor(testKey)
	f.Fuzz(func(t *testing.T, where, text string) {
		for _, r := range []*redact.Redactor{mine, others} {
			once := r.Payload(where, []byte(text))
			if json.Valid([]byte(text)) && !json.Valid(once) {
				t.Errorf("%s becomes %s, which is no JSON", text, once)
			}
			if twice := r.Payload(where, once); json.Valid(once) && string(twice) != string(once) {
				t.Errorf("%s becomes\n%s and then\n%s", text, once, twice)
			}
			r.Text(where, text)
		}
	})
}

func mustParse(text string) *redact.Rules {
	rules, err := redact.Parse([]byte(text))
	if err != nil {
		panic(err)
	}
	return rules
}

// TestRedactorsAreSafeForConcurrentUse is for the race detector.
func TestRedactorsAreSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	r := mustParse(allRules).Redactor(testKey)
	want := string(r.Payload("sql.request", []byte(`{"sql":"UPDATE users SET email = ?","args":["a@b.test"]}`)))
	fresh := mustParse(allRules).Redactor(testKey)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				if got := string(fresh.Payload("sql.request", []byte(`{"sql":"UPDATE users SET email = ?","args":["a@b.test"]}`))); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				fresh.Payload("http.request", []byte(plainRequest))
			}
		})
	}
	group.Wait()
}
