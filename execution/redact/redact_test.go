package redact_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/flux-go/flux/execution/redact"
)

var testKey = []byte("key of the service")

// parse reads rules that must be right.
func parse(t *testing.T, text string) *redact.Rules {
	t.Helper()
	rules, err := redact.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// shorten replaces what depends on the key, so that tests can be read.
func shorten(text string) string {
	for _, prefix := range []string{"hash_", "tok_", "enc1_"} {
		for at := 0; ; {
			i := strings.Index(text[at:], prefix)
			if i < 0 {
				break
			}
			at += i + len(prefix)
			end := at
			for end < len(text) && (text[end] >= '0' && text[end] <= '9' || text[end]|0x20 >= 'a' && text[end]|0x20 <= 'z' || text[end] == '_' || text[end] == '-') {
				end++
			}
			text = text[:at] + "…" + text[end:]
		}
	}
	return text
}

func TestDefaultRules(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, where, data, want string }{
		{"nothing", "http.request", plainRequest, plainRequest},
		{
			"headers", "http.request",
			`{"header":{"Authorization":["Bearer abcdef123456"],"Accept":["*/*"],"X-Api-Key":["k1","k2"]}}`,
			`{"header":{"Authorization":["Bearer hash_…"],"Accept":["*/*"],"X-Api-Key":["hash_…","hash_…"]}}`,
		},
		{
			"basic", "http.request", `{"header":{"Authorization":["Basic dXNlcjpodW50ZXIy"]}}`,
			`{"header":{"Authorization":["Basic dXNlcjpoYXNoXzNlM2EwNDViMmM1NzI3Nzk="]}}`,
		},
		{
			"cookies", "http.request",
			`{"header":{"Cookie":["sid=abc123; theme=dark"],"Set-Cookie":["sid=abc; Path=/; HttpOnly"]}}`,
			`{"header":{"Cookie":["sid=hash_…; theme=hash_…"],"Set-Cookie":["sid=hash_…; Path=/; HttpOnly"]}}`,
		},
		{
			"body in a string", "http.request",
			`{ "body" : "{\"password\": \"x\\\"y\", \"n\":1}", "url":"/" }`,
			`{ "body" : "{\"password\": \"hash_…\", \"n\":1}", "url":"/" }`,
		},
		{
			"form", "http.request", `{"body":"user=jo&password=hunter%202&card=4111+1111+1111+1111"}`,
			`{"body":"user=jo&password=hash_…&card=9000+0040+8146+0654"}`,
		},
		{
			"url", "http.request", `{"url":"https://jo:pw@x.test/a?token=abc&n=1#f"}`,
			`{"url":"https://jo:hash_…@x.test/a?token=hash_…&n=1#f"}`,
		},
		{
			"flags of a command", "command.request",
			`{"args":["psql","--password","hunter2","-token","--verbose","--secret=a1b2","password","x","--quiet","y"],"dir":"/"}`,
			`{"args":["psql","--password","hash_…","-token","--verbose","--secret=hash_…","password","x","--quiet","y"],"dir":"/"}`,
		},
		{"numbers", "x.request", `{"cvv":123,"card":4111111111111111,"id":4111111111111112}`, `{"cvv":111,"card":9000004081460654,"id":4111111111111112}`},
		{"below a name", "x.request", `{"credentials":{"a":["b",true,null,1.5]}}`, `{"credentials":{"a":["hash_…",false,null,1.1]}}`},
		{"names in all cases", "x.request", `{"userPassword":"a","API_KEY":"b","clientSecret":"c"}`, `{"userPassword":"hash_…","API_KEY":"hash_…","clientSecret":"hash_…"}`},
		{"entropy", "x.request", `{"webhookKey":"Zq3tV9xYpL2mN8bR4cW7dK1s","sort_key":"created_at"}`, `{"webhookKey":"hash_…","sort_key":"created_at"}`},
		{"cards as keys", "x.request", `{"4111111111111111":1}`, `{"9000004081460654":1}`},
		{"binary body", "http.response", `{"body":{"base64":"/3Bhc3N3b3JkPWh1bnRlcjIK"}}`, `{"body":{"base64":"/3Bhc3N3b3JkPWhhc2hfM2UzYTA0NWIyYzU3Mjc3OQo="}}`},
		{"cut body", "http.response", `{"body":{"text":"{\"password\":\"hunter2\",\"na","truncated":true}}`, `{"body":{"text":"{\"password\":\"hash_…\",\"na","truncated":true}}`},
		{
			"parameters", "sql.request",
			`{"sql":"INSERT INTO users (name, password) VALUES ($1, $2)","args":[{"type":"string","value":"jo"},{"type":"string","value":"pw"}]}`,
			`{"sql":"INSERT INTO users (name, password) VALUES ($1, $2)","args":[{"type":"string","value":"jo"},{"type":"string","value":"hash_…"}]}`,
		},
		{
			"rows", "postgres.response",
			`{"columns":[{"name":"id","type":"int8"},{"name":"password","type":"text"}],"rows":[[1,"a"],[2,"b"]]}`,
			`{"columns":[{"name":"id","type":"int8"},{"name":"password","type":"text"}],"rows":[[1,"hash_…"],[2,"hash_…"]]}`,
		},
		{"redis login", "redis.request", `{"command":"AUTH","args":["jo","pw"]}`, `{"command":"AUTH","args":["hash_…","hash_…"]}`},
		{"redis field", "redis.request", `{"command":"HSET","args":["u:1","name","jo","password","pw"]}`, `{"command":"HSET","args":["u:1","name","jo","password","hash_…"]}`},
		{"redis words", "redis.request", `{"command":["hset","u:1","name","jo","password",{"base64":"/w=="}]}`, `{"command":["hset","u:1","name","jo","password",{"base64":"aGFzaF9mZDZjYTc2NzBlMGI0ZGZl"}]}`},
		{"values with types", "sql.request", `{"sql":"UPDATE u SET password = ?, token = @t","args":[{"type":"[]byte","value":{"bytes":"pw"}},{"name":"t","type":"time.Time","value":{"time":"2026-11-22T10:00:00Z","zone":"UTC"}}]}`, `{"sql":"UPDATE u SET password = ?, token = @t","args":[{"type":"[]byte","value":{"bytes":"hash_…"}},{"name":"t","type":"time.Time","value":{"time":"1111-11-11T11:11:11Z","zone":"UTC"}}]}`},
		{"named parameter", "sql.request", `{"sql":"CALL f(:password)","args":[{"name":"password","type":"string","value":"pw"}]}`, `{"sql":"CALL f(:password)","args":[{"name":"password","type":"string","value":"hash_…"}]}`},
		{"more results", "sql.response", `{"columns":[],"rows":[],"next":[{"columns":[{"name":"pwd"}],"rows":[["a"],[{"bytes":{"text":"abc","bytes":9,"sha256":"AA==","truncated":true}}],[18446744073709551615],[5.0],[null]]}]}`, `{"columns":[],"rows":[],"next":[{"columns":[{"name":"pwd"}],"rows":[["hash_…"],[{"bytes":{"text":"hash_…","bytes":9,"sha256":"AA==","truncated":true}}],[11111111111111111111],[1.1],[null]]}]}`},
		{"grpc", "grpc.request", `{"metadata":{"authorization":["Bearer abc"]},"message":{"token":"t"}}`, `{"metadata":{"authorization":["Bearer hash_…"]},"message":{"token":"hash_…"}}`},
		{"log", "log.attrs", `{"db":{"password":"p"},"n":1}`, `{"db":{"password":"hash_…"},"n":1}`},
		{"no JSON", "http.request", `password="a b" {`, `password="hash_…" {`},
	}
	r := redact.Default().Redactor(testKey)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			once := string(r.Payload(test.where, []byte(test.data)))
			if got := shorten(once); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			other := redact.Default().Redactor([]byte("another key"))
			if twice := string(other.Payload(test.where, []byte(once))); twice != once {
				t.Errorf("redacted again, under another key, it is %s, once it was %s", twice, once)
			}
			if json.Valid([]byte(test.data)) && !json.Valid([]byte(once)) {
				t.Errorf("%s is no JSON any more", once)
			}
		})
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{"order 1042 is closed", ""},
		{"pay with 4111 1111 1111 1111, please", "pay with 9000 0040 8146 0654, please"},
		{"4111-1111-1111-1112 has a wrong digit", ""},
		{"at 1700000000000000 ns, trace 4111111111111111a", ""},
		{"Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "Authorization: Bearer hash_…"},
		{"sent bearer A1b2C3d4E5 twice", "sent bearer hash_… twice"},
		{"Basic information about orders", ""},
		{"key AKIAIOSFODNN7EXAMPLE is used", "key hash_… is used"},
		{"dial postgres://app:s3cret@db:5432/x?sslmode=off: refused", "dial postgres://app:hash_…@db:5432/x?sslmode=off: refused"},
		{"dial postgres://app:s/3@cret@db/x", "dial postgres://app:hash_…@db/x"},
		{"get http://127.0.0.1:8080/a@b", ""},
		{"app:pw1@tcp(db:3306)/x", "app:hash_…@tcp(db:3306)/x"},
		{"host=db user=app password=s3,cret dbname=x", "host=db user=app password=hash_… dbname=x"},
		{"{password=a1, user=b}", "{password=hash_…, user=b}"},
		{"password: must have 8 characters", ""},
		{"password: hunter2", "password: hash_…"},
		{`{"token":"abc","a`, `{"token":"hash_…","a`},
		{`{\"token\":\"abc\",\"a`, `{\"token\":\"hash_…\",\"a`},
		{"token sk_live_0123456789abcdefXYZ found", "token hash_… found"},
		{"a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb", "a\nhash_…\nb"},
		{"-----BEGIN PRIVATE KEY-----\nMIIEcut", "hash_…"},
		{"-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----", ""},
		{"https://ghp0123456789ABCDEF0123@github.com/a", "https://hash_…@github.com/a"},
		{"jo@example.com", ""},
		{
			"id 40000000-0000-0002-b1fc-fb0669dbac6f or fb0669db-c1fc-b6d0-4012-888888881881 or 41111111-1111-1111",
			"id 40000000-0000-0002-b1fc-fb0669dbac6f or fb0669db-c1fc-b6d0-4012-888888881881 or 90000040-8146-0654",
		},
		{"got hash_5053124242678137 and tok_4111111111111111", "got hash_… and tok_…"},
	}
	r := redact.Default().Redactor(testKey)
	for _, test := range tests {
		if test.want == "" {
			test.want = test.text
		}
		once := r.Text("log.message", test.text)
		if got := shorten(once); got != test.want {
			t.Errorf("%q\ngot  %q\nwant %q", test.text, got, test.want)
		}
		if twice := r.Text("log.message", once); twice != once {
			t.Errorf("redacted again, %q is %q", once, twice)
		}
	}
}

const allRules = `
defaults: false
rules:
  - {where: http.request.header, match: x-tenant, do: keep}
  - {where: http.request.header, match: x-*, do: drop}
  - {where: http.*.body, path: "$.card.number, $..pin", do: mask(keep_last=4)}
  - {where: "sql.param, sql.result", table: users, column: email, do: token}
  - {where: sql.result, column: /ssn|iban/, do: drop}
  - {where: redis.value, key: session:*, do: encrypt}
  - {where: env, match: ["*_SECRET", DATABASE_URL], do: hash}
  - {where: charge.request, do: mask}
  - {where: any, detect: "card(luhn), jwt, iban", do: token}
`

func TestRulesOfAFile(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, where, data, want string }{
		{"drop but keep", "http.request", `{"header":{"X-A":["1"],"X-Tenant":["2"],"X-B":["3"],"B":["4"]}}`, `{"header":{"X-Tenant":["2"],"B":["4"]}}`},
		{"drop first", "http.request", `{"header":{ "X-A" : ["1"] , "B":["4"]}}`, `{"header":{ "B":["4"]}}`},
		{"drop last", "http.request", `{"header":{"B":["4"] , "X-A":["1"] }}`, `{"header":{"B":["4"] }}`},
		{"drop all", "http.request", `{"header":{"X-A":["1"],"X-B":["2"]}}`, `{"header":{}}`},
		{"other place", "http.response", `{"header":{"X-A":["1"]}}`, `{"header":{"X-A":["1"]}}`},
		{
			"paths", "http.response", `{"body":"{\"card\":{\"number\":\"4111111111111111\"},\"a\":[{\"pin\":\"12345678\"},{\"pin\":\"77\"}]}"}`,
			`{"body":"{\"card\":{\"number\":\"****1111\"},\"a\":[{\"pin\":\"****5678\"},{\"pin\":\"****\"}]}"}`,
		},
		{"paths of numbers", "http.response", `{"body":"{\"pin\":12345678}"}`, `{"body":"{\"pin\":11115678}"}`},
		{"paths are of bodies", "http.response", `{"card":{"number":"x"}}`, `{"card":{"number":"x"}}`},
		{
			"parameter", "sql.request", `{"sql":"UPDATE users SET email = $1 WHERE id = $2","args":[{"type":"string","value":"jo@x.test"},{"type":"int64","value":7}]}`,
			`{"sql":"UPDATE users SET email = $1 WHERE id = $2","args":[{"type":"string","value":"ufe2497017b514cbf@redacted.invalid"},{"type":"int64","value":7}]}`,
		},
		{
			"parameter of another table", "sql.request", `{"sql":"UPDATE shops SET email = ?","args":[{"type":"string","value":"jo@x.test"}]}`,
			`{"sql":"UPDATE shops SET email = ?","args":[{"type":"string","value":"jo@x.test"}]}`,
		},
		{
			"column", "sql.response", `{"columns":[{"name":"email","table":"users"},{"name":"ssn"}],"rows":[["jo@x.test","123"]]}`,
			`{"columns":[{"name":"email","table":"users"},{"name":"ssn"}],"rows":[["ufe2497017b514cbf@redacted.invalid",null]]}`,
		},
		{"redis", "redis.request", `{"command":"SET","args":["session:1","abc"]}`, `{"command":"SET","args":["session:1","enc1_…"]}`},
		{"redis command first", "redis.request", `{"command":"set","args":["set","session:1","abc"]}`, `{"command":"set","args":["set","session:1","enc1_…"]}`},
		{"redis many", "redis.request", `{"command":"MSET","args":["a","1","session:1","2"]}`, `{"command":"MSET","args":["a","1","session:1","enc1_…"]}`},
		{"redis words", "redis.request", `{"command":["SET","session:1",{"base64":"/w=="}]}`, `{"command":["SET","session:1",{"base64":"ZW5jMV83QjZSR0ttRzJiaWVFV0cyamYtMmdGcUVCNFA1OWVmTTNULTBGbzQ="}]}`},
		{"redis pipeline of words", "redis.request", `{"commands":[["SET","a","x"],["SET","session:1","x"]]}`, `{"commands":[["SET","a","x"],["SET","session:1","enc1_…"]]}`},
		{"redis pipeline", "redis.request", `{"commands":[{"command":"SET","args":["session:1","x"]},{"command":"GET","args":["a"]}]}`, `{"commands":[{"command":"SET","args":["session:1","enc1_…"]},{"command":"GET","args":["a"]}]}`},
		{"whole place", "charge.request", `{"a":"b","n":12}`, `{"a":"****","n":11}`},
		{"no defaults", "x.request", `{"password":"p"}`, `{"password":"p"}`},
		{"iban", "x.request", `{"to":"DE89 3704 0044 0532 0130 00"}`, `{"to":"ZZ20 5253 9501 3557 6838 28"}`},
		{"jwt", "x.request", `["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"]`, `["tok_…"]`},
	}
	r := parse(t, allRules).Redactor(testKey)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			once := string(r.Payload(test.where, []byte(test.data)))
			if got := shorten(once); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if twice := string(r.Payload(test.where, []byte(once))); twice != once {
				t.Errorf("redacted again it is %s, once it was %s", twice, once)
			}
		})
	}
}

// TestTokensKeepTheirForm: code that looks at a value before it uses it does so in a replay, too.
func TestTokensKeepTheirForm(t *testing.T) {
	t.Parallel()
	r := parse(t, "defaults: false\nrules: [{where: any, match: v, do: token}]").Redactor(testKey)
	token := func(value string) string {
		var out struct{ V string }
		in, _ := json.Marshal(map[string]string{"v": value})
		if err := json.Unmarshal(r.Payload("x.request", in), &out); err != nil {
			t.Fatal(err)
		}
		return out.V
	}
	for value, want := range map[string]string{
		"+49 (151) 2345-6789":                  "+90 (000) 0992-8743",
		"123-45-6789":                          "111-11-1111",
		"1985-04-12":                           "1111-11-11",
		"0d9cc3a1-3ab2-4d64-9f0d-2d6b0a0c1b11": "00000000-815c-8368-87c4-b58753815c36",
		"Jo@Example.com":                       "u0b83dd9a8855c159@redacted.invalid",
	} {
		if got := token(value); got != want {
			t.Errorf("%s becomes %s, want %s", value, got, want)
		}
		if got := token(value); token(got) != got {
			t.Errorf("%s becomes %s and then %s", value, got, token(got))
		}
	}
	if token("5500 0055 5555 5559") == token("5555 5555 5555 4444") {
		t.Error("two cards have one stand-in")
	}
	if a, b := token("5500 0055 5555 5559"), token("5500005555555559"); strings.ReplaceAll(a, " ", "") != b {
		t.Errorf("one card has two stand-ins, %s and %s", a, b)
	}
}

func TestEncryptedValuesCanBeReadWithTheKey(t *testing.T) {
	t.Parallel()
	r := parse(t, "defaults: false\nrules: [{where: any, match: v, do: encrypt}]").Redactor(testKey)
	var out struct{ V string }
	if err := json.Unmarshal(r.Payload("x.request", []byte(`{"v":"ä secret"}`)), &out); err != nil {
		t.Fatal(err)
	}
	if text, err := redact.Decrypt(testKey, out.V); text != "ä secret" || err != nil {
		t.Errorf("decrypted %q, %v", text, err)
	}
	for key, text := range map[string]string{"another key": out.V, string(testKey): "enc1_abc", "": "hash_0123456789abcdef"} {
		if got, err := redact.Decrypt([]byte(key), text); err == nil {
			t.Errorf("%q under %q is %q", text, key, got)
		}
	}
}

func TestStandInsDependOnTheKey(t *testing.T) {
	t.Parallel()
	data := []byte(`{"password":"hunter2"}`)
	a, b := redact.Default().Redactor([]byte("a")), redact.Default().Redactor([]byte("b"))
	if string(a.Payload("x.request", data)) == string(b.Payload("x.request", data)) {
		t.Error("two keys make one stand-in")
	}
	again := redact.Default().Redactor([]byte("a"))
	if string(a.Payload("x.request", data)) != string(again.Payload("x.request", data)) {
		t.Error("one key makes two stand-ins")
	}
}
