package execution

import (
	"bytes"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flux-go/flux/execution/record"
)

// Values of database/sql in JSON. What a driver gives must come out of a record as it went in, so types that JSON has not are
// objects with one name for each, and numbers with a point or an exponent are float64:
//
//	nil null   bool true   int64 5   uint64 {"uint":5}   float64 5.0, {"float":"NaN"}   float32 {"float32":"0.1"}
//	string "a", {"string":{"base64":"…"}}
//	[]byte {"bytes":"text"}, {"bytes":{"base64":"…"}}   time.Time {"time":"2026-11-22T10:00:00Z","zone":"UTC"}
//	others {"go":"pq.StringArray","value":…}

// appendValue appends the JSON of a value.
func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case uint64:
		return fmt.Appendf(b, `{"uint":%d}`, v)
	case float64:
		return appendFloat(b, v)
	case float32:
		return append(strconv.AppendFloat(append(b, `{"float32":"`...), float64(v), 'g', -1, 32), `"}`...)
	case string:
		return appendString(b, v)
	case []byte:
		return append(append(append(b, `{"bytes":`...), marshal(record.NewBody(v, len(v)))...), '}')
	case time.Time:
		return append(b, marshal(newTimeJSON(v))...)
	case foreign:
		return append(b, marshal(v)...)
	}
	return append(b, marshal(newForeign(v))...)
}

func appendString(b []byte, s string) []byte {
	switch {
	case isPlain(s):
		return append(append(append(b, '"'), s...), '"')
	case utf8.ValidString(s):
		return append(b, marshal(s)...)
	}
	return append(append(append(b, `{"string":`...), marshal(record.NewBody([]byte(s), len(s)))...), '}')
}

// isPlain says that a text is in JSON what it is.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func appendFloat(b []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Appendf(b, `{"float":"%v"}`, f)
	}
	from := len(b)
	b = strconv.AppendFloat(b, f, 'g', -1, 64)
	if !bytes.ContainsAny(b[from:], ".e") {
		b = append(b, ".0"...)
	}
	return b
}

// foreign is a value of a type that only its driver knows.
type foreign struct {
	Type  string          `json:"go"`
	Value json.RawMessage `json:"value"`
}

func newForeign(v any) foreign { return foreign{fmt.Sprintf("%T", v), marshal(v)} }

// timeJSON is a time with what else makes two values of it equal: its location.
type timeJSON struct {
	Time   string    `json:"time,omitempty"`
	Unix   *[2]int64 `json:"unix,omitempty"`   // s and ns, for years that have no text
	Zone   string    `json:"zone"`             // name of the location: "UTC", "Local", "Europe/Berlin", "" for a fixed one without name
	Offset int       `json:"offset,omitempty"` // s east of UTC, when the text does not say it exactly
}

func newTimeJSON(t time.Time) timeJSON {
	j := timeJSON{Zone: t.Location().String()}
	_, offset := t.Zone()
	if year := t.Year(); year < 0 || year > 9999 {
		j.Unix, j.Offset = &[2]int64{t.Unix(), int64(t.Nanosecond())}, offset
	} else if offset%60 != 0 {
		j.Time, j.Offset = t.UTC().Format(time.RFC3339Nano), offset
	} else {
		j.Time = t.Format(time.RFC3339Nano)
	}
	return j
}

func (j timeJSON) decode() (t time.Time, err error) {
	offset := j.Offset
	if j.Unix != nil {
		t = time.Unix(j.Unix[0], j.Unix[1])
	} else if t, err = time.Parse(time.RFC3339Nano, j.Time); err != nil {
		return t, err
	} else if offset == 0 {
		_, offset = t.Zone()
	}
	return inZone(t, j.Zone, offset), nil
}

// inZone returns the time in the location it was in or, where this machine does not have that, in one that shows the same.
func inZone(t time.Time, zone string, offset int) time.Time {
	if zone == "UTC" {
		return t.UTC()
	}
	if at, err := time.LoadLocation(zone); err == nil && zone != "" {
		if _, here := t.In(at).Zone(); here == offset {
			return t.In(at)
		}
	}
	return t.In(time.FixedZone(zone, offset))
}

// decodeValue reads what appendValue wrote. Values of foreign types become what their JSON is, for their types are not known.
func decodeValue(data []byte) (driver.Value, error) {
	if len(data) == 0 {
		return nil, fmt.Errorf("%w: the record lacks a value", ErrDiverged)
	}
	switch data[0] {
	case 'n':
		return nil, nil
	case 't', 'f':
		return data[0] == 't', nil
	case '"':
		var text string
		err := json.Unmarshal(data, &text)
		return text, err
	case '{':
		return decodeObject(data)
	}
	return decodeNumber(string(data))
}

func decodeNumber(text string) (driver.Value, error) {
	if strings.ContainsAny(text, ".eE") {
		return strconv.ParseFloat(text, 64)
	}
	return strconv.ParseInt(text, 10, 64)
}

func decodeObject(data []byte) (driver.Value, error) {
	var o struct {
		Uint    *uint64         `json:"uint"`
		Float   *string         `json:"float"`
		Float32 *string         `json:"float32"`
		String  *record.Body    `json:"string"`
		Bytes   *record.Body    `json:"bytes"`
		Value   json.RawMessage `json:"value"`
		timeJSON
	}
	if err := json.Unmarshal(data, &o); err != nil {
		return nil, err
	}
	switch {
	case o.Uint != nil:
		return *o.Uint, nil
	case o.Float != nil:
		return strconv.ParseFloat(*o.Float, 64)
	case o.Float32 != nil:
		f, err := strconv.ParseFloat(*o.Float32, 32)
		return float32(f), err
	case o.String != nil:
		return string(o.String.Data), nil
	case o.Bytes != nil:
		return append([]byte{}, o.Bytes.Data...), nil
	case o.Value != nil:
		var v any
		err := json.Unmarshal(o.Value, &v)
		return v, err
	}
	return o.decode()
}

// sqlArg is an argument of a statement as the program gave it, not as its driver wants it: a replay has no driver to ask.
type sqlArg struct {
	name  string
	value any // nil, bool, int64, uint64, float64, string, []byte, time.Time, foreign
}

// newSQLRequest copies arguments, for the program may change what they point to.
func newSQLRequest(query string, args []driver.NamedValue) *sqlRequest {
	own := &struct {
		sqlRequest
		room [2]sqlArg
	}{sqlRequest: sqlRequest{SQL: query}}
	if len(args) == 0 {
		return &own.sqlRequest
	}
	own.Args = own.room[:0]
	for i := range args {
		own.Args = append(own.Args, sqlArg{args[i].Name, plainValue(args[i].Value)})
	}
	return &own.sqlRequest
}

// MarshalJSON implements json.Marshaler.
func (a sqlArg) MarshalJSON() ([]byte, error) { return a.appendJSON(nil), nil }

func (a *sqlArg) appendJSON(b []byte) []byte {
	b = appendTextMember(append(b, '{'), "name", a.name)
	b = appendText(appendMember(b, "type"), typeName(a.value))
	b = appendMember(b, "value")
	switch v := a.value.(type) {
	case []byte:
		b = append(b, marshal(record.NewBody(v, len(v)))...)
	case time.Time:
		b = append(b, marshal(v.Format(time.RFC3339Nano))...)
	case foreign:
		b = append(b, v.Value...)
	default:
		b = appendValue(b, v)
	}
	return append(b, '}')
}

func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case []byte:
		return "bytes"
	case time.Time:
		return "time"
	case foreign:
		return v.Type
	case int64:
		return "int64"
	case string:
		return "string"
	}
	return fmt.Sprintf("%T", v)
}
