package execution

import (
	"context"
	"database/sql/driver"
	"errors"
)

// What follows calls a driver as database/sql does: with the newer interface where there is one, and otherwise with the older,
// before which the context is looked at.

// What drivers had before there were contexts.
type (
	queryer interface {
		Query(query string, args []driver.Value) (driver.Rows, error)
	}
	execer interface {
		Exec(query string, args []driver.Value) (driver.Result, error)
	}
	oldStmt interface {
		Query(args []driver.Value) (driver.Rows, error)
		Exec(args []driver.Value) (driver.Result, error)
	}
	beginner interface{ Begin() (driver.Tx, error) }
)

// queryDirect returns driver.ErrSkip when the statement is to be prepared first.
func queryDirect(ctx context.Context, conn driver.Conn, query string, args []driver.NamedValue) (driver.Rows, error) {
	with, ok := conn.(driver.QueryerContext)
	without, old := conn.(queryer)
	if !ok && !old {
		return nil, driver.ErrSkip
	}
	bound, err := bind(conn, nil, args)
	if err != nil {
		return nil, err
	}
	if ok {
		return with.QueryContext(ctx, query, bound)
	}
	values, err := positional(ctx, bound)
	if err != nil {
		return nil, err
	}
	return without.Query(query, values)
}

// execDirect returns driver.ErrSkip when the statement is to be prepared first.
func execDirect(ctx context.Context, conn driver.Conn, query string, args []driver.NamedValue) (driver.Result, error) {
	with, ok := conn.(driver.ExecerContext)
	without, old := conn.(execer)
	if !ok && !old {
		return nil, driver.ErrSkip
	}
	bound, err := bind(conn, nil, args)
	if err != nil {
		return nil, err
	}
	if ok {
		return with.ExecContext(ctx, query, bound)
	}
	values, err := positional(ctx, bound)
	if err != nil {
		return nil, err
	}
	return without.Exec(query, values)
}

func prepare(ctx context.Context, conn driver.Conn, query string) (driver.Stmt, error) {
	if c, ok := conn.(driver.ConnPrepareContext); ok {
		return c.PrepareContext(ctx, query)
	}
	stmt, err := conn.Prepare(query)
	if err == nil && ctx.Err() != nil {
		_ = stmt.Close()
		return nil, ctx.Err()
	}
	return stmt, err
}

func stmtQuery(ctx context.Context, conn driver.Conn, stmt driver.Stmt, args []driver.NamedValue) (driver.Rows, error) {
	bound, err := bind(conn, stmt, args)
	if err != nil {
		return nil, err
	}
	if s, ok := stmt.(driver.StmtQueryContext); ok {
		return s.QueryContext(ctx, bound)
	}
	values, err := positional(ctx, bound)
	if err != nil {
		return nil, err
	}
	return stmt.(oldStmt).Query(values)
}

func stmtExec(ctx context.Context, conn driver.Conn, stmt driver.Stmt, args []driver.NamedValue) (driver.Result, error) {
	bound, err := bind(conn, stmt, args)
	if err != nil {
		return nil, err
	}
	if s, ok := stmt.(driver.StmtExecContext); ok {
		return s.ExecContext(ctx, bound)
	}
	values, err := positional(ctx, bound)
	if err != nil {
		return nil, err
	}
	return stmt.(oldStmt).Exec(values)
}

// positional returns the values of arguments for interfaces without names and contexts.
func positional(ctx context.Context, args []driver.NamedValue) ([]driver.Value, error) {
	values := make([]driver.Value, len(args))
	for i, arg := range args {
		if arg.Name != "" {
			return nil, errors.New("sql: driver does not support the use of Named Parameters")
		}
		values[i] = arg.Value
	}
	return values, ctx.Err()
}

func begin(ctx context.Context, conn driver.Conn, opts driver.TxOptions) (driver.Tx, error) {
	if c, ok := conn.(driver.ConnBeginTx); ok {
		return c.BeginTx(ctx, opts)
	}
	switch {
	case opts.Isolation != 0:
		return nil, errors.New("sql: driver does not support non-default isolation level")
	case opts.ReadOnly:
		return nil, errors.New("sql: driver does not support read-only transactions")
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	tx, err := conn.(beginner).Begin()
	if err == nil && ctx.Err() != nil {
		_ = tx.Rollback()
		return nil, ctx.Err()
	}
	return tx, err
}
