package sqlsuite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flux-go/flux/execution"
)

// exec does a statement in the placeholders of the suite.
func (a app) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return a.ExecContext(ctx, a.rebind(query), args...)
}

func (a app) row(ctx context.Context, query string, args ...any) *sql.Row {
	return a.QueryRowContext(ctx, a.rebind(query), args...)
}

// table makes a table with three rows for a program of its own.
func (a app) table(ctx context.Context, name string) error {
	_, err := a.exec(ctx, "CREATE TABLE "+name+" (id INTEGER PRIMARY KEY, name VARCHAR(20) NOT NULL, n INTEGER)")
	if err == nil {
		_, err = a.exec(ctx, "INSERT INTO "+name+" (id, name, n) VALUES (?, ?, ?), (?, ?, ?), (?, ?, ?)", 1, "a", 10, 2, "b", 20, 3, "c", nil)
	}
	return err
}

// common are programs that every database can run.
var common = []program{
	{"select", func(ctx context.Context, db app) (any, error) {
		if err := db.table(ctx, "t_select"); err != nil {
			return nil, err
		}
		rows, err := db.QueryContext(ctx, db.rebind("SELECT id, name, n FROM t_select WHERE id <= ? ORDER BY id"), 3)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		var out []any
		columns, _ := rows.Columns()
		for rows.Next() {
			var id, name, n any
			if err := rows.Scan(&id, &name, &n); err != nil {
				return nil, err
			}
			out = append(out, id, name, n)
		}
		return append(out, columns), rows.Err()
	}},
	{"rows affected of an update (F-07)", func(ctx context.Context, db app) (any, error) {
		if err := db.table(ctx, "t_update"); err != nil {
			return nil, err
		}
		result, err := db.exec(ctx, "UPDATE t_update SET n = n + ?", 1)
		if err != nil {
			return nil, err
		}
		n, err := result.RowsAffected()
		_, idErr := result.LastInsertId()
		return []any{n, fmt.Sprint(idErr)}, err
	}},
	{"insert returning (G-022)", func(ctx context.Context, db app) (any, error) {
		if err := db.table(ctx, "t_returning"); err != nil {
			return nil, err
		}
		var id int
		var name string
		err := db.row(ctx, "INSERT INTO t_returning (id, name) VALUES (?, ?) RETURNING id, name", 7, "seven").Scan(&id, &name)
		return []any{id, name}, err
	}},
	{"do nothing on conflict keeps the first (G-005)", func(ctx context.Context, db app) (any, error) {
		if err := db.table(ctx, "t_conflict"); err != nil {
			return nil, err
		}
		for _, name := range []string{"first", "second"} {
			if _, err := db.exec(ctx, "INSERT INTO t_conflict (id, name) VALUES (9, ?) ON CONFLICT DO NOTHING", name); err != nil {
				return nil, err
			}
		}
		var name string
		return &name, db.row(ctx, "SELECT name FROM t_conflict WHERE id = 9").Scan(&name)
	}},
	{"no rows", func(ctx context.Context, db app) (any, error) {
		var n int
		err := db.row(ctx, "SELECT 1 WHERE 1 = 2").Scan(&n)
		return errors.Is(err, sql.ErrNoRows), err
	}},
	{"syntax error (G-064)", func(ctx context.Context, db app) (any, error) {
		_, err := db.exec(ctx, "SELEC 1")
		return nil, err
	}},
	{"constraint in a transaction (F-08)", func(ctx context.Context, db app) (any, error) {
		if err := db.table(ctx, "t_unique"); err != nil {
			return nil, err
		}
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return nil, err
		}
		defer tx.Rollback()
		_, err = tx.ExecContext(ctx, "INSERT INTO t_unique (id, name) VALUES (1, 'again')")
		return nil, fmt.Errorf("insert: %w", err)
	}},
	{"commit and rollback (G-063)", func(ctx context.Context, db app) (any, error) {
		if err := db.table(ctx, "t_tx"); err != nil {
			return nil, err
		}
		for i, end := range []func(*sql.Tx) error{(*sql.Tx).Commit, (*sql.Tx).Rollback} {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return nil, err
			}
			if _, err := tx.ExecContext(ctx, db.rebind("INSERT INTO t_tx (id, name) VALUES (?, 'x')"), 100+i); err != nil {
				return nil, err
			}
			if err := end(tx); err != nil {
				return nil, err
			}
		}
		var n int
		return &n, db.row(ctx, "SELECT count(*) FROM t_tx WHERE id >= 100").Scan(&n)
	}},
	{"savepoint, partly rolled back", func(ctx context.Context, db app) (any, error) {
		if err := db.table(ctx, "t_savepoint"); err != nil {
			return nil, err
		}
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return nil, err
		}
		defer tx.Rollback()
		for _, s := range []string{
			"INSERT INTO t_savepoint (id, name) VALUES (4, 'd')", "SAVEPOINT s", "INSERT INTO t_savepoint (id, name) VALUES (5, 'e')",
			"ROLLBACK TO SAVEPOINT s", "RELEASE SAVEPOINT s",
		} {
			if _, err := tx.ExecContext(ctx, s); err != nil {
				return nil, err
			}
		}
		if err := tx.Commit(); err != nil {
			return nil, err
		}
		var n int
		return &n, db.row(ctx, "SELECT max(id) FROM t_savepoint").Scan(&n)
	}},
	{"prepared", func(ctx context.Context, db app) (any, error) {
		stmt, err := db.PrepareContext(ctx, db.rebind("SELECT CAST(? AS INTEGER) + 1"))
		if err != nil {
			return nil, err
		}
		defer stmt.Close()
		sum := 0
		for i := range 3 {
			var n int
			if err := stmt.QueryRowContext(ctx, i).Scan(&n); err != nil {
				return nil, err
			}
			sum += n
		}
		return sum, nil
	}},
	{"preparing nonsense", func(ctx context.Context, db app) (any, error) {
		_, err := db.PrepareContext(ctx, "SELEC 1")
		return nil, err
	}},
	{"statements in a transaction without a context", func(ctx context.Context, db app) (any, error) {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return nil, err
		}
		defer tx.Rollback()
		var n int
		return &n, tx.QueryRow("SELECT 5").Scan(&n)
	}},
	{"three in a row (G-008, G-028)", func(ctx context.Context, db app) (any, error) {
		var out []int
		for i := 1; i <= 3; i++ {
			var n int
			if err := db.row(ctx, fmt.Sprintf("SELECT %d", i)).Scan(&n); err != nil {
				return nil, err
			}
			out = append(out, n)
		}
		return out, nil
	}},
	{"five at a time (G-009, G-030, G-065)", func(ctx context.Context, db app) (any, error) {
		out := make([]int, 5)
		var g errgroup.Group
		for i := range out {
			ctx := execution.WithLane(ctx, "part")
			g.Go(func() error { return db.row(ctx, "SELECT CAST(? AS INTEGER) * 10", i).Scan(&out[i]) })
		}
		return out, g.Wait()
	}},
	{"rows that are not read to the end", func(ctx context.Context, db app) (any, error) {
		if err := db.table(ctx, "t_partly"); err != nil {
			return nil, err
		}
		rows, err := db.QueryContext(ctx, "SELECT id FROM t_partly ORDER BY id")
		if err != nil {
			return nil, err
		}
		rows.Next()
		var id int
		err = rows.Scan(&id)
		return id, errors.Join(err, rows.Close())
	}},
	{"types of columns", func(ctx context.Context, db app) (any, error) {
		if err := db.table(ctx, "t_columns"); err != nil {
			return nil, err
		}
		rows, err := db.QueryContext(ctx, "SELECT id, name, n FROM t_columns WHERE id = 1")
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		types, err := rows.ColumnTypes()
		var out []any
		for _, c := range types {
			length, hasLength := c.Length()
			precision, scale, hasPrecision := c.DecimalSize()
			nullable, hasNullable := c.Nullable()
			out = append(out, c.Name(), c.DatabaseTypeName(), c.ScanType(), length, hasLength, precision, scale, hasPrecision, nullable, hasNullable)
		}
		return fmt.Sprint(out...), err
	}},
	{"an empty result", func(ctx context.Context, db app) (any, error) {
		rows, err := db.QueryContext(ctx, "SELECT 1 AS one WHERE 1 = 2")
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		columns, err := rows.Columns()
		return []any{columns, rows.Next(), rows.Err()}, err
	}},
	{"a context that was canceled before", func(ctx context.Context, db app) (any, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		conn, err := db.Conn(ctx)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		cancel()
		_, err = conn.ExecContext(ctx, "SELECT 1")
		return errors.Is(err, context.Canceled), err
	}},
	{"ping and pool", func(ctx context.Context, db app) (any, error) {
		db.SetMaxOpenConns(1)
		for range 3 {
			if err := db.PingContext(ctx); err != nil {
				return nil, err
			}
		}
		var n int
		return &n, db.row(ctx, "SELECT 1").Scan(&n)
	}},
	{"values of all types", func(ctx context.Context, db app) (any, error) {
		_, err := db.exec(ctx, "CREATE TABLE t_values (i BIGINT, f DOUBLE PRECISION, b BOOLEAN, s VARCHAR(20), t TIMESTAMP)")
		if err != nil {
			return nil, err
		}
		at := time.Date(2026, 11, 22, 10, 30, 0, 123456000, time.UTC)
		_, err = db.exec(ctx, "INSERT INTO t_values VALUES (?, ?, ?, ?, ?)", int64(1)<<62, 5.0, true, "ä\x01\"", at)
		if err != nil {
			return nil, err
		}
		var i, f, b, s, at2 any
		err = db.row(ctx, "SELECT i, f, b, s, t FROM t_values").Scan(&i, &f, &b, &s, &at2)
		return []any{i, f, b, s, at2}, err
	}},
}
