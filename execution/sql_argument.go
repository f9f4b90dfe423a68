package execution

import (
	"bytes"
	"database/sql/driver"
	"fmt"
	"reflect"
	"time"
)

// plainValue returns an argument in the form in which records hold and compare it. It is a copy.
func plainValue(v any) any {
	switch v := v.(type) {
	case nil, bool, int64, float64, string, uint64:
		return v
	case int:
		return int64(v)
	case []byte:
		if v == nil {
			return nil
		}
		return bytes.Clone(v)
	case time.Time:
		return v.Round(0)
	case driver.Valuer:
		return valuerValue(v)
	}
	return plainReflect(reflect.ValueOf(v))
}

// valuerValue asks a Valuer, as drivers do. A nil pointer whose method would panic is a NULL, as it is for database/sql.
func valuerValue(v driver.Valuer) any {
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.Pointer && rv.IsNil() {
		return nil
	}
	value, err := v.Value()
	if err != nil {
		return newForeign(err.Error())
	}
	if _, again := value.(driver.Valuer); again {
		return newForeign(value)
	}
	return plainValue(value)
}

func plainReflect(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return plainValue(v.Elem().Interface())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return v.Uint()
	case reflect.Float32, reflect.Float64:
		return v.Float()
	case reflect.Bool:
		return v.Bool()
	case reflect.String:
		return v.String()
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return bytes.Clone(v.Bytes())
		}
	}
	return newForeign(v.Interface())
}

// columnConverter is an interface that drivers had before driver.NamedValueChecker.
type columnConverter interface {
	ColumnConverter(idx int) driver.ValueConverter
}

// bind converts arguments as database/sql does between a program and a driver: the checker of the statement or of the connection
// first, then the converter of the statement, then the default. The connections of this package take arguments as they are, so
// that records hold what the program gave; see sqlConn.CheckNamedValue. It converts them where they are: database/sql makes the
// arguments of each call anew.
func bind(conn driver.Conn, stmt driver.Stmt, args []driver.NamedValue) ([]driver.NamedValue, error) {
	checker, _ := stmt.(driver.NamedValueChecker)
	if checker == nil {
		checker, _ = conn.(driver.NamedValueChecker)
	}
	converter, _ := stmt.(columnConverter)
	if stmt == nil && checker == nil && areValues(args) {
		return args, nil
	}
	out := args[:0]
	for _, arg := range args {
		arg.Ordinal = len(out) + 1
		out = append(out, arg)
		switch err := bindOne(&out[len(out)-1], checker, converter, stmt); err {
		case nil:
		case driver.ErrRemoveArgument:
			out = out[:len(out)-1]
		default:
			return nil, fmt.Errorf("sql: converting argument %s type: %w", argName(arg), err)
		}
	}
	if stmt != nil {
		if want := stmt.NumInput(); want >= 0 && want != len(out) {
			return nil, fmt.Errorf("sql: expected %d arguments, got %d", want, len(out))
		}
	}
	return out, nil
}

// argRoom is room for arguments on the stack.
type argRoom [8]driver.NamedValue

// areValues says that the default conversion changes nothing.
func areValues(args []driver.NamedValue) bool {
	for i := range args {
		if !driver.IsValue(args[i].Value) {
			return false
		}
	}
	return true
}

func argName(arg driver.NamedValue) string {
	if arg.Name != "" {
		return fmt.Sprintf("with name %q", arg.Name)
	}
	return fmt.Sprintf("$%d", arg.Ordinal)
}

func bindOne(arg *driver.NamedValue, checker driver.NamedValueChecker, converter columnConverter, stmt driver.Stmt) (err error) {
	if checker != nil {
		if err = checker.CheckNamedValue(arg); err != driver.ErrSkip {
			return err
		}
	}
	if converter == nil || stmt.NumInput() >= 0 && stmt.NumInput() < arg.Ordinal {
		arg.Value, err = driver.DefaultParameterConverter.ConvertValue(arg.Value)
		return err
	}
	return convert(arg, converter.ColumnConverter(arg.Ordinal-1))
}

// convert is what database/sql does with a converter for one argument.
func convert(arg *driver.NamedValue, c driver.ValueConverter) (err error) {
	if v, ok := arg.Value.(driver.Valuer); ok {
		value, err := v.Value()
		switch {
		case err != nil:
			return err
		case !driver.IsValue(value):
			return fmt.Errorf("non-subset type %T returned from Value", value)
		}
		arg.Value = value
	}
	if arg.Value, err = c.ConvertValue(arg.Value); err == nil && !driver.IsValue(arg.Value) {
		return fmt.Errorf("driver ColumnConverter error converted %T to unsupported type %T", arg.Value, arg.Value)
	}
	return err
}
