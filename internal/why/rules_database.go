package why

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/flux-go/flux/execution/record"
)

// A meaning is what a code of an error means.
type meaning struct{ code, rule, what, suggestion string }

// sqlStates are the codes of PostgreSQL that programs meet. A code of two characters stands for its whole class.
// Source: PostgreSQL, appendix "Error Codes".
var sqlStates = []meaning{
	{"23505", "sql.duplicate-key", "a row with this key is there already", "look for the row first, or insert with ON CONFLICT"},
	{"23503", "sql.foreign-key", "a row refers to one that is not there, or is still referred to", "create the row it refers to first, or delete what refers to it"},
	{"23502", "sql.not-null", "a column that must have a value got none", "check the input that this column comes from"},
	{"23514", "sql.check", "a value is against a rule of the table", "check the input against the constraint that is named"},
	{"23P01", "sql.exclusion", "a row overlaps with one that is there", "read what is there first, or choose another range"},
	{"22P02", "sql.bad-text", "a text is not of the type of its column", "check the input before it goes into the statement"},
	{"22001", "sql.too-long", "a text is longer than its column", "check the length of the input, or widen the column"},
	{"22003", "sql.out-of-range", "a number does not fit into its column", "check the range of the input, or widen the column"},
	{"22012", "sql.division-by-zero", "the statement divides by zero", "guard the division with NULLIF"},
	{"42P01", "sql.no-table", "the table does not exist", "run the migrations, and check the search path and the database"},
	{"42703", "sql.no-column", "the column does not exist", "run the migrations, or mend the name in the statement"},
	{"42883", "sql.no-function", "the function or operator does not exist for these types", "cast the arguments, or install the extension"},
	{"42601", "sql.syntax", "the statement is not SQL", "mend the statement; if it is put together from parts, log it whole"},
	{"42501", "sql.privilege", "this user may not do that", "grant the privilege to the user of the service"},
	{"40001", "sql.serialization", "a concurrent transaction came first", "repeat the whole transaction"},
	{"40P01", "sql.deadlock", "two transactions waited for each other", "repeat the transaction, and lock rows in one order everywhere"},
	{"55P03", "sql.lock", "a lock was not to be had", "find who holds it, or wait longer"},
	{"53300", "sql.connections", "the database takes no more connections", "bound the pools of all services below max_connections"},
	{"57014", "sql.canceled", "the statement was cancelled", "statement_timeout or the context ended it: see how long it took"},
	{"57P01", "sql.shutdown", "the database was shut down", "try again when it is back"},
	{"57P03", "sql.starting", "the database is starting", "try again when it is ready"},
	{"28P01", "sql.password", "the password is wrong", "check the credentials in the configuration"},
	{"28000", "sql.authorization", "this user may not connect", "check user and database in the configuration, and pg_hba.conf"},
	{"3D000", "sql.no-database", "the database does not exist", "create it, or mend its name in the configuration"},
	{"25P02", "sql.aborted", "the transaction had failed before", "the statement before this one failed: roll back there"},
	{"25006", "sql.read-only", "the transaction may only read", "write to the primary, or in a transaction that may"},
	{"08", "sql.connection", "the connection to the database broke", "look at the log of the database; try again if that is safe"},
	{"53", "sql.resources", "the database ran out of memory, disk or slots", "free what it ran out of: see its log"},
	{"22", "sql.data", "a value cannot be used so", "check the input of the statement"},
	{"23", "sql.integrity", "the data would be against a constraint", "check the input against the constraint that is named"},
	{"42", "sql.statement", "the statement is wrong or not allowed", "mend the statement"},
	{"XX", "sql.internal", "the database has an error of its own", "look at its log"},
}

// redisErrors are the first words of errors of Redis.
var redisErrors = []meaning{
	{"WRONGTYPE", "redis.wrong-type", "the key holds another kind of value", "another part of the program uses the same key: give one of them a prefix"},
	{"MOVED", "redis.moved", "the key is on another node of the cluster", "use a client that knows clusters"},
	{"ASK", "redis.ask", "the key is just moving to another node", "use a client that knows clusters"},
	{"CROSSSLOT", "redis.cross-slot", "the keys are on different nodes", "give keys that are used together a common {tag}"},
	{"OOM", "redis.memory", "Redis is out of memory", "raise maxmemory, or let keys expire"},
	{"READONLY", "redis.read-only", "this is a replica, which does not write", "connect to the primary: it may have changed"},
	{"LOADING", "redis.loading", "Redis is loading its data", "try again when it is ready"},
	{"NOAUTH", "redis.no-auth", "Redis wants a password", "put the password into the configuration"},
	{"WRONGPASS", "redis.password", "user or password is wrong", "check the credentials in the configuration"},
	{"NOPERM", "redis.permission", "this user may not do that", "grant the command or the key to the user of the service"},
	{"NOSCRIPT", "redis.no-script", "the script is not loaded", "send it with EVAL, or load it first"},
	{"BUSY", "redis.busy", "a script runs and blocks Redis", "find and end the script that runs"},
	{"EXECABORT", "redis.exec-abort", "a command of the transaction was wrong", "see the command before it"},
	{"MISCONF", "redis.misconfigured", "Redis cannot write its snapshot and takes no writes", "look at its log and its disk"},
	{"CLUSTERDOWN", "redis.cluster-down", "the cluster is not complete", "bring back the nodes that are missing"},
}

func lookup(meanings []meaning, code string) (meaning, bool) {
	for _, m := range meanings {
		if code != "" && (m.code == code || len(m.code) == 2 && strings.HasPrefix(code, m.code) && len(code) == 5) {
			return m, true
		}
	}
	return meaning{}, false
}

// sqlState finds statements that the database refused.
func sqlState(q *inquiry) []Finding {
	var found []Finding
	for _, cp := range q.suspects {
		m, ok := lookup(sqlStates, code(cp))
		if !ok || !isSQL(cp) {
			continue
		}
		f := about(cp, m.rule, "database", confidenceOf(q, cp), "the database refused op "+fmt.Sprint(cp.Number)+": "+m.what, m.suggestion)
		f.Evidence = append(f.Evidence, Fact{"sqlstate", code(cp)})
		f.Evidence = append(f.Evidence, databaseDetail(cp)...)
		if cp.Transaction != "" {
			f.Evidence = append(f.Evidence, Fact{"transaction", cp.Transaction})
		}
		found = append(found, f)
	}
	return found
}

// databaseDetail returns what the database said beyond its message.
func databaseDetail(cp *record.Checkpoint) []Fact {
	var facts []Fact
	for _, name := range []string{"detail", "constraint", "table", "column", "hint"} {
		if value := findText(cp.Error.Detail.Data, name); value != "" {
			facts = append(facts, Fact{name, value})
		}
	}
	return facts
}

// redisError finds commands that Redis refused.
func redisError(q *inquiry) []Finding {
	var found []Finding
	for _, cp := range q.suspects {
		if cp.Boundary != "redis" || cp.Error == nil {
			continue
		}
		word, _, _ := strings.Cut(cmp.Or(code(cp), cp.Error.Message), " ")
		if m, ok := lookup(redisErrors, word); ok {
			found = append(found, about(cp, m.rule, "cache", confidenceOf(q, cp), "Redis refused op "+fmt.Sprint(cp.Number)+": "+m.what, m.suggestion))
		}
	}
	return found
}

// poolExhausted finds operations that waited for a connection until their time was over.
func poolExhausted(q *inquiry) []Finding {
	cp := q.suspect(func(cp *record.Checkpoint) bool {
		return cp.Error != nil && (cp.Error.Class == record.ClassPoolTimeout || strings.Contains(cp.Error.Message, "connection pool timeout"))
	})
	if cp == nil {
		return nil
	}
	return []Finding{about(cp, "pool.exhausted", "capacity", confidenceOf(q, cp), "no connection of the pool became free for op "+fmt.Sprint(cp.Number),
		"find what holds connections: rows or transactions that are not closed, or a pool that is too small")}
}
