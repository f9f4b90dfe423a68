package cli

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/flux-go/flux"
	"github.com/flux-go/flux/message"
)

// demoOptions are the flags of demo.
type demoOptions struct {
	data string
	over time.Duration
	keep bool
}

func demoCommand(p *program) *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a whole system on 20,000 real flights",
		Long: "Run a server and the services of examples/flights, each as a process of its own, on 20,000 real flights. One instance is " +
			"killed on the way, and another goes on with its work. In the end the figures are compared with a plain pass over the " +
			"file; the exit code is 1 if they differ.\n\n" +
			"With --json, one document: {\"flights\",\"minutes\",\"airports\",\"same\",\"takeoverMillis\",\"recountMillis\",\"seconds\"}.",
		Example: "  flux demo\n  flux demo --keep --data ./flights-data",
		Args:    cobra.NoArgs,
		RunE:    p.run(func(ctx context.Context, _ []string) error { return p.demo(ctx, o) }),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.data, "data", "", "empty `directory` for the store; by default a temporary one, which is removed")
	flags.DurationVar(&o.over, "over", 6*time.Second, "how long the publisher takes")
	flags.BoolVar(&o.keep, "keep", false, "leave everything running in the end, until interrupted")
	cmd.AddCommand(serviceCommand(p))
	return cmd
}

// demo is a run of the demo.
type demo struct {
	*program
	demoOptions
	began    time.Time
	services []*service // those that run, the server first
	client   *client
	app      *flux.App

	published message.Index // of the last departure
	takeover  time.Duration // from the kill until the segments were with another
	recounted time.Duration
}

func (p *program) demo(ctx context.Context, o demoOptions) (err error) {
	if o.data == "" {
		if o.data, err = os.MkdirTemp("", "flux-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.data)) }()
	} else if err := wantEmpty(o.data); err != nil {
		return err
	}
	d := &demo{program: p, demoOptions: o, began: time.Now()}
	defer func() { err = errors.Join(err, d.end()) }()
	_ = p.err.printf("%s\n\n", p.err.bold("20,000 real flights, six processes, one crash"))
	for _, step := range []func(context.Context) error{d.startServer, d.startServices, d.publish, d.rebook} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if err := d.compare(ctx); err != nil {
		return err
	}
	if o.keep {
		<-ctx.Done()
	}
	return nil
}

// tick tells of something that went well.
func (d *demo) tick(who, format string, args ...any) {
	d.tell(d.err.green("✓"), who, format, args...)
}

func (d *demo) tell(mark, who, format string, args ...any) {
	_ = d.err.printf("%s %-10s "+format+"\n", append([]any{mark, who}, args...)...)
}

func (d *demo) startServer(ctx context.Context) error {
	s, err := d.start(ctx, "server", "--data", d.data)
	if err != nil {
		return err
	}
	if d.url, err = s.ready(ctx); err != nil {
		return err
	}
	d.namespace = string(message.DefaultNamespace)
	if d.client, err = d.dial(); err != nil {
		return err
	}
	d.app, err = flux.Connect(ctx, flux.Config{Name: "demo", ClientID: "demo", URL: d.url, Namespace: message.DefaultNamespace})
	if err != nil {
		return err
	}
	d.tick("server", "%s, data in %s (pid %d)", d.err.bold(d.url), d.data, s.pid())
	return nil
}

func (d *demo) startServices(ctx context.Context) error {
	for _, name := range []string{"delays-1", "delays-2", "rebooking"} {
		if _, err := d.start(ctx, name); err != nil {
			return err
		}
	}
	delays, err := d.trackers(ctx, "delays-1", "delays-2")
	if err != nil {
		return err
	}
	for _, t := range delays {
		d.tick(t.Client, "has segments %s (pid %d)", t.Segments, d.service(t.Client).pid())
	}
	d.tick("rebooking", "waits for commands (pid %d)", d.service("rebooking").pid())
	return nil
}

// end stops what still runs, the server last.
func (d *demo) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var err error
	if d.app != nil {
		err = d.app.Close(ctx)
	}
	for i := len(d.services) - 1; i >= 0; i-- {
		err = errors.Join(err, d.services[i].stop(ctx))
	}
	return err
}
