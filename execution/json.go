package execution

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"github.com/flux-go/flux/execution/record"
)

// An appender is a value that writes its own JSON: to the byte what encoding/json makes of it, for hashes of requests are made
// from it, and in a fraction of the time.
type appender interface{ appendJSON(b []byte) []byte }

// marshal is how requests, responses, inputs and outputs become JSON: without escaping for HTML, which would hide text from the
// rules of redaction, and with the keys of maps in order. A value that does not marshal is recorded as the error.
func marshal(v any) []byte {
	switch v := v.(type) {
	case nil:
		return nil
	case appender:
		return v.appendJSON(make([]byte, 0, usualJSON))
	}
	return reflected(v)
}

// usualJSON is how many bytes of JSON there is room for at first.
const usualJSON = 256

// reflected is marshal by encoding/json.
func reflected(v any) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		text, _ := json.Marshal(map[string]string{"unrecordable": err.Error()})
		return text
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// appendText appends a string as marshal has it.
func appendText(b []byte, s string) []byte {
	if out, ok := appendSimple(b, s, false); ok {
		return out
	}
	return append(b, reflected(s)...)
}

// appendBody appends a body as marshal has it, which escapes for HTML in bodies.
func appendBody(b []byte, body *record.Body) []byte {
	if !body.Truncated {
		if out, ok := appendSimple(b, body.Data, true); ok {
			return out
		}
	}
	return append(b, reflected(body)...)
}

// appendSimple appends a text of ASCII in which nothing but quotes, backslashes and the ends of lines are escaped. It returns
// false for any other text.
func appendSimple[T string | []byte](b []byte, s T, html bool) ([]byte, bool) {
	out, from := append(b, '"'), 0
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			out = append(append(out, s[from:i]...), '\\', c)
		case c == '\n':
			out = append(append(out, s[from:i]...), '\\', 'n')
		case c < ' ' || c >= utf8.RuneSelf || html && (c == '<' || c == '>' || c == '&'):
			return b, false
		default:
			continue
		}
		from = i + 1
	}
	return append(append(out, s[from:]...), '"'), true
}

// appendMember appends a name of an object, which needs no escapes, after a comma unless it is the first.
func appendMember(b []byte, name string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return append(append(append(b, '"'), name...), '"', ':')
}

// appendTextMember appends a member, unless it is empty.
func appendTextMember(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendText(appendMember(b, name), value)
}

// appendTrue appends a member that is true, or none.
func appendTrue(b []byte, name string, value bool) []byte {
	if !value {
		return b
	}
	return append(appendMember(b, name), "true"...)
}
