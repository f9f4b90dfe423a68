package fluxredis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// ErrRefused is returned for commands that Options.Strict does not allow.
var ErrRefused = errors.New("refused")

// Options are what Instrument may be told. The zero value is good for most.
type Options struct {
	// Target names the server in records. Defaults to its address and database.
	Target string
	// Strict refuses transactions, publish and subscribe, and BLPOP and the like, before they are sent. Defaults to false.
	Strict bool
}

// Instrument makes a client record what executions do with it, and answer replays from their record. A nil recorder is allowed.
// Call it once, before the client is used.
func Instrument(rec *execution.Recorder, client redis.UniversalClient, opts *Options) {
	if c, ok := client.(*redis.Client); ok && c.Options().Addr == memoryAddress {
		return
	}
	h := &hook{rec: rec}
	if opts != nil {
		h.target, h.strict = opts.Target, opts.Strict
	}
	if h.target == "" {
		h.target = targetOf(client)
	}
	client.AddHook(h)
}

// targetOf returns the address of a client without credentials.
func targetOf(client redis.UniversalClient) string {
	switch c := client.(type) {
	case *redis.Client:
		return "redis://" + c.Options().Addr + "/" + strconv.Itoa(c.Options().DB)
	case *redis.ClusterClient:
		return "redis://" + strings.Join(c.Options().Addrs, ",")
	}
	return "redis"
}

// hook implements redis.Hook.
type hook struct {
	rec    *execution.Recorder
	target string
	strict bool

	mu      sync.Mutex
	orphans []context.Context // of subscriptions whose connection was lost
}

// kinds are the errors of go-redis that are not replies.
var kinds = []fault.Kind{
	{Name: "redis.Nil", Value: redis.Nil},
	{Name: "redis.ErrClosed", Value: redis.ErrClosed},
	{Name: "redis.TxFailedErr", Value: redis.TxFailedErr},
	{Name: "redis.ErrPoolTimeout", Value: redis.ErrPoolTimeout},
	{Name: "redis.ErrPoolExhausted", Value: redis.ErrPoolExhausted},
}

// DialHook implements redis.Hook. Commands have their connections dialled under no context of anybody, so one that is dialled in an
// execution is for subscriptions.
func (h *hook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		connect := func() (net.Conn, error) { return next(ctx, network, addr) }
		owner := h.owner(ctx)
		switch {
		case h.rec.ExecutionIn(owner) != nil:
			return h.dial(owner, connect)
		case h.strict || h.rec.Booting(): // a subscription at the start of the process, or the connection of a command
			conn, err := connect()
			if err != nil {
				return nil, err
			}
			return h.tapped(ctx, conn), nil
		}
		return connect()
	}
}

// request is what is recorded of a command or a pipeline.
type request struct {
	Command  command   `json:"command,omitempty"`
	Commands []command `json:"commands,omitempty"`
}

// response is what is recorded of what came back: a reply for each command.
type response struct {
	Reply   *reply   `json:"reply,omitempty"`
	Replies []*reply `json:"replies,omitempty"`
}

// ProcessHook implements redis.Hook.
func (h *hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if h.strict {
			if err := refusal(cmd); err != nil {
				cmd.SetErr(err)
				return err
			}
		}
		if !h.records(ctx) || handshake[nameOf(cmd)] {
			return next(ctx, cmd)
		}
		call := h.rec.Start(ctx, execution.Op{
			Boundary: "redis", Target: h.target, Shape: shapeOf(cmd), Effect: effectOf(cmd), Request: &request{Command: commandOf(cmd)},
		})
		switch {
		case call == nil:
			return next(ctx, cmd)
		case call.Err() != nil:
			cmd.SetErr(call.Err())
			return call.Err()
		case call.Recorded() != nil:
			return serve(ctx, call.Recorded(), cmd)
		case waits(cmd):
			return h.runTyped(ctx, call, next, cmd)
		}
		return h.run(ctx, call, next, cmd)
	}
}

// records says whether somebody is going to record what happens under a context, so that nothing is allocated when not.
func (h *hook) records(ctx context.Context) bool {
	return execution.FromContext(ctx) != nil || h.rec.Booting()
}

// run sends a command and keeps its reply as it came.
func (h *hook) run(ctx context.Context, call *execution.Call, next redis.ProcessHook, cmd redis.Cmder) error {
	raw := redis.NewRawCmd(ctx, cmd.Args()...)
	if err := next(execution.Unrecorded(ctx), raw); err != nil {
		cmd.SetErr(err)
		call.FinishFault(nil, fault.Of(err, kinds...))
		return err
	}
	r, _, err := decodeReply(raw.Val())
	if err != nil {
		cmd.SetErr(err)
		call.Finish(nil, err)
		return err
	}
	err = fill(ctx, []redis.Cmder{cmd}, [][]byte{raw.Val()})
	call.FinishFault(&response{Reply: &r}, replyFault(&r))
	return err
}

// replyFault is the fault of an error reply, nil for others.
func replyFault(r *reply) *record.Error {
	text := r.failure()
	if text == "" {
		return nil
	}
	word, _, _ := strings.Cut(text, " ")
	return &record.Error{Class: record.ClassDriver, Message: text, Type: "redis.Error", Code: word}
}

// serve fills a command from a checkpoint.
func serve(ctx context.Context, cp *record.Checkpoint, cmd redis.Cmder) error {
	var r response
	if len(cp.Response.Data) == 0 {
		if cp.Error == nil {
			assume(cmd)
			return nil
		}
		err := fault.Rebuild(cp.Error, kinds...)
		cmd.SetErr(err)
		return err
	}
	if err := json.Unmarshal(cp.Response.Data, &r); err != nil || r.Reply == nil {
		err = fmt.Errorf("%w: the record of op %d has no reply: %w", execution.ErrDiverged, cp.Number, err)
		cmd.SetErr(err)
		return err
	}
	return fill(ctx, []redis.Cmder{cmd}, [][]byte{r.Reply.appendTo(nil)})
}

// assume fills a command of which a resume knows that it was done, but not the reply: what replies when it is done, and the zero
// value for numbers and the like.
func assume(cmd redis.Cmder) {
	switch cmd := cmd.(type) {
	case *redis.StatusCmd:
		cmd.SetVal("OK")
	case *redis.BoolCmd:
		cmd.SetVal(true)
	}
}

// ProcessPipelineHook implements redis.Hook.
func (h *hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if len(cmds) == 0 || handshake[nameOf(cmds[0])] {
			return next(ctx, cmds)
		}
		if h.strict {
			if err := firstRefusal(cmds); err != nil {
				setErrors(cmds, err)
				return err
			}
		}
		if !h.records(ctx) {
			return next(ctx, cmds)
		}
		call := h.rec.Start(ctx, h.pipelineOp(cmds))
		switch {
		case call == nil:
			return next(ctx, cmds)
		case call.Err() != nil:
			setErrors(cmds, call.Err())
			return call.Err()
		case call.Recorded() != nil:
			return servePipeline(ctx, call.Recorded(), cmds)
		}
		return runPipeline(ctx, call, next, cmds)
	}
}

func setErrors(cmds []redis.Cmder, err error) {
	for _, cmd := range cmds {
		cmd.SetErr(err)
	}
}

func (h *hook) pipelineOp(cmds []redis.Cmder) execution.Op {
	all := make([]command, len(cmds))
	names := make([]string, len(cmds))
	for i, cmd := range cmds {
		all[i], names[i] = commandOf(cmd), nameOf(cmd)
	}
	return execution.Op{
		Boundary: "redis", Target: h.target, Shape: "PIPELINE " + summary(names), Effect: effectOf(cmds...),
		Request: &request{Commands: all},
	}
}

// summary names the commands of a pipeline: "MULTI SET×3 EXEC".
func summary(names []string) string {
	var out []string
	for i := 0; i < len(names); {
		n := 1
		for i+n < len(names) && names[i+n] == names[i] {
			n++
		}
		word := names[i]
		if n > 1 {
			word += "×" + strconv.Itoa(n)
		}
		out = append(out, word)
		i += n
	}
	return strings.Join(out, " ")
}

// bodyOf returns the commands of a pipeline between MULTI and EXEC, which go-redis reads itself, or all of one without.
func bodyOf(cmds []redis.Cmder) []redis.Cmder {
	if nameOf(cmds[0]) == "MULTI" && nameOf(cmds[len(cmds)-1]) == "EXEC" {
		return cmds[1 : len(cmds)-1]
	}
	return cmds
}

// runPipeline sends a pipeline and keeps the replies as they came.
func runPipeline(ctx context.Context, call *execution.Call, next redis.ProcessPipelineHook, cmds []redis.Cmder) error {
	body := bodyOf(cmds)
	raws := make([]*redis.RawCmd, len(body))
	sent := make([]redis.Cmder, len(cmds))
	copy(sent, cmds)
	offset := (len(cmds) - len(body)) / 2
	for i, cmd := range body {
		raws[i] = redis.NewRawCmd(ctx, cmd.Args()...)
		sent[offset+i] = raws[i]
	}
	err := next(execution.Unrecorded(ctx), sent)
	replies := make([][]byte, len(body))
	out := &response{Replies: make([]*reply, len(body))}
	for i, raw := range raws {
		r, _, bad := decodeReply(raw.Val())
		if bad != nil { // it got no reply: the pipeline failed as a whole
			err = firstError(err, raw.Err(), bad)
			setErrors(cmds, err)
			call.FinishFault(nil, fault.Of(err, kinds...))
			return err
		}
		replies[i], out.Replies[i] = raw.Val(), &r
	}
	err = firstError(err, fill(ctx, body, replies))
	call.FinishFault(out, pipelineFault(out))
	return err
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// pipelineFault is the fault of the first error reply.
func pipelineFault(r *response) *record.Error {
	for _, one := range r.Replies {
		if f := replyFault(one); f != nil {
			return f
		}
	}
	return nil
}

// servePipeline fills the commands of a pipeline from a checkpoint.
func servePipeline(ctx context.Context, cp *record.Checkpoint, cmds []redis.Cmder) error {
	body := bodyOf(cmds)
	var r response
	if len(cp.Response.Data) == 0 && cp.Error == nil {
		for _, cmd := range body {
			assume(cmd)
		}
		return nil
	}
	if len(cp.Response.Data) == 0 {
		err := fault.Rebuild(cp.Error, kinds...)
		setErrors(cmds, err)
		return err
	}
	if err := json.Unmarshal(cp.Response.Data, &r); err != nil || len(r.Replies) != len(body) {
		err = fmt.Errorf("%w: op %d has %d replies for %d commands: %w", execution.ErrDiverged, cp.Number, len(r.Replies), len(body), err)
		setErrors(cmds, err)
		return err
	}
	replies := make([][]byte, len(body))
	for i, one := range r.Replies {
		replies[i] = one.appendTo(nil)
	}
	return fill(ctx, body, replies)
}
