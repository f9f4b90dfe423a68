package execution_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// TestArgumentsAreConvertedAnewForAStatementThatIsPrepared has a driver that converts arguments, drops one, and then says that it
// does only prepared statements.
func TestArgumentsAreConvertedAnewForAStatementThatIsPrepared(t *testing.T) {
	t.Parallel()
	rec, err := execution.New(execution.Config{Service: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close(t.Context())
	ctx, x := rec.Begin(t.Context(), record.Trigger{Kind: record.TriggerTest}, nil)
	defer x.End(nil)
	for name, ctx := range map[string]context.Context{"recorded": ctx, "not recorded": execution.Unrecorded(t.Context())} {
		var got []string
		db := rec.OpenDB(skipping{&got})
		defer db.Close()
		if _, err := db.ExecContext(ctx, "INSERT INTO t VALUES ($1, $2)", "option", 1, 2); err != nil {
			t.Fatal(err)
		}
		if _, err := db.QueryContext(ctx, "SELECT $1", "option", 3); err == nil {
			t.Fatal("the driver has no rows")
		}
		want := []string{"+1 +2", "stmt 1 stmt 2", "+3", "stmt 3"}
		if !slices.Equal(got, want) {
			t.Errorf("%s: the driver got %q, want %q", name, got, want)
		}
	}
}

type skipping struct{ got *[]string }

func (c skipping) Connect(context.Context) (driver.Conn, error) { return c, nil }
func (c skipping) Driver() driver.Driver                        { return nil }
func (c skipping) Prepare(string) (driver.Stmt, error)          { return skippingStmt{c}, nil }
func (c skipping) Close() error                                 { return nil }
func (c skipping) Begin() (driver.Tx, error)                    { return nil, driver.ErrSkip }

func (c skipping) CheckNamedValue(arg *driver.NamedValue) error {
	if arg.Value == "option" {
		return driver.ErrRemoveArgument
	}
	arg.Value = fmt.Sprint("+", arg.Value)
	return nil
}

func (c skipping) note(args []driver.NamedValue) {
	line := ""
	for _, arg := range args {
		line += fmt.Sprint(arg.Value, " ")
	}
	*c.got = append(*c.got, line[:len(line)-1])
}

func (c skipping) ExecContext(_ context.Context, _ string, args []driver.NamedValue) (driver.Result, error) {
	c.note(args)
	return nil, driver.ErrSkip
}

func (c skipping) QueryContext(_ context.Context, _ string, args []driver.NamedValue) (driver.Rows, error) {
	c.note(args)
	return nil, driver.ErrSkip
}

type skippingStmt struct{ skipping }

func (s skippingStmt) NumInput() int                              { return -1 }
func (s skippingStmt) Exec([]driver.Value) (driver.Result, error) { return nil, nil }
func (s skippingStmt) Query([]driver.Value) (driver.Rows, error)  { return nil, nil }

func (s skippingStmt) CheckNamedValue(arg *driver.NamedValue) error {
	if arg.Value == "option" {
		return driver.ErrRemoveArgument
	}
	arg.Value = fmt.Sprint("stmt ", arg.Value)
	return nil
}

func (s skippingStmt) ExecContext(_ context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.note(args)
	return driver.ResultNoRows, nil
}

func (s skippingStmt) QueryContext(_ context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.note(args)
	return nil, io.ErrUnexpectedEOF
}
