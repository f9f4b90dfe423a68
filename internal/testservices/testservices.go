// Package testservices gives tests a real PostgreSQL, a real MariaDB and a real Redis.
//
// [Postgres] and [Redis] hand out an empty database on a server that the tests of a binary share: it starts when the first
// test asks, and goes with the process, however that ends. [OwnPostgres], [OwnMariaDB] and [OwnRedis] start a server for one
// test, which may stop it: a replay, for one, must do without.
//
// Where the programs are not installed, the test is skipped and says so. With CI=true in the environment it fails.
package testservices

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/flux-go/flux/internal/testservices/backing"
)

// Postgres returns the URL of an empty database on a server that the tests of this binary share.
func Postgres(t testing.TB) string {
	t.Helper()
	server, err := sharedPostgres()
	require(t, err)
	name := fmt.Sprintf("test%d", databases.Add(1))
	require(t, server.CreateDatabase(t.Context(), name))
	return withDatabase(server.URL, name)
}

// Redis returns the URL of an empty database on a server that the tests of this binary share. Commands that reach beyond
// a database, such as FLUSHALL, CONFIG and PUBLISH, reach the other tests too.
func Redis(t testing.TB) string {
	t.Helper()
	server, err := sharedRedis()
	require(t, err)
	return withDatabase(server.URL, fmt.Sprint(databases.Add(1)))
}

// OwnPostgres starts a server for this test, and stops it at its end.
func OwnPostgres(t testing.TB) *backing.Postgres {
	t.Helper()
	return own(t, startPostgres)
}

// OwnMariaDB starts a server for this test, and stops it at its end.
func OwnMariaDB(t testing.TB) *backing.Server {
	t.Helper()
	return own(t, backing.StartMariaDB)
}

// OwnRedis starts a server for this test, and stops it at its end.
func OwnRedis(t testing.TB) *backing.Server {
	t.Helper()
	return own(t, backing.StartRedis)
}

// databases counts those handed out, for a name that is new on either server.
var databases atomic.Int64

var (
	sharedPostgres = sync.OnceValues(func() (*backing.Postgres, error) { return share(startPostgres) })
	sharedRedis    = sync.OnceValues(func() (*backing.Server, error) { return share(backing.StartRedis) })
)

// starter starts a server on an empty directory.
type starter[S any] func(ctx context.Context, dir string) (S, error)

func startPostgres(ctx context.Context, dir string) (*backing.Postgres, error) {
	return backing.StartPostgres(ctx, dir, backing.Fast...)
}

// share starts a server that nobody stops: its guard does, and removes the directory, when this process is gone.
func share[S any](start starter[S]) (server S, err error) {
	dir, err := tempDir()
	if err != nil {
		return server, err
	}
	if server, err = start(context.Background(), dir); err != nil {
		os.RemoveAll(dir)
	}
	return server, err
}

func own[S interface{ Stop() }](t testing.TB, start starter[S]) S {
	t.Helper()
	dir, err := tempDir()
	require(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	server, err := start(t.Context(), dir)
	require(t, err)
	t.Cleanup(server.Stop)
	return server
}

// tempDir makes a directory with a short name, as sockets want; that of testing.T has the name of the test in it.
func tempDir() (string, error) { return os.MkdirTemp("", "flux-test-") }

// require ends the test when err is not nil: visibly skipped where something is not installed, unless CI says that it is.
func require(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, backing.ErrNotInstalled) && os.Getenv("CI") != "true":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
}

// withDatabase replaces the database that a URL of PostgreSQL or Redis names.
func withDatabase(server, name string) string {
	u, err := url.Parse(server)
	if err != nil {
		panic(err) // package backing wrote it
	}
	u.Path = "/" + name
	return u.String()
}
