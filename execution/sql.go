package execution

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"io"
	"sync/atomic"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/internal/sqltext"
)

// SQLOptions say how the operations of a database are recorded. The zero value is good for most.
type SQLOptions struct {
	// Target names the database in records. Defaults to what the connector or the data source name tells, without credentials.
	Target string
	// Errors are the error types of the driver, which a replay rebuilds as themselves. Defaults to none: errors keep their text,
	// their SQLSTATE, and what they wrap.
	Errors []fault.Kind
	// Marker writes a row into the table of MarkerTable in each transaction of an execution that wrote something, so that a
	// commit whose outcome is not known can be looked up; see ProbeMarker. The table must be there. Defaults to false.
	Marker bool
}

// OpenDB is sql.OpenDB with a connector whose operations are recorded: statements with arguments and results, transactions,
// errors. In a replay they are answered from the record, and no connection is opened.
//
// What the record does not have: output parameters (sql.Out), and what is done with a connection of the driver itself, which
// DriverConn returns. sql.DB.Conn succeeds in an execution although the database is away: the first operation fails then.
func (r *Recorder) OpenDB(c driver.Connector) *sql.DB { return sql.OpenDB(r.Connector(c)) }

// Connector returns a connector whose operations are recorded. With a nil Recorder it is c.
func (r *Recorder) Connector(c driver.Connector) driver.Connector { return r.ConnectorWith(c, nil) }

// ConnectorWith is Connector with options, nil for none.
func (r *Recorder) ConnectorWith(c driver.Connector, opts *SQLOptions) driver.Connector {
	if _, ok := c.(*sqlConnector); ok || r == nil {
		return c
	}
	if opts == nil {
		opts = &SQLOptions{}
	}
	out := &sqlConnector{Connector: c, rec: r, opts: *opts}
	if out.target = opts.Target; out.target == "" {
		out.target = connectorTarget(c)
	}
	return out
}

// Driver returns a driver for sql.Register whose operations are recorded. With a nil Recorder it is d.
func (r *Recorder) Driver(d driver.Driver) driver.Driver {
	if r == nil {
		return d
	}
	return &sqlDriver{d, r}
}

// DriverConn returns the connection of the driver itself, for functions that sql.Conn.Raw calls: what it is given there may be a
// recorded connection. It is nil when a replay has none.
func DriverConn(conn any) any {
	if c, ok := conn.(*sqlConn); ok {
		if c.inner == nil {
			return nil
		}
		return c.inner
	}
	return conn
}

type sqlDriver struct {
	driver.Driver
	rec *Recorder
}

// OpenConnector implements driver.DriverContext.
func (d *sqlDriver) OpenConnector(name string) (driver.Connector, error) {
	var c driver.Connector = nameConnector{d.Driver, name}
	if opener, ok := d.Driver.(driver.DriverContext); ok {
		var err error
		if c, err = opener.OpenConnector(name); err != nil {
			return nil, err
		}
	}
	return d.rec.ConnectorWith(c, &SQLOptions{Target: nameTarget(name)}), nil
}

// nameConnector opens connections by the name of a data source.
type nameConnector struct {
	driver driver.Driver
	name   string
}

// Connect implements driver.Connector.
func (c nameConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.name) }

// Driver implements driver.Connector.
func (c nameConnector) Driver() driver.Driver { return c.driver }

// sqlConnector makes connections that record.
type sqlConnector struct {
	driver.Connector
	rec        *Recorder
	opts       SQLOptions
	target     string
	statements sqltext.Cache
	alias      atomic.Pointer[sqlAlias]
}

// Connect implements driver.Connector. In a replay or a resume, the connection is opened when it is first needed, which may be
// never. A connection that cannot be opened in a recorded execution fails with its first operation, so that the failure is part
// of the record.
func (c *sqlConnector) Connect(ctx context.Context) (driver.Conn, error) {
	x := c.rec.ExecutionIn(ctx)
	if x.Mode() >= ModeReplay {
		return &sqlConn{connector: c}, nil
	}
	inner, err := c.Connector.Connect(ctx)
	if err != nil && x == nil {
		return nil, err
	}
	return &sqlConn{connector: c, inner: inner, failed: err}, nil
}

// Close implements io.Closer, which sql.DB looks for.
func (c *sqlConnector) Close() error {
	if closer, ok := c.Connector.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

// sqlAlias is the target under which a replayed record knows the database.
type sqlAlias struct {
	of     *Execution
	target string
}

// targetIn returns the target of operations in an execution. In a replay, which may run where the database has another address,
// it is the one of the record if there is only one.
func (c *sqlConnector) targetIn(x *Execution) string {
	if x.Mode() != ModeReplay {
		return c.target
	}
	known := c.alias.Load()
	if known == nil || known.of != x {
		known = &sqlAlias{x, x.RecordedTarget(boundarySQL, c.target)}
		c.alias.Store(known)
	}
	return known.target
}
