//go:build unix

package cli

import (
	"os"
	"os/exec"
	"syscall"
)

var relayedSignals = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}

// handOn sends a signal to a command that has started, unless it got it from the terminal.
func handOn(command *exec.Cmd, s os.Signal) {
	if leadsGroup(command) || s == syscall.SIGTERM {
		signalGroup(command, s.(syscall.Signal))
	}
}

// exitCode is what a shell says of how a command ended: its exit code, or 128 and the signal that ended it.
func exitCode(exit *exec.ExitError) int {
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return max(exit.ExitCode(), exitFailed)
}
