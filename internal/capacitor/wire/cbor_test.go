package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// cborVectors are examples of appendix A of RFC 8949, as the text of the value.
var cborVectors = []struct{ bytes, text string }{
	{"00", "0"},
	{"01", "1"},
	{"0a", "10"},
	{"17", "23"},
	{"1818", "24"},
	{"1819", "25"},
	{"1864", "100"},
	{"1903e8", "1000"},
	{"1a000f4240", "1000000"},
	{"1b000000e8d4a51000", "1000000000000"},
	{"20", "-1"},
	{"29", "-10"},
	{"3863", "-100"},
	{"3903e7", "-1000"},
	{"f90000", "0"},
	{"f93c00", "1"},
	{"fb3ff199999999999a", "1.1"},
	{"f93e00", "1.5"},
	{"f97bff", "65504"},
	{"fa47c35000", "100000"},
	{"fa7f7fffff", "3.4028234663852886e+38"},
	{"fb7e37e43c8800759c", "1e+300"},
	{"f90001", "5.960464477539063e-08"},
	{"f90400", "6.103515625e-05"},
	{"f9c400", "-4"},
	{"fbc010666666666666", "-4.1"},
	{"f97c00", "+Inf"},
	{"f97e00", "NaN"},
	{"f9fc00", "-Inf"},
	{"f4", "false"},
	{"f5", "true"},
	{"60", ""},
	{"6161", "a"},
	{"6449455446", "IETF"},
	{"62225c", `"\`},
	{"62c3bc", "ü"},
	{"64f0908591", "\U00010151"},
	{"7f657374726561646d696e67ff", "streaming"},
	{"c074323031332d30332d32315432303a30343a30305a", "2013-03-21T20:04:00Z"},
	{"c11a514b67b0", "1363896240"},
}

func TestCBORIsReadAsDescribed(t *testing.T) {
	t.Parallel()
	for _, v := range cborVectors {
		r := newReader(CBOR, unhex(t, v.bytes), names{})
		text, ok := r.scalar("text")
		if r.end(); !ok || string(text) != v.text || r.err != nil {
			t.Errorf("%s: %q %v %v, want %q", v.bytes, text, ok, r.err, v.text)
		}
		if skipped := newReader(CBOR, unhex(t, v.bytes), names{}); true {
			skipped.skip()
			if skipped.end(); skipped.err != nil {
				t.Errorf("%s: %v", v.bytes, skipped.err)
			}
		}
	}
	for _, bad := range []string{
		"", "18", "1c", "1f", "3f", "62", "6161ff", "7f61ff", "7f4161ff", "5f", "9f", "81", "bf", "bf00", "a1", "a1616100ff", "ff", "d81900",
		"9b7fffffffffffffff", "5bffffffffffffffff", strings.Repeat("81", maxDepth+2) + "00",
	} {
		r := newReader(CBOR, unhex(t, bad), names{})
		r.skip()
		if r.end(); r.err == nil {
			t.Errorf("%s is not CBOR that is taken", bad)
		}
	}
}

func TestIntegersOfCBORHaveTheirRange(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		bytes string
		bits  int
		want  int64
		ok    bool
	}{
		{"1b7fffffffffffffff", 64, math.MaxInt64, true},
		{"3b7fffffffffffffff", 64, math.MinInt64, true},
		{"1b8000000000000000", 64, 0, false},
		{"3b8000000000000000", 64, 0, false},
		{"1a7fffffff", 32, math.MaxInt32, true},
		{"1a80000000", 32, 0, false},
		{"3a7fffffff", 32, math.MinInt32, true},
		{"f93e00", 32, 1, true},
		{"fb7e37e43c8800759c", 64, 0, false},
		{"623132", 32, 12, true},
		{"6161", 32, 0, false},
		{"f6", 32, 0, false},
		{"80", 32, 0, false},
	} {
		r := newReader(CBOR, unhex(t, test.bytes), names{})
		n, ok := r.integer(test.bits)
		if n != test.want || ok != test.ok || r.err != nil || (r.bad == nil) != (ok || test.bytes == "f6") {
			t.Errorf("%s: got %d %v %v %v", test.bytes, n, ok, r.err, r.bad)
		}
	}
}

// A request means the same in JSON and in CBOR, whether lengths are given or not.
func TestRequestsMeanTheSameInCBOR(t *testing.T) {
	t.Parallel()
	compared := 0
	for _, line := range requestLines(t) {
		value, err := parseJSON(line)
		if err != nil || strings.Contains(line, `"o":{"x"`) {
			continue // only JSON has a text for an object in metadata
		}
		inJSON, err := new(Decoder).Requests([]byte(line))
		if err != nil || slices.ContainsFunc(inJSON, func(r Request) bool { return BaseOf(r).Err != nil }) {
			continue
		}
		for _, indefinite := range []bool{false, true} {
			decoder := Decoder{Format: CBOR}
			inCBOR, err := decoder.Requests(toCBOR(value, indefinite))
			if err != nil || len(inCBOR) != len(inJSON) {
				t.Fatalf("%s: %d requests, %v", line, len(inCBOR), err)
			}
			for i := range inJSON {
				if want, got := show(t, inJSON[i]), show(t, inCBOR[i]); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				compared++
			}
		}
	}
	if compared < 60 {
		t.Errorf("only %d requests were compared", compared)
	}
}

// What the library of the clients writes is read as what it was written from.
func TestCBORAsClientsWriteItIsRead(t *testing.T) {
	t.Parallel()
	lines := frames(t, "testdata/cbor")
	for i := 0; i+1 < len(lines); i += 2 {
		inJSON, err := new(Decoder).Requests([]byte(lines[i]))
		if err != nil {
			t.Fatalf("%s: %v", lines[i], err)
		}
		decoder := Decoder{Format: CBOR}
		inCBOR, err := decoder.Requests(unhex(t, lines[i+1]))
		if err != nil || len(inCBOR) != len(inJSON) {
			t.Fatalf("%s: %d requests, %v", lines[i], len(inCBOR), err)
		}
		for j := range inJSON {
			if want, got := show(t, inJSON[j]), show(t, inCBOR[j]); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
	}
}

// A result means the same in JSON and in CBOR.
func TestResultsMeanTheSameInCBOR(t *testing.T) {
	t.Parallel()
	for _, line := range frames(t, "testdata/results") {
		f := frame{format: CBOR}
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		r := newReader(CBOR, f.write(t), names{})
		got := fromCBOR(r)
		if r.end(); r.err != nil || r.bad != nil {
			t.Fatalf("%s: %v %v", line, r.err, r.bad)
		}
		if want := parsed(t, []byte(line)); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
}

func TestResultIsWrittenInCBORByteByByte(t *testing.T) {
	t.Parallel()
	got := Result{ID: 300, Timestamp: -1, Format: CBOR}.AppendBoolean(nil, true)
	want := unhex(t, `
		bf 65 4074797065 67 626f6f6c65616e    ; {"@type":"boolean"
		69 726571756573744964 19 012c          ; "requestId":300
		67 73756363657373 f5                   ; "success":true
		69 74696d657374616d70 20 ff            ; "timestamp":-1}`)
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

func parseJSON(text string) (value any, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	err = d.Decode(&value)
	return value, err
}

// toCBOR writes what was read from JSON; members with the name value are bytes in base64.
func toCBOR(value any, indefinite bool) []byte {
	c := cborMaker{indefinite: indefinite}
	c.put(value)
	return c.out
}

type cborMaker struct {
	out        []byte
	indefinite bool
}

func (c *cborMaker) head(major byte, n int) {
	c.out = binary.BigEndian.AppendUint32(append(c.out, major<<5|26), uint32(n))
}

func (c *cborMaker) open(major byte, n int) {
	if c.indefinite {
		c.out = append(c.out, major<<5|31)
		return
	}
	c.head(major, n)
}

func (c *cborMaker) close() {
	if c.indefinite {
		c.out = append(c.out, 0xff)
	}
}

// content writes bytes or a text, in two pieces if lengths are not to be given.
func (c *cborMaker) content(major byte, content []byte) {
	c.open(major, len(content))
	if c.indefinite {
		half := len(content) / 2
		c.head(major, half)
		c.out = append(c.out, content[:half]...)
		content = content[half:]
		c.head(major, len(content))
	}
	c.out = append(c.out, content...)
	c.close()
}

func (c *cborMaker) put(value any) {
	switch value := value.(type) {
	case nil:
		c.out = append(c.out, 0xf6)
	case bool:
		c.out = append(c.out, 0xf4)
		if value {
			c.out[len(c.out)-1]++
		}
	case json.Number:
		c.number(value)
	case string:
		c.content(3, []byte(value))
	case []any:
		c.open(4, len(value))
		for _, element := range value {
			c.put(element)
		}
		c.close()
	case map[string]any:
		c.open(5, len(value))
		for name, member := range value {
			c.content(3, []byte(name))
			c.member(name, member)
		}
		c.close()
	}
}

func (c *cborMaker) member(name string, value any) {
	if text, ok := value.(string); ok && name == "value" {
		if raw, err := base64.StdEncoding.DecodeString(text); err == nil {
			c.content(2, raw)
			return
		}
	}
	c.put(value)
}

func (c *cborMaker) number(value json.Number) {
	n, err := value.Int64()
	switch {
	case err != nil:
		f, _ := value.Float64()
		c.out = binary.BigEndian.AppendUint64(append(c.out, 0xfb), math.Float64bits(f))
	case n < 0:
		c.out = binary.BigEndian.AppendUint64(append(c.out, 0x3b), uint64(-1-n))
	default:
		c.out = binary.BigEndian.AppendUint64(append(c.out, 0x1b), uint64(n))
	}
}

// fromCBOR reads a value as package encoding/json would read it from JSON.
func fromCBOR(r *reader) any {
	switch r.source.(*cborSource).major() {
	case cborMap:
		members := map[string]any{}
		for o := r.object(); o.next(); {
			name := string(o.name)
			members[name] = fromCBOR(r)
		}
		return members
	case cborArray:
		elements := []any{}
		for a := r.array(); a.next(); {
			elements = append(elements, fromCBOR(r))
		}
		return elements
	case cborBytes:
		return base64.StdEncoding.EncodeToString(r.blob())
	case cborText:
		return r.text()
	case cborUnsigned, cborNegative:
		text, _ := r.scalar("a number")
		return json.Number(text)
	}
	if r.null() {
		return nil
	}
	return r.boolean()
}

// requestLines returns the frames of testdata/requests.
func requestLines(t *testing.T) (lines []string) {
	for _, line := range frames(t, "testdata/requests") {
		if strings.HasPrefix(line, "{") {
			lines = append(lines, line)
		}
	}
	return lines
}
