package cli

import (
	"os"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/flux-go/flux/execution/record"
)

// recordingStart is when the executions of scripts started, a minute after each other.
var recordingStart = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// recordings are the executions of scripts, by the name of their file.
var recordings = map[string]*record.Bundle{
	"fine":     {Execution: recordingOf(0xf1, 0, record.Trigger{Kind: record.TriggerHTTP, Method: "GET", Path: "/health", Route: "/health"}, nil)},
	"slow":     {Execution: slowRecording()},
	"declined": {Execution: declinedRecording(0xd1, 2), Boot: recordingOf(0xb0, 3, record.Trigger{Kind: record.TriggerBoot}, nil)},
	"again":    {Execution: declinedRecording(0xd2, 4)},
	"later":    {Execution: declinedRecording(0xd3, 60*24*365*70)}, // after any time at which a script runs
	"crashed": {Execution: recordingOf(0xc1, 5, record.Trigger{Kind: record.TriggerMessage, Method: "shop.OrderPlaced", Path: "event"}, func(x *record.Execution) {
		x.Status, x.Service, x.HTTPStatus = record.StatusCrashed, "stock", 0
		x.Checkpoints = []record.Checkpoint{{Lane: "root", Boundary: "sql", Target: "db", Shape: "insert", State: record.StateInDoubt, Effect: record.EffectWrite}}
	})},
}

func recordingOf(id byte, minutes int, trigger record.Trigger, change func(*record.Execution)) *record.Execution {
	x := &record.Execution{
		ID: record.ID{0: id, 1: id, 6: 0x40, 8: 0x80}, Service: "payments", Trigger: trigger, Status: record.StatusOK, HTTPStatus: 200,
		Start: recordingStart.Add(time.Duration(minutes) * time.Minute), Duration: 2 * time.Millisecond, RequestID: string("r-" + trigger.Kind),
	}
	if trigger.Kind == record.TriggerBoot {
		x.HTTPStatus, x.RequestID = 0, ""
	}
	if change != nil {
		change(x)
	}
	return x
}

func slowRecording() *record.Execution {
	return recordingOf(0x51, 1, record.Trigger{Kind: record.TriggerHTTP, Method: "POST", Path: "/orders", Route: "POST /orders"}, func(x *record.Execution) {
		x.Duration, x.Service = 900*time.Millisecond, "shop"
		x.Input = record.Payload{Data: []byte(`{"body":"{\"orderId\":1009,\"gift\":true}"}`)}
	})
}

func declinedRecording(id byte, minutes int) *record.Execution {
	trigger := record.Trigger{Kind: record.TriggerHTTP, Method: "POST", Path: "/charges/7", Route: "POST /charges/{id}"}
	return recordingOf(id, minutes, trigger, func(x *record.Execution) {
		x.Status, x.HTTPStatus, x.Duration, x.Boot = record.StatusError, 502, 41*time.Millisecond, record.ID{0: 0xb0, 1: 0xb0, 6: 0x40, 8: 0x80}
		x.Error = &record.Error{
			Class: record.ClassApp, Message: "card declined by provider", Type: "*payments.Declined",
			Frames: []record.Frame{{Function: "payments.Charge", File: "payments/charge.go", Line: 41}},
		}
		x.Logs = []record.LogLine{{Lane: "root", Message: "charging", Level: 0}}
	})
}

// recordingsScript writes each of the recordings to a file NAME.fluxrec.
func recordingsScript(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: recordings")
	}
	for name, bundle := range recordings {
		file, err := os.Create(filepath.Join(ts.MkAbs("."), name+".fluxrec"))
		ts.Check(err)
		ts.Check(record.WriteBundle(file, bundle))
		ts.Check(file.Close())
	}
}
