package idempotent

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// SQLTable creates the table of an SQLStore, on PostgreSQL and SQLite.
const SQLTable = `CREATE TABLE IF NOT EXISTS idempotency_entries (
	name     VARCHAR(64) PRIMARY KEY,
	revision VARCHAR(64) NOT NULL,
	expires  BIGINT NOT NULL, -- ms since the Unix epoch
	entry    TEXT NOT NULL    -- JSON
)`

// An SQLStore keeps entries in a table of PostgreSQL or SQLite, a row each. The database decides which of two puts is the first.
type SQLStore struct{ db queryer }

// queryer is what *sql.DB and *sql.Tx have in common.
type queryer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// NewSQLStore returns the store in the table SQLTable of a database.
func NewSQLStore(db *sql.DB) *SQLStore { return &SQLStore{db} }

// In returns the store in a transaction, for Complete: what it puts is there when the transaction is committed.
func (s *SQLStore) In(tx *sql.Tx) *SQLStore { return &SQLStore{tx} }

// Get implements Store.
func (s *SQLStore) Get(ctx context.Context, name string) (e Entry, err error) {
	var text string
	err = s.db.QueryRowContext(ctx, "SELECT entry FROM idempotency_entries WHERE name = $1", name).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return Entry{}, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &e)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("idempotency entry %s: %w", name, err)
	}
	return e, nil
}

const (
	insertEntry = "INSERT INTO idempotency_entries (name, revision, expires, entry) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
	updateEntry = "UPDATE idempotency_entries SET revision = $2, expires = $3, entry = $4 WHERE name = $1 AND revision = $5"
)

// Put implements Store.
func (s *SQLStore) Put(ctx context.Context, name, over string, e Entry) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	statement, args := insertEntry, []any{name, e.Revision, e.Expires.UnixMilli(), string(text)}
	if over != "" {
		statement, args = updateEntry, append(args, over)
	}
	result, err := s.db.ExecContext(ctx, statement, args...)
	if err != nil {
		return fmt.Errorf("idempotency entry %s: %w", name, err)
	}
	switch n, err := result.RowsAffected(); {
	case err != nil:
		return err
	case n == 0:
		return ErrConflict
	}
	return nil
}

// Purge removes the entries that expired, and returns how many. Call it now and then.
func (s *SQLStore) Purge(ctx context.Context) (int64, error) {
	result, err := s.db.ExecContext(ctx, "DELETE FROM idempotency_entries WHERE expires < $1", time.Now().UnixMilli())
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
