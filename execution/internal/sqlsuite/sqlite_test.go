package sqlsuite

import (
	"context"
	"database/sql/driver"
	"os"
	"path/filepath"
	"testing"

	"modernc.org/sqlite"

	"github.com/flux-go/flux/execution/record"
)

var testTrigger = record.Trigger{Kind: record.TriggerTest, Method: "test"}

// file opens connections to a database in a file.
type file struct{ path string }

func (f file) Connect(context.Context) (driver.Conn, error) {
	return (&sqlite.Driver{}).Open(f.path + "?_pragma=busy_timeout(5000)")
}
func (f file) Driver() driver.Driver { return &sqlite.Driver{} }

func TestSQLiteReplaysWithTheFileGone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	d := &database{
		connector: func(*testing.T) driver.Connector { return file{filepath.Join(dir, "db")} },
		stop: func() {
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
		},
	}
	runSuite(t, d, common)
}
