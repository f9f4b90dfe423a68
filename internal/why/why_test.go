package why_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/internal/why"
)

// build returns a record of the checkpoints, numbered and in one lane, that ended with an error.
func build(e *record.Error, cps ...record.Checkpoint) *record.Execution {
	x := &record.Execution{
		ID: record.ID{1}, Service: "shop", Status: record.StatusOK, Start: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		Duration: 40 * time.Millisecond, Trigger: record.Trigger{Kind: record.TriggerHTTP, Method: "POST", Path: "/orders"}, Error: e,
	}
	if e != nil {
		x.Status = record.StatusError
	}
	for i, cp := range cps {
		cp.Number, cp.Finished, cp.Lane = uint32(i), uint32(i+1), "root"
		cp.Start, cp.Duration = time.Duration(i)*time.Millisecond, max(cp.Duration, time.Millisecond)
		cp.Call = record.Frame{Function: "shop.order", File: "order.go", Line: 10 + i}
		if cp.State == "" {
			cp.State = record.StateDone
		}
		x.Checkpoints = append(x.Checkpoints, cp)
	}
	return x
}

func app(message string) *record.Error {
	return &record.Error{Class: record.ClassApp, Message: message, Type: "*errors.errorString"}
}

func answered(status int, body string) record.Checkpoint {
	data, _ := json.Marshal(map[string]any{"status": status, "body": body, "header": map[string][]string{"Content-Type": {"text/html"}}})
	return record.Checkpoint{
		Boundary: "http", Target: "https://card.example", Shape: "POST /charges", Effect: record.EffectWrite,
		Failure: status >= 500 || status == 429, Response: record.Payload{Data: data},
	}
}

func refused(boundary, shape string, class record.ErrorClass, code, message string) record.Checkpoint {
	return record.Checkpoint{
		Boundary: boundary, Target: boundary + "://db.example:1234", Shape: shape, Effect: record.EffectWrite, State: record.StateFailed,
		Error: &record.Error{Class: class, Code: code, Message: message},
	}
}

func read(shape string) record.Checkpoint {
	return record.Checkpoint{Boundary: "sql", Target: "postgres://db", Shape: shape, Effect: record.EffectRead}
}

// TestCause holds failures as programs meet them, and the rule that must name their cause. The failing operation comes after
// one that went well and before a clock or a timer, which must not hide it.
func TestCause(t *testing.T) {
	t.Parallel()
	statement := func(code, message string) record.Checkpoint {
		return refused("sql", "INSERT INTO orders VALUES (?)", record.ClassDriver, code, "ERROR: "+message+" (SQLSTATE "+code+")")
	}
	command := func(message string) record.Checkpoint {
		word, _, _ := strings.Cut(message, " ")
		return refused("redis", "SET", record.ClassDriver, word, message)
	}
	call := func(code, message string) record.Checkpoint {
		return refused("grpc", "/tax.v1.Tax/Quote", record.ClassApp, code, "rpc error: code = "+code+" desc = "+message)
	}
	network := func(class record.ErrorClass, message string) record.Checkpoint {
		return refused("http", "POST /charges", class, "", `Post "https://card.example/charges": `+message)
	}
	for _, test := range []struct {
		rule string
		cp   record.Checkpoint
	}{
		{"http.server-error", answered(500, "oops")},
		{"http.bad-gateway", answered(502, "<html>")},
		{"http.unavailable", answered(503, "")},
		{"http.gateway-timeout", answered(504, "")},
		{"http.rate-limited", answered(429, "slow down")},
		{"http.unauthenticated", answered(401, "")},
		{"http.forbidden", answered(403, "")},
		{"http.not-found", answered(404, "")},
		{"http.conflict", answered(409, "")},
		{"http.invalid", answered(422, `{"field":"amount"}`)},
		{"http.client-error", answered(400, "")},
		{"http.too-large", answered(413, "")},
		{"net.dns-not-found", network(record.ClassDNSNotFound, "dial tcp: lookup card.example: no such host")},
		{"net.dns-temporary", network(record.ClassDNSTemporary, "dial tcp: lookup card.example: server misbehaving")},
		{"net.refused", network(record.ClassRefused, "dial tcp 192.0.2.1:443: connect: connection refused")},
		{"net.reset", network(record.ClassReset, "read: connection reset by peer")},
		{"net.unreachable", network(record.ClassUnreachable, "connect: no route to host")},
		{"tls.expired", network(record.ClassTLSExpired, "x509: certificate has expired or is not yet valid")},
		{"tls.untrusted", network(record.ClassTLSVerify, "x509: certificate signed by unknown authority")},
		{"tls.handshake", network(record.ClassTLSHandshake, "remote error: tls: handshake failure")},
		{"net.eof", network(record.ClassEOF, "EOF")},
		{"net.cut", network(record.ClassUnexpectedEOF, "unexpected EOF")},
		{"net.protocol", network(record.ClassProto, "malformed HTTP response")},
		{"timeout.operation", network(record.ClassDeadline, "context deadline exceeded")},
		{"canceled.operation", network(record.ClassCanceled, "context canceled")},
		{"sql.duplicate-key", statement("23505", `duplicate key value violates unique constraint "orders_pkey"`)},
		{"sql.foreign-key", statement("23503", "insert or update violates foreign key constraint")},
		{"sql.not-null", statement("23502", "null value in column")},
		{"sql.check", statement("23514", "violates check constraint")},
		{"sql.bad-text", statement("22P02", "invalid input syntax for type uuid")},
		{"sql.too-long", statement("22001", "value too long for type character varying(10)")},
		{"sql.no-table", statement("42P01", `relation "orders" does not exist`)},
		{"sql.no-column", statement("42703", `column "total" does not exist`)},
		{"sql.syntax", statement("42601", `syntax error at or near "FORM"`)},
		{"sql.privilege", statement("42501", "permission denied for table orders")},
		{"sql.serialization", statement("40001", "could not serialize access")},
		{"sql.deadlock", statement("40P01", "deadlock detected")},
		{"sql.lock", statement("55P03", "could not obtain lock")},
		{"sql.connections", statement("53300", "sorry, too many clients already")},
		{"sql.canceled", statement("57014", "canceling statement due to statement timeout")},
		{"sql.shutdown", statement("57P01", "terminating connection due to administrator command")},
		{"sql.password", statement("28P01", "password authentication failed")},
		{"sql.aborted", statement("25P02", "current transaction is aborted")},
		{"sql.read-only", statement("25006", "cannot execute INSERT in a read-only transaction")},
		{"sql.connection", statement("08006", "connection failure")},
		{"sql.internal", statement("XX000", "cache lookup failed")},
		{"pool.exhausted", refused("redis", "GET", record.ClassPoolTimeout, "", "redis: connection pool timeout")},
		{"redis.wrong-type", command("WRONGTYPE Operation against a key holding the wrong kind of value")},
		{"redis.moved", command("MOVED 3999 127.0.0.1:6381")},
		{"redis.memory", command("OOM command not allowed when used memory > 'maxmemory'")},
		{"redis.read-only", command("READONLY You can't write against a read only replica.")},
		{"redis.loading", command("LOADING Redis is loading the dataset in memory")},
		{"redis.no-auth", command("NOAUTH Authentication required.")},
		{"redis.no-script", command("NOSCRIPT No matching script.")},
		{"grpc.unavailable", call("Unavailable", "connection error")},
		{"grpc.deadline", call("DeadlineExceeded", "context deadline exceeded")},
		{"grpc.invalid-argument", call("InvalidArgument", "country is empty")},
		{"grpc.unauthenticated", call("Unauthenticated", "no token")},
		{"grpc.exhausted", call("ResourceExhausted", "quota")},
		{"grpc.internal", call("Internal", "nil pointer")},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			message := "charge: card.example answered " + text(test.cp)
			if test.cp.Error != nil {
				message = "place order: " + test.cp.Error.Message
			}
			x := build(app(message), read("SELECT 1"), test.cp, record.Checkpoint{Boundary: "timer", Shape: "sleep", Effect: record.EffectNone})
			cause := why.Explain(x, nil).Cause()
			if cause.Rule != test.rule || len(cause.Operations) == 0 || cause.Operations[0] != 1 {
				t.Errorf("cause is %s of op %v, want %s of op 1", cause.Rule, cause.Operations, test.rule)
			}
			if cause.Frame.Line != 11 || cause.Suggestion == "" || cause.Title == "" {
				t.Errorf("finding lacks something: %+v", cause)
			}
		})
	}
}

func text(cp record.Checkpoint) string {
	var r struct{ Status int }
	_ = json.Unmarshal(cp.Response.Data, &r)
	return fmt.Sprint(r.Status)
}

// TestCauseInTheProgram holds failures that no operation caused.
func TestCauseInTheProgram(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rule    string
		class   record.ErrorClass
		message string
	}{
		{"panic.nil", record.ClassPanic, "runtime error: invalid memory address or nil pointer dereference"},
		{"panic.index", record.ClassPanic, "runtime error: index out of range [5] with length 3"},
		{"panic.slice", record.ClassPanic, "runtime error: slice bounds out of range [:9] with capacity 4"},
		{"panic.nil-map", record.ClassPanic, "assignment to entry in nil map"},
		{"panic.type", record.ClassPanic, "interface conversion: interface {} is string, not int"},
		{"panic.send-closed", record.ClassPanic, "send on closed channel"},
		{"panic.divide", record.ClassPanic, "runtime error: integer divide by zero"},
		{"panic.program", record.ClassPanic, "cannot happen"},
		{"decode.html", record.ClassApp, "decode receipt: invalid character '<' looking for beginning of value"},
		{"decode.empty", record.ClassApp, "decode receipt: unexpected end of JSON input"},
		{"decode.type", record.ClassApp, "json: cannot unmarshal string into Go struct field Receipt.amount of type int"},
		{"decode.number", record.ClassApp, `strconv.Atoi: parsing "twelve": invalid syntax`},
		{"decode.time", record.ClassApp, `parsing time "yesterday" as "2006-01-02": cannot parse "yesterday" as "2006"`},
		{"input.invalid", record.ClassApp, "amount must be positive"},
		{"config.missing-env", record.ClassApp, "environment variable CARD_KEY is not set"},
		{"sql.no-rows", record.ClassApp, "load order 7: sql: no rows in result set"},
		{"sql.tx-done", record.ClassApp, "sql: transaction has already been committed or rolled back"},
		{"redis.nil", record.ClassApp, "load session: redis: nil"},
		{"file.not-found", record.ClassApp, "open templates/mail.html: no such file or directory"},
		{"disk.full", record.ClassApp, "write /var/lib/shop/1: no space left on device"},
		{"files.limit", record.ClassApp, "accept4: too many open files"},
		{"auth.token", record.ClassApp, "token is expired"},
		{"error.unhandled", record.ClassApp, "the moon is in the wrong house"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			frame := record.Frame{Function: "shop.receipt", File: "receipt.go", Line: 93}
			x := build(&record.Error{Class: test.class, Message: test.message, Frames: []record.Frame{frame}}, read("SELECT 1"))
			cause := why.Explain(x, nil).Cause()
			if cause.Rule != test.rule || cause.Frame != frame {
				t.Errorf("cause is %s (%s) at %v, want %s at %v", cause.Rule, cause.Title, cause.Frame, test.rule, frame)
			}
		})
	}
}

func TestCauseOfOtherEndings(t *testing.T) {
	t.Parallel()
	timeout := build(nil, read("SELECT 1"))
	timeout.Status = record.StatusTimeout
	canceled := build(nil)
	canceled.Status = record.StatusCancelled
	crashed := build(nil, record.Checkpoint{Boundary: "sql", Shape: "INSERT", Effect: record.EffectWrite, State: record.StateInDoubt})
	crashed.Status = record.StatusCrashed
	silent := build(nil)
	silent.Status, silent.HTTPStatus = record.StatusError, 500
	for rule, x := range map[string]*record.Execution{
		"timeout.execution": timeout, "canceled.client": canceled, "process.died": crashed, "error.silent": silent,
	} {
		if cause := why.Explain(x, nil).Cause(); cause.Rule != rule {
			t.Errorf("cause is %s, want %s", cause.Rule, rule)
		}
	}
	if a := why.Explain(build(nil, read("SELECT 1")), nil); a.Cause() != nil || len(a.Findings) != 0 {
		t.Errorf("a run that went well: %+v", a.Findings)
	}
}

func TestErrorPageDecodedAsReceipt(t *testing.T) {
	t.Parallel()
	x := build(app("invalid character '<' looking for beginning of value"), answered(200, "<html>sorry</html>"))
	cause := why.Explain(x, nil).Cause()
	if cause.Rule != "decode.html" || len(cause.Operations) != 1 || !strings.Contains(fmt.Sprint(cause.Evidence), "<html>sorry") {
		t.Errorf("finding: %+v", cause)
	}
}

func TestObservations(t *testing.T) {
	t.Parallel()
	failing := answered(503, "")
	failing.State, failing.Error = record.StateFailed, &record.Error{Class: record.ClassApp, Message: "503"}
	slow := build(nil, read("SELECT 1"))
	slow.Duration, slow.Checkpoints[0].Duration = 3*time.Second, 2*time.Second
	busy := build(nil, read("SELECT 1"))
	busy.Duration = 3 * time.Second
	loop := make([]record.Checkpoint, 20)
	for i := range loop {
		loop[i] = read("SELECT * FROM items WHERE id = ?")
	}
	inLoop := build(nil, loop...)
	for i := range inLoop.Checkpoints {
		inLoop.Checkpoints[i].Call.Line = 7
	}
	for rule, x := range map[string]*record.Execution{
		"shape.n-plus-one": inLoop, "shape.retry-storm": build(nil, failing, failing, failing), "slow.operation": slow, "slow.program": busy,
	} {
		if a := why.Explain(x, nil); len(a.Findings) != 1 || a.Findings[0].Rule != rule {
			t.Errorf("%s: found %+v", rule, a.Findings)
		}
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	op := func(shape, tx string) record.Checkpoint {
		return record.Checkpoint{Boundary: "sql", Shape: shape, Effect: record.EffectWrite, Transaction: tx}
	}
	lost := op("INSERT c", "")
	lost.State = record.StateInDoubt
	x := build(nil, op("BEGIN", "tx1"), op("INSERT a", "tx1"), op(record.ShapeCommit, "tx1"), op("BEGIN", "tx2"), op("INSERT b", "tx2"),
		op(record.ShapeRollback, "tx2"), lost, op("INSERT d", ""))
	got := why.Explain(x, nil).Changes
	want := []why.Change{{1, why.Committed, "sql INSERT a"}, {4, why.RolledBack, "sql INSERT b"}, {6, why.InDoubt, "sql INSERT c"}, {7, why.Committed, "sql INSERT d"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("changes:\n%+v, want\n%+v", got, want)
	}
}

func TestComparison(t *testing.T) {
	t.Parallel()
	good := build(nil, read("SELECT 1"), answered(200, "{}"))
	good.Input.Data = []byte(`{"method":"POST","header":{"Date":["1"]},"body":"{\"amount\":1}"}`)
	bad := build(app("card.example answered 502"), read("SELECT 1"), answered(502, "<html>"))
	bad.Input.Data = []byte(`{"method":"POST","header":{"Date":["2"]},"body":"{\"amount\":-1}"}`)
	c := why.Explain(bad, good).Compared
	if c.First == nil || c.First.Operation != 1 || c.First.What != "it answered 200 then, and answered 502 now" {
		t.Errorf("first change: %+v", c.First)
	}
	if len(c.Input) != 1 || c.Input[0].Path != "$.body.amount" {
		t.Errorf("inputs: %+v", c.Input)
	}
}

// TestSameRecordSameAnalysis is G-201.
func TestSameRecordSameAnalysis(t *testing.T) {
	t.Parallel()
	x := build(app("card.example answered 502"), read("SELECT 1"), answered(502, "<html>"), answered(503, ""))
	first, _ := json.Marshal(why.Explain(x, x))
	for range 100 {
		if again, _ := json.Marshal(why.Explain(x, x)); string(again) != string(first) {
			t.Fatalf("another analysis:\n%s\n%s", first, again)
		}
	}
}
