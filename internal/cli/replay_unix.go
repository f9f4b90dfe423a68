//go:build unix

package cli

import (
	"io"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/term"
)

const terminate = syscall.SIGTERM

// ownGroup puts a command and all it starts into a group of processes, so that they can be ended together. A command that may
// read from a terminal, as a debugger, stays in the group of the terminal.
func ownGroup(command *exec.Cmd, stdin io.Reader) {
	if file, ok := stdin.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return
	}
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

func interruptGroup(command *exec.Cmd) { signalGroup(command, syscall.SIGTERM) }

func killGroup(command *exec.Cmd) { signalGroup(command, syscall.SIGKILL) }

func signalGroup(command *exec.Cmd, signal syscall.Signal) {
	id := command.Process.Pid
	if leadsGroup(command) {
		id = -id
	}
	_ = syscall.Kill(id, signal)
}

func leadsGroup(command *exec.Cmd) bool {
	return command.SysProcAttr != nil && command.SysProcAttr.Setpgid
}
