// Command shop takes orders: it knows Redis, PostgreSQL and a provider over HTTP, and nothing of Flux.
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
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/klauspost/compress/gzip"
	"github.com/redis/go-redis/v9"
)

var (
	db     = must(sql.Open("pgx", os.Getenv("SHOP_POSTGRES")))
	cache  = redis.NewClient(must(redis.ParseURL(os.Getenv("SHOP_REDIS"))))
	logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if _, err := db.Exec(`CREATE TABLE IF NOT EXISTS orders (id uuid, item text, price bigint, due timestamptz, stock text)`); err != nil {
		logger.Error("no table", "error", err)
		os.Exit(1)
	}
	http.HandleFunc("POST /orders", order)
	server := &http.Server{Addr: os.Getenv("SHOP_ADDRESS")}
	context.AfterFunc(ctx, func() { _ = server.Shutdown(context.Background()) })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		logger.Error("no server", "error", err)
		os.Exit(1)
	}
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
		"id": id, "number": n, "due": due.UTC(), "price": answers[0].value, "stock": answers[1].value, "currency": os.Getenv("SHOP_CURRENCY"),
	})
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
