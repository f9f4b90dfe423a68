package execution

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// sqlTx is a transaction: its operations are a unit of the record, which a resume reuses or does again as a whole.
type sqlTx struct {
	conn  *sqlConn
	inner driver.Tx // nil when it is answered from a record
}

// Begin implements driver.Conn.
func (c *sqlConn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// BeginTx implements driver.ConnBeginTx.
func (c *sqlConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	call := c.startBegin(ctx, opts)
	if err := call.Err(); err != nil {
		return nil, err
	}
	tx := &sqlTx{conn: c}
	var err error
	if cp := call.Recorded(); cp != nil {
		err = fault.Rebuild(cp.Error, c.connector.opts.Errors...)
	} else {
		if err = c.open(ctx); err == nil {
			tx.inner, err = begin(ctx, c.inner, opts)
		}
		call.finishSQL(nil, err, c.connector.opts.Errors)
	}
	if err != nil {
		c.unit = unit{}
		return nil, err
	}
	return tx, nil
}

func (c *sqlConn) startBegin(ctx context.Context, opts driver.TxOptions) *Call {
	if !c.connector.rec.records(ctx) {
		return nil
	}
	request := &sqlRequest{SQL: record.ShapeBegin, ReadOnly: opts.ReadOnly}
	if opts.Isolation != 0 {
		request.Isolation = sql.IsolationLevel(opts.Isolation).String()
	}
	c.enter(ctx)
	return c.startOp(ctx, Op{Shape: record.ShapeBegin, Effect: record.EffectNone, Request: request})
}

// Commit implements driver.Tx. A commit that changes nothing, because nothing in the transaction writes, has no effect.
func (t *sqlTx) Commit() error {
	effect := record.EffectNone
	if t.conn.unit.wrote {
		effect = record.EffectWrite
	}
	return t.end(record.ShapeCommit, effect, func() error {
		if err := t.conn.mark(); err != nil {
			return err
		}
		return t.inner.Commit()
	})
}

// Rollback implements driver.Tx.
func (t *sqlTx) Rollback() error {
	return t.end(record.ShapeRollback, record.EffectNone, func() error { return t.inner.Rollback() })
}

func (t *sqlTx) end(shape string, effect record.Effect, do func() error) error {
	c := t.conn
	defer func() { c.unit = unit{} }()
	var call *Call
	if ctx := c.unit.ctx; ctx != nil && c.connector.rec.records(ctx) {
		call = c.startOp(ctx, Op{Shape: shape, Effect: effect, Request: &sqlRequest{SQL: shape}})
	}
	if err := call.Err(); err != nil {
		t.abandon()
		return err
	}
	switch cp := call.Recorded(); {
	case cp != nil:
		t.abandon()
		return fault.Rebuild(cp.Error, c.connector.opts.Errors...)
	case t.inner == nil:
		err := fmt.Errorf("%w: %s of a transaction that is answered from the record", ErrDiverged, shape)
		call.Finish(nil, err)
		return err
	}
	err := do()
	call.finishSQL(nil, err, c.connector.opts.Errors)
	return err
}

// abandon rolls a real transaction back whose end is not to happen: no connection goes back to its pool with one open.
func (t *sqlTx) abandon() {
	if t.inner != nil {
		_ = t.inner.Rollback()
	}
}
