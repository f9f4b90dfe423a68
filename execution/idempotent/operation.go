package idempotent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// boundary is how records name what is done with a store.
const boundary = "idempotency"

// The shapes of operations. A resume begins again: whether the request is still to be carried out is not what it was when the
// execution failed.
const (
	shapeBegin      = "begin"
	shapeBeginAgain = "begin again"
	shapeDone       = "end done"
	shapeFailed     = "end failed"
	shapeComplete   = "end in transaction"
)

// effects are those of the operations. A write is journalled before it happens, as the beginning has to be: a record without it does
// not know the entry. A write that comes after a failure says that the program got over it, which those without effect must not say.
var effects = map[string]record.Effect{
	shapeBegin: record.EffectWrite, shapeBeginAgain: record.EffectNone,
	shapeDone: record.EffectWrite, shapeFailed: record.EffectNone, shapeComplete: record.EffectNone,
}

// request is what records have of the request of an operation. Names of entries say nothing about the body: records hide parts of
// that, which a hash of the whole would give away.
type request struct {
	Entry string `json:"entry"`
}

// A verdict is what the store says about a request, as records have it.
type verdict struct {
	Outcome    outcome `json:"outcome"`
	Entry      string  `json:"entry,omitempty"`      // name, of one that was begun
	Revision   string  `json:"revision,omitempty"`   // of the entry, likewise
	RetryAfter int     `json:"retryAfter,omitempty"` // seconds
	Answer     *Answer `json:"-"`

	Recorded *recordedAnswer `json:"answer,omitempty"` // the Answer
}

// recordedAnswer is an answer as records have it.
type recordedAnswer struct {
	Status  int                 `json:"status"`
	Header  map[string][]string `json:"header,omitempty"`
	Body    record.Body         `json:"body"`
	Omitted bool                `json:"omitted,omitempty"`
}

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

// resumeOf returns the id of the resume that runs, or whose record is replayed; "" for others.
func resumeOf(x *execution.Execution) string {
	switch of := x.Of(); {
	case of == nil:
		return ""
	case x.Mode() == execution.ModeResume:
		return x.ID().String()
	case of.Relation == record.RelationResume:
		return of.ID.String()
	}
	return ""
}

// ownerOf returns the execution that is resumed, however often, or this one; "" for none.
func ownerOf(x *execution.Execution) string {
	switch of := x.Of(); {
	case x == nil:
		return ""
	case of == nil:
		return x.ID().String()
	case !of.Root.IsZero():
		return of.Root.String()
	default:
		return of.ID.String()
	}
}

// recordedName returns the name of the entry in a record, "" when it has none. In the request that is run again key and caller may be
// hidden.
func recordedName(of *record.Execution) string {
	for i := range of.Checkpoints {
		cp := &of.Checkpoints[i]
		var in request
		if cp.Boundary == boundary && cp.Shape == shapeBegin && json.Unmarshal(cp.Request.Data, &in) == nil {
			return in.Entry
		}
	}
	return ""
}

// errUnknownEntry is why a resume is not carried out under a key that it cannot tell.
var errUnknownEntry = errors.New("the record ends before the request was begun, and does not tell its entry: let the client send it again")

// withoutEntry decides about a request that runs again and whose record has no entry. It was carried out by a handler without one, and
// is again; or it came to nothing.
func withoutEntry(x *execution.Execution) (*ticket, error) {
	of := x.Of()
	done := func(cp record.Checkpoint) bool { return cp.Effect.Writes() }
	if resumeOf(x) != "" && !slices.ContainsFunc(of.Checkpoints, done) {
		return nil, errUnknownEntry
	}
	return &ticket{verdict: verdict{Outcome: unkeyed}}, nil
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
	for {
		seen, err := k.store.Get(ctx, name)
		if err != nil {
			return err
		}
		a.now = time.Now().UTC()
		t.verdict = verdict{Outcome: a.meet(seen), Answer: seen.Answer}
		if t.Outcome != begun {
			t.RetryAfter = seen.retryAfter(a.now)
			return nil
		}
		entry := a.take(seen, k.config.Lease, k.config.TTL)
		switch err := k.store.Put(ctx, name, seen.Revision, entry); {
		case errors.Is(err, ErrConflict):
			continue // and see who was faster
		case err != nil:
			return err
		}
		t.Entry, t.Revision, t.Answer = name, entry.Revision, nil
		t.entry, t.until = entry, entry.Lease
		return nil
	}
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

func (t *ticket) op(shape, name string) execution.Op {
	op := execution.Op{
		Boundary: boundary, Target: t.target, Shape: shape, Effect: effects[shape], IdempotencyKey: name,
		Request: &request{name}, Identity: struct{}{},
	}
	if shape == shapeBegin {
		op.Target = "" // what was recorded answers a resume, too
	}
	return op
}

// operate does something with a store as an operation of the execution of ctx, or answers it from the record: it fills v.
func operate(ctx context.Context, op execution.Op, v *verdict, do func(context.Context) error) (*record.Checkpoint, error) {
	c := execution.Start(ctx, op)
	if err := c.Err(); err != nil {
		return nil, err
	}
	if cp := c.Recorded(); cp != nil {
		return cp, v.recall(cp)
	}
	if err := do(execution.Unrecorded(ctx)); err != nil {
		c.FinishFault(nil, fault.Of(err, conflict))
		return nil, err
	}
	c.Finish(v.recorded(c), nil)
	return nil, nil
}

// conflict is ErrConflict, for records.
var conflict = fault.Kind{Name: "idempotent.ErrConflict", Value: ErrConflict}

// recorded returns the verdict as the record has it.
func (v *verdict) recorded(c *execution.Call) any {
	x := c.Execution()
	if x == nil || v.Answer == nil {
		return *v
	}
	limit := min(len(v.Answer.Body), x.BodyLimit())
	if !x.Reserve(limit) {
		limit = 0
	}
	out := *v
	out.Recorded = &recordedAnswer{v.Answer.Status, v.Answer.Header, record.NewBody(v.Answer.Body, limit), v.Answer.Omitted}
	return out
}

// recall fills the verdict from a record.
func (v *verdict) recall(cp *record.Checkpoint) error {
	if cp.Error != nil {
		return fault.Rebuild(cp.Error, conflict)
	}
	if len(cp.Response.Data) == 0 {
		return nil // an operator says that it was done
	}
	if err := json.Unmarshal(cp.Response.Data, v); err != nil {
		return fmt.Errorf("%w: op %d: %w", execution.ErrDiverged, cp.Number, err)
	}
	a := v.Recorded
	if a == nil {
		return nil
	}
	if a.Body.Truncated {
		return fmt.Errorf("%w: the record has %d of %d bytes of the answer", execution.ErrDiverged, len(a.Body.Data), a.Body.Bytes)
	}
	v.Answer = &Answer{Status: a.Status, Header: a.Header, Body: a.Body.Data, Omitted: a.Omitted}
	return nil
}
