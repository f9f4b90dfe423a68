package redact

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/flux-go/flux/execution/record"
)

// Execution redacts a record, and says in it with which rules. Payloads, errors and maps that change are replaced, not
// changed: others may share them.
func (r *Redactor) Execution(x *record.Execution) { r.Session().Execution(x) }

// Checkpoint redacts a checkpoint on its own.
func (r *Redactor) Checkpoint(cp *record.Checkpoint) { r.Session().Checkpoint(cp) }

// Execution redacts a record as Redactor.Execution does, and what the session knows. Afterwards it knows what was hidden in all
// of the record, so that Payload hides it in the identities of operations as well.
func (s *Session) Execution(x *record.Execution) {
	s.visitExecution(hider{s}, x)
	if len(s.known) > 0 {
		s.visitExecution(spreader{s}, x)
	}
	x.Redaction = record.Redaction{Rules: s.r.rules.hash, Count: s.count}
}

// Checkpoint redacts a checkpoint as Redactor.Checkpoint does, and what the session knows.
func (s *Session) Checkpoint(cp *record.Checkpoint) {
	s.visitCheckpoint(hider{s}, cp)
	if len(s.known) > 0 {
		s.visitCheckpoint(spreader{s}, cp)
	}
}

// A visitor redacts the parts of a record. There are two: the first applies the rules, the second replaces what the first has
// hidden anywhere.
type visitor interface {
	payload(where string, data []byte) []byte
	text(where, text string) string
	query(where, query string) string
	id(text string) string // that others know as well: only what is known to be secret is hidden in it
	variable(source *record.Source)
}

type hider struct{ s *Session }

func (h hider) payload(where string, data []byte) []byte { return h.s.hidePayload(where, data) }
func (h hider) text(where, text string) string           { return h.s.hideText(where, text) }
func (h hider) id(text string) string                    { return text }

func (h hider) query(where, query string) string {
	if query == "" {
		return query
	}
	return string(h.s.formValues(context{p: h.s.r.rules.plan(where)}, []byte(query)))
}

type spreader struct{ s *Session }

func (v spreader) payload(where string, data []byte) []byte { return v.s.spreadPayload(where, data) }
func (v spreader) text(_, text string) string               { return v.s.spreadText(text) }
func (v spreader) query(_, query string) string             { return v.s.spreadText(query) }
func (v spreader) id(text string) string                    { return v.s.spreadText(text) }

// The first byte of a recorded variable.
const (
	variableValue  = 1
	variableHashed = 2
)

// variable redacts a variable of the environment. One that a rule names is marked as hashed.
func (h hider) variable(source *record.Source) {
	if len(source.Values) < 2 || source.Values[0] != variableValue {
		return
	}
	value := source.Values[1:]
	p := h.s.r.rules.plan("env")
	verdict := p.name([]byte(source.Name))
	rule, by := verdict.rule, "name"
	if rule == nil && p.all != nil {
		rule, by = p.all, "place"
	}
	c := context{p: p, name: verdict}
	if rule == nil || rule.do.Name == Keep {
		source.Values = append([]byte{variableValue}, h.s.text(c, value)...)
		return
	}
	if form := h.s.text(c, value); len(form) != len(value) || string(form) != string(value) {
		source.Values = append([]byte{variableHashed}, form...) // the secret is only a part of it, as in a connection string
		return
	}
	source.Values = append([]byte{variableHashed}, h.s.hide(rule, by, value)...)
}

func (v spreader) variable(source *record.Source) {
	if len(source.Values) > 1 && source.Values[0] == variableValue {
		source.Values = append([]byte{variableValue}, v.s.replaceKnown(source.Values[1:])...)
	}
}

// enter says which part of the record is next.
func (s *Session) enter(next part) { s.part, s.at = next, "" }

// visitNamed visits a payload that has no number.
func (s *Session) visitNamed(v visitor, kind, where string, p *record.Payload) {
	s.visitPayload(v, part{kind: kind, number: -1}, where, p)
}

func (s *Session) visitExecution(v visitor, x *record.Execution) {
	kind := string(x.Trigger.Kind)
	s.enter(part{kind: "trigger", number: -1})
	x.RequestID = v.id(x.RequestID)
	x.Trigger.Path = v.text(kind+".request.url", x.Trigger.Path)
	x.Trigger.Query = v.query(kind+".request.url", x.Trigger.Query)
	x.Labels = visitLabels(v, x.Labels)
	s.visitNamed(v, "input", kind+".request", &x.Input)
	for i := range x.Sources {
		if x.Sources[i].Kind == record.SourceEnv {
			s.enter(part{kind: "env", number: -1, of: x.Sources[i].Name})
			v.variable(&x.Sources[i])
		}
	}
	for i := range x.Checkpoints {
		s.visitCheckpoint(v, &x.Checkpoints[i])
	}
	s.visitLogs(v, x)
	s.visitNamed(v, "output", kind+".response", &x.Output)
	s.visitError(v, part{kind: "error", number: -1}, &x.Error)
	s.enter(part{kind: "replayable", number: -1})
	x.Replayable.Reasons = slices.Clone(x.Replayable.Reasons)
	for i, reason := range x.Replayable.Reasons {
		x.Replayable.Reasons[i] = v.text("error.message", reason)
	}
}

func visitLabels(v visitor, labels map[string]string) map[string]string {
	changed := labels
	for name, value := range labels {
		after := v.text("label", value)
		if after == value {
			continue
		}
		if maps.Equal(changed, labels) { // others share it
			changed = maps.Clone(labels)
		}
		changed[name] = after
	}
	return changed
}

func (s *Session) visitPayload(v visitor, next part, where string, p *record.Payload) {
	if len(p.Data) > 0 {
		s.enter(next)
		p.Data = v.payload(where, p.Data)
	}
}

func (s *Session) visitCheckpoint(v visitor, cp *record.Checkpoint) {
	op := func(of string) part { return part{"op", int(cp.Number), of} }
	s.enter(op(""))
	cp.Target = v.text(cp.Boundary+".target", cp.Target)
	cp.Shape = v.text(cp.Boundary+".target", cp.Shape)
	cp.IdempotencyKey = v.id(cp.IdempotencyKey)
	s.about(cp)
	s.visitPayload(v, op("request"), cp.Boundary+".request", &cp.Request)
	s.visitPayload(v, op("response"), cp.Boundary+".response", &cp.Response)
	s.tables, s.commands = nil, nil
	s.visitError(v, op("error"), &cp.Error)
}

func (s *Session) visitLogs(v visitor, x *record.Execution) {
	for i := range x.Logs {
		line := &x.Logs[i]
		s.enter(part{kind: "log", number: i})
		line.Message = v.text("log.message", line.Message)
		s.visitPayload(v, part{"log", i, "attrs"}, "log.attrs", &line.Attrs)
	}
	for i := range x.Notes {
		s.visitPayload(v, part{"note", -1, x.Notes[i].Name}, "note", &x.Notes[i].Value)
	}
}

func (s *Session) visitError(v visitor, at part, e **record.Error) {
	if *e == nil {
		return
	}
	s.enter(at)
	changed := **e
	changed.Message = v.text("error.message", changed.Message)
	changed.Stack = v.text("error.stack", changed.Stack)
	changed.Chain = slices.Clone(changed.Chain)
	for i := range changed.Chain {
		changed.Chain[i].Message = v.text("error.message", changed.Chain[i].Message)
	}
	at.of = strings.TrimSpace(at.of + " detail")
	s.visitPayload(v, at, "error.detail", &changed.Detail)
	*e = &changed
}

// about notes what the answer of an operation is about: tables of a statement, the key of a command.
func (s *Session) about(cp *record.Checkpoint) {
	switch cp.Boundary {
	case "sql", "postgres", "mysql":
		var request struct{ SQL string }
		if s.r.rules.asksTables && json.Unmarshal(cp.Request.Data, &request) == nil {
			s.tables = parseStatement(request.SQL).tables
		}
	case "redis":
		s.commands = commandsIn(cp.Request.Data)
	}
}

// commandsIn returns the commands of a request to Redis.
func commandsIn(data []byte) (commands []redisCommand) {
	var request struct {
		Command, Args json.RawMessage
		Commands      []json.RawMessage
	}
	if json.Unmarshal(data, &request) != nil {
		return nil
	}
	for _, one := range request.Commands {
		commands = append(commands, commandOf("", one))
	}
	switch {
	case len(request.Command) == 0:
	case request.Command[0] == '"':
		commands = append(commands, commandOf(string(unquote(request.Command)), request.Args))
	default:
		commands = append(commands, commandOf("", request.Command))
	}
	return commands
}
