package cli

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func goCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:   "go build|install|run|test [arguments of the go command]",
		Short: "Build a Go program that is recorded, without changing it",
		Long: "Build, install, run or test a Go program so that its executions are recorded, without changing its code: calls of the " +
			"clock, of HTTP, databases and the like are woven in while it is compiled. Arguments, output and exit codes are those of " +
			"the go command; go run becomes the program, so that signals and its exit code are its own. Your go.mod stays as it is, and " +
			"your dependencies keep their versions.\n\n" +
			"The program records when FLUX_URL or FLUX_DIR is in its environment. FLUX_SERVICE, FLUX_KEEP and others say what; see " +
			"docs/instrumentation.md.\n\n" +
			"The first build for a module compiles the standard library again. The tool that weaves is built the first time too.\n\n" +
			"With --json, the same: that flag is the go command's.",
		Example:            "  flux go build -o api ./cmd/api && FLUX_URL=http://127.0.0.1:8888 ./api\n  FLUX_URL=http://127.0.0.1:8888 flux go run ./cmd/api",
		DisableFlagParsing: true,
		RunE:               p.run(p.goCommand),
	}
}

// goCommand does what the go command does with the arguments, with weaving.
func (p *program) goCommand(ctx context.Context, args []string) error {
	const hint = "flux go build ./..., flux go run ./cmd/api, flux go test ./... or flux go install ./cmd/api"
	if len(args) == 0 {
		return usagef(hint, "which command of go?")
	}
	command := args[0]
	if !slices.Contains([]string{"build", "install", "run", "test"}, command) {
		return usagef(hint, "no weaving for go %s", command)
	}
	args, err := changeDir(args[1:])
	if err != nil {
		return err
	}
	w, err := p.newWeaver(ctx)
	if err != nil {
		return err
	}
	switch command {
	case "run":
		return w.runProgram(ctx, args)
	case "test":
		// The last -exec wins, so one of the user's has its way.
		args = slices.Concat([]string{"-exec", filepath.Join(w.dir, "plain")}, args)
	}
	return w.goTool(ctx, append([]string{command}, args...)...)
}

// changeDir obeys -C, which is the first of the arguments when it is there, and returns the others.
func changeDir(args []string) ([]string, error) {
	if len(args) == 0 {
		return args, nil
	}
	flag, dir, assigned := strings.Cut(strings.TrimPrefix(args[0], "-"), "=")
	if flag != "C" && flag != "-C" {
		return args, nil
	}
	args = args[1:]
	if !assigned {
		if len(args) == 0 {
			return nil, usagef("flux go build -C dir", "-C without a directory")
		}
		dir, args = args[0], args[1:]
	}
	return args, os.Chdir(dir)
}

// goTool runs a command of go with weaving, on the files of this process: the go command looks whether they are a terminal.
func (w *weaver) goTool(ctx context.Context, args ...string) error {
	command := exec.Command(w.tool, append([]string{"go"}, args...)...)
	command.Env = w.env
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := command.Start(); err != nil {
		return err
	}
	// A terminal interrupts all of us, and the go command takes its time to clean up; others terminate just this process.
	defer context.AfterFunc(ctx, func() { _ = command.Process.Signal(syscall.SIGTERM) })()
	return asVerdict(command.Wait())
}

// asVerdict makes the exit code of a command that of this program. The command has said why.
func asVerdict(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return &verdict{exitCode(exit)}
	}
	return err
}

// runProgram builds a program and becomes it.
func (w *weaver) runProgram(ctx context.Context, args []string) error {
	flags, program, args := splitRun(args)
	if len(program) == 0 {
		return usagef("flux go run ./cmd/api", "no program to run")
	}
	wd, err := os.Getwd()
	if err != nil {
		return err
	}
	flags, launcher := takeFlag(flags, "exec")
	binary := filepath.Join(w.dir, "run", hashOf(wd, strings.Join(program, " ")), programName(program[0], wd))
	build := slices.Concat([]string{"build", "-o", binary}, flags, program)
	if err := w.goTool(ctx, build...); err != nil {
		return err
	}
	return become(append(append(strings.Fields(launcher), binary), args...))
}
