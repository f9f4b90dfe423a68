package sqltext

import (
	"strings"
	"testing"

	"github.com/flux-go/flux/execution/record"
)

func TestStatementsAreReadForRecording(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sql, text, shape string
		effect           record.Effect
	}{
		{
			"SELECT  id, name -- who\n FROM users\tWHERE id=$1 /* trace /* nested */ x */ AND name = 'O''Hara'",
			"SELECT id, name FROM users WHERE id=$1 AND name = 'O''Hara'",
			"SELECT id, name FROM users WHERE id=? AND name = ?", record.EffectRead,
		},
		{"select 1;", "select 1", "select ?", record.EffectRead},
		{"SELECT * FROM t WHERE a IN (1, -2,3)", "SELECT * FROM t WHERE a IN (1, -2,3)", "SELECT * FROM t WHERE a IN (?+)", record.EffectRead},
		{"SELECT * FROM t WHERE a IN ($1)", "SELECT * FROM t WHERE a IN ($1)", "SELECT * FROM t WHERE a IN (?+)", record.EffectRead},
		{"INSERT INTO t(a,b) VALUES (?, ?), (?,?) RETURNING a", "INSERT INTO t(a,b) VALUES (?, ?), (?,?) RETURNING a", "INSERT INTO t(a,b) VALUES (?+) RETURNING a", record.EffectWrite},
		{"INSERT INTO t VALUES (DEFAULT, 1)", "INSERT INTO t VALUES (DEFAULT, 1)", "INSERT INTO t VALUES (DEFAULT, ?)", record.EffectWrite},
		{"SELECT x::text, @@version, :id, t1.c2, 1e-5, 0xFF FROM t1", "SELECT x::text, @@version, :id, t1.c2, 1e-5, 0xFF FROM t1", "SELECT x::text, @@version, ?, t1.c2, ?, ? FROM t1", record.EffectRead},
		{"SELECT $$a -- b$$, $t$ $$ $t$", "SELECT $$a -- b$$, $t$ $$ $t$", "SELECT ?, ?", record.EffectRead},
		{`SELECT E'it\'s' -- c`, `SELECT E'it\'s' -- c`, "SELECT ?", record.EffectRead},
		{"SELECT 'unfinished", "SELECT 'unfinished", "SELECT ?", record.EffectRead},
		{"WITH a AS (SELECT 1) SELECT * FROM a", "WITH a AS (SELECT 1) SELECT * FROM a", "WITH a AS (SELECT ?) SELECT * FROM a", record.EffectRead},
		{"WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a", "WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a", "WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a", record.EffectWrite},
		{"BEGIN", "BEGIN", record.ShapeBegin, record.EffectNone},
		{"begin isolation level serializable", "begin isolation level serializable", record.ShapeBegin, record.EffectNone},
		{"start transaction", "start transaction", record.ShapeBegin, record.EffectNone},
		{"commit", "commit", record.ShapeCommit, record.EffectWrite},
		{"rollback", "rollback", record.ShapeRollback, record.EffectNone},
		{"rollback to savepoint a", "rollback to savepoint a", "rollback to savepoint a", record.EffectNone},
		{"-- ping", "", "", record.EffectNone},
		{";", "", "", record.EffectNone},
	} {
		got := Parse(c.sql)
		if got.Text != c.text || got.Shape != c.shape || got.Effect != c.effect {
			t.Errorf("Parse(%q):\n text   %q\n shape  %q\n effect %s", c.sql, got.Text, got.Shape, got.Effect)
		}
	}
}

func TestEffects(t *testing.T) {
	t.Parallel()
	for effect, statements := range map[record.Effect][]string{
		record.EffectRead: {
			"SHOW server_version", "EXPLAIN DELETE FROM t", "TABLE t", "VALUES (1)", "COPY t TO STDOUT", "COPY (SELECT 1) TO STDOUT",
			"SELECT * FROM t FOR UPDATE", "SELECT 1 FOR NO KEY UPDATE SKIP LOCKED", "SELECT count(*), lower(a) FROM t GROUP BY 2",
			"SELECT * FROM unnest($1::int[]) AS t(x)", "WITH RECURSIVE x(n) AS (SELECT 1) SELECT n FROM x", "(SELECT 1) UNION (SELECT 2)",
			"SELECT pg_catalog.lower('A')", "PRAGMA table_info", "SET LOCAL x = 1",
		},
		record.EffectWrite: {
			"INSERT INTO t DEFAULT VALUES", "UPDATE t SET a = 1", "DELETE FROM t", "MERGE INTO t USING s ON true", "CREATE TABLE t (a int)",
			"TRUNCATE t", "EXPLAIN ANALYZE DELETE FROM t", "SELECT * INTO u FROM t", "COPY t FROM STDIN", "CALL p()", "DO $$ BEGIN END $$",
			"SELECT 1; DELETE FROM t", "NOTIFY c", "PRAGMA user_version = 2", "COMMIT", "COMMIT PREPARED 'x'",
		},
		record.EffectUnknown: {"SELECT pay($1)", "SELECT nextval('s')", "SELECT other.lower('A')", `SELECT "Lower"('A')`, "SELECT set_config('a', 'b', true)"},
		record.EffectNone:    {"", "/* nothing */", "SAVEPOINT a", "RELEASE a", "BEGIN", "ROLLBACK"},
	} {
		for _, sql := range statements {
			if got := Parse(sql).Effect; got != effect {
				t.Errorf("%q: %s, want %s", sql, got, effect)
			}
		}
	}
}

func TestCacheGivesTheSame(t *testing.T) {
	t.Parallel()
	var c Cache
	first, second := c.Parse("SELECT 1"), c.Parse("SELECT 1")
	if first != second || *first != Parse("SELECT 1") {
		t.Errorf("%+v and %+v", first, second)
	}
}

// FuzzParse holds that reading a statement again as Text changes nothing, and that only white space and comments are lost.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"SELECT 1 -- x", "a/*", "'", "$a$", "$1", ":a::b", "1e", "\xff", "E'\\", "IN (1", "VALUES (1),(", "--", "\"", "x.1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := Parse(text)
		if again := Parse(s.Text); !strings.Contains(text, `\'`) && (again.Text != s.Text || again.Effect != s.Effect) {
			t.Errorf("%q became %q and then %q", text, s.Text, again.Text)
		}
		if len(s.Text) > len(text) {
			t.Errorf("%q became %q", text, s.Text)
		}
	})
}
