// Command provider is a payment provider for the example. It charges a card once for each idempotency key, and again for another
// key or none, and it can fail in ten ways.
//
//	POST /charges            {"order", "amount", "card"} with an Idempotency-Key → 201 {"receipt"}
//	GET  /charges/{order}    → 200 {"receipt"} or 404
//	GET  /count/{order}      → {"charges", "requests"}: how often the card was charged for the order, and how often that was asked
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
	p := &provider{keys: make(map[string]bool), counts: make(map[string]count), fail: make(map[string]string)}
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
	mu     sync.Mutex
	keys   map[string]bool  // with which a card was charged
	counts map[string]count // by order
	fail   map[string]string
}

type count struct {
	Charges  int `json:"charges"`
	Requests int `json:"requests"`
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
	var in struct{ Order string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Order == "" {
		http.Error(w, "an order is needed", http.StatusBadRequest)
		return
	}
	key := r.Header.Get("Idempotency-Key")
	if fail := p.takeFailure(in.Order); fail != nil {
		fail(w, func() { p.take(in.Order, key) })
		return
	}
	p.take(in.Order, key)
	w.WriteHeader(http.StatusCreated)
	receipt(w, in.Order)
}

// takeFailure counts a request for an order and returns how it is to fail, nil when it is not.
func (p *provider) takeFailure(order string) func(http.ResponseWriter, func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.counts[order]
	c.Requests++
	p.counts[order] = c
	how := p.fail[order]
	delete(p.fail, order)
	return failures[how]
}

// take charges the card, unless it did so with this key.
func (p *provider) take(order, key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if key != "" && p.keys[key] {
		return
	}
	p.keys[key] = true
	c := p.counts[order]
	c.Charges++
	p.counts[order] = c
}

func (p *provider) counted(order string) count {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[order]
}

func (p *provider) show(w http.ResponseWriter, r *http.Request) {
	order := r.PathValue("order")
	if p.counted(order).Charges == 0 {
		http.Error(w, "this order was not charged", http.StatusNotFound)
		return
	}
	receipt(w, order)
}

func (p *provider) count(w http.ResponseWriter, r *http.Request) {
	_ = json.NewEncoder(w).Encode(p.counted(r.PathValue("order"))) // the client is gone
}

func receipt(w http.ResponseWriter, order string) {
	_ = json.NewEncoder(w).Encode(map[string]string{"receipt": "r-" + order}) // the client is gone
}
