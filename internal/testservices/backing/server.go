// Package backing runs the servers that a service keeps its state in, PostgreSQL, MariaDB and Redis, on this machine: real ones, from
// the programs that are installed, each on a directory and a loopback port of its own. Tests, benchmarks and examples
// use it; tests do so through package testservices.
//
// # Invariants
//
// B1: a server does not outlive the process that started it, however that ends: panic, os.Exit, SIGKILL. It runs under a
// guard, a shell that waits for the end of its input. Nobody writes to that pipe, and the kernel closes it when the process
// is gone; then the guard stops the server and removes its directory.
//
// B2: Stop returns when the server is gone and its port is free. Start after Stop brings it back on the same port, with
// the same data.
package backing

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// ErrNotInstalled is returned where a program of the server, or the user it wants to run as, is missing.
var ErrNotInstalled = errors.New("not installed")

// ErrStart is returned when the server ended instead of answering. The message ends with its log.
var ErrStart = errors.New("server did not start")

// startTimeout is how long a server may take until it answers. It is that of a machine with no processor to spare.
const startTimeout = time.Minute

// guard runs a command until it ends or its own input does, and sends it a signal then. The input holds the word "stop", or
// nothing when the process at the other end is gone; in that case nobody else removes the directory.
const guard = `dir=$1 signal=$2; shift 2
exec 3<&0 </dev/null
"$@" 3<&- & server=$!
{ read -r word; trap '' TERM; kill -$signal $server; [ "$word" = stop ]; } <&3 2>/dev/null & reader=$!
wait $server
kill $reader 2>/dev/null
wait $reader
[ $? != 1 ] || rm -rf "$dir"`

// Server is a running or stopped server. Its methods may be called at the same time.
type Server struct {
	// URL is what clients connect to, the same after every Start.
	URL string

	dir     string
	command []string
	signal  string // that lets the server stop at once, its clients or not. Defaults to INT.
	as      *syscall.SysProcAttr
	ping    func(context.Context) error

	mu struct {
		sync.Mutex
		running *run
	}
}

// run is one life of a server.
type run struct {
	words io.WriteCloser // to the guard
	ended chan struct{}  // closed when the guard is gone, and so the server
}

// Start starts a server that is stopped, and waits until it answers. It does nothing when the server runs.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.running != nil {
		return nil
	}
	r, err := s.launch()
	if err != nil {
		return err
	}
	if err := s.await(ctx, r); err != nil {
		r.stop()
		return err
	}
	s.mu.running = r
	return nil
}

// Stop interrupts the server and waits until it is gone. Connections break. It does nothing when the server is stopped.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.running != nil {
		s.mu.running.stop()
		s.mu.running = nil
	}
}

func (s *Server) launch() (*run, error) {
	output, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	shell := exec.Command("sh", append([]string{"-c", guard, "guard", s.dir, cmp.Or(s.signal, "INT")}, s.command...)...)
	shell.Dir, shell.Stdout, shell.Stderr = s.dir, output, output
	// A group of its own: the interrupt of a terminal ends the process that started the server, and that ends the server.
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if s.as != nil {
		shell.SysProcAttr.Credential = s.as.Credential
	}
	words, err := shell.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := shell.Start(); err != nil {
		return nil, err
	}
	r := &run{words: words, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		_ = shell.Wait() // the exit code of an interrupted server says nothing
	}()
	return r, nil
}

func (r *run) stop() {
	_, _ = io.WriteString(r.words, "stop\n") // fails when the guard is gone, which is what we want
	r.words.Close()
	<-r.ended
}

// await returns when the server answers, or why it will not.
func (s *Server) await(ctx context.Context, r *run) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := s.ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-r.ended:
			return fmt.Errorf("%w: %s\n%s", ErrStart, s.command[0], s.log())
		case <-ctx.Done():
			return fmt.Errorf("%w: %s: %w\n%s", ErrStart, s.command[0], err, s.log())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "log") }

// log returns the last lines that the server wrote.
func (s *Server) log() []byte {
	const enough = 2000
	all, err := os.ReadFile(s.logFile())
	if err != nil {
		return []byte(err.Error())
	}
	return bytes.TrimSpace(all[max(0, len(all)-enough):])
}

// dial connects to an address. Reads and writes end with the deadline of the context.
func dial(ctx context.Context, address string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline() // none is no deadline for a connection, too
	if err := conn.SetDeadline(deadline); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// freePort returns a loopback port that nobody listens on now. Somebody else may take it before the server does; then the
// server does not start, and says why.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
