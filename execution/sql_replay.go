package execution

import (
	"database/sql/driver"
	"fmt"
	"io"
	"reflect"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// recordedRows are rows that come from a record.
type recordedRows struct {
	number     uint32 // of the operation
	sets       []setJSON
	at         int   // row of the first set
	err        error // after the rows
	closeError bool
}

// answerRows returns the rows that a record has, or the error that came instead of them.
func answerRows(cp *record.Checkpoint, kinds []fault.Kind) (driver.Rows, error) {
	response, err := decodeResponse(cp)
	if err != nil {
		return nil, err
	}
	failed := fault.Rebuild(cp.Error, kinds...)
	if failed != nil && response.Columns == nil {
		return nil, failed
	}
	return &recordedRows{number: cp.Number, sets: response.sets(), err: failed, closeError: response.CloseError}, nil
}

// answerResult returns the result that a record has.
func answerResult(cp *record.Checkpoint, kinds []fault.Kind) (driver.Result, error) {
	if cp.Error != nil {
		return nil, fault.Rebuild(cp.Error, kinds...)
	}
	response, err := decodeResponse(cp)
	if err != nil {
		return nil, err
	}
	return response.sqlResult(), nil
}

// Columns implements driver.Rows.
func (r *recordedRows) Columns() []string {
	names := make([]string, len(r.sets[0].Columns))
	for i, c := range r.sets[0].Columns {
		names[i] = c.Name
	}
	return names
}

// Next implements driver.Rows. Rows that the record does not have are an error, never the end.
func (r *recordedRows) Next(dest []driver.Value) error {
	set := &r.sets[0]
	if r.at == len(set.Rows) {
		switch {
		case set.Truncated:
			return fmt.Errorf("%w: the record of op %d has only the first %d rows", ErrDiverged, r.number, len(set.Rows))
		case set.Unread:
			return fmt.Errorf("%w: only %d rows of op %d were fetched when it was recorded", ErrDiverged, len(set.Rows), r.number)
		case r.err != nil && !r.closeError && len(r.sets) == 1:
			return r.err
		}
		return io.EOF
	}
	row := set.Rows[r.at]
	r.at++
	if len(row) != len(dest) {
		return fmt.Errorf("%w: a row of op %d has %d values for %d columns", ErrDiverged, r.number, len(row), len(dest))
	}
	for i, value := range row {
		v, err := decodeValue(value)
		if err != nil {
			return fmt.Errorf("%w: column %s of op %d: %w", ErrDiverged, set.Columns[i].Name, r.number, err)
		}
		dest[i] = v
	}
	return nil
}

// Close implements driver.Rows.
func (r *recordedRows) Close() error {
	if r.closeError {
		return r.err
	}
	return nil
}

// HasNextResultSet implements driver.RowsNextResultSet.
func (r *recordedRows) HasNextResultSet() bool { return len(r.sets) > 1 }

// NextResultSet implements driver.RowsNextResultSet.
func (r *recordedRows) NextResultSet() error {
	if len(r.sets) == 1 {
		return io.EOF
	}
	r.sets, r.at = r.sets[1:], 0
	return nil
}

// ColumnTypeDatabaseTypeName implements driver.RowsColumnTypeDatabaseTypeName.
func (r *recordedRows) ColumnTypeDatabaseTypeName(i int) string { return r.sets[0].Columns[i].Type }

// ColumnTypeLength implements driver.RowsColumnTypeLength.
func (r *recordedRows) ColumnTypeLength(i int) (int64, bool) {
	if length := r.sets[0].Columns[i].Length; length != nil {
		return *length, true
	}
	return 0, false
}

// ColumnTypeNullable implements driver.RowsColumnTypeNullable.
func (r *recordedRows) ColumnTypeNullable(i int) (nullable, ok bool) {
	if known := r.sets[0].Columns[i].Nullable; known != nil {
		return *known, true
	}
	return false, false
}

// ColumnTypePrecisionScale implements driver.RowsColumnTypePrecisionScale.
func (r *recordedRows) ColumnTypePrecisionScale(i int) (precision, scale int64, ok bool) {
	if known := r.sets[0].Columns[i].Precision; known != nil {
		return known[0], known[1], true
	}
	return 0, 0, false
}

// ColumnTypeScanType implements driver.RowsColumnTypeScanType. Types that only the driver has are any.
func (r *recordedRows) ColumnTypeScanType(i int) reflect.Type {
	if t := scanTypes[r.sets[0].Columns[i].Go]; t != nil {
		return t
	}
	return reflect.TypeFor[any]()
}
