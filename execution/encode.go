package execution

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"sync"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/execution/redact"
)

// payload is what a record holds of a value.
func payload(v any) record.Payload {
	data := marshal(v)
	return record.Payload{Data: data, Truncated: bytes.Contains(data, []byte(`"truncated":true`))}
}

// work encodes what is kept, one execution after the other, until the queue is closed. The ends of those that are journalled wait
// for the disk, many for the same sync, so they are not waited for here.
func (r *Recorder) work() {
	var ends sync.WaitGroup
	defer ends.Wait()
	slots := make(chan struct{}, maxEnds)
	for x := range r.queue {
		out := r.encode(x)
		switch {
		case out == nil:
		case !x.journal:
			r.bring(x, out)
		default:
			slots <- struct{}{}
			ends.Go(func() {
				r.bring(x, out)
				<-slots
			})
		}
	}
}

// maxEnds bounds how many executions wait for the disk with their end.
const maxEnds = 256

// encode returns the record of an execution, redacted. A panic, which only a program's own MarshalJSON can cause, loses the
// record and nothing else (X1).
func (r *Recorder) encode(x *Execution) (out *record.Execution) {
	defer func() {
		if p := recover(); p != nil {
			out = nil
			r.stats.dropped.Add(1)
			x.release()
			r.config.Logger.Error("execution is not recorded", "execution", x.head.ID, "panic", p)
		}
	}()
	out = x.snapshot(x.head.Status)
	if r.config.OnKept != nil {
		r.config.OnKept(out)
	}
	if err := r.bringBoot(); err != nil {
		r.config.Logger.Warn("start of the process is not recorded", "error", err)
	}
	return out
}

// bring hands a record to the store.
func (r *Recorder) bring(x *Execution, out *record.Execution) {
	defer x.release()
	if err := r.store.end(out, x.journal); err != nil {
		r.stats.dropped.Add(1)
		r.config.Logger.Error("execution is not recorded", "execution", x.head.ID, "error", err)
		return
	}
	r.stats.kept.Add(1)
}

// bringBoot brings away the execution of the start of the process, once, before the first record that refers to it.
func (r *Recorder) bringBoot() error {
	if r.bootKept {
		return nil
	}
	r.bootKept = true
	r.bootEnds()
	return r.store.end(r.boot.snapshot(record.StatusOK), false)
}

// snapshot returns the record of an execution as it is now, redacted.
func (x *Execution) snapshot(status record.Status) *record.Execution {
	x.mu.Lock()
	out := x.head
	calls, logs, notes := slices.Clone(x.calls), slices.Clone(x.logs), slices.Clone(x.notes)
	lanes, env := x.allLanes(), maps.Clone(x.env)
	input, output := x.input, x.output
	out.Dropped = x.dropped
	out.Links = slices.Clone(out.Links)
	out.Volatile = slices.Clone(out.Volatile)
	if out.Error != nil {
		failed := *out.Error
		out.Error = &failed
	}
	x.mu.Unlock()

	out.Status = status
	out.Input, out.Output = payload(input), payload(output)
	out.Checkpoints = x.checkpoints(calls)
	out.Logs, out.Notes = logLines(logs), noteLines(notes)
	out.Sources = sources(lanes, env)
	locate(&out)
	shortened(&out)
	x.redact(&out, calls)
	return &out
}

// redact redacts a record, and hashes the identities of its operations: after redaction, with all that is known by then to be
// secret, so that a replay, which has only stand-ins, comes to the same hashes.
func (x *Execution) redact(out *record.Execution, calls []*Call) {
	x.redaction.Lock()
	defer x.redaction.Unlock()
	session := x.rec.redactor.Session()
	session.Execution(out)
	if x.journal {
		x.redaction.session = session
	}
	type identity struct {
		lane string
		hash record.Hash
	}
	seen := make(map[identity]uint32, len(calls))
	for i, c := range calls {
		cp := &out.Checkpoints[i]
		cp.Hash = c.finalHash(cp, session)
		key := identity{cp.Lane, cp.Hash}
		cp.Nth = seen[key]
		seen[key]++
	}
}

// finalHash returns the hash of a redacted checkpoint: that of the record which answered it, or of what it asked.
func (c *Call) finalHash(cp *record.Checkpoint, session *redact.Session) record.Hash {
	if c.recorded != nil && c.recorded != virtual {
		return c.recorded.Hash
	}
	return c.hashOf(cp.Target, cp.Shape, session.Payload)
}

// checkpoints builds the checkpoints of calls, without redaction and hashes.
func (x *Execution) checkpoints(calls []*Call) []record.Checkpoint {
	if len(calls) == 0 {
		return nil
	}
	out := make([]record.Checkpoint, len(calls))
	for i, c := range calls {
		out[i] = c.checkpoint()
	}
	return out
}

// checkpoint builds the record of a call, without redaction and hash.
func (c *Call) checkpoint() record.Checkpoint {
	c.x.mu.Lock()
	cp := record.Checkpoint{
		Number: c.number, Finished: c.finished, Lane: c.lane.name,
		Boundary: c.op.Boundary, Target: c.op.Target, Shape: c.op.Shape,
		Start: c.start, Duration: c.duration, State: c.state, Failure: c.failure, Effect: c.op.Effect,
		IdempotencyKey: c.op.IdempotencyKey, Transaction: c.op.Transaction, Provenance: c.from, Links: c.links,
	}
	response, err, taken := c.response, c.err, c.fault
	c.x.mu.Unlock()
	cp.Call = c.stack.Call()
	switch {
	case c.recorded != nil:
		cp.Finished, cp.State, cp.Failure = c.recorded.Finished, c.recorded.State, c.recorded.Failure
		cp.Request, cp.Response, cp.Error = c.recorded.Request, c.recorded.Response, c.recorded.Error
		return cp
	case taken != nil:
		cp.Error = taken
	case err != nil:
		cp.Error = fault.Of(err)
	}
	if cp.Error != nil && len(cp.Error.Frames) == 0 {
		cp.Error.Frames = c.stack.Frames()
	}
	cp.Request, cp.Response = payload(c.op.Request), payload(response)
	return cp
}

// hashOf is the hash of what makes the request the same as another: boundary, target, shape, and the canonical form of its
// identity after redaction. Stand-ins of secrets are all the same in it, because their key is not that of other processes.
func (c *Call) hashOf(target, shape string, redact func(where string, data []byte) []byte) record.Hash {
	identity := c.op.Identity
	if identity == nil {
		identity = c.op.Request
	}
	buf := make([]byte, 0, 512)
	for _, part := range [...]string{c.op.Boundary, target, shape} {
		buf = append(append(buf, part...), 0)
	}
	buf = append(buf, redact(c.op.Boundary+".request", marshal(identity))...)
	return sha256.Sum256(anonymous(buf))
}

// hash is the hash of a call that is compared with a record before it is made. What it asks has stand-ins already where
// the record has them.
func (c *Call) hash() record.Hash {
	return c.hashOf(c.op.Target, c.op.Shape, c.x.rec.redactor.Payload)
}

var standIns = regexp.MustCompile(`(?:hash|tok)_[0-9a-f]{16}|enc1_[-\w]+`)

// anonymous replaces what stands in for secrets with a word.
func anonymous(text []byte) []byte {
	if !bytes.Contains(text, []byte("hash_")) && !bytes.Contains(text, []byte("tok_")) && !bytes.Contains(text, []byte("enc1_")) {
		return text
	}
	return standIns.ReplaceAll(text, []byte("secret"))
}

// sources returns what clocks, random numbers and the environment gave, in an order that does not depend on maps.
func sources(lanes []*lane, env map[string]variable) []record.Source {
	slices.SortFunc(lanes, func(a, b *lane) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
	var out []record.Source
	for _, l := range lanes {
		l.mu.Lock()
		if len(l.clock.values) > 0 {
			out = append(out, record.Source{Kind: record.SourceClock, Lane: l.name, Values: slices.Clone(l.clock.values)})
		}
		if l.random.source != nil {
			out = append(out, record.Source{Kind: record.SourceRandom, Lane: l.name, Values: slices.Clone(l.random.seed[:])})
		}
		l.mu.Unlock()
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		out = append(out, record.Source{Kind: record.SourceEnv, Name: name, Values: env[name].encode()})
	}
	return out
}

// locate gives an error that knows no place of its own that of the operation it came from: the last that failed.
func locate(x *record.Execution) {
	if x.Error == nil || len(x.Error.Frames) > 0 {
		return
	}
	for i := len(x.Checkpoints) - 1; i >= 0; i-- {
		if cp := &x.Checkpoints[i]; !cp.Succeeded() && cp.Call.File != "" {
			x.Error.Frames = []record.Frame{cp.Call}
			return
		}
	}
}

// shortened says of what is missing that a replay cannot have it. The requests of operations it need not have.
func shortened(x *record.Execution) {
	say := func(reason string) {
		x.Replayable.Level = record.ReplayPartial
		x.Replayable.Reasons = append(slices.Clip(x.Replayable.Reasons), reason)
	}
	if x.Input.Truncated {
		say("the input was shortened")
	}
	for i := range x.Checkpoints {
		if x.Checkpoints[i].Response.Truncated {
			say("the response of op " + strconv.Itoa(i) + " was shortened")
		}
	}
	if n := x.Dropped.Checkpoints; n > 0 {
		say(strconv.Itoa(n) + " operations were left out")
	}
}

// redacted is the checkpoint of a call while its execution runs: with what is known by now to be secret.
func (c *Call) redacted() record.Checkpoint {
	cp := c.checkpoint()
	x := c.x
	x.redaction.Lock()
	defer x.redaction.Unlock()
	session := x.redaction.session
	if session == nil {
		session = x.rec.redactor.Session()
	}
	session.Checkpoint(&cp)
	cp.Hash = c.finalHash(&cp, session)
	return cp
}

// redactKey returns the key of the configuration, or one of this process.
func redactKey(key []byte) []byte {
	if len(key) > 0 {
		return key
	}
	key = make([]byte, 32)
	_, _ = rand.Read(key)
	return key
}

// discard is the store of recorders whose records only Config.OnKept sees.
type discard struct{}

func (discard) durable() bool                               { return false }
func (discard) begin(*record.Execution) error               { return nil }
func (discard) progress(*record.Execution) error            { return nil }
func (discard) intent(record.ID, *record.Checkpoint) error  { return nil }
func (discard) outcome(record.ID, *record.Checkpoint) error { return nil }
func (discard) end(*record.Execution, bool) error           { return nil }
func (discard) close(context.Context) error                 { return nil }
