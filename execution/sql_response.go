package execution

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// sqlRequest is a statement with its arguments. The text is without comments where it is compared: they carry ids of traces.
type sqlRequest struct {
	SQL       string   `json:"sql"`
	Args      []sqlArg `json:"args,omitempty"`
	Isolation string   `json:"isolation,omitempty"` // of BEGIN, when it is not the default
	ReadOnly  bool     `json:"readOnly,omitempty"`  // of BEGIN
}

// appendJSON appends what encoding/json makes of the struct.
func (r *sqlRequest) appendJSON(b []byte) []byte {
	b = appendText(append(b, `{"sql":`...), r.SQL)
	for i := range r.Args {
		if i == 0 {
			b = append(appendMember(b, "args"), '[')
		} else {
			b = append(b, ',')
		}
		b = r.Args[i].appendJSON(b)
	}
	if len(r.Args) > 0 {
		b = append(b, ']')
	}
	b = appendTextMember(b, "isolation", r.Isolation)
	return append(appendTrue(b, "readOnly", r.ReadOnly), '}')
}

// sqlResponse is what came back from a statement. It is filled while rows are read, and safe for concurrent use.
type sqlResponse struct {
	mu         sync.Mutex
	sets       []*resultSet
	result     *sqlResult
	closeError bool // the error came when the rows were closed

	// Room for what most responses have.
	firstSet  [1]*resultSet
	first     resultSet
	ownResult sqlResult
}

// addSet adds a result set with columns.
func (r *sqlResponse) addSet(columns []column) *resultSet {
	r.mu.Lock()
	defer r.mu.Unlock()
	set := &r.first
	if r.sets == nil {
		r.sets = r.firstSet[:0]
	} else {
		set = new(resultSet)
	}
	set.columns, set.unread = columns, true
	r.sets = append(r.sets, set)
	return set
}

// sqlResult is what a statement without rows came to. Drivers that cannot tell a part of it return an error instead.
type sqlResult struct {
	rowsAffected, lastInsertID           int64
	rowsAffectedError, lastInsertIDError error
}

// newResultResponse returns the response of a statement without rows.
func newResultResponse(result driver.Result) *sqlResponse {
	out := &sqlResponse{}
	if result != nil {
		own := &out.ownResult
		own.rowsAffected, own.rowsAffectedError = result.RowsAffected()
		own.lastInsertID, own.lastInsertIDError = result.LastInsertId()
		out.result = own
	}
	return out
}

// RowsAffected implements driver.Result.
func (r *sqlResult) RowsAffected() (int64, error) { return r.rowsAffected, r.rowsAffectedError }

// LastInsertId implements driver.Result.
func (r *sqlResult) LastInsertId() (int64, error) { return r.lastInsertID, r.lastInsertIDError }

// A resultSet is one table of rows, as far as they were fetched.
type resultSet struct {
	columns   []column
	values    []driver.Value // of all rows, one after the other
	rows      int
	unread    bool // there may be more rows, which were not fetched
	truncated bool // rows after these were fetched and are not in the record
}

// A column is a column of a result. What only rows.ColumnTypes tells is recorded when it is asked.
type column struct {
	Name      string    `json:"name"`
	Type      string    `json:"type,omitempty"`      // of the database
	Go        string    `json:"go,omitempty"`        // type that values are scanned into
	Length    *int64    `json:"length,omitempty"`    // of types with a variable one
	Nullable  *bool     `json:"nullable,omitempty"`  // nil when the driver does not know
	Precision *[2]int64 `json:"precision,omitempty"` // precision and scale of a decimal type
}

type setJSON struct {
	Columns   []column            `json:"columns,omitzero"`
	Rows      [][]json.RawMessage `json:"rows,omitzero"`
	Unread    bool                `json:"unread,omitempty"`
	Truncated bool                `json:"truncated,omitempty"`
}

// responseJSON is the form of a response: its first result set, and the next ones.
type responseJSON struct {
	setJSON
	Next              []setJSON     `json:"next,omitempty"`
	RowsAffected      *int64        `json:"rowsAffected,omitempty"`
	LastInsertID      *int64        `json:"lastInsertId,omitempty"`
	RowsAffectedError *record.Error `json:"rowsAffectedError,omitempty"`
	LastInsertIDError *record.Error `json:"lastInsertIdError,omitempty"`
	CloseError        bool          `json:"closeError,omitempty"`
}

// appendJSON appends what encoding/json makes of the responseJSON of now. What most responses have is written straight away.
func (r *sqlResponse) appendJSON(b []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.sets) > 1 || r.closeError || r.result != nil && (r.result.rowsAffectedError != nil || len(r.sets) > 0) {
		return append(b, reflected(r.whole())...)
	}
	b = append(b, '{')
	if len(r.sets) == 1 {
		b = r.sets[0].appendJSON(b)
	}
	if res := r.result; res != nil {
		b = strconv.AppendInt(appendMember(b, "rowsAffected"), res.rowsAffected, 10)
		if res.lastInsertIDError != nil {
			b = append(appendMember(b, "lastInsertIdError"), reflected(fault.Of(res.lastInsertIDError))...)
		} else {
			b = strconv.AppendInt(appendMember(b, "lastInsertId"), res.lastInsertID, 10)
		}
	}
	return append(b, '}')
}

// appendJSON appends the members of a result set.
func (s *resultSet) appendJSON(b []byte) []byte {
	b = append(appendMember(b, "columns"), '[')
	for i := range s.columns {
		if i > 0 {
			b = append(b, ',')
		}
		b = s.columns[i].appendJSON(b)
	}
	b = append(appendMember(append(b, ']'), "rows"), '[')
	for i := range s.rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '[')
		width := len(s.columns)
		for j, v := range s.values[i*width : (i+1)*width] {
			if j > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, v)
		}
		b = append(b, ']')
	}
	b = appendTrue(append(b, ']'), "unread", s.unread)
	return appendTrue(b, "truncated", s.truncated)
}

func (c *column) appendJSON(b []byte) []byte {
	if c.Length != nil || c.Nullable != nil || c.Precision != nil {
		return append(b, reflected(c)...)
	}
	b = appendText(append(b, `{"name":`...), c.Name)
	b = appendTextMember(b, "type", c.Type)
	b = appendTextMember(b, "go", c.Go)
	return append(b, '}')
}

// whole returns the response as a whole, which is locked.
func (r *sqlResponse) whole() responseJSON {
	out := responseJSON{CloseError: r.closeError}
	for i, s := range r.sets {
		if i == 0 {
			out.setJSON = s.encode()
		} else {
			out.Next = append(out.Next, s.encode())
		}
	}
	if res := r.result; res != nil {
		out.RowsAffected, out.RowsAffectedError = outcome(res.rowsAffected, res.rowsAffectedError)
		out.LastInsertID, out.LastInsertIDError = outcome(res.lastInsertID, res.lastInsertIDError)
	}
	return out
}

func outcome(n int64, err error) (*int64, *record.Error) {
	if err != nil {
		return nil, fault.Of(err)
	}
	return &n, nil
}

func (s *resultSet) encode() setJSON {
	out := setJSON{Columns: s.columns, Rows: make([][]json.RawMessage, s.rows), Unread: s.unread, Truncated: s.truncated}
	width := len(s.columns)
	for i := range out.Rows {
		out.Rows[i] = make([]json.RawMessage, width)
		for j, v := range s.values[i*width : (i+1)*width] {
			out.Rows[i][j] = appendValue(nil, v)
		}
	}
	return out
}

// decodeResponse reads a response from a record.
func decodeResponse(cp *record.Checkpoint) (*responseJSON, error) {
	out := &responseJSON{}
	if len(cp.Response.Data) == 0 {
		return out, nil
	}
	if err := json.Unmarshal(cp.Response.Data, out); err != nil {
		return nil, fmt.Errorf("%w: the response of op %d is not one of SQL: %w", ErrDiverged, cp.Number, err)
	}
	return out, nil
}

// sets returns the result sets.
func (r *responseJSON) sets() []setJSON { return append([]setJSON{r.setJSON}, r.Next...) }

func (r *responseJSON) sqlResult() *sqlResult {
	out := &sqlResult{rowsAffectedError: fault.Rebuild(r.RowsAffectedError), lastInsertIDError: fault.Rebuild(r.LastInsertIDError)}
	if r.RowsAffected != nil {
		out.rowsAffected = *r.RowsAffected
	}
	if r.LastInsertID != nil {
		out.lastInsertID = *r.LastInsertID
	}
	return out
}

// scanTypes are the types that drivers name for scanning, by name: a type cannot be made of its name otherwise.
var scanTypes = func() map[string]reflect.Type {
	types := make(map[string]reflect.Type)
	for _, t := range []reflect.Type{
		reflect.TypeFor[bool](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
		reflect.TypeFor[int](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](),
		reflect.TypeFor[uint](), reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[string](), reflect.TypeFor[[]byte](),
		reflect.TypeFor[time.Time](), reflect.TypeFor[any](), reflect.TypeFor[*any](), reflect.TypeFor[sql.RawBytes](),
		reflect.TypeFor[sql.NullBool](), reflect.TypeFor[sql.NullByte](), reflect.TypeFor[sql.NullInt16](), reflect.TypeFor[sql.NullInt32](),
		reflect.TypeFor[sql.NullInt64](), reflect.TypeFor[sql.NullFloat64](), reflect.TypeFor[sql.NullString](), reflect.TypeFor[sql.NullTime](),
		reflect.TypeFor[sql.Null[uint64]](),
	} {
		types[t.String()] = t
	}
	return types
}()
