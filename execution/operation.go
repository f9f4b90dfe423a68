package execution

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// An Op is an operation about to happen: a call across a boundary.
type Op struct {
	Boundary string // "http", "sql", "redis", or a word of your own
	Target   string // address without volatile parts
	Shape    string // what kind of request it is: method and path, fingerprint of a statement, command
	Effect   record.Effect

	// Request marshals to JSON when the execution is kept. It may be filled until Finish and must not change after it.
	Request any
	// Identity is the part of the request that makes two requests the same. It is what a replay compares, and must be complete
	// at Start when the execution is replayed or resumed. Defaults to Request.
	Identity any

	IdempotencyKey string // with which the call may be repeated without a second effect
	Transaction    string // unit it belongs to, from NewTransaction
}

// A Call is an operation under way. All methods work on nil, which is an operation nobody records.
type Call struct {
	x     *Execution
	lane  *lane
	ctx   context.Context
	op    Op
	stack *fault.Stack

	number   uint32
	start    time.Duration
	duration time.Duration
	finished uint32
	state    record.State
	failure  bool
	doubt    bool
	over     bool // Finish came
	response any
	err      error         // as the adapter got it
	fault    *record.Error // as the adapter took it apart
	links    []record.Link
	from     record.Provenance

	recorded *record.Checkpoint // answers the call
	compare  *record.Checkpoint // is compared with the live outcome
	match    *record.Checkpoint // that fits, whatever was done with it
	level    Level              // how well it fits
	refusal  error
}

// Start begins an operation in the execution of the context and returns nil when there is none. After it, in this order:
// when Err is not nil return that; when Recorded is not nil return what it says; else make the call and tell Finish.
func Start(ctx context.Context, op Op) *Call {
	l := laneOf(ctx)
	if l == nil {
		return nil
	}
	return l.x.startCall(ctx, l, op)
}

func (x *Execution) startCall(ctx context.Context, l *lane, op Op) *Call {
	c := x.add(Call{x: x, lane: l, ctx: ctx, op: op, stack: fault.Here(2), state: record.StateIntent})
	if c == nil {
		return nil
	}
	switch {
	case x.mode != ModeRecord:
		x.answer(c)
	case x.journal && op.Effect.Writes():
		c.refusal = x.rec.intent(c)
	}
	return c
}

// add numbers the call. It returns nil when it is not to be recorded. Replays number without limit.
func (x *Execution) add(call Call) *Call {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.mode == ModeRecord && (x.ended || len(x.calls) >= x.rec.config.Limits.Checkpoints) {
		if !x.ended {
			x.dropped.Checkpoints++
		}
		return nil
	}
	if x.ended {
		call.refusal = errEnded
	}
	call.number = uint32(len(x.calls))
	call.start = time.Since(x.started)
	if len(x.callRoom) == 0 {
		x.callRoom = make([]Call, min(max(len(x.calls), usualCalls), 16*usualCalls))
		x.calls = slices.Grow(x.calls, len(x.callRoom))
	}
	c := &x.callRoom[0]
	*c, x.callRoom = call, x.callRoom[1:]
	x.calls = append(x.calls, c)
	return c
}

// usualCalls is how many operations an execution has room for at first.
const usualCalls = 4

// Context returns the context of the call.
func (c *Call) Context() context.Context { return c.ctx }

// Execution returns the execution of the call, nil for nil.
func (c *Call) Execution() *Execution {
	if c == nil {
		return nil
	}
	return c.x
}

// Err says that the operation must not happen: a *Stop in a replay that met something the record does not have, a *Refused in a
// resume that needs a decision. Return it to the caller.
func (c *Call) Err() error {
	if c == nil {
		return nil
	}
	return c.refusal
}

// Recorded returns the checkpoint that answers the call, nil when it is to be made.
func (c *Call) Recorded() *record.Checkpoint {
	if c == nil {
		return nil
	}
	return c.recorded
}

// Link ties the operation to a message or to another execution.
func (c *Call) Link(l record.Link) {
	c.update(func() { c.links = append(c.links, l) })
}

// Fail says that an answer came and that it means failure, as HTTP 503 does. Call it before Finish.
func (c *Call) Fail() {
	c.update(func() { c.failure = true })
}

// Doubt says that an answer came that does not tell whether a write took effect, as HTTP 504 does. Call it before Finish.
func (c *Call) Doubt() {
	c.update(func() { c.failure, c.doubt = true, c.op.Effect.Writes() })
}

// update changes a call that its execution may be looking at.
func (c *Call) update(change func()) {
	if c == nil {
		return
	}
	c.x.mu.Lock()
	defer c.x.mu.Unlock()
	change()
}

// Answer tells that an answer has begun to come, for calls whose answers stream. It is the outcome until Finish tells the final one.
func (c *Call) Answer(response any) {
	if c == nil || c.recorded != nil || c.refusal != nil {
		return
	}
	c.x.mu.Lock()
	defer c.x.mu.Unlock()
	if !c.over && !c.x.ended {
		c.outcomeLocked(response, nil, nil)
	}
}

// Finish tells the outcome of a call that was made: a response that marshals to JSON, or an error, or both. The response may
// still be filled while it streams in, if it is safe for concurrent use. Only the first Finish counts.
func (c *Call) Finish(response any, err error) { c.finish(response, err, nil) }

// FinishFault is Finish for adapters that take errors apart themselves, with fault.Of and what they know beyond.
func (c *Call) FinishFault(response any, f *record.Error) { c.finish(response, nil, f) }

func (c *Call) finish(response any, err error, f *record.Error) {
	if c == nil || c.recorded != nil || c.refusal != nil {
		return
	}
	x := c.x
	x.mu.Lock()
	if c.over || x.ended {
		x.mu.Unlock()
		return
	}
	c.over = true
	c.outcomeLocked(response, err, f)
	x.mu.Unlock()
	x.rec.faults.pass(faultBeforeOutcome, c)
	if x.journal {
		x.rec.outcome(c)
	}
	x.rec.faults.pass(faultAfterOutcome, c)
	if c.compare != nil {
		x.report.compare(c)
	}
}

func (c *Call) outcomeLocked(response any, err error, f *record.Error) {
	if c.finished == 0 {
		c.x.finished++
		c.finished = c.x.finished
	}
	c.duration = time.Since(c.x.started) - c.start
	c.response, c.err, c.fault = response, err, f
	if c.state = stateOf(err, f); c.doubt {
		c.state = record.StateInDoubt
	}
}

func stateOf(err error, f *record.Error) record.State {
	switch {
	case err == nil && f == nil:
		return record.StateDone
	case errors.Is(err, context.Canceled), f != nil && f.Class == record.ClassCanceled:
		return record.StateCancelled
	}
	return record.StateFailed
}

// Do does an operation of a boundary of your own. In a record it is done and its result kept as JSON; in a replay the result
// comes from the record. T must survive a round trip through JSON. Errors come back as fault.Rebuild makes them: errors.Is and
// errors.As take those of the standard library for the same, and others keep their text.
func Do[T any](ctx context.Context, op Op, call func(context.Context) (T, error)) (T, error) {
	c := Start(ctx, op)
	if c == nil {
		return call(ctx)
	}
	if err := c.Err(); err != nil {
		var none T
		return none, err
	}
	if cp := c.Recorded(); cp != nil {
		return recordedResult[T](cp)
	}
	defer func() {
		if p := recover(); p != nil {
			c.FinishFault(nil, fault.OfPanic(p, debug.Stack()))
			panic(p)
		}
	}()
	v, err := call(ctx)
	if err != nil {
		c.Finish(nil, err)
	} else {
		c.Finish(v, nil)
	}
	return v, err
}

func recordedResult[T any](cp *record.Checkpoint) (T, error) {
	var v T
	if cp.Error != nil {
		return v, fault.Rebuild(cp.Error)
	}
	if len(cp.Response.Data) == 0 {
		return v, nil
	}
	if err := json.Unmarshal(cp.Response.Data, &v); err != nil {
		return v, fmt.Errorf("%w: the record of op %d has another type: %w", ErrDiverged, cp.Number, err)
	}
	return v, nil
}

// NewTransaction returns a name for a unit of operations that take effect together, unique in the execution.
func (x *Execution) NewTransaction() string {
	if x == nil {
		return ""
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.transactions++
	return fmt.Sprintf("tx%d", x.transactions)
}
