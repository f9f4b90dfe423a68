//go:build !unix

package cli

import (
	"os"
	"os/exec"
)

var relayedSignals = []os.Signal{os.Interrupt}

// handOn does nothing: the console interrupts the command too.
func handOn(*exec.Cmd, os.Signal) {}

func exitCode(exit *exec.ExitError) int { return max(exit.ExitCode(), exitFailed) }
