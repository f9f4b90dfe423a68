package fluxpgx

import (
	"context"
	"runtime"
	"sync"
	"weak"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/internal/sqltext"
	"github.com/flux-go/flux/execution/record"
)

const boundary = "postgres"

// adapter is what the connections of a configuration share.
type adapter struct {
	rec        *execution.Recorder
	target     string
	statements sqltext.Cache
	replays    sync.Map // of weak.Pointer[execution.Execution] to *replay
}

func newAdapter(rec *execution.Recorder, config *pgx.ConnConfig) *adapter {
	return &adapter{rec: rec, target: targetOf(config)}
}

// replayOf returns what an execution is replayed from, nil when it is not replayed.
func (a *adapter) replayOf(x *execution.Execution) *replay {
	if x.Mode() != execution.ModeReplay {
		return nil
	}
	key := weak.Make(x)
	if known, ok := a.replays.Load(key); ok {
		return known.(*replay)
	}
	r, loaded := a.replays.LoadOrStore(key, newReplay(x.Of(), x.RecordedTarget(boundary, a.target)))
	if !loaded {
		runtime.AddCleanup(x, func(key weak.Pointer[execution.Execution]) { a.replays.Delete(key) }, key)
	}
	return r.(*replay)
}

// targetIn returns the target of operations in an execution.
func (a *adapter) targetIn(x *execution.Execution) string {
	if r := a.replayOf(x); r != nil {
		return r.target
	}
	return a.target
}

// setupKey marks contexts under which a connection is set up.
type setupKey struct{}

func isSetup(ctx context.Context) bool { return ctx.Value(setupKey{}) != nil }

// An attempt is one to connect. All methods work on nil.
type attempt struct {
	call   *execution.Call // nil when nobody records it
	err    error           // of a dial or a lookup
	replay error           // with which it ends in a replay, nil when it succeeds
}

type attemptKey struct{}

func attemptOf(ctx context.Context) *attempt {
	a, _ := ctx.Value(attemptKey{}).(*attempt)
	return a
}

func (a *attempt) failed(err error) {
	if a != nil && err != nil {
		a.err = err
	}
}

// tracer tells connections which execution they work for.
type tracer struct{ a *adapter }

func wireOf(conn *pgx.Conn) *wire {
	if conn == nil {
		return nil
	}
	w, _ := conn.PgConn().Conn().(*wire)
	return w
}

// TraceQueryStart implements pgx.QueryTracer.
func (t tracer) TraceQueryStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	wireOf(conn).bind(ctx)
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (tracer) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceBatchStart implements pgx.BatchTracer.
func (t tracer) TraceBatchStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	wireOf(conn).bind(ctx)
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (tracer) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (tracer) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// TraceCopyFromStart implements pgx.CopyFromTracer.
func (t tracer) TraceCopyFromStart(ctx context.Context, conn *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	wireOf(conn).bind(ctx)
	return ctx
}

// TraceCopyFromEnd implements pgx.CopyFromTracer.
func (tracer) TraceCopyFromEnd(context.Context, *pgx.Conn, pgx.TraceCopyFromEndData) {}

// TracePrepareStart implements pgx.PrepareTracer.
func (t tracer) TracePrepareStart(ctx context.Context, conn *pgx.Conn, _ pgx.TracePrepareStartData) context.Context {
	wireOf(conn).bind(ctx)
	return ctx
}

// TracePrepareEnd implements pgx.PrepareTracer.
func (tracer) TracePrepareEnd(context.Context, *pgx.Conn, pgx.TracePrepareEndData) {}

// TraceConnectStart implements pgx.ConnectTracer.
func (t tracer) TraceConnectStart(ctx context.Context, data pgx.TraceConnectStartData) context.Context {
	try := &attempt{}
	if r := t.a.replayOf(t.a.rec.ExecutionIn(ctx)); r != nil {
		try.replay = r.connect()
	} else if execution.FromContext(ctx) != nil || t.a.rec.Booting() {
		try.call = t.a.rec.Start(ctx, execution.Op{
			Boundary: boundary, Target: t.a.target, Shape: shapeConnect, Effect: record.EffectNone,
			Request: map[string]string{"user": data.ConnConfig.User, "database": data.ConnConfig.Database},
		})
	}
	return context.WithValue(ctx, attemptKey{}, try)
}

// TraceConnectEnd implements pgx.ConnectTracer.
func (t tracer) TraceConnectEnd(ctx context.Context, data pgx.TraceConnectEndData) {
	try := attemptOf(ctx)
	switch {
	case try == nil || try.call == nil:
	case data.Err == nil:
		try.call.Finish(map[string]any{"parameters": wireOf(data.Conn).serverParameters()}, nil)
	default:
		var err error = serverError(data.Err)
		if err == (*pgconn.PgError)(nil) {
			if err = try.err; err == nil {
				err = data.Err
			}
		}
		try.call.FinishFault(nil, fault.Of(err, ErrorKind()))
	}
}

// The shapes of operations that are not statements.
const (
	shapeConnect      = "CONNECT"
	shapeSetup        = "SETUP"
	shapeNotification = "NOTIFICATION"
	shapePrepare      = "PREPARE " // and the shape of the statement
)
