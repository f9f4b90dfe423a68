package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/examples/flights"
	"github.com/flux-go/flux/message"
)

// serviceCommand runs one process of the demo. It ends when its standard input does, and so with the demo, however that ends.
func serviceCommand(p *program) *cobra.Command {
	var data, url string
	var over time.Duration
	cmd := &cobra.Command{Use: "service NAME", Hidden: true, Args: cobra.ExactArgs(1)}
	cmd.Flags().StringVar(&data, "data", "", "directory of the server")
	cmd.Flags().DurationVar(&over, "over", 0, "how long the publisher takes")
	cmd.Flags().StringVar(&url, "url", "", "address of the server")
	cmd.RunE = p.run(func(ctx context.Context, args []string) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			_, _ = io.Copy(io.Discard, p.in)
			cancel()
		}()
		if args[0] == "server" {
			p.json, p.listen = true, "127.0.0.1:0"
			return p.serve(ctx, data)
		}
		return runService(ctx, args[0], url, over)
	})
	return cmd
}

// runService runs an instance of a service, such as delays-1.
func runService(ctx context.Context, instance, url string, over time.Duration) error {
	name, _, _ := strings.Cut(instance, "-")
	run, known := flights.Services(over)[name]
	if !known {
		return fmt.Errorf("no service %q", name)
	}
	app, err := flux.Connect(ctx, flux.Config{Name: name, ClientID: instance, URL: url, Namespace: message.DefaultNamespace})
	if err != nil {
		return err
	}
	err = run(ctx, app)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return errors.Join(err, app.Close(closing))
}

// service is a process of the demo.
type service struct {
	name    string
	command *exec.Cmd
	stdin   io.Closer
	line    chan []byte // the first that it writes
	stderr  bytes.Buffer
	ended   chan struct{}
	err     error // why, to be read after ended
	killed  bool
}

// start starts this program again, as a process of the demo.
func (d *demo) start(_ context.Context, name string, args ...string) (*service, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.Command(program, append([]string{"demo", "service", name, "--url", d.url}, args...)...)
	command.Env = withoutSettings(os.Environ())
	s := &service{name: name, command: command, line: make(chan []byte, 1), ended: make(chan struct{})}
	command.Stderr = &s.stderr
	if s.stdin, err = command.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	d.services = append(d.services, s)
	go s.watch(stdout)
	return s, nil
}

// withoutSettings returns the environment without what is meant for the demo itself.
func withoutSettings(environment []string) (rest []string) {
	for _, variable := range environment {
		if !strings.HasPrefix(variable, "FLUX_") {
			rest = append(rest, variable)
		}
	}
	return rest
}

func (s *service) watch(stdout io.Reader) {
	lines := bufio.NewReader(stdout)
	line, _ := lines.ReadBytes('\n')
	s.line <- line
	_, _ = io.Copy(io.Discard, lines) // Wait must come after all reads
	s.err = s.command.Wait()
	close(s.ended)
}

func (s *service) pid() int { return s.command.Process.Pid }

// service returns the process with a name.
func (d *demo) service(name string) *service {
	for _, s := range d.services {
		if s.name == name {
			return s
		}
	}
	panic("no service " + name)
}

// ready waits until a server listens and returns where.
func (s *service) ready(ctx context.Context) (string, error) {
	var ready struct {
		URL string `json:"url"`
	}
	select {
	case line := <-s.line:
		if err := json.Unmarshal(line, &ready); err != nil {
			<-s.ended
			return "", s.failure()
		}
		return ready.URL, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// wait waits until the process has done its work.
func (s *service) wait(ctx context.Context) error {
	select {
	case <-s.ended:
		return s.failure()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// failure returns why a process that has ended did not end well.
func (s *service) failure() error {
	if s.err == nil || s.killed {
		return nil
	}
	return fmt.Errorf("%s: %w\n%s", s.name, s.err, bytes.TrimSpace(s.stderr.Bytes()))
}

// kill ends the process as a crash does.
func (s *service) kill() error {
	s.killed = true
	return s.command.Process.Kill()
}

// stop asks the process to end, and makes it when ctx ends.
func (s *service) stop(ctx context.Context) error {
	_ = s.stdin.Close() // fails when the process is gone
	select {
	case <-s.ended:
	case <-ctx.Done():
		_ = s.kill()
		<-s.ended
		return fmt.Errorf("%s did not end", s.name)
	}
	return s.failure()
}
