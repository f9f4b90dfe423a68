// Package sqlsuite tests the recording of database/sql with real drivers and databases: what each program sees live must be what
// it sees when it is replayed with the database gone. It is apart from package execution so that only tests link drivers.
package sqlsuite
