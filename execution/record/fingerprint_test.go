package record

import "testing"

func TestMaskHidesValues(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"order 1009 not found":                                 "order ? not found",
		`duplicate key value "charges_pkey"`:                   "duplicate key value ?",
		"user 'o''brien' has no account":                       "user ? has no account",
		"can't open: don't know how":                           "can't open: don't know how",
		"id 0c9be3f9-7a41-4d7f-8a4e-3d1f5b2c6e70 is gone":      "id ? is gone",
		"id aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee is gone":      "id ? is gone",
		"commit deadbeefcafe":                                  "commit ?",
		"a facade made of beef":                                "a facade made of beef",
		"dial tcp 10.0.0.1:5432: connect: connection refused":  "dial tcp ?: connect: connection refused",
		"took 1.5s since 2026-11-22T10:05:26.123Z":             "took ? since ?",
		"took 2s since 2025-01-02T00:00:00Z":                   "took ? since ?",
		"missing ids [1, 2, 17]":                               "missing ids [?]",
		"no value for `amount_7`":                              "no value for ?",
		"charge ch_0c9be3f97a41: " + `say \"hi\"`:              `charge ?: say \"hi\"`,
		"example.com/app/v2.(*Service).Charge.func2.1":         "example.com/app/?.(*Service).Charge.?",
		"select * from orders where id = ? and state = 'open'": "select * from orders where id = ? and state = ?",
	}
	for message, want := range tests {
		if got := Mask(message); got != want {
			t.Errorf("%q: got %q, want %q", message, got, want)
		}
	}
}

func TestFingerprintIsTheSameForTheSameCause(t *testing.T) {
	t.Parallel()
	same := map[string]func(x *Execution){
		"another execution": func(x *Execution) { x.ID, x.Start, x.Instance = NewID(), x.Start.Add(1), "other" },
		"moved lines":       func(x *Execution) { x.Error.Frames[0].Line++; x.Checkpoints[2].Call.Line += 7 },
		"other values": func(x *Execution) {
			x.Error.Message = "store charge ch_77: " + x.Checkpoints[2].Error.Message
		},
		"another closure":  func(x *Execution) { x.Error.Frames[0].Function += ".func1" },
		"a harmless error": func(x *Execution) { x.Checkpoints[0].Error = &Error{Message: "cache miss"} },
	}
	base := failedPayment()
	base.Error.Frames[0].Function += ".func3"
	want := Fingerprint(base)
	if len(want) != 16 {
		t.Fatalf("fingerprint %q", want)
	}
	for name, change := range same {
		x := failedPayment()
		change(x)
		if name != "another closure" {
			x.Error.Frames[0].Function += ".func3"
		}
		if got := Fingerprint(x); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestFingerprintTellsCausesApart(t *testing.T) {
	t.Parallel()
	changes := map[string]func(x *Execution){
		"nothing":           func(*Execution) {},
		"class":             func(x *Execution) { x.Error.Class = ClassDeadline },
		"type":              func(x *Execution) { x.Error.Type = "*app.Error" },
		"code":              func(x *Execution) { x.Error.Code = "40001" },
		"message":           func(x *Execution) { x.Error.Message = "no funds" },
		"function":          func(x *Execution) { x.Error.Frames[0].Function = "main.other" },
		"shape":             func(x *Execution) { x.Checkpoints[2].Shape = "delete from charges" },
		"boundary":          func(x *Execution) { x.Checkpoints[2].Boundary = "sql" },
		"status":            func(x *Execution) { x.Status = StatusTimeout },
		"no error":          func(x *Execution) { x.Error = nil },
		"no error, route":   func(x *Execution) { x.Error, x.Trigger.Route = nil, "GET /" },
		"no error, no call": func(x *Execution) { x.Error, x.Checkpoints = nil, x.Checkpoints[:1] },
		"in doubt":          func(x *Execution) { x.Error, x.Checkpoints[1].State = nil, StateInDoubt },
	}
	seen := map[string]string{}
	for name, change := range changes {
		x := failedPayment()
		change(x)
		got := Fingerprint(x)
		if other, ok := seen[got]; ok {
			t.Errorf("%s and %s have the same fingerprint", name, other)
		}
		seen[got] = name
	}
	if got := Fingerprint(payment()); got != "" {
		t.Errorf("fingerprint %s of a success", got)
	}
}
