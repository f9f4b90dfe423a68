package record

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDecodeReturnsWhatWasAppended(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x := executions.Draw(t, "execution")
		data := Append([]byte("before"), x)
		got, err := Decode(data[len("before"):])
		if err != nil {
			t.Fatal(err)
		}
		if want := normal(x); !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %s\nwant %s", show(got), show(want))
		}
		if !bytes.Equal(Append(nil, got), data[len("before"):]) {
			t.Fatal("the same execution encodes to other bytes")
		}
	})
}

func TestDecodeSummaryReturnsWhatWasAppended(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := Summarize(normal(executions.Draw(t, "execution")))
		got, err := DecodeSummary(AppendSummary(nil, &want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v, %v\nwant %+v", got, err, want)
		}
	})
}

// A field of the model that the codec forgets would be lost without a sound.
func TestNoFieldIsForgotten(t *testing.T) {
	t.Parallel()
	want, wantSummary := new(Execution), new(Summary)
	fill(reflect.ValueOf(want).Elem())
	fill(reflect.ValueOf(wantSummary).Elem())
	if got, err := Decode(Append(nil, want)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %s, %v\nwant %s", show(got), err, show(want))
	}
	if got, err := DecodeSummary(AppendSummary(nil, wantSummary)); err != nil || !reflect.DeepEqual(&got, wantSummary) {
		t.Errorf("got  %s, %v\nwant %s", show(got), err, show(wantSummary))
	}
	fromJSON := new(Execution)
	if err := json.Unmarshal([]byte(show(want)), fromJSON); err != nil || !reflect.DeepEqual(fromJSON, want) {
		t.Errorf("got  %s, %v\nwant %s", show(fromJSON), err, show(want))
	}
}

// fill sets v and all that is in it to something.
func fill(v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(1, 2).UTC()))
		return
	case []byte:
		v.SetBytes([]byte("1"))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(-7)
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(7)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(1))
		fill(v.Index(0))
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"key": "value"}))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	default:
		panic("a kind of field that the test does not know: " + v.Type().String())
	}
}

func TestDecodeCheckpointReturnsWhatWasAppended(t *testing.T) {
	t.Parallel()
	want := &failedPayment().Checkpoints[2]
	got, err := DecodeCheckpoint(AppendCheckpoint(nil, want))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %s, %v\nwant %s", show(got), err, show(want))
	}
}

// The mark P10e: a request with 2 statements, 1 HTTP call and 5 lines of log, without bodies.
func TestTypicalExecutionTakesLittleRoom(t *testing.T) {
	t.Parallel()
	x := payment()
	data := Append(nil, x)
	summary := Summarize(x)
	t.Logf("%d bytes encoded, %d as JSON, summary %d", len(data), len(show(x)), len(AppendSummary(nil, &summary)))
	if len(data) > 1536 {
		t.Errorf("%d bytes, want at most 1,536", len(data))
	}
}

func TestDecodeSkipsFieldsOfLaterVersions(t *testing.T) {
	t.Parallel()
	type later struct {
		Execution
		number uint64
		text   string
		detail Frame
	}
	x := later{*payment(), 1 << 40, "new", Frame{Function: "f", Line: 1}}
	data := appendValue(nil, whatExecution, &x, func(c *coder, x *later) {
		c.execution(&x.Execution)
		unsigned(c, 1000, &x.number)
		text(c, 1001, &x.text)
		message(c, 1002, &x.detail, (*coder).frame)
	})
	got, err := Decode(data)
	if err != nil || !reflect.DeepEqual(got, &x.Execution) {
		t.Fatalf("got  %s, %v\nwant %s", show(got), err, show(&x.Execution))
	}
}

func TestDecodeSkipsLaterFieldsWithinStructures(t *testing.T) {
	t.Parallel()
	type later struct {
		LogLine
		color string
	}
	lines := []later{{payment().Logs[0], "red"}, {payment().Logs[1], "blue"}}
	data := appendValue(nil, whatExecution, &lines, func(c *coder, lines *[]later) {
		list(c, 26, lines, 1, func(c *coder, line *later) {
			c.logLine(&line.LogLine)
			text(c, 99, &line.color)
		})
	})
	got, err := Decode(data)
	if err != nil || !reflect.DeepEqual(got.Logs, payment().Logs[:2]) {
		t.Fatalf("got %s, %v", show(got), err)
	}
}

func TestDecodeTellsDamagedFromNewer(t *testing.T) {
	t.Parallel()
	sound := Append(nil, payment())
	changed := func(at int, b byte) []byte {
		data := bytes.Clone(sound[:len(sound)-checksumBytes])
		data[at] = b
		return sum(data)
	}
	summary := Summarize(payment())
	long := Append(nil, &Execution{Labels: map[string]string{"a": strings.Repeat("b", minZstdBytes)}})
	tests := map[string]struct {
		data []byte
		want error
	}{
		"empty":                 {nil, ErrCorrupt},
		"newer":                 {changed(0, formatVersion+1), ErrNewer},
		"version 0":             {changed(0, 0), ErrCorrupt},
		"summary":               {AppendSummary(nil, &summary), ErrCorrupt},
		"unknown compression":   {changed(2, 9), ErrCorrupt},
		"other length":          {changed(3, sound[3]^1), ErrCorrupt},
		"damaged":               {append(sound[:20:20], sound[21:]...), ErrCorrupt},
		"cut":                   {sound[:len(sound)-1], ErrCorrupt},
		"longer":                {append(bytes.Clone(sound), 0), ErrCorrupt},
		"damaged s2":            {changed(5, 0xff), ErrCorrupt},
		"damaged zstd":          {sum(long[:len(long)-7], 0xff, 0xff, 0xff), ErrCorrupt},
		"string past the table": {uncompressed(1, 1, 'a', 4<<kindBits|byte(kindText), byte(firstOwnPlace)+1), ErrCorrupt},
		"table past the end":    {uncompressed(3, 1, 'a'), ErrCorrupt},
		"other kind of field":   {uncompressed(0, 4<<kindBits|byte(kindNumber), 1), ErrCorrupt},
		"unknown kind":          {uncompressed(0, 60<<kindBits|3, 1), ErrCorrupt},
		"short id":              {uncompressed(0, 1<<kindBits|byte(kindBytes), 1, 1), ErrCorrupt},
		"half a field":          {uncompressed(0, 60<<kindBits|byte(kindNumber)), ErrCorrupt},
	}
	for at := range sound {
		damaged := bytes.Clone(sound)
		damaged[at] ^= 1
		if _, err := Decode(damaged); !errors.Is(err, ErrCorrupt) && at > 0 {
			t.Errorf("byte %d changed: got %v, want %v", at, err, ErrCorrupt)
		}
	}
	for name, test := range tests {
		if _, err := Decode(test.data); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

// uncompressed returns an execution with the given body.
func uncompressed(body ...byte) []byte {
	return sum([]byte{formatVersion, whatExecution, compressNone, byte(len(body))}, body...)
}

// A checkpoint takes two bytes at least, and in memory some hundred: damaged data must not fill the memory.
func TestDecodeRefusesMoreElementsThanFitTheBudget(t *testing.T) {
	t.Parallel()
	field := binary.AppendUvarint(nil, 25<<kindBits|uint64(kindBytes))
	body := append([]byte{0}, bytes.Repeat(append(field, 0), 1<<20)...)
	data := []byte{formatVersion, whatExecution, compressZstd}
	data = binary.AppendUvarint(data, uint64(len(body)))
	if _, err := Decode(sum(zstdEncoder().EncodeAll(body, data))); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("got %v, want %v", err, ErrCorrupt)
	}
}

func FuzzDecode(f *testing.F) {
	long := payment()
	long.Output.Data = bytes.Repeat([]byte("1"), 2*minZstdBytes)
	for _, x := range []*Execution{{}, payment(), failedPayment(), long} {
		data := Append(nil, x)
		f.Add(data[:len(data)-checksumBytes])
		f.Add(data[:len(data)/2])
		raw, err := open(data, whatExecution)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(binary.AppendUvarint([]byte{formatVersion, whatExecution, compressNone}, uint64(len(raw))), raw...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := Decode(sum(data))
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewer) {
				t.Fatalf("unnamed error %v", err)
			}
			return
		}
		again, err := Decode(Append(nil, x))
		if err != nil || !reflect.DeepEqual(again, normal(x)) {
			t.Fatalf("got  %s, %v\nwant %s", show(again), err, show(x))
		}
		Summarize(x)
	})
}

func FuzzDecodeSummary(f *testing.F) {
	for _, x := range []*Execution{{}, payment(), failedPayment()} {
		s := Summarize(x)
		data := AppendSummary(nil, &s)
		f.Add(data[:len(data)-checksumBytes])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := DecodeSummary(sum(data))
		if err != nil {
			return
		}
		again, err := DecodeSummary(AppendSummary(nil, &s))
		if err != nil || !reflect.DeepEqual(again, s) {
			t.Fatalf("got  %+v, %v\nwant %+v", again, err, s)
		}
	})
}

func TestExecutionSurvivesJSON(t *testing.T) {
	t.Parallel()
	for _, want := range []*Execution{payment(), failedPayment()} {
		got := new(Execution)
		if err := json.Unmarshal([]byte(show(want)), got); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %s, %v\nwant %s", show(got), err, show(want))
		}
	}
}

func TestPayloadShowsItsDataInJSON(t *testing.T) {
	t.Parallel()
	tests := map[string]Payload{
		`{}`:                          {},
		`{"data":null}`:               {Data: []byte("null")},
		`{"data":{"a":[1,"x"]}}`:      {Data: []byte(`{"a":[1,"x"]}`)},
		`{"data":1,"truncated":true}`: {Data: []byte("1"), Truncated: true},
		`{"base64":"ew=="}`:           {Data: []byte("{")},
	}
	for want, p := range tests {
		data, err := json.Marshal(p)
		if err != nil || string(data) != want {
			t.Errorf("got %s, %v, want %s", data, err, want)
		}
		var again Payload
		if err := json.Unmarshal(data, &again); err != nil || !reflect.DeepEqual(again, p) {
			t.Errorf("%s: got %+v, %v, want %+v", want, again, err, p)
		}
	}
}

func show(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// normal returns a copy without what is not kept: the difference between empty and nil.
func normal(x *Execution) *Execution {
	out := new(Execution)
	reflect.ValueOf(out).Elem().Set(withoutEmpty(reflect.ValueOf(*x)))
	return out
}

func withoutEmpty(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		if v.Len() == 0 {
			return out
		}
	case reflect.Pointer:
		if !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(withoutEmpty(v.Elem()))
		}
		return out
	}
	switch v.Kind() {
	case reflect.Slice:
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			out.Index(i).Set(withoutEmpty(v.Index(i)))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return v
		}
		for i := range v.NumField() {
			out.Field(i).Set(withoutEmpty(v.Field(i)))
		}
	default:
		out.Set(v)
	}
	return out
}

// executions are executions with anything in their fields.
var executions = rapid.Custom(func(t *rapid.T) *Execution {
	x := new(Execution)
	draw(t, &x.ID, &x.Parent, &x.Root)
	draw(t, &x.Relation)
	draw(t, &x.From, &x.RequestID, &x.Service, &x.Instance, &x.Environment, &x.Kept)
	draw(t, &x.Attempt, &x.HTTPStatus)
	draw(t, &x.Code)
	draw(t, &x.Labels)
	draw(t, &x.Trigger)
	draw(t, &x.Input, &x.Output)
	draw(t, &x.Duration)
	draw(t, &x.Status)
	draw(t, &x.Error)
	draw(t, &x.Replayable)
	draw(t, &x.Redaction)
	draw(t, &x.Dropped)
	draw(t, &x.Checkpoints)
	draw(t, &x.Logs)
	draw(t, &x.Sources)
	draw(t, &x.Links)
	if rapid.Bool().Draw(t, "has a start") {
		x.Start = time.Unix(0, rapid.Int64().Draw(t, "start")).UTC()
	}
	if rapid.Bool().Draw(t, "is large") { // so that it is compressed
		x.Logs = append(x.Logs, slices.Repeat([]LogLine{{Message: "again and again"}}, rapid.SampledFrom([]int{50, 5000}).Draw(t, "lines"))...)
	}
	return x
})

func draw[T any](t *rapid.T, fields ...*T) {
	for _, field := range fields {
		*field = rapid.Make[T]().Draw(t, "field")
	}
}

func TestLargestExecutionIsReadBack(t *testing.T) {
	t.Parallel()
	x := payment()
	x.Output.Data = make([]byte, MaxBytes-4096)
	rand.NewChaCha8([32]byte{}).Read(x.Output.Data)
	got, err := Decode(Append(nil, x))
	if err != nil || !bytes.Equal(got.Output.Data, x.Output.Data) {
		t.Fatalf("%v", err)
	}
	x.Output.Data = append(x.Output.Data, make([]byte, 4096)...)
	if _, err := Decode(Append(nil, x)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v for one that is too large, want %v", err, ErrCorrupt)
	}
}
