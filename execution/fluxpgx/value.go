package fluxpgx

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/flux-go/flux/execution/record"
)

// Formats of values on the wire.
const (
	formatText   = 0
	formatBinary = 1
)

// A value is one of a parameter or of a column: its bytes on the wire, nil for NULL. In JSON it is the text of PostgreSQL as a
// string when the bytes can be had back from that, else {"base64":"…"}.
type value struct {
	data   []byte
	oid    uint32
	format int16
}

// types are maps of all types that pgx knows. A map is for one goroutine at a time.
var types = sync.Pool{New: func() any { return pgtype.NewMap() }}

// MarshalJSON implements json.Marshaler.
func (v value) MarshalJSON() ([]byte, error) {
	if v.data == nil {
		return []byte("null"), nil
	}
	if text, ok := v.text(); ok {
		return marshal(record.NewBody(text, len(text))), nil
	}
	return marshal(struct {
		Base64 []byte `json:"base64"`
	}{v.data}), nil
}

// text returns the value as text that can be turned back.
func (v value) text() ([]byte, bool) {
	if v.format == formatText {
		return v.data, utf8.Valid(v.data)
	}
	switch v.oid {
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID, pgtype.NameOID, pgtype.JSONOID, pgtype.XMLOID, pgtype.UnknownOID:
		return v.data, utf8.Valid(v.data)
	}
	text, ok := recode(v.oid, formatBinary, formatText, v.data)
	if !ok || !utf8.Valid(text) {
		return nil, false
	}
	back, ok := recode(v.oid, formatText, formatBinary, text)
	return text, ok && bytes.Equal(back, v.data)
}

// recode turns a value of a type that pgx knows from one format into the other.
func recode(oid uint32, from, to int16, data []byte) (out []byte, ok bool) {
	defer func() {
		if recover() != nil { // codecs take the bytes of a server for granted
			ok = false
		}
	}()
	m := types.Get().(*pgtype.Map)
	defer types.Put(m)
	t, ok := m.TypeForOID(oid)
	if !ok || !t.Codec.FormatSupported(from) || !t.Codec.FormatSupported(to) {
		return nil, false
	}
	v, err := t.Codec.DecodeValue(m, oid, from, data)
	if err != nil || v == nil {
		return nil, false
	}
	out, err = m.Encode(oid, to, v, []byte{})
	return out, err == nil && out != nil
}

// decodeValue reads a value of a record in the format that is asked for.
func decodeValue(data []byte, oid uint32, format, asked int16) ([]byte, bool) {
	if bytes.Equal(data, []byte("null")) {
		return nil, true
	}
	var body record.Body
	if json.Unmarshal(data, &body) != nil {
		return nil, false
	}
	if data[0] != '"' {
		return body.Data, format == asked
	}
	switch {
	case asked == formatText:
		return body.Data, true
	case oid == pgtype.TextOID, oid == pgtype.VarcharOID, oid == pgtype.BPCharOID, oid == pgtype.NameOID, oid == pgtype.JSONOID,
		oid == pgtype.XMLOID, oid == pgtype.UnknownOID:
		return body.Data, true
	}
	return recode(oid, formatText, formatBinary, body.Data)
}

// typeName names a type: as PostgreSQL does when pgx knows it, else by its number.
func typeName(oid uint32) string {
	if oid == 0 {
		return ""
	}
	m := types.Get().(*pgtype.Map)
	defer types.Put(m)
	if t, ok := m.TypeForOID(oid); ok {
		return t.Name
	}
	return "oid:" + strconv.FormatUint(uint64(oid), 10)
}

// typeOID is the inverse of typeName.
func typeOID(name string) uint32 {
	if number, ok := strings.CutPrefix(name, "oid:"); ok {
		oid, _ := strconv.ParseUint(number, 10, 32)
		return uint32(oid)
	}
	m := types.Get().(*pgtype.Map)
	defer types.Put(m)
	if t, ok := m.TypeForName(name); ok {
		return t.OID
	}
	return 0
}
