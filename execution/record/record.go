package record

import "time"

// An Execution is the record of one run: what set it off, every operation it did outside its own memory, what it said in
// its log, and how it ended. It is a value: nothing in it is changed once it was recorded.
type Execution struct {
	ID       ID       `json:"id"`
	Parent   ID       `json:"parent,omitzero"`   // the execution this one came from
	Root     ID       `json:"root,omitzero"`     // the first of the line; the zero ID when that is this one
	Relation Relation `json:"relation,omitzero"` // what this one is to Parent
	From     string   `json:"from,omitzero"`     // key of the operation with which a resumed execution began to run live

	RequestID string `json:"requestId,omitzero"` // the logical request; its attempts share it
	Attempt   int    `json:"attempt,omitzero"`   // of RequestID, from 1

	Service     string            `json:"service"`
	Instance    string            `json:"instance,omitzero"` // the process: host, process id and start, so that it is unique
	Environment string            `json:"environment,omitzero"`
	Code        Code              `json:"code,omitzero"`
	Labels      map[string]string `json:"labels,omitzero"`

	Trigger Trigger `json:"trigger"`
	Input   Payload `json:"input,omitzero"`
	Output  Payload `json:"output,omitzero"`

	Start      time.Time     `json:"start"`             // UTC
	Duration   time.Duration `json:"duration,omitzero"` // ns
	Status     Status        `json:"status"`
	HTTPStatus int           `json:"httpStatus,omitzero"` // of the answer, for HTTP requests
	Error      *Error        `json:"error,omitzero"`

	Replayable Replayable `json:"replayable,omitzero"`
	Kept       string     `json:"kept,omitzero"` // the rule that kept it: failed, asked, slow, all, new-code, sampled
	Redaction  Redaction  `json:"redaction,omitzero"`
	Dropped    Dropped    `json:"dropped,omitzero"`

	Checkpoints []Checkpoint `json:"checkpoints,omitzero"` // in the order they started: Checkpoints[i].Number == i
	Logs        []LogLine    `json:"logs,omitzero"`        // in the order they were written
	Sources     []Source     `json:"sources,omitzero"`     // what clocks, random numbers and the environment gave
	Links       []Link       `json:"links,omitzero"`       // messages and executions before and after this one
	Notes       []Note       `json:"notes,omitzero"`       // facts the program stated about itself
	Volatile    []string     `json:"volatile,omitzero"`    // paths, as "$.body.time", that comparisons leave out
	Boot        ID           `json:"boot,omitzero"`        // the execution that recorded the start of the same process
}

// Relation is what an execution is to its parent.
type Relation string

// The relations of executions.
const (
	RelationReplay   Relation = "replay"
	RelationResume   Relation = "resume"
	RelationRetry    Relation = "retry"    // another attempt of the same request
	RelationChild    Relation = "child"    // caused by an operation of the parent
	RelationBisect   Relation = "bisect"   // a replay that looks for the commit that broke something
	RelationIncident Relation = "incident" // a replay of a window of time
)

// Status is how an execution stands or ended.
type Status string

// The statuses of executions.
const (
	StatusRunning     Status = "running"
	StatusOK          Status = "ok"
	StatusError       Status = "error"
	StatusTimeout     Status = "timeout"
	StatusCancelled   Status = "cancelled"
	StatusCrashed     Status = "crashed"     // its process died: proved by a journal without an end
	StatusInterrupted Status = "interrupted" // the recording was lost, so its end is not known
	StatusStopped     Status = "stopped"     // a replay met an operation that is not in the record
)

// Statuses are all statuses, in the order they are documented.
var Statuses = []Status{
	StatusRunning, StatusOK, StatusError, StatusTimeout, StatusCancelled, StatusCrashed, StatusInterrupted, StatusStopped,
}

// Failed says that the execution ended, and not well.
func (s Status) Failed() bool {
	switch s {
	case StatusError, StatusTimeout, StatusCancelled, StatusCrashed, StatusInterrupted:
		return true
	}
	return false
}

// Code says which program ran.
type Code struct {
	Module  string `json:"module,omitzero"`  // path of the main module
	Package string `json:"package,omitzero"` // path of the main package
	Version string `json:"version,omitzero"` // of the main module, or what the service says of itself
	Commit  string `json:"commit,omitzero"`  // revision of the version control
	Dirty   bool   `json:"dirty,omitzero"`   // there were changes beyond Commit
	Go      string `json:"go,omitzero"`      // version of the tool chain
}

// Trigger is what set an execution off.
type Trigger struct {
	Kind   TriggerKind `json:"kind"`
	Method string      `json:"method,omitzero"` // of HTTP; the full method of gRPC; the type of a message
	Route  string      `json:"route,omitzero"`  // pattern that matched, as "POST /orders/{id}"; the consumer of a message
	Path   string      `json:"path,omitzero"`   // without query; the log and topic of a message
	Query  string      `json:"query,omitzero"`  // raw
	Peer   string      `json:"peer,omitzero"`   // address of the client
	Local  string      `json:"local,omitzero"`  // address on which the request arrived
	Trace  string      `json:"trace,omitzero"`  // traceparent that came with it, as the W3C defines it
}

// TriggerKind is the kind of a trigger.
type TriggerKind string

// The kinds of triggers.
const (
	TriggerHTTP    TriggerKind = "http"
	TriggerGRPC    TriggerKind = "grpc"
	TriggerMessage TriggerKind = "message"
	TriggerJob     TriggerKind = "job"
	TriggerCLI     TriggerKind = "cli"  // a program run by flux exec
	TriggerTest    TriggerKind = "test" // a test
	TriggerBoot    TriggerKind = "boot" // what a process did before its first execution and outside all of them
)

// A Payload is data that went in or out: the request or response of an operation, the input or output of an execution.
// Data is JSON, so that it can be redacted, compared and shown without knowing the boundary; each boundary documents its
// own. Bodies within are a JSON string when they are valid UTF-8, and {"base64": "…"} when they are not; a shortened
// one is {"text" or "base64": "…", "bytes": n, "sha256": "…", "truncated": true}, with the length and hash of the whole.
type Payload struct {
	Data      []byte `json:"-"`
	Truncated bool   `json:"truncated,omitzero"` // something in Data was shortened
}

// A Checkpoint is the record of one operation, which is a call across a boundary to another system, with its result: what
// a replay answers from.
type Checkpoint struct {
	Number   uint32 `json:"number"`            // in the order operations started, from 0
	Finished uint32 `json:"finished,omitzero"` // in the order they finished, from 1; 0 when it did not
	Lane     string `json:"lane"`              // of concurrent work: "root", "root/charge#2"
	Boundary string `json:"boundary"`          // "http", "sql", "postgres", "redis", "grpc", "flux", or the user's own word
	Target   string `json:"target"`            // address without volatile parts: scheme, host and port; database; log
	Shape    string `json:"shape"`             // method and path; fingerprint of a statement; command
	Hash     Hash   `json:"hash"`              // of the canonical request, after redaction
	Nth      uint32 `json:"nth,omitzero"`      // occurrence of the same lane, boundary, target, shape and hash, from 0

	Start    time.Duration `json:"start"`    // since the start of the execution, ns
	Duration time.Duration `json:"duration"` // ns
	State    State         `json:"state"`
	Failure  bool          `json:"failure,omitzero"` // an answer came and says that it did not work, as HTTP 503
	Effect   Effect        `json:"effect"`
	Request  Payload       `json:"request,omitzero"`
	Response Payload       `json:"response,omitzero"`
	Error    *Error        `json:"error,omitzero"`

	IdempotencyKey string     `json:"idempotencyKey,omitzero"` // with which the call may be repeated without a second effect
	Transaction    string     `json:"transaction,omitzero"`    // unit it belongs to, unique in the execution: "tx1"
	Provenance     Provenance `json:"provenance,omitzero"`     // where the result came from; "" means live
	Call           Frame      `json:"call,omitzero"`           // the place in the user's code that asked for it
	Links          []Link     `json:"links,omitzero"`
}

// Succeeded says that the outcome is known, and good.
func (c *Checkpoint) Succeeded() bool { return c.State == StateDone && !c.Failure }

// InDoubt says that a write may or may not have taken effect: no outcome was recorded, or one that does not tell.
func (c *Checkpoint) InDoubt() bool {
	if !c.Effect.Writes() || c.Succeeded() {
		return false
	}
	switch c.State {
	case StateIntent, StateInDoubt, StateCancelled:
		return true
	}
	if c.Error == nil {
		return false
	}
	switch c.Error.Class {
	case ClassApp, ClassDriver, ClassRefused, ClassDNSNotFound, ClassDNSTemporary, ClassUnreachable, ClassTLSVerify,
		ClassTLSHandshake, ClassTLSExpired, ClassPoolTimeout:
		return false
	}
	return true
}

// The shapes of operations that begin and end a transaction, whatever the boundary.
const (
	ShapeBegin    = "BEGIN"
	ShapeCommit   = "COMMIT"
	ShapeRollback = "ROLLBACK"
)

// Hash is a SHA-256.
type Hash [32]byte

// State is how far an operation came.
type State string

// The states of operations.
const (
	StateIntent    State = "intent"    // begun, the outcome is not known yet
	StateDone      State = "done"      // a result came back, be it one the program takes for a failure, as HTTP 500
	StateFailed    State = "failed"    // an error came back
	StateInDoubt   State = "in-doubt"  // it may have taken effect or not: the process died before the outcome was known
	StateCancelled State = "cancelled" // given up by the caller
)

// Effect is what an operation does to the system it calls.
type Effect string

// The effects of operations.
const (
	EffectNone    Effect = "none"
	EffectRead    Effect = "read"
	EffectWrite   Effect = "write"
	EffectUnknown Effect = "unknown" // treated like write where it matters
)

// Writes says that the operation may have changed something.
func (e Effect) Writes() bool { return e == EffectWrite || e == EffectUnknown }

// Provenance is where the result of an operation came from.
type Provenance string

// The provenances of results.
const (
	ProvenanceLive     Provenance = "live"
	ProvenanceRecorded Provenance = "recorded" // answered from the record of the parent
	ProvenanceProbed   Provenance = "probed"   // found out from the system whether it had taken effect
	ProvenanceAssumed  Provenance = "assumed"  // an operator said so
)

// A Frame is a place in the source of the program.
type Frame struct {
	Function string `json:"function,omitzero"` // with its package path
	File     string `json:"file,omitzero"`     // relative to the module where it could be told, else as compiled
	Line     int    `json:"line,omitzero"`
}

// An Error is an error value taken apart, so that a replay can build one that errors.Is and errors.As take for the same.
type Error struct {
	Class   ErrorClass  `json:"class"`
	Message string      `json:"message"`            // of the whole chain, redacted
	Type    string      `json:"type,omitzero"`      // Go type of the outermost error
	Code    string      `json:"code,omitzero"`      // SQLSTATE, gRPC code, prefix of a Redis error, errno
	Timeout bool        `json:"timeout,omitzero"`   // what Timeout() answers
	Temp    bool        `json:"temporary,omitzero"` // what Temporary() answers
	Chain   []ErrorPart `json:"chain,omitzero"`     // the wrapped errors, outermost first
	Detail  Payload     `json:"detail,omitzero"`    // fields of an error type that the boundary knows
	Frames  []Frame     `json:"frames,omitzero"`    // innermost first, only code of the user and what it calls directly
	Stack   string      `json:"stack,omitzero"`     // of a panic
}

// ErrorPart is one error of a chain.
type ErrorPart struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

// ErrorClass says what kind of error it was. The list is closed; unknown ones keep their type and text.
type ErrorClass string

// The classes of errors.
const (
	ClassApp           ErrorClass = "app"
	ClassCanceled      ErrorClass = "canceled"
	ClassDeadline      ErrorClass = "deadline"
	ClassDNSNotFound   ErrorClass = "dns_notfound"
	ClassDNSTemporary  ErrorClass = "dns_temporary"
	ClassRefused       ErrorClass = "refused"
	ClassReset         ErrorClass = "reset"
	ClassUnreachable   ErrorClass = "unreachable"
	ClassTLSVerify     ErrorClass = "tls_verify"
	ClassTLSHandshake  ErrorClass = "tls_handshake"
	ClassTLSExpired    ErrorClass = "tls_expired"
	ClassEOF           ErrorClass = "eof"
	ClassUnexpectedEOF ErrorClass = "unexpected_eof"
	ClassProto         ErrorClass = "proto"
	ClassTooLarge      ErrorClass = "too_large"
	ClassPoolTimeout   ErrorClass = "pool_timeout"
	ClassClosed        ErrorClass = "closed"
	ClassDriver        ErrorClass = "driver"
	ClassPanic         ErrorClass = "panic"
	ClassUnknown       ErrorClass = "unknown"
)

// A LogLine is a line the execution wrote to its log.
type LogLine struct {
	After   uint32        `json:"after"` // operations that had started before it
	Lane    string        `json:"lane"`
	At      time.Duration `json:"at"`    // since the start of the execution, ns
	Level   int           `json:"level"` // as slog.Level: -4 debug, 0 info, 4 warn, 8 error
	Message string        `json:"message"`
	Attrs   Payload       `json:"attrs,omitzero"` // a JSON object; groups are objects in it
	Source  Frame         `json:"source,omitzero"`
}

// A Note is a fact that the program stated about its execution, for who reads the record.
type Note struct {
	Lane  string        `json:"lane"`
	At    time.Duration `json:"at"` // since the start of the execution, ns
	Name  string        `json:"name"`
	Value Payload       `json:"value"`
}

// A Source is a sequence of values from one place that is not deterministic. Sources have no part in the matching of
// operations, so that a clock read more or less never changes which result a call gets.
type Source struct {
	Kind   SourceKind `json:"kind"`
	Lane   string     `json:"lane"`
	Name   string     `json:"name,omitzero"` // of a variable of the environment
	Values []byte     `json:"values,omitzero"`
}

// SourceKind is the kind of a source; it says what its values are.
type SourceKind string

// The kinds of sources.
const (
	SourceClock  SourceKind = "clock"  // signed varints: ns, the first since the start of the execution, others since the one before
	SourceRandom SourceKind = "random" // 32 bytes: the seed of ChaCha8 from which all random values of the lane come
	SourceEnv    SourceKind = "env"    // a byte: 0 not set, 1 the value follows, 2 its keyed hash follows
)

// A Link ties an execution to a message, or to another execution, in this service or in another.
type Link struct {
	Kind      LinkKind `json:"kind"`
	Execution ID       `json:"execution,omitzero"`
	Log       string   `json:"log,omitzero"`       // "event", "command", "document:orders"
	Index     uint64   `json:"index,omitzero"`     // of the message, when it is known
	MessageID string   `json:"messageId,omitzero"` // of the message
}

// LinkKind says how a link ties.
type LinkKind string

// The kinds of links.
const (
	LinkCause  LinkKind = "cause"  // this execution happened because of it
	LinkEffect LinkKind = "effect" // it happened because of this execution
)

// Replayable says whether an execution can be replayed from its record, and if not wholly, why.
type Replayable struct {
	Level   ReplayLevel `json:"level,omitzero"`
	Reasons []string    `json:"reasons,omitzero"`
}

// ReplayLevel is how much of an execution can be replayed.
type ReplayLevel string

// The levels. The empty one means full.
const (
	ReplayFull    ReplayLevel = "full"
	ReplayPartial ReplayLevel = "partial"
	ReplayNone    ReplayLevel = "none"
)

// Redaction says what was hidden before the record left the process.
type Redaction struct {
	Rules string `json:"rules,omitzero"` // hash of the rules
	Count int    `json:"count,omitzero"` // values hidden
}

// Dropped counts what was not recorded because a limit was reached.
type Dropped struct {
	Checkpoints int `json:"checkpoints,omitzero"`
	Logs        int `json:"logs,omitzero"`
	Bytes       int `json:"bytes,omitzero"`
}
