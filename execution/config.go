package execution

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/flux-go/flux/execution/record"
	"github.com/flux-go/flux/execution/redact"
	"github.com/flux-go/flux/message"
)

// ErrBadConfig is returned by New and Connect for a configuration that cannot be. The error names the field.
var ErrBadConfig = errors.New("bad configuration")

// Config says what a Recorder records, what it keeps, and where it brings it. Only Service is required.
type Config struct {
	// Service is the name under which executions are listed.
	Service string
	// Environment is where the service runs, as "production". Defaults to "".
	Environment string
	// Version of the service. Defaults to what the build information says.
	Version string
	// Labels are kept with each execution. Defaults to none.
	Labels map[string]string

	// URL of the Flux server that gets the records. Defaults to "": they stay in Dir.
	URL string
	// Token for the server. Defaults to none.
	Token string
	// Namespace on the server. Defaults to "public".
	Namespace string
	// Dir holds records that wait for the server, and journals. Connect defaults to a folder of the service among the caches of
	// the user; New uses none.
	Dir string

	// Probe finds out whether a write of an execution that is resumed took effect, for resumes whose options have no Probe of their
	// own; see ResumeOptions. Defaults to none.
	Probe func(ctx context.Context, of record.ID, cp *record.Checkpoint) (done bool, err error)
	// Unattended keeps flux resume from resuming executions in this process, which the server tells it over a connection of its own,
	// and which needs Middleware. Defaults to false.
	Unattended bool

	// Record decides at the beginning of an execution whether to record it at all. Defaults to all.
	Record func(record.Trigger) bool
	// Keep decides at the end of an execution whether to keep its record.
	Keep Keep
	// Journal picks executions that are journalled: each of their writes is on disk before it is sent, so that they can be
	// resumed after a crash. It needs Dir. Defaults to none.
	Journal func(record.Trigger) bool
	// Rules hide secrets before a record leaves the process. Defaults to redact.Default().
	Rules *redact.Rules
	// RedactKey makes stand-ins of equal values equal, for this service and its replays. Defaults to a key of this process.
	RedactKey []byte
	// ControlKey lets requests ask for their record to be kept; see SignKeep. Defaults to none: nobody can.
	ControlKey []byte
	// Propagate picks the hosts of outbound requests that are told which execution asks, in HeaderCause. Defaults to all.
	Propagate func(host string) bool
	// Limits bound what recording costs.
	Limits Limits

	// OnKept is called with each record that is kept, redacted, from the goroutine of the recorder, before it is brought away.
	// Defaults to nil.
	OnKept func(*record.Execution)
	// Logger gets what goes wrong with recording. Defaults to silence.
	Logger *slog.Logger
}

// Keep says which executions are kept. Failed ones always are.
type Keep struct {
	// All keeps every execution. Defaults to false.
	All bool
	// Slower keeps executions that took at least this long. Negative keeps none for that. Defaults to 1 s.
	Slower time.Duration
	// Sample is the share of the others that is kept, 0 to 1. Defaults to 0.
	Sample float64
	// First is how many executions of each route are kept after the start of the process. Negative keeps none for that.
	// Defaults to 3, so that there is a good run to compare a failure with.
	First int
	// If keeps an execution for any other reason. It sees the finished head: trigger, status, duration, labels. Defaults to none.
	If func(*record.Execution) bool
}

// Limits bound what recording costs. What is over a limit is left out and counted in record.Dropped.
type Limits struct {
	// BodyBytes is how much of each body is kept. Defaults to 1 MiB.
	BodyBytes int
	// MemoryBytes bounds the bodies of all executions that are not brought away yet. Defaults to 32 MiB.
	MemoryBytes int
	// Checkpoints of one execution. Defaults to 10,000.
	Checkpoints int
	// Logs is the number of log lines of one execution. Defaults to 10,000.
	Logs int
	// Queue is how many finished executions may wait to be encoded. Defaults to 1,024.
	Queue int
	// SpoolBytes bounds what waits for the server in Dir. Defaults to 256 MiB.
	SpoolBytes int64
}

// WithDefaults returns a copy with defaults in place of zero values.
func (c Config) WithDefaults() Config {
	c.Namespace = cmp.Or(c.Namespace, string(message.DefaultNamespace))
	c.Keep.Slower = cmp.Or(c.Keep.Slower, time.Second)
	c.Keep.First = cmp.Or(c.Keep.First, 3)
	c.Limits = c.Limits.withDefaults()
	if c.Rules == nil {
		c.Rules = redact.Default()
	}
	if c.Record == nil {
		c.Record = func(record.Trigger) bool { return true }
	}
	if c.Propagate == nil {
		c.Propagate = func(string) bool { return true }
	}
	if c.Journal == nil {
		c.Journal = func(record.Trigger) bool { return false }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (l Limits) withDefaults() Limits {
	return Limits{
		BodyBytes:   cmp.Or(l.BodyBytes, 1<<20),
		MemoryBytes: cmp.Or(l.MemoryBytes, 32<<20),
		Checkpoints: cmp.Or(l.Checkpoints, 10_000),
		Logs:        cmp.Or(l.Logs, 10_000),
		Queue:       cmp.Or(l.Queue, 1024),
		SpoolBytes:  cmp.Or(l.SpoolBytes, 256<<20),
	}
}

// Validate returns ErrBadConfig for a configuration that cannot be.
func (c Config) Validate() error {
	switch {
	case c.Service == "":
		return fmt.Errorf("%w: Service is empty", ErrBadConfig)
	case c.Keep.Sample < 0 || c.Keep.Sample > 1:
		return fmt.Errorf("%w: Keep.Sample is %v, use 0 to 1", ErrBadConfig, c.Keep.Sample)
	case min(c.Limits.BodyBytes, c.Limits.MemoryBytes, c.Limits.Checkpoints, c.Limits.Logs, c.Limits.Queue) < 0:
		return fmt.Errorf("%w: a limit is negative", ErrBadConfig)
	}
	return nil
}
