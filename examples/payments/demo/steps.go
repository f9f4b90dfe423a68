package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/flux-go/flux/examples/internal/scene"
)

// steps are the demo. Each ends with an error unless everything came out as it must.
var steps = []struct {
	what string
	do   func(*world, context.Context) error
}{
	{"Start a payments service with PostgreSQL, Redis, a provider, and recording", (*world).startAll},
	{"Send 200 requests; the provider fails for one order after its row was committed", (*world).sendMixed},
	{"Find the failure and what caused it", (*world).explain},
	{"Stop everything, and replay the failure elsewhere, with the same code and with a fix", (*world).replay},
	{"Start everything with the fix, and finish what failed without charging twice", (*world).resume},
	{"Kill the service in the middle of a charge, and finish that, too", (*world).crash},
	{"Look for secrets in everything that was kept", (*world).searchSecrets},
	{"Measure what recording costs", (*world).overhead},
}

// failing is the order that fails, dying the one in which the service is killed.
const (
	failing = "1009"
	dying   = "2042"
)

func (w *world) startAll(ctx context.Context) (err error) {
	if w.server, err = w.launch(ctx, w.fluxAddr, os.Environ(), w.flux, "serve", "--listen", w.fluxAddr, "--data", filepath.Join(w.dir, "flux")); err != nil {
		return err
	}
	if w.payer, err = w.launch(ctx, w.payAddr, append(os.Environ(), "LISTEN="+w.payAddr), w.provider); err != nil {
		return err
	}
	w.service, err = w.launch(ctx, w.apiAddr, w.environment(), w.api)
	return err
}

func (w *world) sendMixed(ctx context.Context) error {
	tail, err := w.tail(ctx)
	if err != nil {
		return err
	}
	if err := w.setFailure(ctx, failing, "bad-gateway"); err != nil {
		return err
	}
	if err := w.mixed(ctx, 1000); err != nil {
		return err
	}
	if w.failed == "" {
		return errors.New("no request failed")
	}
	fmt.Printf("     order %s failed: execution %s; half of the requests took less than %v\n", failing, w.failed, w.took[len(w.took)/2].Round(time.Microsecond))
	return tail(w.failed)
}

// tail starts flux tail and returns a function that waits until it has shown an execution, and ends it.
func (w *world) tail(ctx context.Context) (shown func(id string) error, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	cmd := exec.CommandContext(ctx, w.flux, "tail", "--json")
	cmd.Env = w.environment()
	out, err := cmd.StdoutPipe()
	if err != nil {
		cancel()
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	return func(id string) error {
		defer func() { cancel(); _ = cmd.Wait() }()
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.Contains(lines.Text(), id) {
				return nil
			}
		}
		return fmt.Errorf("flux tail did not show execution %s: %w", id, context.Cause(ctx))
	}, nil
}

// mixed sends 200 requests, of which those for new payments begin with an order.
func (w *world) mixed(ctx context.Context, first int) error {
	w.took = nil
	for i := range 200 {
		method, path, body, want := http.MethodPost, "/payments", payment(fmt.Sprint(first+i)), http.StatusCreated
		switch {
		case i%10 == 3:
			method, path, body, want = http.MethodGet, "/payments/1", "", http.StatusOK
		case i%50 == 7:
			body, want = "{}", http.StatusBadRequest
		case fmt.Sprint(first+i) == failing:
			want = http.StatusInternalServerError
		}
		began := time.Now()
		status, text, id, err := call(ctx, method, "http://"+w.apiAddr+path, body)
		w.took = append(w.took, time.Since(began))
		if err != nil {
			return err
		}
		if status != want {
			return fmt.Errorf("%s %s %s: %d %s, not %d", method, path, body, status, text, want)
		}
		if status == http.StatusInternalServerError {
			w.failed = id
		}
	}
	slices.Sort(w.took)
	return nil
}

func payment(order string) string {
	return fmt.Sprintf(`{"order": %q, "amount": 4200, "card": %q}`, order, card)
}

func (w *world) setFailure(ctx context.Context, order, how string) error {
	status, text, _, err := call(ctx, http.MethodPut, "http://"+w.payAddr+"/fail/"+order+"/"+how, "")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the provider answered %d %s", status, text)
	}
	return err
}

func (w *world) explain(ctx context.Context) error {
	if _, err := w.expect(ctx, 0, []string{w.failed[:8]}, "logs", "--status", "error"); err != nil {
		return err
	}
	_, err := w.expect(ctx, 0, []string{"502", "charge.go", "committed", "invalid character"}, "why", w.failed)
	return err
}

func (w *world) replay(ctx context.Context) error {
	bundle := filepath.Join(w.dir, "elsewhere", "failure.fluxrec")
	if _, err := w.expect(ctx, 0, nil, "export", w.failed, "-o", bundle); err != nil {
		return err
	}
	w.service.stop()
	w.payer.stop()
	w.server.stop()
	w.redis.Stop()
	w.postgres.Stop()
	if _, err := w.expect(ctx, 0, nil, "replay", bundle, "--", w.api); err != nil {
		return err
	}
	_, err := w.expect(ctx, 3, []string{"GET"}, "replay", bundle, "--", w.fixed)
	return err
}

func (w *world) resume(ctx context.Context) (err error) {
	if err := errors.Join(w.postgres.Start(ctx), w.redis.Start(ctx)); err != nil {
		return err
	}
	if err := w.startAll(ctx); err != nil {
		return err
	}
	w.service.stop()
	if _, err := w.expect(ctx, 0, []string{"reuse", "live"}, "resume", w.failed, "--plan"); err != nil {
		return err
	}
	if _, err := w.expect(ctx, 0, nil, "resume", w.failed, "--yes", "--", w.fixed); err != nil {
		return err
	}
	return w.settled(ctx, failing, 1) // since the provider was started
}

// settled checks that an order has one row, is charged, and was charged once by a provider that was asked so often.
func (w *world) settled(ctx context.Context, order string, requests int) error {
	var rows int
	var state string
	row := w.db.QueryRowContext(ctx, "SELECT count(*), max(state) FROM payments WHERE order_no = $1", order)
	if err := row.Scan(&rows, &state); err != nil {
		return err
	}
	c, err := w.counted(ctx, order)
	if err != nil {
		return err
	}
	if rows != 1 || state != "charged" || c.Charges != 1 || c.Requests != requests {
		return fmt.Errorf("order %s: %d rows, %s, charged %d times in %d requests", order, rows, state, c.Charges, c.Requests)
	}
	fmt.Printf("     order %s: one row, charged once\n", order)
	return nil
}

// counted is how often the provider charged the card for an order, and how often it was asked to.
type counted struct{ Charges, Requests int }

func (w *world) counted(ctx context.Context, order string) (c counted, err error) {
	_, text, _, err := call(ctx, http.MethodGet, "http://"+w.payAddr+"/count/"+order, "")
	if err != nil {
		return c, err
	}
	err = json.Unmarshal([]byte(text), &c)
	return c, err
}

func (w *world) crash(ctx context.Context) (err error) {
	if w.service, err = w.launch(ctx, w.apiAddr, w.environment(), w.fixed); err != nil {
		return err
	}
	if err := w.setFailure(ctx, dying, "hang"); err != nil {
		return err
	}
	lost := make(chan error, 1)
	go func() {
		_, _, _, err := call(ctx, http.MethodPost, "http://"+w.apiAddr+"/payments", payment(dying))
		lost <- err
	}()
	charged := func() error {
		c, err := w.counted(ctx, dying)
		if err == nil && c.Charges != 1 {
			err = errors.New("the provider was not asked yet")
		}
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := scene.Until(waiting, charged); err != nil {
		return err
	}
	w.service.kill()
	if <-lost == nil {
		return errors.New("the client of a killed service got an answer")
	}
	// The next process finds the journal of the dead one.
	if w.service, err = w.launch(ctx, w.apiAddr, w.environment(), w.fixed); err != nil {
		return err
	}
	id, err := w.find(waiting, "crashed")
	if err != nil {
		return err
	}
	if _, err := w.expect(ctx, 0, []string{"crashed", "in doubt"}, "trace", id); err != nil {
		return err
	}
	w.service.stop()
	if _, err := w.expect(ctx, 0, nil, "resume", id, "--yes", "--", w.fixed); err != nil {
		return err
	}
	return w.settled(ctx, dying, 2)
}

// find waits for an execution of a status and returns its id.
func (w *world) find(ctx context.Context, status string) (id string, err error) {
	err = scene.Until(ctx, func() error {
		out, _, err := w.run(ctx, "logs", "--status", status, "--json", "--limit", "1")
		if err != nil {
			return err
		}
		line, _, _ := strings.Cut(out, "\n")
		var found struct{ ID string }
		if err := json.Unmarshal([]byte(line), &found); err != nil || found.ID == "" {
			return fmt.Errorf("no execution has %s: %s", status, out)
		}
		id = found.ID
		return nil
	})
	return id, err
}

// searchSecrets looks for the secrets in every file that was kept, in every record in the clear, and in what commands wrote.
func (w *world) searchSecrets(ctx context.Context) error {
	out, _, err := w.run(ctx, "logs", "--json", "--limit", "1000")
	if err != nil {
		return err
	}
	records := 0
	for line := range strings.Lines(out) {
		var found struct{ ID string }
		if err := json.Unmarshal([]byte(line), &found); err != nil {
			return err
		}
		if _, code, err := w.run(ctx, "trace", found.ID, "--json"); err != nil || code != 0 {
			return fmt.Errorf("trace %s: exit code %d: %w", found.ID, code, err)
		}
		records++
	}
	if err := holdsSecret("output of commands", w.outputs.Bytes()); err != nil {
		return err
	}
	files := 0
	for _, dir := range []string{"flux", "spool", "elsewhere"} {
		err := filepath.WalkDir(filepath.Join(w.dir, dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			files++
			return errors.Join(err, holdsSecret(path, data))
		})
		if err != nil {
			return err
		}
	}
	fmt.Printf("     %d records, %d files, %d bytes of output: none has the card or the key\n", records, files, w.outputs.Len())
	return nil
}

func holdsSecret(where string, data []byte) error {
	for _, secret := range []string{card, providerKey} {
		if bytes.Contains(data, []byte(secret)) {
			return fmt.Errorf("%s holds %s…", where, secret[:8])
		}
	}
	return nil
}

// overhead sends the same requests to the service with journal, with recording only, and without.
func (w *world) overhead(ctx context.Context) (err error) {
	var medians [3]time.Duration
	settings := [][]string{nil, {"JOURNAL=off", "FLUX_JOURNAL="}, {"RECORDING=off", "FLUX_URL=", "FLUX_DIR="}}
	for i, extra := range settings {
		w.service.stop()
		if w.service, err = w.launch(ctx, w.apiAddr, w.environment(extra...), w.fixed); err != nil {
			return err
		}
		if err := w.mixed(ctx, 10_000+1000*i); err != nil {
			return err
		}
		medians[i] = w.took[len(w.took)/2].Round(time.Microsecond)
	}
	fmt.Printf("     half of the requests took less than %v recorded, %v also journalled, which syncs each of six writes, and %v without\n",
		medians[1], medians[0], medians[2])
	return nil
}
