//go:build unix

package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/flux-go/flux/conformance/process"
	"github.com/flux-go/flux/execution/record"
)

// countingVariable makes this binary a program that tells of the signals it gets, until it reads a line. Its exit code is then 40
// and their number.
const countingVariable = "FLUX_TEST_COUNT_SIGNALS"

func init() {
	if os.Getenv(countingVariable) == "" {
		return
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, relayedSignals...)
	line := make(chan error)
	go func() { _, err := bufio.NewReader(os.Stdin).ReadString('\n'); line <- err }()
	fmt.Println("ready")
	for n := 0; ; n++ {
		select {
		case s := <-signals:
			fmt.Println(s)
		case <-line:
			n += len(signals)
			fmt.Println(n, "signals")
			os.Exit(40 + n)
		}
	}
}

// counting is flux that runs the program above.
type counting struct {
	flux *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
}

// startCounting starts flux with args, and what the program writes on the standard output, or error, of flux.
func startCounting(t *testing.T, onError bool, args ...string) *counting {
	t.Helper()
	binary, err := process.Binary()
	if err != nil {
		t.Fatal(err)
	}
	c := &counting{flux: exec.Command(binary, append(args, "--", os.Args[0])...)}
	c.flux.Env = append(os.Environ(), countingVariable+"=1")
	c.flux.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe := c.flux.StdoutPipe
	if onError {
		pipe = c.flux.StderrPipe
	}
	out, err := pipe()
	if err != nil {
		t.Fatal(err)
	}
	if c.in, err = c.flux.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.flux.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-c.flux.Process.Pid, syscall.SIGKILL) })
	c.out = bufio.NewScanner(out)
	c.reads(t, "ready")
	return c
}

func startServer(t *testing.T) *process.Server {
	t.Helper()
	server, err := process.Start(t.TempDir(), "dev")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	return server
}

func (c *counting) reads(t *testing.T, want string) {
	t.Helper()
	if !c.out.Scan() || c.out.Text() != want {
		t.Fatalf("the program wrote %q, want %q: %v", c.out.Text(), want, c.out.Err())
	}
}

func (c *counting) signal(t *testing.T, id int, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(id, s); err != nil {
		t.Fatal(err)
	}
}

// ends ends the program, which has got some signals.
func (c *counting) ends(t *testing.T, signals int) {
	t.Helper()
	if _, err := io.WriteString(c.in, "end\n"); err != nil {
		t.Fatal(err)
	}
	c.reads(t, fmt.Sprint(signals, " signals"))
}

func (c *counting) exits(t *testing.T, code int) {
	t.Helper()
	err := c.flux.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != code {
		t.Errorf("flux ended with %v, want exit code %d", err, code)
	}
}

// TestExecHandsEachSignalOnOnce sends all of them, one after the other: had one come twice, it would come before the next.
func TestExecHandsEachSignalOnOnce(t *testing.T) {
	t.Parallel()
	for name, sign := range map[string]int{"to flux": 1, "to its group": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startCounting(t, false, "exec", "--url", startServer(t).URL)
			for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT} {
				c.signal(t, sign*c.flux.Process.Pid, s)
				c.reads(t, s.String())
			}
			c.ends(t, 4)
			c.exits(t, 44)
		})
	}
}

// TestExecExitsAsAProgramThatASignalEnded has the shell's code for it.
func TestExecExitsAsAProgramThatASignalEnded(t *testing.T) {
	t.Parallel()
	binary, err := process.Binary()
	if err != nil {
		t.Fatal(err)
	}
	err = exec.Command(binary, "exec", "--url", startServer(t).URL, "--", "sh", "-c", "kill -HUP $$").Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 128+int(syscall.SIGHUP) {
		t.Errorf("flux ended with %v, want exit code %d", err, 128+int(syscall.SIGHUP))
	}
}

// TestReplayHandsEachSignalOnOnce ends with one that ends the replay too, which then waits for the program.
func TestReplayHandsEachSignalOnOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "job.fluxrec")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	job := &record.Execution{ID: record.NewID(), Service: "test", Trigger: record.Trigger{Kind: record.TriggerJob}}
	if err := errors.Join(record.WriteBundle(file, &record.Bundle{Execution: job}), file.Close()); err != nil {
		t.Fatal(err)
	}
	c := startCounting(t, true, "replay", path)
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGHUP, syscall.SIGINT} {
		c.signal(t, -c.flux.Process.Pid, s)
		c.reads(t, s.String())
	}
	c.ends(t, 3)
	c.exits(t, exitFailed)
}
