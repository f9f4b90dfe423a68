// Package recording has the failure specifications of recorded executions as tests, against a real PostgreSQL and a real Redis,
// with processes that really die: two requests that race for one order, and a process that dies around a write, at each position
// of its journal.
package recording
