package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	fluxv1 "github.com/flux-go/flux/api/flux/v1"
	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// execOptions are the flags of exec.
type execOptions struct {
	service string
	timeout time.Duration
}

const (
	// maxExecOutput is how much of each output of a program is recorded.
	maxExecOutput = 1 << 20
	// execDelivery is how long exec waits for the server to have the record. Later it waits in a folder, for the next time.
	execDelivery = 10 * time.Second
)

func execCommand(p *program) *cobra.Command {
	var o execOptions
	cmd := &cobra.Command{
		Use:   "exec [flags] -- COMMAND [ARG…]",
		Short: "Run a command once, as a recorded execution",
		Long: "Run a command and record how it went: its arguments, its output and how it ended. What a program records that uses package " +
			"execution, or is built by flux go, belongs to it. Input, output and exit code are those of the command, and SIGINT, SIGTERM and SIGHUP " +
			"go on to it; a last line on stderr says under which id it is recorded. FLUX_URL, FLUX_NAMESPACE and FLUX_TOKEN are set for the " +
			"command.\n\n" +
			"With --json, one document instead: {\"id\",\"status\",\"exitCode\",\"duration\",\"stdout\",\"stderr\",\"executions\"}, with the duration in ns and " +
			"the number of executions that the program recorded.",
		Example: "  flux exec -- ./migrate --dry-run\n  flux exec --service reports --timeout 10m -- go run ./cmd/nightly",
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.ArgsLenAtDash() != 0 || len(args) == 0 {
				return fmt.Errorf("needs -- and a command")
			}
			return nil
		},
		RunE: p.run(func(ctx context.Context, args []string) error { return p.exec(ctx, args, o) }),
	}
	cmd.Flags().StringVar(&o.service, "service", "", "`name` under which it is recorded; defaults to that of the program")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 0, "`time` after which the command is killed; 0 is never")
	p.connection(cmd.Flags())
	return cmd
}

// execInput and execOutput are what is recorded of a command.
type execInput struct {
	Command []string `json:"command"`
	Dir     string   `json:"dir,omitempty"`
}

type execOutput struct {
	ExitCode int    `json:"exitCode"`
	Stdout   string `json:"stdout"`
	Stderr   string `json:"stderr"`
}

// execResult is what --json writes.
type execResult struct {
	ID         string        `json:"id"`
	Status     record.Status `json:"status"`
	Duration   time.Duration `json:"duration"`
	Executions int           `json:"executions"`
	execOutput
}

func (p *program) exec(ctx context.Context, command []string, o execOptions) error {
	c, err := p.dial()
	if err != nil {
		return err
	}
	name := strings.TrimSuffix(filepath.Base(command[0]), ".exe")
	if o.service == "" {
		o.service = name
	}
	kept := make(chan *record.Execution, 1)
	rec, err := execution.Connect(execution.Config{
		Service: o.service, URL: p.url, Token: p.token, Namespace: p.namespace, Unattended: true,
		OnKept: func(x *record.Execution) { kept <- x },
	})
	if err != nil {
		return err
	}
	dir, _ := os.Getwd() // only to be shown
	_, x := rec.Begin(ctx, record.Trigger{Kind: record.TriggerCLI, Method: name, Path: strings.Join(command[1:], " ")},
		&execution.BeginOptions{Keep: true, Input: execInput{command, dir}})
	out, runErr := p.runRecorded(ctx, x.ID(), command, o)
	x.SetOutput(out)
	x.End(runErr)
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), execDelivery)
	defer cancel()
	if err := rec.Close(late); err != nil {
		return err
	}
	done := <-kept
	result := execResult{done.ID.String(), done.Status, done.Duration, executionsWithin(late, c, done.ID.String()), out}
	if err := p.showExec(result); err != nil {
		return err
	}
	if out.ExitCode != exitDone {
		return &verdict{out.ExitCode}
	}
	return nil
}

// runRecorded runs a command, passes its output on, and keeps it. Signals go to the command, which decides what to do.
func (p *program) runRecorded(ctx context.Context, id record.ID, command []string, o execOptions) (execOutput, error) {
	ctx = context.WithoutCancel(ctx)
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.timeout)
		defer cancel()
	}
	var stdout, stderr clipped
	child := exec.CommandContext(ctx, command[0], command[1:]...)
	child.Env = append(os.Environ(), execution.EnvCause+"="+id.String(), "FLUX_URL="+p.url, "FLUX_NAMESPACE="+p.namespace)
	if p.token != "" {
		child.Env = append(child.Env, "FLUX_TOKEN="+p.token)
	}
	child.Stdin, child.Stdout, child.Stderr = p.in, io.MultiWriter(&stdout, p.out.Writer), io.MultiWriter(&stderr, p.err.Writer)
	if p.json {
		child.Stdout, child.Stderr = &stdout, &stderr
	}
	child.WaitDelay = endWithin
	child.Cancel = func() error { killGroup(child); return nil }
	relay, err := startRelayed(child, p.in)
	if err == nil {
		err = child.Wait()
		relay.stop()
	}
	out := execOutput{0, stdout.String(), stderr.String()}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		out.ExitCode, err = exitFailed, fmt.Errorf("%s: %w", command[0], ctx.Err())
	case errors.As(err, &exit):
		out.ExitCode, err = exitCode(exit), fmt.Errorf("%s: %w", command[0], err)
	case err != nil:
		out.ExitCode = exitFailed
		p.fail(err)
	}
	return out, err
}

// clipped keeps the beginning of an output.
type clipped struct{ bytes.Buffer }

// Write implements io.Writer.
func (c *clipped) Write(p []byte) (int, error) {
	c.Buffer.Write(p[:min(len(p), max(maxExecOutput-c.Len(), 0))])
	return len(p), nil
}

// executionsWithin counts what the program recorded, as far as the server knows it.
func executionsWithin(ctx context.Context, c *client, id string) (n int) {
	request := &fluxv1.ListExecutionsRequest{Filter: &fluxv1.ExecutionFilter{Parent: id}, MaxSize: 1000}
	answer, err := c.executions.ListExecutions(ctx, connect.NewRequest(request))
	if err != nil {
		return 0
	}
	for _, x := range answer.Msg.GetExecutions() {
		if x.GetKind() != string(record.TriggerBoot) {
			n++
		}
	}
	return n
}

func (p *program) showExec(r execResult) error {
	if p.json {
		return p.out.printJSON(r)
	}
	status := p.err.green(string(r.Status))
	if r.Status != record.StatusOK {
		status = p.err.red(fmt.Sprintf("%s, exit code %d", r.Status, r.ExitCode))
	}
	within := ""
	if r.Executions > 0 {
		within = ", " + plural(r.Executions, "execution") + " within"
	}
	return p.err.printf("%s  %s  %s%s  %s flux trace %s\n", p.err.dim("recorded"), status, shortDuration(r.Duration), within, p.err.dim("next"), shortID(r.ID))
}
