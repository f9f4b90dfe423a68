// Package process runs the real flux binary as a process of its own, for tests that use it as people and supervisors do:
// on a directory, over a socket, until it is stopped or killed.
//
// A package of such tests hands its TestMain to [Main], which removes the binary at the end. The binary is built when the
// first test needs it, with the race detector when the tests have it.
package process

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Main runs the tests of a package and ends the process.
func Main(m *testing.M) {
	code := m.Run()
	if buildDir != "" {
		os.RemoveAll(buildDir)
	}
	os.Exit(code)
}

var buildDir string

var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "flux-binary-")
	if err != nil {
		return "", err
	}
	buildDir = dir
	path := filepath.Join(dir, "flux")
	args := []string{"build", "-buildvcs=false", "-o", path}
	if raceDetector {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "github.com/flux-go/flux/cmd/flux")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build flux: %w\n%s", err, out)
	}
	return path, nil
})

// Binary returns the path of the flux binary.
func Binary() (string, error) { return binary() }

// Server is a running server.
type Server struct {
	// URL is where it listens.
	URL string

	command *exec.Cmd
	stderr  *strings.Builder // to be read after done
	done    chan struct{}
	err     error // how it ended; to be read after done
}

// startTimeout is how long a server may take to listen, on a machine that is busy with other tests too.
const startTimeout = 60 * time.Second

// Start runs flux in a directory with args, which begin with serve or dev, and returns when it is ready. It listens on a
// free port unless args have --listen. The caller has to Kill or Stop it.
func Start(dir string, args ...string) (*Server, error) {
	path, err := Binary()
	if err != nil {
		return nil, err
	}
	command := exec.Command(path, slices.Insert(slices.Clone(args), 1, "--listen", "127.0.0.1:0", "--json")...)
	s := &Server{command: command, stderr: &strings.Builder{}, done: make(chan struct{})}
	command.Dir = dir
	command.Stderr = s.stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	announced := make(chan []byte, 1)
	go func() {
		lines := bufio.NewReader(stdout)
		line, _ := lines.ReadBytes('\n')
		announced <- line
		_, _ = io.Copy(io.Discard, lines) // Wait must come after all reads
		s.err = command.Wait()
		close(s.done)
	}()
	if err := s.awaitReady(announced); err != nil {
		s.Kill()
		return nil, fmt.Errorf("flux %s: %w\n%s", strings.Join(args, " "), err, s.stderr)
	}
	return s, nil
}

// awaitReady learns where the server listens from the line that it announces itself with.
func (s *Server) awaitReady(announced <-chan []byte) error {
	var ready struct {
		URL string `json:"url"`
	}
	select {
	case line := <-announced:
		if err := json.Unmarshal(line, &ready); err != nil || ready.URL == "" {
			return fmt.Errorf("announced itself with %q", line)
		}
	case <-time.After(startTimeout):
		return fmt.Errorf("does not listen after %s", startTimeout)
	}
	s.URL = ready.URL
	return nil
}

// Kill ends the server at once, as a crash does, and returns when it is gone.
func (s *Server) Kill() {
	_ = s.command.Process.Kill() // fails when it is gone
	<-s.done
}

// Stop asks the server to end, as a supervisor does, and returns what it had to say and how it ended.
func (s *Server) Stop() (log string, err error) {
	_ = s.command.Process.Signal(syscall.SIGTERM)
	<-s.done
	return s.stderr.String(), s.err
}
