package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/examples/webhooks/signature"
	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/idempotent"
	"github.com/flux-go/flux/execution/record"
)

// tables are where invoices are, and which events were processed.
const tables = `CREATE TABLE IF NOT EXISTS invoices (
	event TEXT PRIMARY KEY, invoice TEXT NOT NULL, currency TEXT NOT NULL, amount INTEGER, state TEXT NOT NULL, booked BIGINT
);` + idempotent.SQLTable

type service struct {
	db     *sql.DB
	app    *flux.App
	secret []byte
}

// An event is what the provider tells.
type event struct {
	Type     string `json:"type"`
	Invoice  string `json:"invoice"`
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

// InvoicePaid is what other services are told.
type InvoicePaid struct {
	Invoice  string `json:"invoice" flux:"routing"`
	Amount   int64  `json:"amount"` // in the smallest unit of the currency
	Currency string `json:"currency"`
}

// FluxType implements flux.Named.
func (InvoicePaid) FluxType() string { return "invoices.InvoicePaid" }

// maxBody bounds webhooks, in bytes.
const maxBody = 64 << 10

// routes are what the service answers. Only what is genuine may take a key, so the signature is checked before that.
func (s *service) routes() http.Handler {
	once := idempotent.Handler(http.HandlerFunc(s.receive), idempotent.NewSQLStore(s.db), &idempotent.Config{
		Header: signature.HeaderID, Required: true, TTL: 3 * 24 * time.Hour, // as long as the provider tries
		Caller: func(*http.Request) string { return "provider" },
		Replay: func(w http.ResponseWriter, _ *http.Request, _ *idempotent.Answer) {
			answer(w, http.StatusOK, "duplicate")
		},
	})
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks", s.genuine(once))
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	return mux
}

// genuine refuses webhooks that the provider did not sign. That one was genuine is in its record, so that a replay needs neither
// the secret nor what the record hides, and a resume may come later than a webhook.
func (s *service) genuine(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			answer(w, http.StatusBadRequest, "not read")
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		now := execution.Now(r.Context())
		op := execution.Op{Boundary: "webhook", Shape: "verify", Effect: record.EffectNone}
		_, err = execution.Do(r.Context(), op, func(context.Context) (bool, error) {
			return true, signature.Verify(r.Header, s.secret, now, body)
		})
		if err != nil {
			slog.WarnContext(r.Context(), "refused", "error", err)
			answer(w, http.StatusUnauthorized, "refused")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *service) receive(w http.ResponseWriter, r *http.Request) {
	var e event
	if err := json.NewDecoder(r.Body).Decode(&e); err != nil || e.Type != "invoice.paid" || e.Invoice == "" {
		answer(w, http.StatusBadRequest, "not understood")
		return
	}
	if err := s.book(r.Context(), r.Header.Get(signature.HeaderID), e); err != nil {
		slog.ErrorContext(r.Context(), "the event is not processed", "invoice", e.Invoice, "error", err)
		execution.Fail(r.Context(), err)
		answer(w, http.StatusInternalServerError, "failed")
		return
	}
	answer(w, http.StatusAccepted, "processed")
}

// book writes an invoice down, and tells of it. An attempt before this one may have come half the way.
func (s *service) book(ctx context.Context, id string, e event) error {
	const insert = "INSERT INTO invoices (event, invoice, currency, state) VALUES ($1, $2, $3, 'received') ON CONFLICT DO NOTHING"
	if _, err := s.db.ExecContext(ctx, insert, id, e.Invoice, e.Currency); err != nil {
		return err
	}
	amount, err := smallestUnits(e.Amount, e.Currency)
	if err != nil {
		return fmt.Errorf("invoice %s: %w", e.Invoice, err)
	}
	const update = "UPDATE invoices SET amount = $1, state = 'booked', booked = $2 WHERE event = $3"
	if _, err := s.db.ExecContext(ctx, update, amount, execution.Now(ctx).UnixMilli(), id); err != nil {
		return err
	}
	return flux.Publish(ctx, s.app, InvoicePaid{e.Invoice, amount, e.Currency})
}

func answer(w http.ResponseWriter, status int, how string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"status": how}) // the client may be gone
}

// errAmount is returned for amounts that are none.
var errAmount = errors.New("not an amount")
