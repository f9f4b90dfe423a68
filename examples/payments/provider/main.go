// Command provider is a payment provider for the example: it charges each order once, and it can fail in ten ways.
//
//	POST /charges            {"order", "amount", "card"} with an Idempotency-Key → 201 {"receipt"}
//	GET  /charges/{order}    → 200 {"receipt"} or 404
//	GET  /count/{order}      → how often the card was charged for the order
//	PUT  /fail/{order}/{how} → the next charge of the order fails so; see failures
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"
)

func main() {
	p := &provider{charges: make(map[string]int), fail: make(map[string]string)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /charges", p.charge)
	mux.HandleFunc("GET /charges/{order}", p.show)
	mux.HandleFunc("GET /count/{order}", p.count)
	mux.HandleFunc("PUT /fail/{order}/{how}", p.setFailure)
	server := &http.Server{Addr: os.Getenv("LISTEN"), Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	if err := server.ListenAndServe(); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

type provider struct {
	mu      sync.Mutex
	charges map[string]int // by order
	fail    map[string]string
}

// failures are the ways to fail. Those that say so charge the order first.
var failures = map[string]func(w http.ResponseWriter, charge func()){
	"server-error": func(w http.ResponseWriter, _ func()) { http.Error(w, "internal error", http.StatusInternalServerError) },
	"bad-gateway": func(w http.ResponseWriter, _ func()) {
		page(w, http.StatusBadGateway, "<html><h1>502 Bad Gateway</h1></html>")
	},
	"unavailable": func(w http.ResponseWriter, _ func()) {
		http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
	},
	"rate-limited": func(w http.ResponseWriter, _ func()) { http.Error(w, "too many requests", http.StatusTooManyRequests) },
	"unauthorized": func(w http.ResponseWriter, _ func()) { http.Error(w, "bad key", http.StatusUnauthorized) },
	"reset":        func(http.ResponseWriter, func()) { panic(http.ErrAbortHandler) },
	"late-reset":   func(_ http.ResponseWriter, charge func()) { charge(); panic(http.ErrAbortHandler) }, // charges
	"truncated": func(w http.ResponseWriter, charge func()) { // charges
		charge()
		w.Header().Set("Content-Length", "1000")
		fmt.Fprint(w, `{"receipt": "r-`)
	},
	"garbage": func(w http.ResponseWriter, _ func()) { page(w, http.StatusOK, "<html>All is well</html>") },
	"hang": func(_ http.ResponseWriter, charge func()) { // charges
		charge()
		select {}
	},
}

func page(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	fmt.Fprint(w, text)
}

func (p *provider) setFailure(w http.ResponseWriter, r *http.Request) {
	how := r.PathValue("how")
	if failures[how] == nil {
		http.Error(w, "unknown failure", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail[r.PathValue("order")] = how
}

func (p *provider) charge(w http.ResponseWriter, r *http.Request) {
	order := r.Header.Get("Idempotency-Key")
	if fail := p.takeFailure(order); fail != nil {
		fail(w, func() { p.chargeOnce(order) })
		return
	}
	p.chargeOnce(order)
	w.WriteHeader(http.StatusCreated)
	receipt(w, order)
}

// takeFailure returns how the next charge of an order is to fail, once.
func (p *provider) takeFailure(order string) func(http.ResponseWriter, func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	how := p.fail[order]
	delete(p.fail, order)
	return failures[how]
}

// chargeOnce charges an order that was not charged.
func (p *provider) chargeOnce(order string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.charges[order] == 0 {
		p.charges[order]++
	}
}

func (p *provider) charged(order string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.charges[order]
}

func (p *provider) show(w http.ResponseWriter, r *http.Request) {
	order := r.PathValue("order")
	if p.charged(order) == 0 {
		http.Error(w, "this order was not charged", http.StatusNotFound)
		return
	}
	receipt(w, order)
}

func (p *provider) count(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, p.charged(r.PathValue("order")))
}

func receipt(w http.ResponseWriter, order string) {
	_ = json.NewEncoder(w).Encode(map[string]string{"receipt": "r-" + order}) // the client is gone
}
