package idempotent

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	_ "modernc.org/sqlite"             // the driver sqlite

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/internal/testservices"
	"github.com/flux-go/flux/server"
)

// purging is a store that can remove what expired.
type purging interface {
	Store
	Purge(ctx context.Context) (int64, error)
}

// stores are those that the tests run with.
var stores = []struct {
	name string
	open func(t testing.TB) purging
}{
	{"memory", func(testing.TB) purging { return newMemory() }},
	{"SQLite", func(t testing.TB) purging { return openSQL(t, "sqlite", sqliteURL(t)) }},
	{"PostgreSQL", func(t testing.TB) purging { return openSQL(t, "pgx", testservices.Postgres(t)) }},
	{"Flux", func(t testing.TB) purging { return NewFluxStore(openFlux(t), "keys") }},
}

func sqliteURL(t testing.TB) string {
	return "file:" + filepath.Join(t.TempDir(), "db") + "?_pragma=busy_timeout(60000)&_pragma=synchronous(off)"
}

func openDB(t testing.TB, driver, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Exec(SQLTable); err != nil {
		t.Fatal(err)
	}
	return db
}

func openSQL(t testing.TB, driver, url string) *SQLStore { return NewSQLStore(openDB(t, driver, url)) }

func openFlux(t testing.TB) *flux.App {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	s, err := server.Start(ctx, server.Config{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Shutdown(ctx) })
	app, err := flux.Connect(ctx, flux.Config{URL: s.URL(), Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = app.Close(ctx) })
	return app
}

// eachStore runs a test with each store.
func eachStore(t *testing.T, test func(t *testing.T, store purging)) {
	t.Parallel()
	for _, s := range stores {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			test(t, s.open(t))
		})
	}
}

// state returns an entry of a revision that expires so long from now.
func state(revision string, ttl time.Duration) Entry {
	now := time.Now().UTC().Truncate(time.Millisecond)
	return Entry{
		Revision: revision, State: Done, Payload: []byte{0, 255}, Owner: "x", Since: now, Lease: now.Add(time.Minute), Expires: now.Add(ttl),
		Answer: &Answer{Status: 201, Header: http.Header{"A": {"b", "c"}}, Body: []byte("\x00\xff {}"), Omitted: true},
	}
}

func TestStoresKeepEntries(t *testing.T) {
	eachStore(t, func(t *testing.T, store purging) {
		ctx := t.Context()
		if e, err := store.Get(ctx, "one"); err != nil || !reflect.DeepEqual(e, Entry{}) {
			t.Fatalf("nothing: %+v, %v", e, err)
		}
		over := ""
		for i := range 5 {
			e := state(fmt.Sprint("r", i), time.Hour)
			if err := store.Put(ctx, "one", over, e); err != nil {
				t.Fatal(err)
			}
			if got, err := store.Get(ctx, "one"); err != nil || !reflect.DeepEqual(got, e) {
				t.Fatalf("%+v, %v, want %+v", got, err, e)
			}
			over = e.Revision
		}
		if e, err := store.Get(ctx, "on"); err != nil || e.Revision != "" {
			t.Fatalf("another: %+v, %v", e, err)
		}
	})
}

// TestStoresRefuseWhatWasSeenTooLate is N1.
func TestStoresRefuseWhatWasSeenTooLate(t *testing.T) {
	eachStore(t, func(t *testing.T, store purging) {
		ctx := t.Context()
		put := func(over, revision string, want error) {
			t.Helper()
			if err := store.Put(ctx, "one", over, state(revision, time.Hour)); !errors.Is(err, want) {
				t.Errorf("%q over %q: %v, want %v", revision, over, err, want)
			}
		}
		put("never", "z", ErrConflict)
		put("", "a", nil)
		put("", "b", ErrConflict)
		put("a", "c", nil)
		put("a", "d", ErrConflict)
		put("", "e", ErrConflict)
		put("c", "f", nil)
		if e, err := store.Get(ctx, "one"); err != nil || e.Revision != "f" {
			t.Errorf("%+v, %v", e, err)
		}
	})
}

func TestStoresLetOneOfManyWin(t *testing.T) {
	eachStore(t, func(t *testing.T, store purging) {
		over := ""
		for round := range 10 {
			var won atomic.Pointer[string]
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() {
					revision := fmt.Sprint(round, "-", i)
					switch err := store.Put(t.Context(), "one", over, state(revision, time.Hour)); {
					case err == nil:
						if !won.CompareAndSwap(nil, &revision) {
							t.Errorf("%s won, and %s", revision, *won.Load())
						}
					case !errors.Is(err, ErrConflict):
						t.Error(err)
					}
				})
			}
			all.Wait()
			e, err := store.Get(t.Context(), "one")
			if err != nil || won.Load() == nil || e.Revision != *won.Load() {
				t.Fatalf("%+v, %v", e, err)
			}
			over = e.Revision
		}
	})
}

func TestPurgeRemovesWhatExpired(t *testing.T) {
	eachStore(t, func(t *testing.T, store purging) {
		ctx := t.Context()
		for name, states := range map[string][]Entry{
			"old":     {state("a", -time.Hour), state("b", -time.Minute)},
			"renewed": {state("a", -time.Hour), state("b", time.Hour)},
			"new":     {state("a", time.Hour)},
		} {
			over := ""
			for _, e := range states {
				if err := store.Put(ctx, name, over, e); err != nil {
					t.Fatal(err)
				}
				over = e.Revision
			}
		}
		for _, want := range []int64{1, 0} {
			if n, err := store.Purge(ctx); err != nil || n != want {
				t.Errorf("%d, %v, want %d", n, err, want)
			}
		}
		for name, want := range map[string]string{"old": "", "renewed": "b", "new": "a"} {
			if e, err := store.Get(ctx, name); err != nil || e.Revision != want {
				t.Errorf("%s: %+v, %v, want %s", name, e, err, want)
			}
		}
		// Who saw the entry before it was removed is too late, also when somebody else begins anew.
		for range 2 {
			if err := store.Put(ctx, "old", "b", state("late", time.Hour)); !errors.Is(err, ErrConflict) {
				t.Errorf("late: %v", err)
			}
			if err := store.Put(ctx, "old", "a", state("later", time.Hour)); !errors.Is(err, ErrConflict) {
				t.Errorf("later: %v", err)
			}
			if e, err := store.Get(ctx, "old"); err != nil || e.Revision == "late" || e.Revision == "later" {
				t.Errorf("%+v, %v", e, err)
			}
			_ = store.Put(ctx, "old", "", state("anew", time.Hour)) // the second time there is one
		}
		if e, err := store.Get(ctx, "old"); err != nil || e.Revision != "anew" {
			t.Errorf("%+v, %v", e, err)
		}
	})
}
