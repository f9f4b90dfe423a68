// Package sqltext reads SQL statements as far as recording needs: what a statement says apart from comments and layout, what
// kind of statement it is when its values are left out, and whether it can have changed anything.
//
//	text ─► tokens ─┬─► Text    comments gone, white space collapsed; equal texts ask for the same
//	                ├─► Shape   literals and placeholders are "?", lists of them "(?+)"
//	                └─► Effect  none, read, write, or unknown
//
// It knows the lexical rules of PostgreSQL, SQLite, MySQL and SQL Server as far as they agree. Where a text may be read in two
// ways, because of a backslash before a quote, Text is the text as it came: what differs must never become equal.
package sqltext
