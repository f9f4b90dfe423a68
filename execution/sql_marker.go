package execution

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/flux-go/flux/execution/record"
)

// MarkerTable creates the table that SQLOptions.Marker writes to: a row for each transaction of an execution that was committed.
// It runs on PostgreSQL, MySQL and SQLite. Rows are needed for as long as an execution may be resumed.
const MarkerTable = `CREATE TABLE IF NOT EXISTS flux_effects (
	execution VARCHAR(64) NOT NULL,
	operation VARCHAR(64) NOT NULL,
	PRIMARY KEY (execution, operation)
)`

// mark writes the row of a transaction in an execution that wrote something.
func (c *sqlConn) mark() error {
	x := FromContext(c.unit.ctx)
	if !c.connector.opts.Marker || !c.unit.wrote || x == nil {
		return nil
	}
	insert := fmt.Sprintf("INSERT INTO flux_effects (execution, operation) VALUES (%s, %s)", quote(x.ID().String()), quote(c.unit.name))
	if _, err := c.exec(c.unit.ctx, nil, insert, nil); err != nil {
		return fmt.Errorf("marker of the transaction: %w", err)
	}
	return nil
}

// quote writes an id as a string of SQL.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// ProbeMarker returns a function for ResumeOptions.Probe that looks in MarkerTable whether a transaction of an execution was
// committed. It refuses other operations.
func ProbeMarker(db *sql.DB, of record.ID) func(context.Context, *record.Checkpoint) (bool, error) {
	return func(ctx context.Context, cp *record.Checkpoint) (bool, error) {
		if cp.Boundary != boundarySQL || cp.Transaction == "" {
			return false, fmt.Errorf("%w: op %d is in no transaction that has a marker", ErrRefused, cp.Number)
		}
		var n int
		id, unit := unitOf(of, cp.Transaction)
		query := fmt.Sprintf("SELECT count(*) FROM flux_effects WHERE execution = %s AND operation = %s", quote(id.String()), quote(unit))
		err := db.QueryRowContext(Unrecorded(ctx), query).Scan(&n)
		return n > 0, err
	}
}
