package idempotent

import (
	"context"
	"encoding/json"
	"fmt"

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
