package sqlsuite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/internal/testservices"
)

func TestMySQLReplaysWithTheServerStopped(t *testing.T) {
	t.Parallel()
	server := testservices.OwnMariaDB(t)
	d := &database{
		connector: mysqlConnector(server.URL),
		options:   execution.SQLOptions{Errors: []fault.Kind{mysqlError}},
		stop:      server.Stop,
		ignore:    true,
	}
	runSuite(t, d, append(append([]program{}, common...), mysqlOnly...))
}

func mysqlConnector(name string) func(t *testing.T) driver.Connector {
	return func(t *testing.T) driver.Connector {
		config, err := mysql.ParseDSN(name)
		if err != nil {
			t.Fatal(err)
		}
		config.ParseTime, config.MultiStatements = true, true
		config.Logger = &mysql.NopLogger{} // it tells of connections that the tests break
		connector, err := mysql.NewConnector(config)
		if err != nil {
			t.Fatal(err)
		}
		return connector
	}
}

// mysqlError rebuilds the errors of the server, as a service with this driver would.
var mysqlError = fault.Kind{
	Name: "mysql.MySQLError",
	Of: func(err error) (any, bool) {
		e, ok := err.(*mysql.MySQLError)
		return e, ok
	},
	Rebuild: func(fields []byte, _ []error) error {
		e := new(mysql.MySQLError)
		if json.Unmarshal(fields, e) != nil {
			return nil
		}
		return e
	},
}

// mysqlFailure says what a program sees of an error of the server.
func mysqlFailure(err error) (any, error) {
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		return "no *mysql.MySQLError", err
	}
	return *e, err
}

// mysqlTypes selects a value of each kind of type. ? is 1.
const mysqlTypes = `SELECT CAST(? AS SIGNED), CAST(7 AS UNSIGNED), 18446744073709551615, 1.5, CAST(2.5 AS DOUBLE), CAST(1.25 AS FLOAT), CAST('x' AS CHAR), x'00ff',
	DATE '2026-11-22', TIME '10:20:30', TIMESTAMP '2026-11-22 10:20:30.123456', NULL, JSON_OBJECT('a', 1), b'101', 2026 = 2026`

func scanAll(rows *sql.Rows) (all [][]any, err error) {
	for more := true; more; more = rows.NextResultSet() {
		columns, err := rows.Columns()
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				return nil, err
			}
			all = append(all, values)
		}
	}
	return all, errors.Join(rows.Err(), rows.Close())
}

var mysqlOnly = []program{
	{"unique violation (1062)", func(ctx context.Context, db app) (any, error) {
		if err := db.table(ctx, "t_1062"); err != nil {
			return nil, err
		}
		_, err := db.exec(ctx, "INSERT INTO t_1062 (id, name) VALUES (1, 'a')")
		return mysqlFailure(err)
	}},
	{"id of the last insert", func(ctx context.Context, db app) (any, error) {
		if _, err := db.exec(ctx, "CREATE TABLE t_id (id INTEGER PRIMARY KEY AUTO_INCREMENT, name TEXT)"); err != nil {
			return nil, err
		}
		result, err := db.exec(ctx, "INSERT INTO t_id (name) VALUES (?), (?)", "a", "b")
		if err != nil {
			return nil, err
		}
		id, idErr := result.LastInsertId()
		n, err := result.RowsAffected()
		return []int64{id, n}, errors.Join(idErr, err)
	}},
	{"types as text", func(ctx context.Context, db app) (any, error) {
		rows, err := db.QueryContext(ctx, strings.Replace(mysqlTypes, "?", "1", 1))
		if err != nil {
			return nil, err
		}
		return scanAll(rows)
	}},
	{"types in binary", func(ctx context.Context, db app) (any, error) {
		rows, err := db.QueryContext(ctx, mysqlTypes, 1)
		if err != nil {
			return nil, err
		}
		return scanAll(rows)
	}},
	{"procedure with two results", func(ctx context.Context, db app) (any, error) {
		if _, err := db.exec(ctx, "CREATE PROCEDURE two() BEGIN SELECT 1 AS a UNION SELECT 2; SELECT 'x' AS b; END"); err != nil {
			return nil, err
		}
		rows, err := db.QueryContext(ctx, "CALL two()")
		if err != nil {
			return nil, err
		}
		return scanAll(rows)
	}},
	{"write in a transaction that only reads", func(ctx context.Context, db app) (any, error) {
		if err := db.table(ctx, "t_1792"); err != nil {
			return nil, err
		}
		tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable, ReadOnly: true})
		if err != nil {
			return nil, err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM t_1792")
		value, err := mysqlFailure(err)
		return value, errors.Join(err, tx.Rollback())
	}},
	{"deadline in a statement", func(ctx context.Context, db app) (any, error) {
		ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		_, err := db.exec(ctx, "SELECT SLEEP(60)")
		return errors.Is(err, context.DeadlineExceeded), err
	}},
	{"server going away", func(ctx context.Context, db app) (any, error) {
		_, err := db.exec(ctx, "KILL CONNECTION_ID()")
		return nil, err
	}},
}
