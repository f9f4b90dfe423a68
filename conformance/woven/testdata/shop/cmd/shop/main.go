// Command shop takes orders: it knows Redis, PostgreSQL, a provider over HTTP and a warehouse over gRPC, and nothing of Flux.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/klauspost/compress/gzip"
	"github.com/redis/go-redis/v9"
)

// PostgreSQL is used in all ways that pgx has: through database/sql, with a pool, with database/sql on that pool, and, to make
// the tables, with a connection.
var (
	db     = must(sql.Open("pgx", os.Getenv("SHOP_POSTGRES")))
	pool   = must(pgxpool.New(context.Background(), os.Getenv("SHOP_POSTGRES")))
	pooled = stdlib.OpenDBFromPool(pool)
	cache  = redis.NewClient(must(redis.ParseURL(os.Getenv("SHOP_REDIS"))))
	logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := makeTables(ctx); err != nil {
		logger.Error("no tables", "error", err)
		os.Exit(1)
	}
	http.HandleFunc("POST /orders", order)
	server := &http.Server{Addr: os.Getenv("SHOP_ADDRESS")}
	calls := serveHealth()
	context.AfterFunc(ctx, func() { _ = server.Shutdown(context.Background()) })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		logger.Error("no server", "error", err)
		os.Exit(1)
	}
	calls.GracefulStop()
}

func makeTables(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, os.Getenv("SHOP_POSTGRES"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `CREATE TABLE IF NOT EXISTS orders (id uuid, item text, price bigint, due timestamptz, stock text);
		CREATE TABLE IF NOT EXISTS reserved (item text PRIMARY KEY, pieces bigint)`)
	return errors.Join(err, conn.Close(ctx))
}

func order(w http.ResponseWriter, r *http.Request) {
	var o struct{ Item string }
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	id, due := uuid.New(), time.Now().Add(time.Duration(1+rand.IntN(1000))*time.Hour)
	logger.Info("order", "id", id, "item", o.Item)
	n, err := cache.Incr(r.Context(), "orders").Result()
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	left, err := reserve(r.Context(), o.Item)
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	price, stock := ask("price", o.Item), ask("stock", o.Item)
	answers := []answer{<-price, <-stock}
	for _, a := range answers {
		if a.err != nil {
			http.Error(w, a.err.Error(), http.StatusBadGateway)
			return
		}
	}
	if _, err := db.Exec(`INSERT INTO orders VALUES ($1, $2, $3, $4, $5)`, id, o.Item, answers[0].value, due, fmt.Sprint(answers[1].value)); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	zip := gzip.NewWriter(w)
	defer zip.Close()
	_ = json.NewEncoder(zip).Encode(map[string]any{
		"id": id, "number": n, "due": due.UTC(), "price": answers[0].value, "stock": answers[1].value, "left": left, "currency": os.Getenv("SHOP_CURRENCY"),
	})
}

// reserve takes a piece of an item, of which there are ten, if the warehouse has it.
func reserve(ctx context.Context, item string) (left int64, err error) {
	if err := inWarehouse(ctx, item); err != nil {
		return 0, err
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO reserved VALUES ($1, 0) ON CONFLICT DO NOTHING`, item); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `UPDATE reserved SET pieces = pieces + 1 WHERE item = $1 RETURNING 10 - pieces`, item).Scan(&left)
	})
	return left, err
}

type answer struct {
	value int
	err   error
}

var asking sync.WaitGroup

// ask asks the provider, in a goroutine and without a context, as programs do.
func ask(what, item string) <-chan answer {
	answers := make(chan answer, 1)
	asking.Go(func() {
		resp, err := http.Get(os.Getenv("SHOP_PROVIDER") + "/" + what + "/" + item)
		if err != nil {
			answers <- answer{err: err}
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s of %s: %s: %s", what, item, resp.Status, body)
		}
		var a answer
		if a.err = err; err == nil {
			a.err = json.Unmarshal(body, &a.value)
		}
		answers <- a
	})
	return answers
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
