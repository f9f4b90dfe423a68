package idempotent

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// A ticket is the right to carry a request out.
type ticket struct {
	verdict
	target string    // of its operations: the resume, so that each does its own; "" outside of resumes
	entry  Entry     // as it was put; zero in a replay
	until  time.Time // of the lease; zero in a replay
	stored string    // revision that Complete put, in a transaction that may have been rolled back
}

type ticketKey struct{}

// A keeper begins and ends attempts.
type keeper struct {
	store  Store
	config Config
}

// begin returns what the store says about a request. When it is begun, the ticket is to be ended.
func (k *keeper) begin(ctx context.Context, name string, payload []byte) (*ticket, error) {
	x := execution.FromContext(ctx)
	a := attempt{payload: payload, owner: ownerOf(x), resumes: x.Mode() == execution.ModeResume}
	if of := x.Of(); of != nil { // what a record hides of the request does not count
		name, a.payload = recordedName(of), nil
	}
	if name == "" {
		return withoutEntry(x)
	}
	t := &ticket{target: resumeOf(x)}
	cp, err := k.tryBegin(ctx, t, name, &a, shapeBegin)
	if err == nil && cp != nil && (a.resumes || cp.Provenance != "" && cp.Provenance != record.ProvenanceLive) {
		t = &ticket{target: t.target}
		_, err = k.tryBegin(ctx, t, name, &a, shapeBeginAgain)
	}
	return t, err
}

// tryBegin begins an attempt in an operation. It returns the checkpoint that answered it, nil when it was done.
func (k *keeper) tryBegin(ctx context.Context, t *ticket, name string, a *attempt, shape string) (*record.Checkpoint, error) {
	return operate(ctx, t.op(shape, name), &t.verdict, func(ctx context.Context) error {
		ctx, cancel := patient(ctx)
		defer cancel()
		return k.take(ctx, t, name, a)
	})
}

// take puts an attempt into the entry, unless that is not to be.
func (k *keeper) take(ctx context.Context, t *ticket, name string, a *attempt) error {
	for own := (Entry{}); ; {
		seen, err := k.store.Get(ctx, name)
		if err != nil {
			return err
		}
		if own.Revision != "" && own.Revision == seen.Revision { // the put was sent again below the store
			t.hold(name, own)
			return nil
		}
		a.now = time.Now().UTC()
		t.verdict = verdict{Outcome: a.meet(seen), Answer: seen.Answer}
		if t.Outcome != begun {
			t.RetryAfter = seen.retryAfter(a.now)
			return nil
		}
		own = a.take(seen, k.config.Lease, k.config.TTL)
		if err = k.store.Put(ctx, name, seen.Revision, own); err == nil {
			t.hold(name, own)
		}
		if !errors.Is(err, ErrConflict) { // else see who was faster
			return err
		}
	}
}

// hold makes the ticket that of an attempt that has an entry.
func (t *ticket) hold(name string, e Entry) {
	t.verdict = verdict{Outcome: begun, Entry: name, Revision: e.Revision}
	t.entry, t.until = e, e.Lease
}

// retryAfter returns after how many seconds it is worth asking again: as long as it took so far, at most until the lease ends.
func (e *Entry) retryAfter(now time.Time) int {
	wait := min(now.Sub(e.Since), e.Lease.Sub(now))
	return max(1, int(math.Ceil(wait.Seconds())))
}

// end ends an attempt: with an answer that is to be stored, or nil when it failed. The outcome is created, failed, or what another
// attempt that took the entry came to.
func (k *keeper) end(ctx context.Context, t *ticket, answer *Answer) (*verdict, error) {
	shape, v := shapeFailed, &verdict{Outcome: failed}
	if answer != nil {
		shape, v.Outcome = shapeDone, created
	}
	_, err := operate(ctx, t.op(shape, t.Entry), v, func(ctx context.Context) error {
		ctx, cancel := patient(ctx)
		defer cancel()
		own, err := t.put(ctx, k.store, answer, k.config.TTL)
		if errors.Is(err, ErrConflict) {
			err = k.yield(ctx, t, v, own)
		}
		return err
	})
	return v, err
}

// put ends the entry of an attempt, and returns the revision that it has then.
func (t *ticket) put(ctx context.Context, store Store, answer *Answer, ttl time.Duration) (string, error) {
	if t.entry.Revision == "" {
		return "", fmt.Errorf("%w: this attempt is a replay", ErrConflict)
	}
	entry := t.entry.end(answer, newRevision(), time.Now().UTC(), ttl)
	return entry.Revision, store.Put(ctx, t.Entry, t.Revision, entry)
}

// yield finds out who has the entry that an attempt could not end.
func (k *keeper) yield(ctx context.Context, t *ticket, v *verdict, own string) error {
	e, err := k.store.Get(ctx, t.Entry)
	switch {
	case err != nil:
	case e.Revision == own && own != "": // the put was sent again below the store
	case e.Revision == t.stored && t.stored != "":
		v.Outcome, v.Answer = created, e.Answer
	case e.State == Done:
		v.Outcome, v.Answer = replayed, e.Answer
	case v.Outcome == created:
		v.Outcome, v.RetryAfter = running, e.retryAfter(time.Now())
	}
	return err
}

// Complete stores the answer of the request with a key that ctx belongs to, in a transaction of its handler, so that its effects and
// the answer are there together or not at all. store is that of the middleware, in the transaction: see SQLStore.In. ErrConflict says
// that another attempt has taken over: roll back. Once the transaction is committed the client gets this answer, whatever the handler
// answers then. Without a key Complete does nothing.
func Complete(ctx context.Context, store Store, answer *Answer) error {
	t, ok := ctx.Value(ticketKey{}).(*ticket)
	if !ok {
		return nil
	}
	_, err := operate(ctx, t.op(shapeComplete, t.Entry), &verdict{Outcome: created}, func(ctx context.Context) (err error) {
		t.stored, err = t.put(ctx, store, answer, t.entry.Expires.Sub(t.entry.Since))
		return err
	})
	return err
}
