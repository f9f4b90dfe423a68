package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx

	"github.com/flux-go/flux/examples/internal/scene"
	"github.com/flux-go/flux/internal/testservices/backing"
)

// The secrets that no record may show.
const (
	card        = "4111111111111111"
	providerKey = "sk_live_9f8e7d6c5b4a39281706"
)

// A world is everything that runs in the demo.
type world struct {
	dir          string
	instrumented bool

	postgres *backing.Postgres
	redis    *backing.Server
	db       *sql.DB

	flux, api, fixed, provider string // binaries
	server, service, payer     *process
	fluxAddr, apiAddr, payAddr string

	outputs bytes.Buffer // of all commands, for the search for secrets
	failed  string       // id of the execution that failed
	took    []time.Duration
}

// newWorld starts databases and builds the programs.
func newWorld(ctx context.Context, instrumented bool) (*world, error) {
	dir, err := os.MkdirTemp("", "payments-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL may run as another user
		return nil, err
	}
	w := &world{dir: dir, instrumented: instrumented}
	if err := w.start(ctx); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *world) start(ctx context.Context) (err error) {
	for _, sub := range []string{"pg", "redis", "bin", "elsewhere"} {
		if err := os.Mkdir(filepath.Join(w.dir, sub), 0o755); err != nil {
			return err
		}
	}
	if w.postgres, err = backing.StartPostgres(ctx, filepath.Join(w.dir, "pg"), backing.Fast...); err != nil {
		return err
	}
	if w.redis, err = backing.StartRedis(ctx, filepath.Join(w.dir, "redis")); err != nil {
		return err
	}
	if w.db, err = sql.Open("pgx", w.postgres.URL); err != nil {
		return err
	}
	const tables = `CREATE TABLE payments (id serial PRIMARY KEY, order_no text UNIQUE, amount int, state text, receipt text);
		CREATE TABLE ledger (payment int, at timestamptz)`
	if _, err := w.db.ExecContext(ctx, tables); err != nil {
		return err
	}
	for _, addr := range []*string{&w.fluxAddr, &w.apiAddr, &w.payAddr} {
		if *addr, err = scene.FreeAddress(); err != nil {
			return err
		}
	}
	return w.build(ctx)
}

// build builds the programs, the service in two versions.
func (w *world) build(ctx context.Context) error {
	w.flux, w.provider = filepath.Join(w.dir, "bin/flux"), filepath.Join(w.dir, "bin/provider")
	w.api, w.fixed = filepath.Join(w.dir, "bin/api"), filepath.Join(w.dir, "bin/api-fixed")
	const module = "github.com/flux-go/flux/"
	if err := goBuild(ctx, "go", w.flux, module+"cmd/flux"); err != nil {
		return err
	}
	if err := goBuild(ctx, "go", w.provider, module+"examples/payments/provider"); err != nil {
		return err
	}
	with := "go"
	if w.instrumented {
		with = w.flux + " go"
	}
	if err := goBuild(ctx, with, w.api, module+"examples/payments/api"); err != nil {
		return err
	}
	return goBuild(ctx, with, w.fixed, "-tags=fixed", module+"examples/payments/api")
}

func goBuild(ctx context.Context, with, output string, args ...string) error {
	words := append(strings.Fields(with), "build", "-o", output)
	cmd := exec.CommandContext(ctx, words[0], append(words[1:], args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

func (w *world) close() {
	for _, p := range []*process{w.service, w.payer, w.server} {
		p.stop()
	}
	if w.db != nil {
		_ = w.db.Close()
	}
	if w.redis != nil {
		w.redis.Stop()
	}
	if w.postgres != nil {
		w.postgres.Stop()
	}
	_ = os.RemoveAll(w.dir)
}

// environment is what the service is started with.
func (w *world) environment(extra ...string) []string {
	env := append(os.Environ(), "LISTEN="+w.apiAddr, "DATABASE_URL="+w.postgres.URL, "REDIS_URL="+w.redis.URL,
		"PROVIDER_URL=http://"+w.payAddr, "PROVIDER_KEY="+providerKey,
		"FLUX_URL=http://"+w.fluxAddr, "FLUX_DIR="+filepath.Join(w.dir, "spool"), "REDACT_KEY=demo", "FLUX_REDACT_KEY=demo")
	if w.instrumented {
		env = append(env, "RECORDING=off", "FLUX_SERVICE=payments", "FLUX_JOURNAL=all")
	}
	return append(env, extra...)
}

// A process is a program that runs.
type process struct {
	cmd  *exec.Cmd
	log  *bytes.Buffer
	done chan struct{}
}

// launch starts a program and waits until it answers at an address.
func (w *world) launch(ctx context.Context, addr string, env []string, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(name, args...), log: new(bytes.Buffer), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Dir = env, w.dir
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err := scene.Until(ctx, func() error {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("%s does not answer: %w\n%s", filepath.Base(name), err, p.log)
	}
	return p, nil
}

// stop ends a process as a supervisor does.
func (p *process) stop() { p.end(syscall.SIGTERM) }

// kill ends a process as a crash does.
func (p *process) kill() { p.end(syscall.SIGKILL) }

func (p *process) end(signal syscall.Signal) {
	if p == nil {
		return
	}
	_ = p.cmd.Process.Signal(signal) // it may have ended
	<-p.done
}

// apiLog returns the log of the service, for errors.
func (w *world) apiLog() string {
	if w.service == nil {
		return ""
	}
	select {
	case <-w.service.done:
		return "\nlog of the service:\n" + w.service.log.String()
	default:
		return ""
	}
}

// run runs flux and returns what it wrote and its exit code.
func (w *world) run(ctx context.Context, args ...string) (string, int, error) {
	cmd := exec.CommandContext(ctx, w.flux, args...)
	cmd.Env = w.environment("NO_COLOR=1")
	cmd.Dir = filepath.Join(w.dir, "elsewhere")
	out, err := cmd.CombinedOutput()
	w.outputs.Write(out)
	if exited := (*exec.ExitError)(nil); errors.As(err, &exited) {
		return string(out), exited.ExitCode(), nil
	}
	return string(out), 0, err
}

// expect runs flux, which must end with an exit code and write some texts.
func (w *world) expect(ctx context.Context, code int, texts []string, args ...string) (string, error) {
	out, got, err := w.run(ctx, args...)
	if err != nil {
		return out, err
	}
	line := "flux " + strings.Join(args, " ")
	if got != code {
		return out, fmt.Errorf("%s: exit code %d, not %d\n%s", line, got, code, out)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			return out, fmt.Errorf("%s: does not say %q\n%s", line, text, out)
		}
	}
	fmt.Printf("     $ %s\n%s", line, indent(out))
	return out, nil
}

// indent shows at most 14 lines of a text.
func indent(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > 14 {
		lines = append(lines[:13], fmt.Sprintf("… %d lines more", len(lines)-13))
	}
	return "       " + strings.Join(lines, "\n       ") + "\n"
}

// call sends a request and returns status, body, and the execution that answered it.
func call(ctx context.Context, method, url, body string) (status int, text, execution string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), resp.Header.Get("X-Flux-Execution-Id"), err
}
