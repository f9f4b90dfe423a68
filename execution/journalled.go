package execution

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/flux-go/flux/execution/record"
)

// An execution that is journalled writes as it goes, so that one whose process died can be resumed with the requests it had:
//
//	Begin ─► head with input
//	operation without effect, read ─────────────────────► outcome
//	write ─► progress, intent ─► disk ─► the write itself ─► outcome
//	End ─► record ─► disk
//
// Only the intent of a write and the end wait for the disk. What stands before an intent in the journal is on disk with it: the
// reads the write came from, and what clocks, random numbers, the environment and the log gave until then.

// progress is what the journal of an execution has of its sources and of what it said.
type progress struct {
	sync.Mutex
	last      time.Duration // since the start of the execution, of the step before
	logs      int
	notes     int
	clocks    map[*lane]int // bytes of values
	seeds     map[*lane]bool
	variables map[string]bool
}

// intent journals a write before it is sent, with what the execution did until then.
func (r *Recorder) intent(c *Call) error {
	r.faults.pass(faultBeforeIntent, c)
	if err := c.x.advance(); err != nil {
		return err
	}
	cp := c.redacted()
	if err := r.store.intent(c.x.head.ID, &cp); err != nil {
		return err
	}
	r.faults.pass(faultAfterIntent, c)
	return nil
}

// outcome journals what came of an operation.
func (r *Recorder) outcome(c *Call) {
	cp := c.redacted()
	if err := r.store.outcome(c.x.head.ID, &cp); err != nil {
		r.config.Logger.Error("outcome is not journalled", "execution", c.x.head.ID, "op", c.number, "error", err)
	}
}

// advance journals what sources gave and what the execution said since it was called before.
func (x *Execution) advance() error {
	p := &x.progress
	p.Lock()
	defer p.Unlock()
	step := p.step(x)
	if len(step.Sources)+len(step.Logs)+len(step.Notes) == 0 {
		return nil
	}
	x.redaction.Lock()
	if x.redaction.session == nil {
		x.redaction.session = x.rec.redactor.Session()
	}
	x.redaction.session.Execution(step)
	x.redaction.Unlock()
	return x.rec.store.progress(step)
}

func (p *progress) step(x *Execution) *record.Execution {
	x.mu.Lock()
	out := &record.Execution{ID: x.head.ID, Service: x.head.Service, Trigger: record.Trigger{Kind: x.head.Trigger.Kind}}
	logs, notes := x.logs[p.logs:], x.notes[p.notes:]
	p.logs, p.notes = len(x.logs), len(x.notes)
	lanes, env := x.allLanes(), maps.Clone(x.env)
	p.last = max(time.Since(x.started), p.last+1)
	x.mu.Unlock()

	out.Duration = p.last
	out.Logs, out.Notes = logLines(logs), noteLines(notes)
	for _, l := range lanes {
		out.Sources = append(out.Sources, p.drawn(l)...)
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if !p.variables[name] {
			p.variables = with(p.variables, name, true)
			out.Sources = append(out.Sources, record.Source{Kind: record.SourceEnv, Name: name, Values: env[name].encode()})
		}
	}
	return out
}

// drawn returns what the clock and the random source of a lane gave since it was called before.
func (p *progress) drawn(l *lane) (out []record.Source) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if from := p.clocks[l]; len(l.clock.values) > from {
		out = append(out, record.Source{Kind: record.SourceClock, Lane: l.name, Values: slices.Clone(l.clock.values[from:])})
		p.clocks = with(p.clocks, l, len(l.clock.values))
	}
	if l.random.source != nil && !p.seeds[l] {
		out = append(out, record.Source{Kind: record.SourceRandom, Lane: l.name, Values: slices.Clone(l.random.seed[:])})
		p.seeds = with(p.seeds, l, true)
	}
	return out
}

// with returns a map, made if it is nil, in which key has a value.
func with[K comparable, V any](m map[K]V, key K, value V) map[K]V {
	if m == nil {
		m = make(map[K]V)
	}
	m[key] = value
	return m
}

func logLines(logs []logLine) []record.LogLine {
	var out []record.LogLine
	for i := range logs {
		out = append(out, logs[i].encode())
	}
	return out
}

func noteLines(notes []note) []record.Note {
	var out []record.Note
	for _, n := range notes {
		out = append(out, record.Note{Lane: n.lane, At: n.at, Name: n.name, Value: payload(n.value)})
	}
	return out
}

// Recovered returns the executions that processes before this one left without an end in the folder of the configuration: crashed
// ones, or interrupted ones when the journal itself was damaged. They are brought to the server as all others are.
func (r *Recorder) Recovered() []*record.Execution {
	if r == nil {
		return nil
	}
	if d, ok := r.store.(*delivery); ok {
		return d.journal.Recovered()
	}
	return nil
}
