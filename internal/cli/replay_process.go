package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// A rerun starts a program that replays or resumes a recording.
type rerun struct {
	p       *program
	bundle  *record.Bundle
	command []string
	address string // on which the program listens; "" for the recorded port

	dir     string
	control execution.Control
	child   *exec.Cmd
	relay   *relay
	ended   chan struct{} // closed when the child has ended
	err     error         // how; to be read after ended
	began   bool          // the program began it; to be read after run
}

// A rerunResult is what the program wrote.
type rerunResult struct {
	report *execution.Report
	record *record.Bundle // nil unless it was asked for
}

// How often a program is looked at that is waited for. There is no end to the waiting: it may be in a debugger.
const (
	lookEvery = 20 * time.Millisecond
	endWithin = 5 * time.Second // after being asked to end
	waitQuiet = time.Second     // before a person is told what is waited for
)

// errEnded is why nothing is waited for any more when the program ended.
var errEnded = errors.New("the program ended")

// run starts the program, has it do what the control says, and ends it.
func (r *rerun) run(ctx context.Context, control execution.Control, wantRecord bool) (*rerunResult, error) {
	if err := r.prepare(control, wantRecord); err != nil {
		return nil, err
	}
	defer os.RemoveAll(r.dir)
	defer func() { r.began = r.hasBegun() }()
	if r.isAsked() {
		if err := r.findAddress(ctx); err != nil {
			return nil, err
		}
	}
	if err := r.start(); err != nil {
		return nil, failf("check the command after --", "%s: %w", r.command[0], err)
	}
	defer r.end(0)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { <-r.ended; cancel(errEnded) }()
	if r.isAsked() {
		if err := r.ask(ctx); err != nil && !r.hasBegun() {
			return nil, err
		}
	}
	return r.result(ctx)
}

// prepare writes the files that the program reads.
func (r *rerun) prepare(control execution.Control, wantRecord bool) (err error) {
	if r.dir, err = os.MkdirTemp("", "flux-replay-"); err != nil {
		return err
	}
	control.Bundle, control.Report = filepath.Join(r.dir, "recording.fluxrec"), filepath.Join(r.dir, "report.json")
	control.Began, control.Ready, control.Nonce = filepath.Join(r.dir, "began"), filepath.Join(r.dir, "ready"), rand.Text()
	if wantRecord {
		control.Record = filepath.Join(r.dir, "record.fluxrec")
	}
	r.control = control
	file, err := os.Create(control.Bundle)
	if err != nil {
		return err
	}
	if err := errors.Join(record.WriteBundle(file, r.bundle), file.Close()); err != nil {
		return err
	}
	data, err := json.Marshal(control)
	if err != nil {
		return err
	}
	return os.WriteFile(r.controlPath(), data, 0o600)
}

func (r *rerun) controlPath() string { return filepath.Join(r.dir, "control.json") }

// findAddress settles where the program is going to listen, and makes sure that nothing else does: it would be asked.
func (r *rerun) findAddress(ctx context.Context) error {
	if r.address == "" {
		_, port, err := net.SplitHostPort(r.bundle.Execution.Trigger.Local)
		if err != nil {
			return usagef("add --address HOST:PORT", "the recording does not say on which address it came")
		}
		r.address = net.JoinHostPort("127.0.0.1", port)
	}
	_, port, err := net.SplitHostPort(r.address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return usagef("an address is like 127.0.0.1:8080", "bad --address %s: %w", r.address, err)
	}
	if isListening(ctx, r.address) {
		return failf("stop that program, or let yours listen elsewhere and say so with --address", "something listens on %s already", r.address)
	}
	return nil
}

func isListening(ctx context.Context, address string) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// start starts the program. What it writes goes to stderr: stdout is for the report.
func (r *rerun) start() error {
	r.child = exec.Command(r.command[0], r.command[1:]...)
	r.child.Env = append(os.Environ(), execution.EnvReplay+"="+r.controlPath())
	r.child.Stdout, r.child.Stderr = r.p.err.Writer, r.p.err.Writer
	if file, ok := r.p.in.(*os.File); ok {
		r.child.Stdin = file
	}
	r.child.WaitDelay = endWithin
	var err error
	if r.relay, err = startRelayed(r.child, r.p.in); err != nil {
		return err
	}
	r.ended = make(chan struct{})
	go func() {
		r.err = r.child.Wait()
		close(r.ended)
	}()
	return nil
}

// end asks the program to end, unless a signal that was handed on has done so, and the process that did the work when that is
// another, as with go run. What does not end is killed.
func (r *rerun) end(worker int) {
	if worker != 0 && worker != r.child.Process.Pid {
		if process, err := os.FindProcess(worker); err == nil {
			_ = process.Signal(terminate)
		}
	}
	if !r.relay.stop() {
		interruptGroup(r.child)
	}
	select {
	case <-r.ended:
	case <-time.After(endWithin):
		killGroup(r.child)
		<-r.ended
	}
}

// wait calls ready again and again until it says true or ctx ends. On a terminal it says what it waits for.
func (r *rerun) wait(ctx context.Context, what string, ready func() bool) bool {
	began, told := time.Now(), false
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	defer func() {
		if told {
			fmt.Fprint(r.p.err, "\r\x1b[K")
		}
	}()
	for !ready() {
		if r.p.err.terminal && !told && time.Since(began) > waitQuiet {
			told = true
			fmt.Fprintf(r.p.err, "%s", r.p.err.dim("waiting for "+what+" …"))
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ready()
		}
	}
	return true
}

func (r *rerun) hasReport() bool {
	_, err := os.Stat(r.control.Report)
	return err == nil
}

// hasBegun says that the program began the execution, so that how it ends is an end of that.
func (r *rerun) hasBegun() bool {
	_, err := os.Stat(r.control.Began)
	return err == nil
}

// died says that the program ended after it began the execution and before that ended.
func (r *rerun) died(ctx context.Context) bool {
	return errors.Is(context.Cause(ctx), errEnded) && r.hasBegun() && !r.hasReport()
}

// crash is the report of a program that did not live to write one.
func (r *rerun) crash() *execution.Report {
	of := r.bundle.Execution
	report := &execution.Report{Of: of.ID, Outcome: execution.OutcomeFailed, Replayed: execution.Ending{Status: record.StatusCrashed}}
	if report.Recorded.Status = of.Status; of.Status == record.StatusCrashed {
		report.Outcome = execution.OutcomeSame
	}
	return report
}

// gone is the error for a program that ended, or whose end was not waited for.
func (r *rerun) gone(ctx context.Context, when string) error {
	if !errors.Is(context.Cause(ctx), errEnded) {
		return context.Canceled
	}
	how := "well"
	if r.err != nil {
		how = "with " + r.err.Error()
	}
	return failf("see what it wrote above", "the program ended %s %s", how, when)
}

// result waits for the report of the program.
func (r *rerun) result(ctx context.Context) (*rerunResult, error) {
	switch ready := r.wait(ctx, "the program to run it", r.hasReport); {
	case r.died(ctx):
		return &rerunResult{report: r.crash()}, nil
	case !ready:
		return nil, r.gone(ctx, "before the execution did")
	}
	data, err := os.ReadFile(r.control.Report)
	if err != nil {
		return nil, err
	}
	var wrote execution.ProcessReport
	if err := json.Unmarshal(data, &wrote); err != nil {
		return nil, err
	}
	r.end(wrote.Process)
	result := &rerunResult{report: wrote.Report}
	if r.control.Record != "" {
		result.record, err = readRecording(r.control.Record)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("the program wrote no record: %w", err)
	}
	return result, err
}
