package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	_ "modernc.org/sqlite" // the driver sqlite

	"github.com/flux-go/flux/internal/cli"
	"github.com/flux-go/flux/server"
)

// secret is what the provider and the receiver share. No record may show it.
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// A world is everything that runs in the demo: Flux and the provider in this process, the receiver in one of its own.
type world struct {
	out io.Writer
	dir string

	server   *server.Server
	db       *sql.DB
	broken   string // path of the receiver with the mistake
	fixed    string // and without
	receiver *receiver
	failed   []string // executions that failed, one for each time the event was sent
}

func newWorld(ctx context.Context, out io.Writer) (w *world, err error) {
	w = &world{out: out}
	if w.dir, err = os.MkdirTemp("", "webhooks-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			w.close(&err)
		}
	}()
	w.broken, w.fixed = filepath.Join(w.dir, "receiver"), filepath.Join(w.dir, "receiver-fixed")
	for path, tags := range map[string]string{w.broken: "", w.fixed: "fixed"} {
		build := exec.CommandContext(ctx, "go", "build", "-tags", tags, "-o", path, "github.com/flux-go/flux/examples/webhooks/receiver")
		if text, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", build, err, text)
		}
	}
	if w.server, err = server.Start(context.WithoutCancel(ctx), server.Config{Dir: filepath.Join(w.dir, "flux"), Listen: "127.0.0.1:0"}); err != nil {
		return nil, err
	}
	w.db, err = sql.Open("sqlite", "file:"+w.database()+"?_pragma=busy_timeout(10000)")
	return w, err
}

func (w *world) database() string { return filepath.Join(w.dir, "invoices.db") }

// close ends everything, and adds what went wrong with that.
func (w *world) close(err *error) {
	ctx := context.Background()
	*err = errors.Join(*err, w.receiver.stop())
	if w.db != nil {
		*err = errors.Join(*err, w.db.Close())
	}
	if w.server != nil {
		*err = errors.Join(*err, w.server.Shutdown(ctx))
	}
	*err = errors.Join(*err, os.RemoveAll(w.dir))
}

// A receiver is the service in a process of its own.
type receiver struct {
	cmd *exec.Cmd
	url string
	log bytes.Buffer
}

// command returns what starts a receiver.
func (w *world) command(path, listen string) []string {
	return []string{path, "-listen", listen, "-database", w.database(), "-flux", w.server.URL(), "-dir", filepath.Join(w.dir, "spool")}
}

// start starts a receiver in the place of the one that runs.
func (w *world) start(path string) error {
	if err := w.receiver.stop(); err != nil {
		return err
	}
	args := w.command(path, "127.0.0.1:0")
	r := &receiver{cmd: exec.Command(args[0], args[1:]...)}
	r.cmd.Env, r.cmd.Stderr = append(os.Environ(), "WEBHOOK_SECRET="+secret), &r.log
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := r.cmd.Start(); err != nil {
		return err
	}
	w.receiver = r
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the receiver does not say where it listens: %w", err)
	}
	r.url = "http://" + strings.TrimSpace(address)
	return nil
}

// stop ends the receiver as a supervisor does. Nil is one that was not started.
func (r *receiver) stop() error {
	if r == nil || r.cmd == nil {
		return nil
	}
	_ = r.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	err := r.cmd.Wait()
	r.cmd = nil
	if err != nil {
		return fmt.Errorf("the receiver ended with %w\n%s", err, &r.log)
	}
	return nil
}

// run runs a command of flux and returns what it wrote, and its exit code.
func (w *world) run(ctx context.Context, args ...string) (string, int) {
	var written bytes.Buffer
	args = append([]string{args[0], "--url", w.server.URL()}, args[1:]...)
	code := cli.Run(ctx, args, strings.NewReader(""), &written, &written)
	return written.String(), code
}

// flux runs a command of flux, which must end with an exit code and write some texts.
func (w *world) flux(ctx context.Context, code int, texts []string, args ...string) error {
	shown := "flux " + strings.ReplaceAll(strings.Join(args, " "), w.dir+string(filepath.Separator), "")
	written, got := w.run(ctx, args...)
	if got != code {
		return fmt.Errorf("%s: exit code %d, not %d\n%s", shown, got, code, written)
	}
	for _, text := range append(texts, "") {
		if !strings.Contains(written, text) {
			return fmt.Errorf("%s: does not say %q\n%s", shown, text, written)
		}
	}
	if strings.Contains(written, secret) { // which the receiver has in its environment
		return fmt.Errorf("%s: shows the secret", shown)
	}
	fmt.Fprintf(w.out, "     $ %s\n       %s\n", shown, strings.ReplaceAll(strings.TrimSpace(written), "\n", "\n       "))
	return nil
}
