package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/flux-go/flux/examples/internal/scene"
	"github.com/flux-go/flux/examples/webhooks/signature"
)

// steps are the demo. Each ends with an error unless everything came out as it must.
var steps = []struct {
	what string
	do   func(*world, context.Context) error
}{
	{"Start the receiver, and send it paid invoices, some of them twice", (*world).deliver},
	{"Send it what the provider did not sign, or another time", (*world).forge},
	{"Send an invoice that it cannot process; the provider tries again", (*world).fail},
	{"Find the failure and what caused it", (*world).explain},
	{"Stop the receiver, and replay the failure without and with the fix", (*world).replay},
	{"Start the fixed receiver, and finish the event in it", (*world).resume},
	{"The provider, which does not know, sends the event again", (*world).again},
}

// paid returns the event that an invoice was paid.
func paid(invoice, amount, currency string) string {
	return fmt.Sprintf(`{"type": "invoice.paid", "invoice": %q, "amount": %q, "currency": %q}`, invoice, amount, currency)
}

// A webhook is one sending of an event, and what is to come of it.
type webhook struct {
	id, body string
	key      string        // that it is signed with, "" for the secret
	age      time.Duration // since it was signed

	status int
	how    string // in the body
}

// send sends a webhook, checks the answer, and returns the execution that made it.
func (w *world) send(ctx context.Context, hook webhook) (execution string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.receiver.url+"/webhooks", strings.NewReader(hook.body))
	if err != nil {
		return "", err
	}
	key := secret
	if hook.key != "" {
		key = hook.key
	}
	signature.Sign(r.Header, []byte(key), hook.id, time.Now().Add(-hook.age), []byte(hook.body))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != hook.status || !strings.Contains(string(text), hook.how) {
		return "", fmt.Errorf("event %s: %d %s, want %d %s\n%s", hook.id, resp.StatusCode, text, hook.status, hook.how, &w.receiver.log)
	}
	return resp.Header.Get("X-Flux-Execution-Id"), nil
}

// deliver is G-165: 202 processed, then 200 duplicate, and one row.
func (w *world) deliver(ctx context.Context) error {
	if err := w.start(w.broken); err != nil {
		return err
	}
	for i := range 10 {
		hook := webhook{id: fmt.Sprint("evt_", i), body: paid(fmt.Sprint("in_", i), "49.90", "EUR"), status: http.StatusAccepted, how: "processed"}
		for range 1 + i%2 {
			if _, err := w.send(ctx, hook); err != nil {
				return err
			}
			hook.status, hook.how = http.StatusOK, "duplicate"
		}
		if err := w.settled(ctx, hook.id, fmt.Sprint("in_", i), 4990); err != nil {
			return err
		}
	}
	fmt.Fprintln(w.out, "     10 events, 5 of them twice: 202 processed, then 200 duplicate; 10 rows, 10 messages")
	return nil
}

// settled checks that an event has one row, and that one message tells of its invoice.
func (w *world) settled(ctx context.Context, event, invoice string, amount int64) error {
	var rows int
	var state string
	var booked int64
	row := w.db.QueryRowContext(ctx, "SELECT count(*), max(state), max(amount) FROM invoices WHERE event = $1", event)
	if err := row.Scan(&rows, &state, &booked); err != nil {
		return err
	}
	messages, err := w.messages(ctx, fmt.Sprintf(`"invoice":%q`, invoice))
	if err == nil && (rows != 1 || state != "booked" || booked != amount || messages != 1) {
		err = fmt.Errorf("event %s: %d rows, %s, %d, %d messages", event, rows, state, booked, messages)
	}
	return err
}

// messages returns how many events on Flux have a text in their payload.
func (w *world) messages(ctx context.Context, text string) (int, error) {
	log, code := w.run(ctx, "read", "event", "--limit", "0", "--json")
	if code != 0 {
		return 0, fmt.Errorf("flux read: exit code %d\n%s", code, log)
	}
	return strings.Count(log, text), nil
}

func (w *world) forge(ctx context.Context) error {
	body := paid("in_1", "49.90", "EUR")
	for _, hook := range []webhook{
		{id: "evt_1", body: body, key: "guessed", status: http.StatusUnauthorized, how: "refused"},
		{id: "evt_1", body: body, age: time.Hour, status: http.StatusUnauthorized, how: "refused"},
		{id: "evt_1", body: paid("in_1", "0.01", "EUR"), status: http.StatusUnprocessableEntity},
		{id: "", body: body, status: http.StatusUnauthorized, how: "refused"},
	} {
		if _, err := w.send(ctx, hook); err != nil {
			return err
		}
	}
	fmt.Fprintln(w.out, "     401 for a wrong signature, an old one, and none for an id; 422 for another body under a known id")
	return w.settled(ctx, "evt_1", "in_1", 4990)
}

// yen is the event that fails.
var yen = webhook{id: "evt_yen", body: paid("in_yen", "500", "JPY")}

func (w *world) fail(ctx context.Context) error {
	hook := yen
	hook.status, hook.how = http.StatusInternalServerError, "failed"
	for range 2 {
		id, err := w.send(ctx, hook)
		if err != nil {
			return err
		}
		w.failed = append(w.failed, id)
	}
	fmt.Fprintf(w.out, "     500, and again: executions %.8s and %.8s\n", w.failed[0], w.failed[1])
	return nil
}

func (w *world) explain(ctx context.Context) error {
	recorded := func() error {
		return w.flux(ctx, 0, []string{w.failed[0][:8], w.failed[1][:8]}, "logs", "--status", "error")
	}
	if err := scene.Until(ctx, recorded); err != nil {
		return err
	}
	return w.flux(ctx, 0, []string{`"500" has no cents`, "service.go", "INSERT INTO invoices"}, "why", w.failed[0])
}

// replay runs both receivers without database, without secret and without Flux.
func (w *world) replay(ctx context.Context) error {
	if err := w.receiver.stop(); err != nil {
		return err
	}
	for _, version := range []struct {
		path string
		code int
		text string
	}{{w.broken, 0, "SAME"}, {w.fixed, 3, "UPDATE invoices"}} {
		address, err := scene.FreeAddress()
		if err != nil {
			return err
		}
		args := append([]string{"replay", w.failed[0], "--address", address, "--"}, w.command(version.path, address)...)
		if err := w.flux(ctx, version.code, []string{version.text}, args...); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) resume(ctx context.Context) error {
	if err := w.start(w.fixed); err != nil {
		return err
	}
	if err := w.flux(ctx, 0, []string{"reuse"}, "resume", w.failed[0], "--plan"); err != nil {
		return err
	}
	resumed := func() error { // once the receiver is connected to Flux
		return w.flux(ctx, 0, []string{"now it is 202"}, "resume", w.failed[0], "--yes")
	}
	if err := scene.Until(ctx, resumed); err != nil {
		return err
	}
	return w.settled(ctx, yen.id, "in_yen", 500)
}

// again shows that neither the provider nor a resume of the other attempt processes the event once more.
func (w *world) again(ctx context.Context) error {
	hook := yen
	hook.status, hook.how = http.StatusOK, "duplicate"
	if _, err := w.send(ctx, hook); err != nil {
		return err
	}
	if err := w.flux(ctx, 0, []string{"now it is 200"}, "resume", w.failed[1], "--yes"); err != nil {
		return err
	}
	return w.settled(ctx, yen.id, "in_yen", 500)
}
