// Command api takes payments: an HTTP service with PostgreSQL, Redis and a payment provider, as many are. It has a mistake, in
// charge.go; built with the tag "fixed" it has charge_fixed.go instead.
//
//	POST /payments      {"order": "7", "amount": 4200, "card": "4111111111111111"} → 201 {"id", "state", "receipt"}
//	GET  /payments/{id} → 200
//	GET  /health        → 200 "ok"
//
// What execution recording takes are the lines with rec: the rest is as it would be without.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fluxredis"
	"github.com/flux-go/flux/execution/record"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	rec, err := recorder()
	if err != nil {
		return err
	}
	slog.SetDefault(slog.New(rec.Handler(slog.NewTextHandler(os.Stderr, nil))))
	s, err := open(rec)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: os.Getenv("LISTEN"), Handler: rec.Middleware(s.routes()), ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
	})
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return rec.Close(ctx)
}

// recorder returns the recorder, nil when RECORDING is "off".
func recorder() (*execution.Recorder, error) {
	if os.Getenv("RECORDING") == "off" {
		return nil, nil
	}
	return execution.Connect(execution.Config{
		Service: "payments", URL: os.Getenv("FLUX_URL"), Dir: os.Getenv("FLUX_DIR"), Version: version,
		RedactKey: []byte(os.Getenv("REDACT_KEY")),
		Journal:   func(t record.Trigger) bool { return t.Method == http.MethodPost && os.Getenv("JOURNAL") != "off" },
	})
}

// open opens what the service uses. Nothing is connected before it is needed.
func open(rec *execution.Recorder) (*service, error) {
	config, err := pgx.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		return nil, err
	}
	options, err := redis.ParseURL(os.Getenv("REDIS_URL"))
	if err != nil {
		return nil, err
	}
	cache := redis.NewClient(options)
	fluxredis.Instrument(rec, cache, nil)
	return &service{
		db:       rec.OpenDB(stdlib.GetConnector(*config)),
		cache:    cache,
		provider: &http.Client{Transport: rec.Transport(nil), Timeout: 30 * time.Second},
		url:      os.Getenv("PROVIDER_URL"),
		key:      os.Getenv("PROVIDER_KEY"),
	}, nil
}
