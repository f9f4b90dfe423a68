package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/flux-go/flux/execution"
)

type service struct {
	db       *sql.DB
	cache    *redis.Client
	provider *http.Client
	url, key string
}

func (s *service) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /payments", s.create)
	mux.HandleFunc("GET /payments/{id}", s.show)
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	return mux
}

// A request asks for a payment.
type request struct {
	Order  string `json:"order"`
	Amount int    `json:"amount"` // in cents
	Card   string `json:"card"`
}

// A payment is a payment as clients see it.
type payment struct {
	ID      int    `json:"id"`
	Order   string `json:"order"`
	Amount  int    `json:"amount"`
	State   string `json:"state"` // pending, charged
	Receipt string `json:"receipt,omitempty"`
}

func (s *service) create(w http.ResponseWriter, r *http.Request) {
	var in request
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Order == "" || in.Amount <= 0 {
		http.Error(w, "an order and an amount are needed", http.StatusBadRequest)
		return
	}
	p, err := s.pay(r.Context(), in)
	if err != nil {
		slog.ErrorContext(r.Context(), "payment failed", "order", in.Order, "error", err)
		execution.Fail(r.Context(), err)
		http.Error(w, "the payment failed", http.StatusInternalServerError)
		return
	}
	answer(w, http.StatusCreated, p)
}

// pay takes a payment once for an order: it is written down, charged, and marked as charged.
func (s *service) pay(ctx context.Context, in request) (payment, error) {
	cached, err := s.cache.Get(ctx, "payment:"+in.Order).Result()
	if err == nil {
		slog.InfoContext(ctx, "payment is known", "order", in.Order)
		var p payment
		return p, json.Unmarshal([]byte(cached), &p)
	}
	if !errors.Is(err, redis.Nil) {
		return payment{}, err
	}
	p := payment{Order: in.Order, Amount: in.Amount, State: "pending"}
	if err := s.insert(ctx, &p); err != nil {
		return payment{}, fmt.Errorf("insert payment: %w", err)
	}
	slog.InfoContext(ctx, "charging", "payment", p.ID, "amount", p.Amount)
	if p.Receipt, err = s.charge(ctx, in); err != nil {
		return payment{}, fmt.Errorf("charge order %s: %w", in.Order, err)
	}
	p.State = "charged"
	if _, err := s.db.ExecContext(ctx, "UPDATE payments SET state = $1, receipt = $2 WHERE id = $3", p.State, p.Receipt, p.ID); err != nil {
		return payment{}, err
	}
	text, err := json.Marshal(p)
	if err != nil {
		return payment{}, err
	}
	slog.InfoContext(ctx, "charged", "payment", p.ID)
	return p, s.cache.Set(ctx, "payment:"+in.Order, text, time.Hour).Err()
}

// insert writes a payment down, with an entry in the ledger, in one transaction.
func (s *service) insert(ctx context.Context, p *payment) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	const insert = "INSERT INTO payments (order_no, amount, state) VALUES ($1, $2, $3) RETURNING id"
	if err := tx.QueryRowContext(ctx, insert, p.Order, p.Amount, p.State).Scan(&p.ID); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO ledger (payment, at) VALUES ($1, $2)", p.ID, execution.Now(ctx)); err != nil {
		return err
	}
	return tx.Commit()
}

func (s *service) show(w http.ResponseWriter, r *http.Request) {
	var p payment
	var receipt sql.NullString
	row := s.db.QueryRowContext(r.Context(), "SELECT id, order_no, amount, state, receipt FROM payments WHERE id = $1", r.PathValue("id"))
	switch err := row.Scan(&p.ID, &p.Order, &p.Amount, &p.State, &receipt); {
	case errors.Is(err, sql.ErrNoRows):
		http.Error(w, "there is no such payment", http.StatusNotFound)
		return
	case err != nil:
		execution.Fail(r.Context(), err)
		http.Error(w, "the payment cannot be read", http.StatusInternalServerError)
		return
	}
	p.Receipt = receipt.String
	answer(w, http.StatusOK, p)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone
}
