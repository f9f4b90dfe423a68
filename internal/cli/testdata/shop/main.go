// Command shop is a small service for the scripts of flux replay. "shop record FILE" records one failed order; "shop serve" is the
// program that replays it. SHOP_BUG changes what it does.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch os.Args[1] {
	case "record":
		err = recordOrder(ctx, os.Args[2])
	case "serve":
		err = serve(ctx)
	case "job":
		err = job(ctx, "")
	case "record-job":
		err = job(ctx, os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

// connect returns a recorder that writes what it keeps to a file.
func connect(file string) (*execution.Recorder, error) {
	config := execution.Config{Service: "shop", Dir: "records", URL: os.Getenv("FLUX_URL"), Keep: execution.Keep{All: true}}
	if file != "" {
		config.OnKept = func(x *record.Execution) {
			var b bytes.Buffer
			_ = record.WriteBundle(&b, &record.Bundle{Execution: x})
			_ = os.WriteFile(file, b.Bytes(), 0o600)
		}
	}
	return execution.Connect(config)
}

func handler(rec *execution.Recorder, provider string) http.Handler {
	client := &http.Client{Transport: rec.Transport(nil)}
	mux := http.NewServeMux()
	mux.Handle("POST /orders/{id}", rec.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		order, _ := io.ReadAll(r.Body)
		switch os.Getenv("SHOP_BUG") {
		case "crash":
			os.Exit(3)
		case "unwrapped":
			_, err := http.Get("http://192.0.2.1/")
			fmt.Fprintln(os.Stderr, "shop:", err)
		case "amount":
			order = bytes.ReplaceAll(order, []byte("5"), []byte("6"))
		}
		err := charge(r.Context(), client, provider, order)
		if os.Getenv("SHOP_BUG") == "fixed" {
			err = nil
		}
		if err != nil {
			execution.Fail(r.Context(), err)
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, "paid")
	})))
	return mux
}

func charge(ctx context.Context, client *http.Client, provider string, order []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, provider+"/charge", bytes.NewReader(order))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("charge: %s", resp.Status)
	}
	return nil
}

// recordOrder serves one order, whose payment fails, and notes in the folder where it and the provider listened.
func recordOrder(ctx context.Context, file string) error {
	rec, err := connect(file)
	if err != nil {
		return err
	}
	provider, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(provider, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusServiceUnavailable) }))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address := "http://" + provider.Addr().String()
	if err := warmUp(ctx, rec, address); err != nil {
		return err
	}
	go http.Serve(listener, handler(rec, address))
	resp, err := http.Post("http://"+listener.Addr().String()+"/orders/7", "application/json", strings.NewReader(`{"amount":5}`))
	if err != nil {
		return err
	}
	fmt.Println(resp.Header.Get(execution.HeaderExecution))
	_ = resp.Body.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return errors.Join(rec.Close(ctx), os.WriteFile("provider", []byte(address), 0o600), os.WriteFile("address", []byte(listener.Addr().String()), 0o600))
}

// warmUp is what the shop asks at its start.
func warmUp(ctx context.Context, rec *execution.Recorder, provider string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, provider+"/prices", nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: rec.Transport(nil)}).Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func serve(ctx context.Context) error {
	address, err := os.ReadFile("address")
	if err != nil {
		return err
	}
	provider, err := os.ReadFile("provider")
	if err != nil {
		return err
	}
	rec, err := connect("")
	if err != nil {
		return err
	}
	if err := warmUp(ctx, rec, string(provider)); err != nil {
		fmt.Fprintln(os.Stderr, "shop: warming up:", err)
	}
	server := &http.Server{Addr: string(address), Handler: handler(rec, string(provider))}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	fmt.Fprintln(os.Stderr, "shop: ended as asked")
	return nil
}

// job is work without a request.
func job(ctx context.Context, file string) error {
	rec, err := connect(file)
	if err != nil {
		return err
	}
	ctx, x := rec.Begin(ctx, record.Trigger{Kind: record.TriggerJob, Method: "nightly"}, nil)
	n, err := execution.Do(ctx, execution.Op{Boundary: "world", Shape: "count", Effect: record.EffectWrite}, func(context.Context) (int, error) {
		fmt.Fprintln(os.Stderr, "shop: counted for real")
		return 3, nil
	})
	x.SetOutput(n)
	x.End(err)
	return rec.Close(context.WithoutCancel(ctx))
}
