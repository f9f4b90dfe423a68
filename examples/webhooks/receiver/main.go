// Command receiver takes webhooks of a billing provider, writes each paid invoice down once, and tells other services over Flux. It
// has a mistake, in amount.go; built with the tag "fixed" it has amount_fixed.go instead.
//
//	POST /webhooks {"type": "invoice.paid", "invoice": "in_7", "amount": "49.90", "currency": "EUR"}, signed: see package signature
//	               → 202 {"status": "processed"}, and 200 {"status": "duplicate"} when it comes again
//	GET  /health   → 200 "ok"
//
// The provider sends an event until it gets an answer below 300, so the same event comes twice when an answer is lost, and again after
// one that failed. Package idempotent sees to it that it is processed once.
package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"modernc.org/sqlite"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/execution"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8090", "address to listen on")
	database := flag.String("database", "invoices.db", "file of the database")
	url := flag.String("flux", "http://127.0.0.1:8888", "address of the Flux server")
	dir := flag.String("dir", "", "folder for records that wait for the server; by default among the caches of the user")
	flag.Parse()
	if err := run(*listen, *database, *url, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(listen, database, url, dir string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	rec, err := execution.Connect(execution.Config{Service: "invoices", URL: url, Dir: dir, Version: version})
	if err != nil {
		return err
	}
	defer closing(&err, rec.Close)
	slog.SetDefault(slog.New(rec.Handler(slog.NewTextHandler(os.Stderr, nil))))
	app, err := flux.Connect(ctx, flux.Config{Name: "invoices", URL: url, Recorder: rec})
	if err != nil {
		return err
	}
	defer closing(&err, app.Close)
	db := sql.OpenDB(rec.ConnectorWith(file(database), &execution.SQLOptions{Target: "invoices"}))
	s := &service{db: db, app: app, secret: []byte(os.Getenv("WEBHOOK_SECRET"))}
	if _, err := db.ExecContext(ctx, tables); err != nil {
		return err
	}
	server := &http.Server{Handler: rec.Middleware(s.routes()), ReadHeaderTimeout: 10 * time.Second}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr()) // for who started it on port 0
	context.AfterFunc(ctx, func() {
		_ = server.Shutdown(context.WithoutCancel(ctx))
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return db.Close()
}

// closing closes a part of the program within ten seconds.
func closing(err *error, end func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	*err = errors.Join(*err, end(ctx))
}

// file opens connections to a database of SQLite.
type file string

// Connect implements driver.Connector.
func (f file) Connect(context.Context) (driver.Conn, error) {
	return (&sqlite.Driver{}).Open("file:" + string(f) + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)")
}

// Driver implements driver.Connector.
func (f file) Driver() driver.Driver { return &sqlite.Driver{} }
