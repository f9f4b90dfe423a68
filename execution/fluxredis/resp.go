package fluxredis

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/flux-go/flux/execution/record"
)

// errReply is returned for bytes that are no reply of RESP2 or RESP3.
var errReply = errors.New("not a RESP reply")

// A reply is a reply of Redis as records hold it: bulk strings are JSON strings (or record.Body when they are not UTF-8),
// integers numbers, booleans and arrays themselves; all other types are an object with their name.
//
//	{"status":"OK"} {"error":"WRONGTYPE …"} {"double":"1.5"} {"number":"123…"} {"verbatim":"txt:…"} {"blobError":"…"}
//	{"map":[k,v,…]} {"set":[…]} {"push":[…]} {"attribute":[k,v,…],"of":reply} {"nil":"_"}, and of RESP2 {"nil":"*"} {"nil":"$"}
type reply struct {
	kind  byte // as in RESP
	text  []byte
	null  bool // of RESP2: a bulk string or an array of length -1
	items []reply
}

// The kinds of RESP.
const (
	kindStatus    = '+'
	kindError     = '-'
	kindInt       = ':'
	kindBulk      = '$'
	kindArray     = '*'
	kindNull      = '_'
	kindDouble    = ','
	kindBool      = '#'
	kindNumber    = '('
	kindBlobError = '!'
	kindVerbatim  = '='
	kindMap       = '%'
	kindSet       = '~'
	kindPush      = '>'
)

// maxDepth bounds how deep replies nest, so that bytes of any kind end.
const maxDepth = 64

// decodeReply decodes one reply and returns what follows it.
func decodeReply(data []byte) (reply, []byte, error) { return decodeAt(data, maxDepth) }

func decodeAt(data []byte, depth int) (reply, []byte, error) {
	end := bytes.Index(data, []byte("\r\n"))
	if end < 1 || depth == 0 {
		return reply{}, nil, fmt.Errorf("%w: %.40q", errReply, data)
	}
	r, line, rest := reply{kind: data[0]}, data[1:end], data[end+2:]
	switch r.kind {
	case kindStatus, kindError, kindInt, kindNull, kindDouble, kindBool, kindNumber:
		r.text = line
		return r, rest, nil
	case kindBulk, kindBlobError, kindVerbatim:
		return decodeBlob(r, line, rest)
	case kindArray, kindSet, kindPush, kindMap:
		return decodeItems(r, line, rest, depth)
	}
	return reply{}, nil, fmt.Errorf("%w: type %q", errReply, r.kind)
}

func decodeBlob(r reply, line, rest []byte) (reply, []byte, error) {
	n, err := strconv.Atoi(string(line))
	switch {
	case err == nil && n == -1:
		r.null = true
		return r, rest, nil
	case err != nil || n < 0 || n > len(rest)-2 || !bytes.HasPrefix(rest[n:], []byte("\r\n")):
		return reply{}, nil, fmt.Errorf("%w: length %q", errReply, line)
	}
	r.text = rest[:n]
	return r, rest[n+2:], nil
}

func decodeItems(r reply, line, rest []byte, depth int) (reply, []byte, error) {
	n, err := strconv.Atoi(string(line))
	if err == nil && n == -1 {
		r.null = true
		return r, rest, nil
	}
	if r.kind == kindMap {
		n *= 2
	}
	if err != nil || n < 0 || n > len(rest)/3 { // no reply has less than 3 bytes
		return reply{}, nil, fmt.Errorf("%w: count %q", errReply, line)
	}
	for range n {
		var item reply
		if item, rest, err = decodeAt(rest, depth-1); err != nil {
			return reply{}, nil, err
		}
		r.items = append(r.items, item)
	}
	return r, rest, nil
}

// appendTo appends the reply as RESP.
func (r *reply) appendTo(dst []byte) []byte {
	dst = append(dst, r.kind)
	if r.null {
		return append(dst, "-1\r\n"...)
	}
	switch r.kind {
	case kindBulk, kindBlobError, kindVerbatim:
		dst = append(strconv.AppendInt(dst, int64(len(r.text)), 10), "\r\n"...)
		return append(append(dst, r.text...), "\r\n"...)
	case kindArray, kindSet, kindPush, kindMap:
		n := len(r.items)
		if r.kind == kindMap {
			n /= 2
		}
		dst = append(strconv.AppendInt(dst, int64(n), 10), "\r\n"...)
		for i := range r.items {
			dst = r.items[i].appendTo(dst)
		}
		return dst
	}
	return append(append(dst, r.text...), "\r\n"...)
}

// names are the members of objects for the kinds that are not JSON values themselves.
var names = map[byte]string{
	kindStatus: "status", kindError: "error", kindDouble: "double", kindNumber: "number", kindVerbatim: "verbatim",
	kindBlobError: "blobError", kindMap: "map", kindSet: "set", kindPush: "push",
}

// MarshalJSON implements json.Marshaler.
func (r *reply) MarshalJSON() ([]byte, error) {
	switch {
	case r.null:
		return json.Marshal(map[string]string{"nil": string(r.kind)})
	case r.kind == kindBulk:
		return record.NewBody(r.text, len(r.text)).MarshalJSON()
	case r.kind == kindInt && isCanonical(r.text):
		return r.text, nil
	case r.kind == kindInt:
		return json.Marshal(map[string]string{"int": string(r.text)})
	case r.kind == kindNull: // JSON's null would be a member that is not there
		return []byte(`{"nil":"_"}`), nil
	case r.kind == kindBool && (string(r.text) == "t" || string(r.text) == "f"):
		return strconv.AppendBool(nil, r.text[0] == 't'), nil
	case r.kind == kindArray:
		return json.Marshal(pointers(r.items))
	case r.items != nil || r.kind == kindMap || r.kind == kindSet || r.kind == kindPush:
		return json.Marshal(map[string]any{names[r.kind]: pointers(r.items)})
	case names[r.kind] == "":
		return nil, fmt.Errorf("%w: %q", errReply, r.kind)
	}
	return json.Marshal(map[string]any{names[r.kind]: record.NewBody(r.text, len(r.text))})
}

// isCanonical says that an integer is written as JSON writes it.
func isCanonical(text []byte) bool {
	n, err := strconv.ParseInt(string(text), 10, 64)
	return err == nil && strconv.FormatInt(n, 10) == string(text)
}

func pointers(items []reply) []*reply {
	out := make([]*reply, len(items))
	for i := range items {
		out[i] = &items[i]
	}
	return out
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *reply) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return errReply
	}
	switch c := data[0]; {
	case c == 't' || c == 'f':
		*r = reply{kind: kindBool, text: data[:1]}
	case c == '"':
		return r.unmarshalText(kindBulk, data)
	case c == '[':
		r.kind = kindArray
		return json.Unmarshal(data, &r.items)
	case c == '{':
		return r.unmarshalObject(data)
	default:
		*r = reply{kind: kindInt, text: data}
	}
	return nil
}

func (r *reply) unmarshalText(kind byte, data []byte) error {
	var body record.Body
	if err := body.UnmarshalJSON(data); err != nil {
		return err
	}
	*r = reply{kind: kind, text: body.Data}
	return nil
}

func (r *reply) unmarshalObject(data []byte) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	if kind, ok := object["nil"]; ok && len(kind) == 3 {
		*r = reply{kind: kind[1], null: kind[1] != kindNull}
		return nil
	}
	if text, ok := object["int"]; ok {
		return r.unmarshalText(kindInt, text)
	}
	for kind, name := range names {
		value, ok := object[name]
		switch {
		case !ok:
		case kind == kindMap || kind == kindSet || kind == kindPush:
			r.kind = kind
			return json.Unmarshal(value, &r.items)
		default:
			return r.unmarshalText(kind, value)
		}
	}
	return r.unmarshalText(kindBulk, data)
}

// failure returns the text of an error reply, "" for others.
func (r *reply) failure() string {
	if r.kind == kindError || r.kind == kindBlobError {
		return string(r.text)
	}
	return ""
}
