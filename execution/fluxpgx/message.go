package fluxpgx

import (
	"encoding/json"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/flux-go/flux/execution/record"
)

// A request is a statement as it is recorded.
type request struct {
	sql  string
	args []value
	copy *record.BodyWriter // data of COPY FROM STDIN, nil for other statements
}

type requestJSON struct {
	SQL  string       `json:"sql"`
	Args []argJSON    `json:"args,omitempty"`
	Copy *record.Body `json:"copy,omitempty"`
}

type argJSON struct {
	Type  string `json:"type,omitempty"`
	Value value  `json:"value"`
}

// MarshalJSON implements json.Marshaler.
func (r *request) MarshalJSON() ([]byte, error) {
	out := requestJSON{SQL: r.sql}
	for _, v := range r.args {
		out.Args = append(out.Args, argJSON{typeName(v.oid), v})
	}
	if r.copy != nil {
		body := r.copy.Body()
		out.Copy = &body
	}
	return marshal(out), nil
}

// identity is a request with its text as it is compared.
type identity struct {
	*request
	text string
}

// MarshalJSON implements json.Marshaler.
func (i identity) MarshalJSON() ([]byte, error) {
	same := *i.request
	same.sql = i.text
	return same.MarshalJSON()
}

// A response is what came back from a statement. It is filled while it comes in, and safe for concurrent use.
type response struct {
	mu       sync.Mutex
	sets     []*set
	copy     *record.BodyWriter // data of COPY TO STDOUT
	binary   bool               // format of that data
	copying  bool               // the server took data of COPY FROM STDIN
	notices  []pgproto3.NoticeResponse
	settings [][2]string // parameters that changed
	status   byte        // of the transaction afterwards
	size     int
}

// A set is one result of a statement.
type set struct {
	fields    []pgproto3.FieldDescription
	data      []byte // bodies of DataRow, one after the other
	ends      []int  // of them
	tag       string
	ended     bool // the tag came
	truncated bool
}

type responseJSON struct {
	setJSON
	Next     []setJSON                 `json:"next,omitempty"`
	Copy     *record.Body              `json:"copy,omitempty"`
	Binary   bool                      `json:"binary,omitempty"`
	Notices  []pgproto3.NoticeResponse `json:"notices,omitempty"`
	Settings [][2]string               `json:"settings,omitempty"`
	Status   string                    `json:"transaction,omitempty"` // "open" or "failed"
}

type setJSON struct {
	Columns      []columnJSON        `json:"columns,omitzero"`
	Rows         [][]json.RawMessage `json:"rows,omitzero"`
	Tag          *string             `json:"tag,omitempty"` // nil when there was none; empty for an empty statement
	RowsAffected *int64              `json:"rowsAffected,omitempty"`
	Truncated    bool                `json:"truncated,omitempty"`
}

type columnJSON struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Format   int16  `json:"format,omitempty"`
	Size     int16  `json:"size,omitempty"`
	Modifier int32  `json:"modifier,omitempty"`
	Table    uint32 `json:"table,omitempty"`
	Column   uint16 `json:"column,omitempty"`
}

func (c columnJSON) field() pgproto3.FieldDescription {
	return pgproto3.FieldDescription{
		Name: []byte(c.Name), TableOID: c.Table, TableAttributeNumber: c.Column, DataTypeOID: typeOID(c.Type),
		DataTypeSize: c.Size, TypeModifier: c.Modifier, Format: c.Format,
	}
}

func columnOf(f pgproto3.FieldDescription) columnJSON {
	return columnJSON{string(f.Name), typeName(f.DataTypeOID), f.Format, f.DataTypeSize, f.TypeModifier, f.TableOID, f.TableAttributeNumber}
}

// Words for the byte with which the server says how a transaction stands.
var (
	statusWords = map[byte]string{'T': "open", 'E': "failed"}
	statusBytes = map[string]byte{"": 'I', "open": 'T', "failed": 'E'}
)

// MarshalJSON implements json.Marshaler.
func (r *response) MarshalJSON() ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := responseJSON{Binary: r.binary, Notices: r.notices, Settings: r.settings, Status: statusWords[r.status]}
	for i, s := range r.sets {
		if i == 0 {
			out.setJSON = s.encode()
		} else {
			out.Next = append(out.Next, s.encode())
		}
	}
	if r.copy != nil {
		body := r.copy.Body()
		out.Copy = &body
	}
	return marshal(out), nil
}

func (s *set) encode() setJSON {
	out := setJSON{Truncated: s.truncated}
	if s.ended {
		out.Tag, out.RowsAffected = &s.tag, affected(s.tag)
	}
	if s.fields == nil {
		return out
	}
	out.Columns, out.Rows = make([]columnJSON, len(s.fields)), make([][]json.RawMessage, len(s.ends))
	for i, f := range s.fields {
		out.Columns[i] = columnOf(f)
	}
	begin := 0
	for i, end := range s.ends {
		out.Rows[i] = encodeRow(s.data[begin:end], s.fields)
		begin = end
	}
	return out
}

// encodeRow returns the values of a row as JSON.
func encodeRow(data []byte, fields []pgproto3.FieldDescription) []json.RawMessage {
	var row pgproto3.DataRow
	if row.Decode(data) != nil {
		return nil
	}
	out := make([]json.RawMessage, len(row.Values))
	for i, v := range row.Values {
		cell := value{data: v}
		if i < len(fields) {
			cell.oid, cell.format = fields[i].DataTypeOID, fields[i].Format
		}
		out[i], _ = cell.MarshalJSON()
	}
	return out
}

// affected returns the number of rows that a tag says, as "UPDATE 3" and "INSERT 0 1" do.
func affected(tag string) *int64 {
	n, err := strconv.ParseInt(tag[strings.LastIndexByte(tag, ' ')+1:], 10, 64)
	if err != nil {
		return nil
	}
	return &n
}

// describeResponse is what the server says about a statement that was prepared.
type describeResponse struct {
	Parameters []string     `json:"parameters,omitzero"` // types
	Columns    []columnJSON `json:"columns,omitzero"`    // nil for a statement without rows
}

func (d *describeResponse) fields() []pgproto3.FieldDescription {
	if d.Columns == nil {
		return nil
	}
	fields := make([]pgproto3.FieldDescription, len(d.Columns))
	for i, c := range d.Columns {
		fields[i] = c.field()
	}
	return fields
}

func (d *describeResponse) oids() []uint32 {
	oids := make([]uint32, len(d.Parameters))
	for i, name := range d.Parameters {
		oids[i] = typeOID(name)
	}
	return oids
}
