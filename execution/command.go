package execution

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/flux-go/flux/execution/fault"
	"github.com/flux-go/flux/execution/record"
)

// CommandOptions say what a command does. The zero value is good for one of which nothing is known.
type CommandOptions struct {
	// Effect of the command. Defaults to record.EffectUnknown, which counts as a write. One that only looks is record.EffectRead: a
	// resume runs it again.
	Effect record.Effect
	// IdempotencyKey says that the command may be repeated with these arguments without a second effect. Defaults to none: when it
	// failed, or it is not known how it ended, a resume asks.
	IdempotencyKey string
}

// RunCommand is cmd.Run, recorded as an operation of the boundary "command": its arguments and directory, what it wrote to
// cmd.Stdout and cmd.Stderr, and how it ended. In a replay nothing is run: the program gets the recorded output, cmd.ProcessState
// and error, an *exec.ExitError for one, with the times of the process left out; cmd.Process stays nil. nil options are allowed.
//
// A command is known by its arguments, its directory, and its input when that is a *bytes.Buffer, *bytes.Reader or *strings.Reader.
// Other inputs are passed on; a replay reads as much of them as was read then. Files that are input or output, as os.Stdout, are
// handed to the command as they are, and what passes is not recorded. The environment is not recorded; FLUX_EXECUTION is added to
// it, so that executions that the command records belong to this one.
func RunCommand(ctx context.Context, cmd *exec.Cmd, opts *CommandOptions) error {
	x := FromContext(ctx)
	if x == nil {
		return cmd.Run()
	}
	if opts == nil {
		opts = &CommandOptions{}
	}
	run := &commandRun{Cmd: cmd, x: x}
	defer func(input io.Reader) { cmd.Stdin = input }(cmd.Stdin)
	call := Start(ctx, run.op(opts))
	if call == nil {
		return cmd.Run()
	}
	if err := call.Err(); err != nil {
		return err
	}
	if cp := call.Recorded(); cp != nil {
		return run.replay(cp)
	}
	return run.live(call)
}

// commandRequest and commandResponse are what is recorded of a command.
type commandRequest struct {
	Args  []string    `json:"args"`
	Dir   string      `json:"dir,omitempty"`
	Stdin record.Body `json:"stdin,omitzero"`
}

type commandResponse struct {
	exitStatus
	Stdout    record.Body `json:"stdout,omitzero"` // of both, when they went to the same writer
	Stderr    record.Body `json:"stderr,omitzero"`
	StdinRead int64       `json:"stdinRead,omitempty"` // bytes that were read of an input which is not recorded
}

// A commandRun is a command that is run or replayed.
type commandRun struct {
	*exec.Cmd
	x      *Execution
	stdin  *countingReader // nil when the input is recorded, or a file
	stdout capture
	stderr capture
}

// op returns the operation. Input that is in memory is read for it.
func (r *commandRun) op(opts *CommandOptions) Op {
	request := commandRequest{Args: slices.Clone(r.Args), Dir: r.Dir}
	if len(r.Args) == 0 {
		request.Args = []string{r.Path}
	}
	switch r.Stdin.(type) {
	case *bytes.Buffer, *bytes.Reader, *strings.Reader:
		data, _ := io.ReadAll(r.Stdin) // memory has no errors
		request.Stdin = r.x.bodyOf(data)
		r.Stdin = bytes.NewReader(data)
	case nil, *os.File:
	default:
		r.stdin = &countingReader{Reader: r.Stdin}
		r.Stdin = r.stdin
	}
	return Op{
		Boundary: "command", Shape: filepath.Base(request.Args[0]), Effect: cmp.Or(opts.Effect, record.EffectUnknown),
		Request: request, IdempotencyKey: opts.IdempotencyKey,
	}
}

// countingReader counts what is read. Package exec may go on reading when the command is over.
type countingReader struct {
	io.Reader
	read atomic.Int64
}

// Read implements io.Reader.
func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// live runs the command.
func (r *commandRun) live(call *Call) error {
	stdout, stderr, env := r.Stdout, r.Stderr, r.Env
	defer func() { r.Stdout, r.Stderr, r.Env = stdout, stderr, env }()
	r.Env = append(r.Environ(), EnvCause+"="+r.x.ID().String())
	r.Stdout = r.watched(stdout, &r.stdout)
	if isSameWriter(stdout, stderr) {
		r.Stderr = r.Stdout
	} else {
		r.Stderr = r.watched(stderr, &r.stderr)
	}
	err := r.Run()
	if r.Process == nil { // it was not even started
		call.FinishFault(nil, refusedBySystem(err))
		return err
	}
	if err != nil {
		call.Doubt()
	}
	response := commandResponse{exitStatus: exitStatusOf(r.ProcessState)}
	response.Stdout, _ = r.stdout.result()
	response.Stderr, _ = r.stderr.result()
	if r.stdin != nil {
		response.StdinRead = r.stdin.read.Load()
	}
	call.FinishFault(response, fault.Of(err, exitErrors))
	return err
}

// watched returns a writer that also captures what is written to w, unless that is a file or nothing.
func (r *commandRun) watched(w io.Writer, into *capture) io.Writer {
	if _, ok := w.(*os.File); ok || w == nil {
		return w
	}
	into.begin(r.x)
	return io.MultiWriter(w, into)
}

// isSameWriter says, as package exec does, that what goes to both writers is to keep its order.
func isSameWriter(a, b io.Writer) bool {
	defer func() { _ = recover() }() // types that do not compare
	return a != nil && a == b
}

// replay gives the program what the command gave it.
func (r *commandRun) replay(cp *record.Checkpoint) error {
	if len(cp.Response.Data) == 0 {
		return r.replayWithout(cp)
	}
	var response commandResponse
	if err := json.Unmarshal(cp.Response.Data, &response); err != nil {
		return fmt.Errorf("%w: the record of op %d is not that of a command: %w", ErrDiverged, cp.Number, err)
	}
	if r.stdin != nil {
		_, _ = io.CopyN(io.Discard, r.stdin, response.StdinRead)
	}
	r.ProcessState = response.state()
	for _, out := range []struct {
		to   io.Writer
		body record.Body
	}{{r.Stdout, response.Stdout}, {r.Stderr, response.Stderr}} {
		if out.to != nil && len(out.body.Data) > 0 {
			_, _ = out.to.Write(out.body.Data) // the record has the error that came of it
		}
		if out.body.Truncated {
			return fmt.Errorf("%w: the record of op %d has %d of %d bytes of output", ErrDiverged, cp.Number, len(out.body.Data), out.body.Bytes)
		}
	}
	return fault.Rebuild(cp.Error, exitErrors)
}

// replayWithout is for commands that were not started, and for those of which an operator says that they were done.
func (r *commandRun) replayWithout(cp *record.Checkpoint) error {
	switch {
	case cp.Error != nil:
		return fault.Rebuild(cp.Error)
	case r.Stdout != nil || r.Stderr != nil:
		return fmt.Errorf("%w: the output of op %d is not known", ErrDiverged, cp.Number)
	}
	r.ProcessState = exitStatus{}.state()
	return nil
}
