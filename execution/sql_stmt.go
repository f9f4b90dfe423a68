package execution

import (
	"context"
	"database/sql/driver"
)

// sqlStmt is a prepared statement. It is recorded when it is done, as the same statement that was not prepared is: whether and
// where a statement was prepared before depends on the pool.
type sqlStmt struct {
	conn  *sqlConn
	text  string
	inner driver.Stmt // nil until it is needed
}

func (s *sqlStmt) open(ctx context.Context) (err error) {
	if s.inner != nil {
		return nil
	}
	if err := s.conn.open(ctx); err != nil {
		return err
	}
	s.inner, err = prepare(ctx, s.conn.inner, s.text)
	return err
}

// QueryContext implements driver.StmtQueryContext.
func (s *sqlStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.conn.queryOn(ctx, s, s.text, args)
}

// query does the statement for real.
func (s *sqlStmt) query(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	return stmtQuery(ctx, s.conn.inner, s.inner, args)
}

// ExecContext implements driver.StmtExecContext.
func (s *sqlStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.conn.execOn(ctx, s, s.text, args)
}

// exec does the statement for real.
func (s *sqlStmt) exec(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	return stmtExec(ctx, s.conn.inner, s.inner, args)
}

// NumInput implements driver.Stmt: arguments are counted when the statement is really done.
func (s *sqlStmt) NumInput() int { return -1 }

// CheckNamedValue implements driver.NamedValueChecker, as that of the connection does.
func (s *sqlStmt) CheckNamedValue(*driver.NamedValue) error { return nil }

// Close implements driver.Stmt.
func (s *sqlStmt) Close() error {
	if s.inner == nil {
		return nil
	}
	return s.inner.Close()
}

// Exec implements driver.Stmt for callers that know no contexts.
func (s *sqlStmt) Exec(args []driver.Value) (driver.Result, error) {
	return s.ExecContext(context.Background(), named(args))
}

// Query implements driver.Stmt for callers that know no contexts.
func (s *sqlStmt) Query(args []driver.Value) (driver.Rows, error) {
	return s.QueryContext(context.Background(), named(args))
}

func named(args []driver.Value) []driver.NamedValue {
	out := make([]driver.NamedValue, len(args))
	for i, v := range args {
		out[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return out
}
