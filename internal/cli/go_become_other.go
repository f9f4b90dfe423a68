//go:build !unix

package cli

import (
	"os"
	"os/exec"
)

// become runs a command on the files of this process and returns its exit code as a verdict.
func become(command []string) error {
	c := exec.Command(command[0], command[1:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := c.Run(); err != nil {
		return asVerdict(err)
	}
	return nil
}
