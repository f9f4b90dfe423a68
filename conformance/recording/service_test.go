package recording

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fluxpgx"
	"github.com/flux-go/flux/execution/fluxredis"
	"github.com/flux-go/flux/execution/record"
)

// headerStatus says how an order came about: created, or replayed from the cache.
const headerStatus = "X-Idempotency-Status"

// A shop takes orders. The unique key of its table decides between requests with the same idempotency key; the cache only saves
// work.
type shop struct {
	pool  *pgxpool.Pool
	cache *redis.Client

	// missed is called when the cache had nothing, stored when the table has the order. Both may be nil.
	missed, stored func(ctx context.Context)
}

// order is what the shop answers.
type order struct {
	ID   string `json:"id"`
	Item string `json:"item"`
}

const schema = `CREATE TABLE IF NOT EXISTS orders (id text PRIMARY KEY, key text UNIQUE NOT NULL, item text NOT NULL)`

// openShop connects a shop that a recorder watches.
func openShop(ctx context.Context, rec *execution.Recorder, postgres, cache string) (*shop, error) {
	config, err := pgxpool.ParseConfig(postgres)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, fluxpgx.PoolConfig(rec, config))
	if err != nil {
		return nil, err
	}
	options, err := redis.ParseURL(cache)
	if err != nil {
		return nil, err
	}
	client := redis.NewClient(options)
	fluxredis.Instrument(rec, client, nil)
	return &shop{pool: pool, cache: client}, nil
}

func (s *shop) close() {
	s.pool.Close()
	_ = s.cache.Close()
}

// ServeHTTP implements http.Handler: POST with an Idempotency-Key, and an item as body.
func (s *shop) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	item, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, status, err := s.take(req.Context(), req.Header.Get("Idempotency-Key"), string(item))
	if err != nil {
		execution.Fail(req.Context(), err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set(headerStatus, status)
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(answer)
}

func (s *shop) take(ctx context.Context, key, item string) (answer []byte, status string, err error) {
	cached, err := s.cache.Get(ctx, "idempotency:"+key).Bytes()
	switch {
	case err == nil:
		return cached, "replayed", nil
	case !errors.Is(err, redis.Nil):
		return nil, "", err
	}
	if s.missed != nil {
		s.missed(ctx)
	}
	o, err := s.store(ctx, order{execution.UUID(ctx).String(), item}, key)
	if err != nil {
		return nil, "", err
	}
	if s.stored != nil {
		s.stored(ctx)
	}
	if answer, err = json.Marshal(o); err != nil {
		return nil, "", err
	}
	return answer, "created", s.cache.Set(ctx, "idempotency:"+key, answer, time.Hour).Err()
}

// store returns the order that the table has for a key: this one, or the one that came before.
func (s *shop) store(ctx context.Context, o order, key string) (order, error) {
	_, err := s.pool.Exec(ctx, "INSERT INTO orders (id, key, item) VALUES ($1, $2, $3)", o.ID, key, o.Item)
	var conflict *pgconn.PgError
	if !errors.As(err, &conflict) || conflict.Code != "23505" {
		return o, err
	}
	err = s.pool.QueryRow(ctx, "SELECT id, item FROM orders WHERE key = $1", key).Scan(&o.ID, &o.Item)
	return o, err
}

// rows counts the orders of a key, beside what is recorded.
func rows(t *testing.T, postgres, key string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM orders WHERE key = $1", key).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// cached returns what the cache has for a key and for how long, beside what is recorded.
func cached(t *testing.T, cache, key string) (string, time.Duration) {
	t.Helper()
	options, err := redis.ParseURL(cache)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	value, err := client.Get(t.Context(), "idempotency:"+key).Result()
	if errors.Is(err, redis.Nil) {
		return "", 0
	}
	left, ttlErr := client.TTL(t.Context(), "idempotency:"+key).Result()
	if err := errors.Join(err, ttlErr); err != nil {
		t.Fatal(err)
	}
	return value, left
}

func createTable(t *testing.T, postgres string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), schema); err != nil {
		t.Fatal(err)
	}
}

// shapes lists what an execution did, for messages and comparisons.
func shapes(x *record.Execution) (all []string) {
	for i := range x.Checkpoints {
		if cp := &x.Checkpoints[i]; cp.Effect != record.EffectNone {
			all = append(all, cp.Boundary+" "+cp.Shape)
		}
	}
	return all
}

// childVariable tells the test program to be a shop, and what it is connected to, as JSON.
const childVariable = "FLUX_TEST_SHOP"

// A childConfig is what a shop in a process of its own needs.
type childConfig struct {
	Dir, Postgres, Cache string
	Hang                 bool // once the table has the order
}

func TestMain(m *testing.M) {
	if text := os.Getenv(childVariable); text != "" {
		if err := serveShop(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
	}
	os.Exit(m.Run())
}
