package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flux-go/flux/execution/record"
)

// chargeFailed is a payment whose provider answered with an error page after the row was committed.
func chargeFailed() *record.Execution {
	frame := record.Frame{Function: "main.charge", File: "charge.go", Line: 88}
	op := func(n uint32, boundary, target, shape, tx string, effect record.Effect, response string) record.Checkpoint {
		return record.Checkpoint{
			Number: n, Finished: n + 1, Lane: "root", Boundary: boundary, Target: target, Shape: shape, Transaction: tx, Effect: effect,
			State: record.StateDone, Start: time.Duration(n) * 10 * time.Millisecond, Duration: 9 * time.Millisecond,
			Response: record.Payload{Data: []byte(response)}, Call: frame,
		}
	}
	x := &record.Execution{
		ID: record.ID{0x7f, 0x3a, 1, 2}, Service: "payments", Code: record.Code{Version: "1.8.2", Commit: "a1b2c3d4e5f6"},
		Trigger: record.Trigger{Kind: record.TriggerHTTP, Method: "POST", Path: "/charge"}, Start: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		Duration: 50 * time.Millisecond, Status: record.StatusError, HTTPStatus: 500,
		Error: &record.Error{
			Class: record.ClassApp, Message: "invalid character '<' looking for beginning of value \x1b[31m", Frames: []record.Frame{frame},
		},
		Checkpoints: []record.Checkpoint{
			op(0, "sql", "postgres://db", "BEGIN", "tx1", record.EffectWrite, `{}`),
			op(1, "sql", "postgres://db", "INSERT INTO payments", "tx1", record.EffectWrite, `{"rowsAffected":1}`),
			op(2, "sql", "postgres://db", "COMMIT", "tx1", record.EffectWrite, `{}`),
			op(3, "http", "https://card.example", "POST /v1", "", record.EffectWrite, `{"status":502,"body":"<html>"}`),
		},
		Logs: []record.LogLine{{After: 3, Lane: "root", Level: 4, Message: "slow card", Attrs: record.Payload{Data: []byte(`{"n":1}`)}}},
	}
	x.Checkpoints[3].Failure = true
	return x
}

// runFlux runs the command line and returns what it wrote to stdout.
func runFlux(t *testing.T, code int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if got := Run(t.Context(), args, strings.NewReader(""), &out, &errs); got != code {
		t.Fatalf("flux %s: exit code %d, not %d\n%s%s", strings.Join(args, " "), got, code, &out, &errs)
	}
	return out.String()
}

func recordingFile(t *testing.T, x *record.Execution) string {
	t.Helper()
	var data bytes.Buffer
	if err := record.WriteBundle(&data, &record.Bundle{Execution: x}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "run.fluxrec")
	if err := os.WriteFile(path, data.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhyAndTraceTellWhatPeopleNeed(t *testing.T) {
	t.Parallel()
	file := recordingFile(t, chargeFailed())
	for _, test := range []struct {
		args []string
		want []string
	}{
		{[]string{"why", file}, []string{
			"POST /charge  ✗ error 500  50ms  7f3a0102  payments 1.8.2 (a1b2c3d)", "card.example answered 502", "op 3 · http · charge.go:88 main.charge",
			"op 1 sql postgres://db INSERT INTO payments  committed", "flux replay " + file + " -- go run .",
		}},
		{[]string{"trace", file}, []string{"invalid character '<'", "sql INSERT INTO payments → 1 row affected  [tx1]", "→ 502", "WARN  slow card n=1", "next flux why"}},
		{[]string{"trace", file, "--op", "3"}, []string{"charge.go:88", `"status": 502`}},
		{[]string{"why", file, "--json"}, []string{`"rule":"http.bad-gateway"`, `"state":"committed"`}},
		{[]string{"trace", file, "--json"}, []string{`"id":"7f3a0102-0000-0000-0000-000000000000"`}},
	} {
		out := runFlux(t, exitDone, test.args...)
		for _, want := range test.want {
			if !strings.Contains(out, want) {
				t.Errorf("flux %s does not say %q:\n%s", strings.Join(test.args, " "), want, out)
			}
		}
		if strings.Contains(out, "\x1b") {
			t.Errorf("flux %s hands the terminal what a record says:\n%q", strings.Join(test.args, " "), out)
		}
	}
}

func TestTraceDiffJudges(t *testing.T) {
	t.Parallel()
	bad, good := chargeFailed(), chargeFailed()
	good.Status, good.HTTPStatus, good.Error, good.Checkpoints[3].Failure = record.StatusOK, 201, nil, false
	a, b := recordingFile(t, bad), recordingFile(t, good)
	if out := runFlux(t, exitDone, "trace", "diff", a, b); !strings.HasPrefix(out, "FIXED") {
		t.Errorf("from bad to good: %s", out)
	}
	if out := runFlux(t, 2, "trace", "diff", b, a); !strings.HasPrefix(out, "REGRESSED") {
		t.Errorf("from good to bad: %s", out)
	}
	runFlux(t, exitUsage, "trace", "diff", a)
}
