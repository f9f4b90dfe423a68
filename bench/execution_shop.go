package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/flux-go/flux/execution"
)

// A shop is the service that is recorded: a request is a read and a write in PostgreSQL, a call of a provider that takes five
// milliseconds, and five lines in a log.
type shop struct {
	db       *sql.DB
	client   *http.Client // of the provider
	provider string
	log      *slog.Logger
	server   *httptest.Server
	caller   *http.Client // of the service
}

// startShop starts the service with a recorder, or without when that is nil.
func startShop(ctx context.Context, rec *execution.Recorder, database, provider string) (*shop, error) {
	config, err := pgx.ParseConfig(database)
	if err != nil {
		return nil, err
	}
	s := &shop{provider: provider, log: slog.New(lines()), caller: &http.Client{Transport: manyConnections()}}
	connector, transport := stdlib.GetConnector(*config), http.RoundTripper(manyConnections())
	var handler http.Handler = http.HandlerFunc(s.serve)
	if rec == nil {
		s.db = sql.OpenDB(connector)
	} else {
		s.db, transport, handler = rec.OpenDB(connector), rec.Transport(transport), rec.Middleware(handler)
		s.log = slog.New(rec.Handler(lines()))
	}
	s.client = &http.Client{Transport: transport}
	s.db.SetMaxOpenConns(16)
	s.db.SetMaxIdleConns(16)
	_, err = s.db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS accounts (id int PRIMARY KEY, balance bigint NOT NULL);
		INSERT INTO accounts SELECT i, 1000000 FROM generate_series(0, 9999) AS i ON CONFLICT DO NOTHING`)
	s.server = httptest.NewServer(handler)
	return s, err
}

// manyConnections is a transport that keeps a connection for each caller.
func manyConnections() *http.Transport {
	return &http.Transport{MaxIdleConns: 512, MaxIdleConnsPerHost: 512}
}

func (s *shop) stop() {
	s.server.Close()
	_ = s.db.Close() // the database goes away
}

// order sends the n-th order.
func (s *shop) order(n int) error {
	resp, err := s.caller.Post(fmt.Sprintf("%s/orders/o-%d", s.server.URL, n), "application/json", strings.NewReader(`{"amount": 4200, "currency": "EUR"}`))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusBadGateway {
		return fmt.Errorf("the service answered %s", resp.Status)
	}
	return nil
}

func (s *shop) serve(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	var n int
	if _, err := fmt.Sscanf(r.URL.Path, "/orders/o-%d", &n); err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	s.log.InfoContext(ctx, "order received", "order", n)
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = s.charge(ctx, n, body)
	}
	if err != nil {
		s.log.ErrorContext(ctx, "order failed", "order", n, "error", err)
		execution.Fail(ctx, err)
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	s.log.InfoContext(ctx, "order done", "order", n)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"order": "o-%d", "state": "charged"}`, n)
}

func (s *shop) charge(ctx context.Context, n int, body []byte) error {
	var balance int64
	if err := s.db.QueryRowContext(ctx, "SELECT balance FROM accounts WHERE id = $1", n%10000).Scan(&balance); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "account loaded", "account", n%10000, "balance", balance)
	if err := s.pay(ctx, n, string(body)); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "provider answered", "order", n, "amount", 4200)
	if _, err := s.db.ExecContext(ctx, "UPDATE accounts SET balance = balance - $1 WHERE id = $2", 1, n%10000); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "account updated", "account", n%10000)
	return nil
}

// pay calls the provider, which is idempotent.
func (s *shop) pay(ctx context.Context, n int, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.provider+"/charges", strings.NewReader(fmt.Sprintf(`{"order": "o-%d", "what": %s}`, n, body)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", fmt.Sprint("o-", n))
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("provider answered %d: %s", resp.StatusCode, answer)
	}
	return err
}
