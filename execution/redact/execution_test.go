package redact_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/execution/redact"
)

func jsonOf(value any) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(err)
	}
	return bytes.TrimSpace(out.Bytes())
}

func payload(value any) record.Payload { return record.Payload{Data: jsonOf(value)} }

func env(name, value string) record.Source {
	return record.Source{Kind: record.SourceEnv, Name: name, Values: append([]byte{1}, value...)}
}

// texts are where people and programs write whatever they like. Each text of a record stands in one of them.
type texts struct {
	query, path, input, output, label, sql, param, row, key, redis, reply, binary, note, log, attr, message, stack, reason, url, header string
}

// fields returns the places of all texts.
func (x *texts) fields() (all []*string) {
	v := reflect.ValueOf(x).Elem()
	for i := range v.NumField() {
		all = append(all, (*string)(v.Field(i).Addr().UnsafePointer()))
	}
	return all
}

// build returns an execution with the texts in it, and what else it is given.
func (x *texts) build(sources ...record.Source) *record.Execution {
	failure := fault.Of(fmt.Errorf("pay: %w", &url.Error{Op: "Post", URL: "http://x.test/" + url.PathEscape(x.message), Err: errors.New(x.message)}))
	failure.Stack = x.stack
	return &record.Execution{
		ID: record.NewID(), Service: "orders", Status: record.StatusError, Error: failure,
		Trigger: record.Trigger{Kind: record.TriggerHTTP, Method: "POST", Path: "/" + x.path, Query: "q=" + url.QueryEscape(x.query)},
		Labels:  map[string]string{"team": x.label},
		Input:   payload(map[string]any{"method": "POST", "body": string(jsonOf(map[string]any{"text": x.input}))}),
		Output:  payload(map[string]any{"status": 500, "body": x.output}),
		Sources: sources,
		Checkpoints: []record.Checkpoint{
			{
				Boundary: "postgres", Target: "postgres://db/orders",
				Request:  payload(map[string]any{"sql": "SELECT 1 -- " + x.sql, "args": []any{map[string]string{"type": "string", "value": x.param}}}),
				Response: payload(map[string]any{"columns": []any{map[string]string{"name": "a"}}, "rows": [][]any{{x.row}}}),
			},
			{
				Number: 1, Boundary: "redis",
				Request:  payload(map[string]any{"command": "SET", "args": []string{x.key, x.redis}}),
				Response: payload(map[string]any{"reply": x.reply}),
			},
			{
				Number: 2, Boundary: "http",
				Request:  payload(map[string]any{"url": "http://x.test/?q=" + url.QueryEscape(x.url), "header": map[string][]string{"X-Note": {x.header}}}),
				Response: payload(map[string]any{"body": record.NewBody([]byte("\xff"+x.binary), 1<<20)}),
			},
		},
		Logs:       []record.LogLine{{Message: x.log, Attrs: payload(map[string]any{"a": map[string]string{"b": x.attr}})}},
		Notes:      []record.Note{{Name: "note", Value: payload(x.note)}},
		Replayable: record.Replayable{Level: record.ReplayPartial, Reasons: []string{x.reason}},
	}
}

// everything returns all bytes of a record that somebody could look through.
func everything(t interface{ Fatal(...any) }, x *record.Execution) string {
	text, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	all := string(text)
	for _, source := range x.Sources {
		all += "\n" + string(source.Values)
	}
	for _, cp := range x.Checkpoints {
		var response struct{ Body record.Body }
		if json.Unmarshal(cp.Response.Data, &response) == nil {
			all += "\n" + string(response.Body.Data)
		}
	}
	return all
}

// A form is a way to write a secret.
type form struct{ name, text string }

func forms(secret string) []form {
	escaped, _ := json.Marshal(secret)
	twice, _ := json.Marshal(string(escaped))
	return []form{
		{"itself", secret},
		{"JSON", strings.Trim(string(escaped), `"`)},
		{"JSON in JSON", strings.Trim(string(twice), `"\`)},
		{"JSON without HTML", strings.Trim(string(jsonOf(secret)), `"`)},
		{"base64", base64.StdEncoding.EncodeToString([]byte(secret))},
		{"base64 of URLs", base64.RawURLEncoding.EncodeToString([]byte(secret))},
		{"query", url.QueryEscape(secret)},
		{"path", url.PathEscape(secret)},
	}
}

// planted returns a secret and a text that makes it one wherever it stands.
func planted(t *rapid.T) (secret, text string) {
	word := rapid.StringMatching(`[A-Za-z0-9]{6}[0-9][A-Za-z0-9!$*+/_-]{8,20}[a-z0-9]`).Draw(t, "secret")
	switch kind := rapid.SampledFrom([]string{"password", "json", "quoted", "bearer", "connection", "jwt", "aws", "pem", "card", "key"}).Draw(t, "kind"); kind {
	case "password":
		return word, "password=" + word
	case "json":
		return word, `{"a":[{"clientSecret":"` + word + `"}]}`
	case "quoted":
		odd := rapid.StringMatching(`[a-z]{4}["\\ <&ä]{1,3}[a-z0-9]{6}7`).Draw(t, "odd secret")
		return odd, string(jsonOf(map[string]string{"passphrase": odd}))
	case "bearer":
		return word, "Authorization: Bearer " + word
	case "connection":
		word = strings.NewReplacer("/", "x").Replace(word)
		return word, "dial postgres://app:" + word + "@db:5432/x: refused"
	case "jwt":
		token := "eyJhbGciOiJIUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"`+word+`"}`)) + ".c2lnbmF0dXJl"
		return token, "got " + token
	case "aws":
		id := "AKIA" + rapid.StringMatching(`[A-Z0-9]{16}`).Draw(t, "id")
		return id, "id " + id
	case "pem":
		key := "-----BEGIN PRIVATE KEY-----\n" + word + "\n-----END PRIVATE KEY-----"
		return key, "key:\n" + key
	case "card":
		return "4111111111111111", "card 4111111111111111."
	}
	key := "sk_live_" + rapid.StringMatching(`[A-Za-z0-9]{16,30}`).Draw(t, "key")
	return key, "with " + key
}

// TestPlantedSecretsAreNotFound plants secrets in every place of a record and looks for them after it was redacted. G-195, F-32.
func TestPlantedSecretsAreNotFound(t *testing.T) {
	t.Parallel()
	redactor := redact.Default().Redactor(testKey)
	rapid.Check(t, func(t *rapid.T) {
		var x texts
		fields := x.fields()
		for _, field := range fields {
			*field = rapid.SampledFrom([]string{"", "ok", "order 7 is open", `{"n":1}`, "a=b&c=d"}).Draw(t, "text")
		}
		secret, text := planted(t)
		places := rapid.Permutation(fields).Draw(t, "places")
		*places[0], *places[1] = text, text
		for i, form := range forms(secret) {
			if rapid.Bool().Draw(t, "a copy as "+form.name) {
				*places[2+i] = "again: " + form.text
			}
		}
		execution := x.build(env("LOCALE", "de"))
		redactor.Execution(execution)
		all := everything(t, execution)
		for _, form := range forms(secret) {
			if strings.Contains(all, form.text) {
				t.Fatalf("%q is found as %s in\n%s", secret, form.name, all)
			}
		}
		if execution.Redaction.Count == 0 || execution.Redaction.Rules != redact.Default().Hash() {
			t.Fatalf("redaction is %+v", execution.Redaction)
		}
	})
}

// TestRedactingAgainChangesNothing is invariant R1, with another key the second time.
func TestRedactingAgainChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var x texts
		for _, field := range x.fields() {
			*field = rapid.SampledFrom([]string{"ok", "order 7", `{"n":1}`, "a=b&token=d"}).Draw(t, "text")
			if rapid.Bool().Draw(t, "secret here") {
				_, *field = planted(t)
			}
		}
		execution := x.build(env("API_TOKEN", "abc123abc"), env("DATABASE_URL", "postgres://a:b1b1b1b1@c/d"))
		redact.Default().Redactor(testKey).Execution(execution)
		once := everything(t, execution)
		execution.Redaction = record.Redaction{}
		redact.Default().Redactor([]byte("another")).Execution(execution)
		execution.Redaction.Count = 0
		twice := everything(t, execution)
		if strip(once) != strip(twice) {
			t.Fatalf("once\n%s\ntwice\n%s", strip(once), strip(twice))
		}
	})
}

// strip leaves out how many values were hidden.
func strip(text string) string {
	before, after, _ := strings.Cut(text, `"redaction":{`)
	_, after, _ = strings.Cut(after, "}")
	return before + after
}

// TestVariablesOfTheEnvironment: G-204.
func TestVariablesOfTheEnvironment(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, value string
		kind        byte
		want        string
	}{
		{"STRIPE_SECRET", "abc", 2, "hash_…"},
		{"GITHUB_TOKEN", "abc", 2, "hash_…"},
		{"DB_PASSWORD", "abc", 2, "hash_…"},
		{"DATABASE_URL", "postgres://app:pw1@db/x", 1, "postgres://app:hash_…@db/x"},
		{"LOCALE", "de", 1, "de"},
		{"EMPTY_SECRET", "", 1, ""},
	}
	for _, test := range tests {
		x := &record.Execution{Sources: []record.Source{env(test.name, test.value)}}
		redact.Default().Redactor(testKey).Execution(x)
		if values := x.Sources[0].Values; values[0] != test.kind || shorten(string(values[1:])) != test.want {
			t.Errorf("%s is recorded as %d %q, want %d %q", test.name, values[0], values[1:], test.kind, test.want)
		}
	}
}

// TestReplayMatches records a program that passes a secret on, and replays it without the key: what it sends from stand-ins
// must be what was recorded. G-196.
func TestReplayMatches(t *testing.T) {
	t.Parallel()
	const card, password = "4111 1111 1111 1111", "hunter2hunter2"
	send := func(card, password string) [][]byte { // what the program does with its input
		return [][]byte{
			jsonOf(map[string]any{"url": "https://pay.test/?pw=" + url.QueryEscape(password), "body": "number=" + url.QueryEscape(card)}),
			jsonOf(map[string]any{"sql": "UPDATE cards SET last = $1 WHERE owner = $2", "args": []any{map[string]string{"value": card}, map[string]string{"value": password}}}),
			jsonOf(map[string]any{"note": "charged " + card + " of " + password}),
		}
	}
	places := []string{"http.request", "postgres.request", "charge.request"}
	live := redact.Default().Redactor(testKey).Session()
	input := live.Payload("http.request", jsonOf(map[string]any{"body": string(jsonOf(map[string]string{"card": card, "password": password}))}))
	var recorded [][]byte
	for i, request := range send(card, password) {
		recorded = append(recorded, live.Payload(places[i], request))
	}

	var read struct{ Body string }
	var body struct{ Card, Password string }
	if err := errors.Join(json.Unmarshal(input, &read), json.Unmarshal([]byte(read.Body), &body)); err != nil {
		t.Fatal(err)
	}
	if body.Card == card || body.Password == password {
		t.Fatalf("input is %s", input)
	}
	replay := redact.Default().Redactor([]byte("a laptop without the key")).Session()
	for i, request := range send(body.Card, body.Password) {
		if got := replay.Payload(places[i], request); !bytes.Equal(got, recorded[i]) {
			t.Errorf("replay sends\n%s, recorded was\n%s", got, recorded[i])
		}
	}
}

// TestWhatOthersShareStays: a record under redaction shares its errors and maps with the program.
func TestWhatOthersShareStays(t *testing.T) {
	t.Parallel()
	x := (&texts{message: "password=abc123abc", label: "password=abc123abc", param: "password=abc123abc"}).build()
	failure, labels, request := x.Error, x.Labels, x.Checkpoints[0].Request.Data
	before := string(jsonOf([]any{failure, labels})) + string(request)
	redact.Default().Redactor(testKey).Execution(x)
	if after := string(jsonOf([]any{failure, labels})) + string(request); after != before {
		t.Errorf("changed from\n%s\nto\n%s", before, after)
	}
	if strings.Contains(everything(t, x), "abc123abc") {
		t.Error("the record itself is not redacted")
	}
}

func TestValuesOfOneExecutionHaveOneStandIn(t *testing.T) {
	t.Parallel()
	s := parse(t, "rules: [{where: a.request, match: x, do: 'mask(keep_last=2)'}]").Redactor(testKey).Session()
	first := string(s.Payload("a.request", []byte(`{"x":"abcdef123"}`)))
	second := string(s.Payload("b.request", []byte(`{"password":"abcdef123","m":{"abcdef123":"so abcdef123"},"n":123456}`)))
	if first != `{"x":"****23"}` || second != `{"password":"****23","m":{"****23":"so ****23"},"n":123456}` {
		t.Errorf("%s and %s", first, second)
	}
	if s.Count() == 0 {
		t.Error("nothing was counted")
	}
}

// TestWordsAreNotHiddenEverywhere: a weak password must not make the record unreadable.
func TestWordsAreNotHiddenEverywhere(t *testing.T) {
	t.Parallel()
	s := redact.Default().Redactor(testKey).Session()
	s.Payload("a.request", []byte(`{"password":"password","token":"order","pwd":"12"}`))
	const text = "no password of the order, 12 tries"
	if got := s.Text("log.message", text); got != text {
		t.Errorf("got %q", got)
	}
}

// TestAnswersAreOfTheirRequests: what an answer is about is in the request.
func TestAnswersAreOfTheirRequests(t *testing.T) {
	t.Parallel()
	tests := []struct{ boundary, request, response, want string }{
		{"redis", `{"command":["GET","session:1"]}`, `{"reply":"a"}`, `{"reply":"hash_…"}`},
		{"redis", `{"command":["GET","other:1"]}`, `{"reply":"a"}`, `{"reply":"a"}`},
		{"redis", `{"command":["SET","session:1","x"]}`, `{"reply":{"status":"OK"}}`, `{"reply":{"status":"OK"}}`},
		{"redis", `{"command":["LRANGE","session:1","0","9"]}`, `{"reply":["a",1,{"nil":"_"},{"double":"1.5"},{"verbatim":"txt:abc"}]}`, `{"reply":["hash_…",1,{"nil":"_"},{"double":"1.1"},{"verbatim":"txt:hash_…"}]}`},
		{"redis", `{"commands":[["GET","other:1"],["GET","session:1"]]}`, `{"replies":["a","b"]}`, `{"replies":["a","hash_…"]}`},
		{"redis", `{"command":["HGETALL","u:1"]}`, `{"reply":{"map":["name","jo","password","pw"]}}`, `{"reply":{"map":["name","jo","password","hash_…"]}}`},
		{"redis", `{"command":["hgetall","u:1"]}`, `{"reply":["name","jo","password","pw"]}`, `{"reply":["name","jo","password","hash_…"]}`},
		{"redis", `{"command":["HGET","u:1","password"]}`, `{"reply":"pw"}`, `{"reply":"hash_…"}`},
		{"redis", `{"command":"get","args":["session:1"]}`, `{"reply":"a"}`, `{"reply":"hash_…"}`},
		{"sql", `{"sql":"SELECT name FROM users"}`, `{"columns":[{"name":"name"}],"rows":[["jo"]]}`, `{"columns":[{"name":"name"}],"rows":[["hash_…"]]}`},
		{"sql", `{"sql":"SELECT name FROM shops"}`, `{"columns":[{"name":"name"}],"rows":[["jo"]]}`, `{"columns":[{"name":"name"}],"rows":[["jo"]]}`},
		{"sql", `{"sql":"SELECT 1"}`, `{"columns":[{"name":"secret_note"}],"rows":[["a"],[{"time":"2026-11-22T10:00:00Z","zone":"UTC"}]]}`, `{"columns":[{"name":"secret_note"}],"rows":[[null],[null]]}`},
	}
	rules := parse(t, "rules: [{where: redis.value, key: session:*, do: hash}, {where: sql.result, table: users, column: name, do: hash}, {where: sql.result, column: secret_*, do: drop}]")
	for _, test := range tests {
		cp := record.Checkpoint{Boundary: test.boundary, Request: record.Payload{Data: []byte(test.request)}, Response: record.Payload{Data: []byte(test.response)}}
		rules.Redactor(testKey).Checkpoint(&cp)
		if got := shorten(string(cp.Response.Data)); got != test.want {
			t.Errorf("%s\ngot  %s\nwant %s", test.request, got, test.want)
		}
	}
}

func TestInspectTellsWhatIsHiddenAndWhatIsNot(t *testing.T) {
	t.Parallel()
	rules := parse(t, "defaults: false\nrules: [{where: http.*.header, match: authorization, do: hash}, {where: log, match: note-password, do: keep}]")
	x := &record.Execution{
		Checkpoints: []record.Checkpoint{{Number: 3, Boundary: "http", Request: payload(map[string]any{
			"header": map[string][]string{"Authorization": {"Bearer abcdef12"}}, "body": `{"card":{"number":"4111111111111111"}}`,
		})}},
		Logs: []record.LogLine{{Message: "jo@example.com asked", Attrs: payload(map[string]string{"note-password": "none"})}},
	}
	hidden, open, err := rules.Inspect(x)
	if err != nil {
		t.Fatal(err)
	}
	if len(hidden) != 1 || hidden[0].Place != "op 3 request $.header.Authorization[0]" || hidden[0].By != "name" {
		t.Errorf("hidden is %+v", hidden)
	}
	want := []redact.Finding{
		{Place: "op 3 request $.body.card.number", By: "card", StandIn: "****1111"},
		{Place: "log 0", By: "email", StandIn: "****.com"},
	}
	for i := range open {
		open[i].Rule = ""
	}
	if !reflect.DeepEqual(open, want) {
		t.Errorf("open is %+v, want %+v", open, want)
	}
	if strings.Contains(string(x.Checkpoints[0].Request.Data), "hash_") {
		t.Error("what is inspected changes")
	}
}
