package execution

import (
	"context"
	"database/sql/driver"
	"slices"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

const boundarySQL = "sql"

// sqlConn is a connection whose operations are recorded, or answered from a record. As any driver.Conn it is used by one
// goroutine at a time.
type sqlConn struct {
	connector *sqlConnector
	inner     driver.Conn // nil until an operation needs it
	failed    error       // with which it could not be opened
	stale     bool        // inner must be reset before it is used
	unit      unit
}

// unit is the transaction that is open on a connection.
type unit struct {
	name  string
	ctx   context.Context // under which it began; operations without an execution belong to that one
	wrote bool
}

// open opens the connection when it is not, and resets it when that was put off.
func (c *sqlConn) open(ctx context.Context) (err error) {
	switch {
	case c.failed != nil:
		return c.failed
	case c.inner == nil:
		c.inner, c.failed = c.connector.Connector.Connect(ctx)
		return c.failed
	case c.stale:
		c.stale = false
		if resetter, ok := c.inner.(driver.SessionResetter); ok {
			return resetter.ResetSession(ctx)
		}
	}
	return nil
}

// start begins a statement. It returns nil when nobody records it.
func (c *sqlConn) start(ctx context.Context, query string, args []driver.NamedValue) *Call {
	if ctx = c.owner(ctx); !c.connector.rec.records(ctx) {
		return nil
	}
	st := c.connector.statements.Parse(query)
	if st.Verb == "" {
		return nil // a comment, which asks only whether the connection is alive
	}
	request := newSQLRequest(query, args)
	op := Op{Shape: st.Shape, Effect: st.Effect, Request: request}
	if st.Text != query {
		op.Identity = &sqlRequest{SQL: st.Text, Args: request.Args}
	}
	if st.Shape == record.ShapeBegin && c.unit.name == "" {
		c.enter(ctx)
	}
	call := c.startOp(ctx, op)
	c.unit.wrote = c.unit.wrote || st.Effect.Writes()
	if st.Shape == record.ShapeCommit || st.Shape == record.ShapeRollback {
		c.unit = unit{}
	}
	return call
}

// startOp begins an operation of the connection.
func (c *sqlConn) startOp(ctx context.Context, op Op) *Call {
	op.Boundary, op.Target, op.Transaction = boundarySQL, c.connector.targetIn(c.connector.rec.ExecutionIn(ctx)), c.unit.name
	return c.connector.rec.Start(ctx, op)
}

// owner returns the context whose execution an operation belongs to: with a context of none, that of the transaction. What an adapter
// does unrecorded belongs to none.
func (c *sqlConn) owner(ctx context.Context) context.Context {
	if c.unit.ctx != nil && laneOf(ctx) == nil && !isUnrecorded(ctx) {
		return c.unit.ctx
	}
	return ctx
}

// enter begins a transaction.
func (c *sqlConn) enter(ctx context.Context) {
	c.unit = unit{name: c.connector.rec.ExecutionIn(ctx).NewTransaction(), ctx: ctx}
}

// records says whether an operation of the context belongs to an execution, and counts it when it does not.
func (r *Recorder) records(ctx context.Context) bool {
	switch {
	case laneOf(ctx) != nil:
		return true
	case isUnrecorded(ctx):
		return false
	case r.Booting():
		return true
	}
	r.strays.Add(1)
	return false
}

// finishSQL tells the outcome of a statement.
func (c *Call) finishSQL(response *sqlResponse, err error, kinds []fault.Kind) {
	switch {
	case c == nil:
	case err == nil && response == nil:
		c.Finish(nil, nil)
	case err == nil:
		c.Finish(response, nil)
	case response == nil:
		c.FinishFault(nil, fault.Of(err, kinds...))
	default:
		c.FinishFault(response, fault.Of(err, kinds...))
	}
}

// QueryContext implements driver.QueryerContext.
func (c *sqlConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.queryOn(ctx, nil, query, args)
}

// queryOn does a statement with rows, prepared or not, or answers it.
func (c *sqlConn) queryOn(ctx context.Context, s *sqlStmt, query string, args []driver.NamedValue) (driver.Rows, error) {
	call, kinds := c.start(ctx, query, args), c.connector.opts.Errors
	if err := call.Err(); err != nil {
		return nil, err
	}
	if cp := call.Recorded(); cp != nil {
		return answerRows(cp, kinds)
	}
	rows, stmt, err := c.query(ctx, s, query, args)
	switch {
	case err != nil:
		call.finishSQL(nil, err, kinds)
		return nil, err
	case call == nil && stmt == nil:
		return rows, nil
	}
	return newSQLRows(rows, stmt, call, kinds), nil
}

// query does a statement with rows for real. The driver statement it returns, if any, is to be closed with the rows.
func (c *sqlConn) query(ctx context.Context, s *sqlStmt, query string, args []driver.NamedValue) (driver.Rows, driver.Stmt, error) {
	if s != nil {
		rows, err := s.query(ctx, args)
		return rows, nil, err
	}
	if err := c.open(ctx); err != nil {
		return nil, nil, err
	}
	var room argRoom
	given := append(room[:0], args...)
	rows, err := queryDirect(ctx, c.inner, query, args)
	if err != driver.ErrSkip {
		return rows, nil, err
	}
	stmt, err := prepare(ctx, c.inner, query)
	if err != nil {
		return nil, nil, err
	}
	if rows, err = stmtQuery(ctx, c.inner, stmt, slices.Clone(given)); err != nil {
		_ = stmt.Close()
		return nil, nil, err
	}
	return rows, stmt, nil
}

// ExecContext implements driver.ExecerContext.
func (c *sqlConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.execOn(ctx, nil, query, args)
}

// execOn does a statement without rows, prepared or not, or answers it.
func (c *sqlConn) execOn(ctx context.Context, s *sqlStmt, query string, args []driver.NamedValue) (driver.Result, error) {
	call, kinds := c.start(ctx, query, args), c.connector.opts.Errors
	if err := call.Err(); err != nil {
		return nil, err
	}
	if cp := call.Recorded(); cp != nil {
		return answerResult(cp, kinds)
	}
	result, err := c.exec(ctx, s, query, args)
	switch {
	case call == nil:
	case err != nil:
		call.finishSQL(nil, err, kinds)
	default:
		call.Finish(newResultResponse(result), nil)
	}
	return result, err
}

// exec does a statement without rows for real.
func (c *sqlConn) exec(ctx context.Context, s *sqlStmt, query string, args []driver.NamedValue) (driver.Result, error) {
	if s != nil {
		return s.exec(ctx, args)
	}
	if err := c.open(ctx); err != nil {
		return nil, err
	}
	var room argRoom
	given := append(room[:0], args...)
	result, err := execDirect(ctx, c.inner, query, args)
	if err != driver.ErrSkip {
		return result, err
	}
	stmt, err := prepare(ctx, c.inner, query)
	if err != nil {
		return nil, err
	}
	defer stmt.Close()
	return stmtExec(ctx, c.inner, stmt, slices.Clone(given))
}

// CheckNamedValue implements driver.NamedValueChecker. Arguments stay as the program gave them, for records hold them so; they
// are converted, with the checkers of the driver, when a statement is really done.
func (c *sqlConn) CheckNamedValue(*driver.NamedValue) error { return nil }

// Prepare implements driver.Conn.
func (c *sqlConn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// PrepareContext implements driver.ConnPrepareContext. That a statement was prepared has no effect; whether and where it is depends
// on the pool. Failures are recorded.
func (c *sqlConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	call := c.startPrepare(ctx, query)
	if err := call.Err(); err != nil {
		return nil, err
	}
	if cp := call.Recorded(); cp != nil {
		return &sqlStmt{conn: c, text: query}, fault.Rebuild(cp.Error, c.connector.opts.Errors...)
	}
	s := &sqlStmt{conn: c, text: query}
	err := s.open(ctx)
	call.finishSQL(nil, err, c.connector.opts.Errors)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (c *sqlConn) startPrepare(ctx context.Context, query string) *Call {
	if ctx = c.owner(ctx); !c.connector.rec.records(ctx) {
		return nil
	}
	st := c.connector.statements.Parse(query)
	op := Op{Shape: "PREPARE " + st.Shape, Effect: record.EffectNone, Request: &sqlRequest{SQL: query}}
	if st.Text != query {
		op.Identity = &sqlRequest{SQL: st.Text}
	}
	return c.startOp(ctx, op)
}

// Ping implements driver.Pinger.
func (c *sqlConn) Ping(ctx context.Context) error {
	var call *Call
	if owner := c.owner(ctx); c.connector.rec.records(owner) {
		call = c.startOp(owner, Op{Shape: "PING", Effect: record.EffectNone})
	}
	if err := call.Err(); err != nil {
		return err
	}
	if cp := call.Recorded(); cp != nil {
		return fault.Rebuild(cp.Error, c.connector.opts.Errors...)
	}
	err := c.open(ctx)
	if pinger, ok := c.inner.(driver.Pinger); ok && err == nil {
		err = pinger.Ping(ctx)
	}
	call.finishSQL(nil, err, c.connector.opts.Errors)
	return err
}

// ResetSession implements driver.SessionResetter. Before a replay it waits: the connection may not be needed.
func (c *sqlConn) ResetSession(ctx context.Context) error {
	c.unit = unit{}
	switch {
	case c.failed != nil:
		return driver.ErrBadConn
	case c.inner == nil:
		return nil
	}
	c.stale = true
	if c.connector.rec.ExecutionIn(ctx).Mode() >= ModeReplay {
		return nil
	}
	return c.open(ctx)
}

// IsValid implements driver.Validator.
func (c *sqlConn) IsValid() bool {
	if validator, ok := c.inner.(driver.Validator); ok {
		return validator.IsValid()
	}
	return c.failed == nil
}

// Close implements driver.Conn.
func (c *sqlConn) Close() error {
	if c.inner == nil {
		return nil
	}
	return c.inner.Close()
}
