package execution

import (
	"bytes"
	"database/sql/driver"
	"io"
	"reflect"

	"github.com/flux-go/flux/execution/fault"
)

// sqlRows are the rows of a statement that was done, kept as they are fetched. The call is finished when they are closed.
type sqlRows struct {
	driver.Rows
	stmt     driver.Stmt // that is closed with them, nil for none
	call     *Call       // nil when nobody records them
	kinds    []fault.Kind
	response *sqlResponse
	set      *resultSet
	size     int   // bytes kept so far
	err      error // with which fetching ended
	closed   bool
}

func newSQLRows(rows driver.Rows, stmt driver.Stmt, call *Call, kinds []fault.Kind) *sqlRows {
	r := &sqlRows{Rows: rows, stmt: stmt, call: call, kinds: kinds, response: &sqlResponse{}}
	r.begin()
	call.Answer(r.response)
	return r
}

// begin begins a result set.
func (r *sqlRows) begin() {
	names := r.Rows.Columns()
	columns := make([]column, len(names))
	types, _ := r.Rows.(driver.RowsColumnTypeDatabaseTypeName)
	for i, name := range names {
		columns[i].Name = name
		if types != nil {
			columns[i].Type = types.ColumnTypeDatabaseTypeName(i)
		}
	}
	r.set = r.response.addSet(columns)
}

// Next implements driver.Rows.
func (r *sqlRows) Next(dest []driver.Value) error {
	err := r.Rows.Next(dest)
	r.response.mu.Lock()
	defer r.response.mu.Unlock()
	switch err {
	case nil:
		r.keep(dest)
	case io.EOF:
		r.set.unread = false
	default:
		r.err, r.set.unread = err, false
	}
	return err
}

// keep keeps a row, unless there is no room for it. The driver may use the bytes of the row again for the next one.
func (r *sqlRows) keep(row []driver.Value) {
	set := r.set
	if set.truncated || r.call == nil {
		return
	}
	size := rowSize(row)
	if x := r.call.Execution(); r.size+size > x.BodyLimit() || !x.Reserve(size) {
		set.truncated = true
		x.Shortened("a result of SQL", size)
		return
	}
	if set.values == nil {
		set.values = make([]driver.Value, 0, 4*len(row))
	}
	r.size += size
	set.rows++
	set.values = append(set.values, row...)
	for i, v := range set.values[len(set.values)-len(row):] {
		if b, ok := v.([]byte); ok {
			set.values[len(set.values)-len(row)+i] = bytes.Clone(b)
		}
	}
}

// rowSize returns about how many bytes a row takes in memory.
func rowSize(row []driver.Value) int {
	size := 0
	for _, v := range row {
		size += 24
		switch v := v.(type) {
		case string:
			size += len(v)
		case []byte:
			size += len(v)
		}
	}
	return size
}

// Close implements driver.Rows.
func (r *sqlRows) Close() error {
	err := r.Rows.Close()
	if r.closed {
		return err
	}
	r.closed = true
	if r.stmt != nil {
		_ = r.stmt.Close()
	}
	failed := r.err
	if failed == nil && err != nil {
		failed = err
		r.response.mu.Lock()
		r.response.closeError = true
		r.response.mu.Unlock()
	}
	r.call.finishSQL(r.response, failed, r.kinds)
	return err
}

// HasNextResultSet implements driver.RowsNextResultSet.
func (r *sqlRows) HasNextResultSet() bool {
	next, ok := r.Rows.(driver.RowsNextResultSet)
	return ok && next.HasNextResultSet()
}

// NextResultSet implements driver.RowsNextResultSet.
func (r *sqlRows) NextResultSet() error {
	next, ok := r.Rows.(driver.RowsNextResultSet)
	if !ok {
		return io.EOF
	}
	err := next.NextResultSet()
	switch err {
	case nil:
		r.begin()
	case io.EOF:
	default:
		r.err = err
	}
	return err
}

// column notes what the program was told about a column.
func (r *sqlRows) column(i int, note func(c *column)) {
	r.response.mu.Lock()
	defer r.response.mu.Unlock()
	if i < len(r.set.columns) {
		note(&r.set.columns[i])
	}
}

// ColumnTypeDatabaseTypeName implements driver.RowsColumnTypeDatabaseTypeName.
func (r *sqlRows) ColumnTypeDatabaseTypeName(i int) string {
	if types, ok := r.Rows.(driver.RowsColumnTypeDatabaseTypeName); ok {
		return types.ColumnTypeDatabaseTypeName(i)
	}
	return ""
}

// ColumnTypeLength implements driver.RowsColumnTypeLength.
func (r *sqlRows) ColumnTypeLength(i int) (int64, bool) {
	types, ok := r.Rows.(driver.RowsColumnTypeLength)
	if !ok {
		return 0, false
	}
	length, ok := types.ColumnTypeLength(i)
	if ok {
		r.column(i, func(c *column) { c.Length = &length })
	}
	return length, ok
}

// ColumnTypeNullable implements driver.RowsColumnTypeNullable.
func (r *sqlRows) ColumnTypeNullable(i int) (nullable, ok bool) {
	types, ok := r.Rows.(driver.RowsColumnTypeNullable)
	if !ok {
		return false, false
	}
	if nullable, ok = types.ColumnTypeNullable(i); ok {
		r.column(i, func(c *column) { c.Nullable = &nullable })
	}
	return nullable, ok
}

// ColumnTypePrecisionScale implements driver.RowsColumnTypePrecisionScale.
func (r *sqlRows) ColumnTypePrecisionScale(i int) (precision, scale int64, ok bool) {
	types, ok := r.Rows.(driver.RowsColumnTypePrecisionScale)
	if !ok {
		return 0, 0, false
	}
	if precision, scale, ok = types.ColumnTypePrecisionScale(i); ok {
		r.column(i, func(c *column) { c.Precision = &[2]int64{precision, scale} })
	}
	return precision, scale, ok
}

// ColumnTypeScanType implements driver.RowsColumnTypeScanType.
func (r *sqlRows) ColumnTypeScanType(i int) reflect.Type {
	types, ok := r.Rows.(driver.RowsColumnTypeScanType)
	if !ok {
		return reflect.TypeFor[any]() // as database/sql has it
	}
	t := types.ColumnTypeScanType(i)
	if t != nil {
		r.column(i, func(c *column) { c.Go = t.String() })
	}
	return t
}
