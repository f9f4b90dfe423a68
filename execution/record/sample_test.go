package record

import (
	"crypto/sha256"
	"time"
)

// payment returns an execution as services have them all day: two statements, a call of another service and five lines of
// log, without bodies.
func payment() *Execution {
	hash := func(s string) Hash { return sha256.Sum256([]byte(s)) }
	data := func(s string) Payload { return Payload{Data: []byte(s)} }
	place := func(function string, line int) Frame {
		return Frame{"example.com/payments/internal/charge.(*Service)." + function, "internal/charge/service.go", line}
	}
	return &Execution{
		ID:        ID{0x5e, 0x0f, 0x31, 0x77, 0x12, 0xa9, 0x4c, 0x15, 0x9a, 0x7e, 0xd1, 0x42, 0x6b, 0x90, 0x8c, 0x33},
		RequestID: "0c9be3f9-7a41-4d7f-8a4e-3d1f5b2c6e70", Attempt: 1,
		Service: "payments", Instance: "payments-7d9f8b6c5-x2x4q/1/1764000000", Environment: "production",
		Code: Code{
			"example.com/payments", "example.com/payments/cmd/api", "v1.14.2",
			"9f3c2e1d4b5a69788796a5b4c3d2e1f001122334", false, "go1.26.8",
		},
		Trigger: Trigger{
			TriggerHTTP, "POST", "POST /accounts/{account}/charges", "/accounts/acc_81723/charges", "",
			"10.12.4.81:53122", "10.12.7.19:8080", "",
		},
		Input: data(`{"header":{"Accept":["application/json"],"Content-Length":["64"],"Content-Type":["application/json"],` +
			`"User-Agent":["checkout/3.2"],"X-Request-Id":["0c9be3f9-7a41-4d7f-8a4e-3d1f5b2c6e70"]}}`),
		Output: data(`{"header":{"Content-Type":["application/json"]},"status":201}`),
		Start:  time.Date(2026, 11, 22, 10, 5, 26, 123456789, time.UTC), Duration: 18_345_678,
		Status: StatusOK, HTTPStatus: 201, Replayable: Replayable{Level: ReplayFull}, Kept: "sampled",
		Redaction: Redaction{Rules: "c0ffee5a17b4d3e2", Count: 2},
		Checkpoints: []Checkpoint{
			{
				Number: 0, Finished: 1, Lane: "root", Boundary: "postgres", Target: "db.internal:5432/payments",
				Shape: "select id, status, balance from accounts where id = ?", Hash: hash("select"),
				Start: 412_331, Duration: 2_733_118, State: StateDone, Effect: EffectRead,
				Request:  data(`{"args":["acc_81723"]}`),
				Response: data(`{"columns":["id","status","balance"],"rows":[["acc_81723","open",120050]],"tag":"SELECT 1"}`),
				Call:     place("account", 88),
			},
			{
				Number: 1, Finished: 2, Lane: "root", Boundary: "http", Target: "https://api.provider.example",
				Shape: "POST /v1/charges", Hash: hash("http"), Start: 3_422_019, Duration: 11_208_554, State: StateDone,
				Effect: EffectWrite, Request: data(`{"header":{"Content-Type":["application/json"]}}`),
				Response:       data(`{"status":200,"header":{"Content-Type":["application/json"]}}`),
				IdempotencyKey: "ch_0c9be3f97a41", Call: place("provider", 131),
			},
			{
				Number: 2, Finished: 3, Lane: "root", Boundary: "postgres", Target: "db.internal:5432/payments",
				Shape: "insert into charges (id, account, amount, provider_id) values (?)", Hash: hash("insert"),
				Start: 14_811_902, Duration: 2_918_403, State: StateDone, Effect: EffectWrite,
				Request:  data(`{"args":["ch_0c9be3f97a41","acc_81723",4999,"pr_5521"]}`),
				Response: data(`{"tag":"INSERT 0 1"}`), Transaction: "tx1", Call: place("store", 164),
			},
		},
		Logs: []LogLine{
			{0, "root", 101_220, 0, "charge requested", data(`{"account":"acc_81723","amount":4999}`), place("Charge", 41)},
			{1, "root", 3_201_733, 0, "account loaded", data(`{"balance":120050}`), place("Charge", 52)},
			{1, "root", 3_388_120, -4, "calling provider", data(`{"key":"ch_0c9be3f97a41"}`), place("provider", 127)},
			{2, "root", 14_702_338, 0, "provider accepted", data(`{"provider_id":"pr_5521"}`), place("Charge", 63)},
			{3, "root", 18_011_954, 0, "charge stored", data(`{"charge":"ch_0c9be3f97a41"}`), place("Charge", 71)},
		},
		Sources: []Source{
			{SourceClock, "root", "", []byte{0xb0, 0x8d, 0x0c, 0xe2, 0x95, 0xd1, 0x0d}},
			{SourceRandom, "root", "", hash("seed").bytes()},
		},
	}
}

// failedPayment returns one that failed, with all there can be.
func failedPayment() *Execution {
	x := payment()
	x.Parent, x.Root, x.Relation, x.From = ID{1, 2}, ID{3, 4}, RelationResume, "root/postgres#2"
	x.Labels = map[string]string{"tenant": "t1", "region": "eu"}
	x.Status, x.HTTPStatus, x.Code.Dirty = StatusError, 500, true
	x.Input.Truncated = true
	unique := &Error{
		Class: ClassDriver, Message: `duplicate key value violates unique constraint "charges_pkey"`, Type: "*pgconn.PgError",
		Code: "23505", Timeout: true, Temp: true,
		Detail: Payload{Data: []byte(`{"constraint":"charges_pkey"}`)},
	}
	last := &x.Checkpoints[2]
	last.State, last.Error, last.Response, last.Nth, last.Provenance = StateFailed, unique, Payload{}, 1, ProvenanceProbed
	last.Links = []Link{{LinkEffect, ID{}, "event", 1 << 50, "m-1"}}
	x.Error = &Error{
		Class: ClassApp, Message: "store charge ch_0c9be3f97a41: " + unique.Message, Type: "*fmt.wrapError",
		Chain: []ErrorPart{{"*pgconn.PgError", unique.Message}}, Stack: "goroutine 1 [running]:",
		Frames: []Frame{last.Call, {"example.com/payments/internal/charge.(*Service).Charge", "internal/charge/service.go", 68}},
	}
	x.Replayable = Replayable{ReplayPartial, []string{"a body was shortened", ""}}
	x.Dropped = Dropped{1, 2, 3}
	x.Notes = []Note{{"root", 7, "tier", Payload{Data: []byte(`"gold"`)}}}
	x.Volatile, x.Boot = []string{"$.body.time"}, ID{5, 6}
	x.Checkpoints[1].Failure = true
	x.Links = []Link{{LinkCause, ID{9}, "command", 7, "m-0"}, last.Links[0]}
	return x
}

func (h Hash) bytes() []byte { return h[:] }
