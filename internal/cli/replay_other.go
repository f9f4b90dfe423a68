//go:build !unix

package cli

import (
	"io"
	"os"
	"os/exec"
)

// terminate is what can be sent to other processes everywhere.
var terminate = os.Kill

func ownGroup(*exec.Cmd, io.Reader) {}

func interruptGroup(command *exec.Cmd) { _ = command.Process.Kill() }

func killGroup(command *exec.Cmd) { _ = command.Process.Kill() }
