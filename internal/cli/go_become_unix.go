//go:build unix

package cli

import (
	"os"
	"os/exec"
	"syscall"
)

// become replaces this process by a command: terminal, signals and exit code are its own from now on.
func become(command []string) error {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	return syscall.Exec(path, command, os.Environ())
}
