package execution_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/flux-go/flux/execution"
	"github.com/flux-go/flux/execution/record"
)

// shell returns the path of a shell of its own, which can be removed, and with it the means to run a text.
func shell(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tool")
	if err := os.Symlink("/bin/sh", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// command returns a command that has a shell run a text, with arguments.
func command(ctx context.Context, shell, text string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, shell, append([]string{"-c", text, "tool"}, args...)...)
}

// ending is what a program can see of a command that is over.
type ending struct {
	Out, Err string
	Error    string
	Code     int
	State    string
	Success  bool
}

// endingOf runs a command and tells how it ended.
func endingOf(ctx context.Context, cmd *exec.Cmd, out, errOut *bytes.Buffer) ending {
	err := execution.RunCommand(ctx, cmd, nil)
	end := ending{Out: out.String(), Err: errOut.String(), Error: fmt.Sprint(err), Code: -2}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		end.Code = exit.ExitCode()
	}
	if state := cmd.ProcessState; state != nil {
		end.State, end.Success = state.String(), state.Success() && state.Exited()
		_ = state.UserTime() + state.SystemTime()
	}
	return end
}

func TestCommandsReplayWithoutBeingRun(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		script string
		change func(cmd *exec.Cmd)
	}{
		"output":         {"echo $1; echo two >&2", nil},
		"exit code":      {"echo no >&2; exit 3", nil},
		"signal":         {"kill -9 $$", nil},
		"abort":          {"ulimit -c 0; kill -6 $$", nil},
		"input":          {"cat", func(cmd *exec.Cmd) { cmd.Stdin = strings.NewReader("in") }},
		"other input":    {"head -c 2", func(cmd *exec.Cmd) { cmd.Stdin = io.MultiReader(strings.NewReader("in"), strings.NewReader("put")) }},
		"bytes":          {`printf '\000\377'`, nil},
		"one writer":     {"echo 1; echo 2 >&2; echo 3", func(cmd *exec.Cmd) { cmd.Stderr = cmd.Stdout }},
		"no output":      {"echo 1", func(cmd *exec.Cmd) { cmd.Stdout, cmd.Stderr = nil, nil }},
		"not there":      {"", func(cmd *exec.Cmd) { *cmd = *exec.Command("no-such-program") }},
		"no such folder": {"", func(cmd *exec.Cmd) { cmd.Dir = "/no/such/folder" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := shell(t)
			var ends []ending
			program := func(ctx context.Context, _ *world) error {
				var out, errOut bytes.Buffer
				cmd := command(ctx, path, test.script, "one")
				cmd.Stdout, cmd.Stderr = &out, &errOut
				if test.change != nil {
					test.change(cmd)
				}
				ends = append(ends, endingOf(ctx, cmd, &out, &errOut))
				return nil
			}
			of := run(t, nil, program)
			remove(t, path)
			if report := replay(t, nil, of, nil, program); report.Outcome != execution.OutcomeSame {
				t.Errorf("%v\n%+v", report, report.Divergences)
			}
			if ends[0] != ends[1] {
				t.Errorf("live     %+v\nreplayed %+v", ends[0], ends[1])
			}
		})
	}
}

// TestTheCommandIsGivenBack looks at what a recording sets in a command while it runs, and at what the command sees of it.
func TestTheCommandIsGivenBack(t *testing.T) {
	t.Parallel()
	input, out := strings.NewReader("input"), new(bytes.Buffer)
	cmd := command(t.Context(), shell(t), "cat >/dev/null; echo $FLUX_EXECUTION $OWN")
	cmd.Stdin, cmd.Stdout, cmd.Env = input, out, []string{"OWN=1"}
	of := run(t, nil, func(ctx context.Context, _ *world) error { return execution.RunCommand(ctx, cmd, nil) })
	if want := of.ID.String() + " 1\n"; out.String() != want {
		t.Errorf("the command said %q, want %q", out, want)
	}
	if cmd.Stdin != io.Reader(input) || cmd.Stdout != io.Writer(out) || !reflect.DeepEqual(cmd.Env, []string{"OWN=1"}) {
		t.Errorf("the command has %T, %T, %q", cmd.Stdin, cmd.Stdout, cmd.Env)
	}
	if cp := &of.Checkpoints[0]; cp.Boundary != "command" || cp.Shape != "tool" || !strings.Contains(string(cp.Request.Data), `"stdin":"input"`) {
		t.Errorf("%s %s %s", cp.Boundary, cp.Shape, cp.Request.Data)
	}
}

func TestCommandsWithOtherArgumentsStopAReplay(t *testing.T) {
	t.Parallel()
	path := shell(t)
	ask := func(ctx context.Context, argument, input string) error {
		cmd := command(ctx, path, "cat", argument)
		cmd.Stdin = strings.NewReader(input)
		return execution.RunCommand(ctx, cmd, nil)
	}
	of := run(t, nil, func(ctx context.Context, _ *world) error { return ask(ctx, "a", "in") })
	for _, other := range [][2]string{{"b", "in"}, {"a", "other"}} {
		report := replay(t, nil, of, nil, func(ctx context.Context, _ *world) error { return ask(ctx, other[0], other[1]) })
		if report.Outcome != execution.OutcomeStopped {
			t.Errorf("%q: %v", other, report)
		}
	}
}

// TestResumeOfACommand resumes executions whose second command failed.
func TestResumeOfACommand(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		opts    *execution.CommandOptions
		missing bool // it could not be started
		refused bool
		done    string // by all commands
	}{
		"nothing is known":     {refused: true, done: "first\nsecond\n"},
		"it only looks":        {opts: &execution.CommandOptions{Effect: record.EffectRead}, done: "first\nsecond\nsecond\n"},
		"it may be repeated":   {opts: &execution.CommandOptions{IdempotencyKey: "import 7"}, done: "first\nsecond\nsecond\n"},
		"it was never started": {missing: true, done: "first\nsecond\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second, dir := shell(t), shell(t), t.TempDir()
			program := func(ctx context.Context, _ *world) error {
				if err := execution.RunCommand(ctx, command(ctx, first, "echo first >>$1/log", dir), nil); err != nil {
					return err
				}
				return execution.RunCommand(ctx, command(ctx, second, "echo second >>$1/log; [ -e $1/ready ]", dir), test.opts)
			}
			if test.missing {
				remove(t, second)
			}
			of := run(t, nil, program)
			if test.missing {
				if err := os.Symlink("/bin/sh", second); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(dir, "ready"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			rec, _ := recorder(t)
			ctx, x, err := rec.BeginResume(t.Context(), &record.Bundle{Execution: of}, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = program(ctx, nil)
			x.End(err)
			if errors.Is(err, execution.ErrRefused) != test.refused || (err != nil) != test.refused {
				t.Errorf("%v: %v", x.Report(), err)
			}
			if log, err := os.ReadFile(filepath.Join(dir, "log")); string(log) != test.done || err != nil {
				t.Errorf("the commands did\n%s, want\n%s, %v", log, test.done, err)
			}
		})
	}
}
